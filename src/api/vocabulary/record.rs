//! The signed records that a node holds.

use prunella_core::PeerId;
use prunella_core::record::{Kind, RecordId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The words for the kinds of records.
pub const RECORD_KINDS: [&str; Kind::ALL.len()] = {
    let mut names = [""; Kind::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Kind::ALL[i].name();
        i += 1;
    }
    names
};

/// A record, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordInfo {
    /// Its id: who says it, the kind and, where there are several of a kind, the key.
    pub id: RecordName,
    /// The name of who says it.
    pub name: String,
    /// Its version: under one id it only grows.
    pub version: u64,
    /// When it was issued, in milliseconds since the Unix epoch.
    pub issued_unix_ms: u64,
    /// When it ends, likewise.
    pub expires_unix_ms: u64,
    /// How long it is in a message, in bytes, at most.
    pub bytes: usize,
    /// Signatures of its origin that are held: two where it was endorsed.
    pub signatures: u8,
    /// Whether it was signed together with others.
    pub in_batch: bool,
    /// Whether it takes back what was said under this id.
    pub withdrawn: bool,
}

/// The whole of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordDetail {
    /// What every list tells of it.
    #[serde(flatten)]
    pub info: RecordInfo,
    /// What it says.
    pub body: serde_json::Value,
    /// What tells it from every other record, in hexadecimal digits.
    pub item: String,
    /// The signed bytes, likewise.
    pub signed: String,
    /// The origin's signature, likewise: Ed25519, over these bytes or over the root of the batch.
    pub signature: String,
    /// The place in the batch and the hashes beside the way to its root; `null` for a record that was signed alone.
    pub path: serde_json::Value,
}

/// A record's id as a text: `PEER/KIND`, or `PEER/KIND/KEY`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct RecordName {
    /// Who says it.
    pub origin: PeerId,
    /// The word for its kind.
    pub kind: String,
    /// The key; empty where there is one record of a kind.
    pub key: String,
}

impl RecordName {
    /// The name of this id.
    pub fn of(id: &RecordId) -> Self {
        Self { origin: id.origin, kind: id.kind.name().to_owned(), key: id.key.clone() }
    }

    /// The id with this name; `None` if there is no such kind.
    pub fn id(&self) -> Option<RecordId> {
        Some(RecordId { origin: self.origin, kind: Kind::named(&self.kind)?, key: self.key.clone() })
    }
}

impl std::fmt::Display for RecordName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.origin, self.kind)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

impl From<RecordName> for String {
    fn from(name: RecordName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for RecordName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no record's id: PEER/KIND or PEER/KIND/KEY");
        let mut parts = text.splitn(3, '/');
        let origin = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
        let kind = parts.next().filter(|kind| Kind::named(kind).is_some()).ok_or_else(wrong)?.to_owned();
        Ok(Self { origin, kind, key: parts.next().unwrap_or_default().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else() {
        let origin = PeerId::from_public_key([1; 32]);
        for (kind, key) in [(Kind::Links, ""), (Kind::Shared, "a/b/c"), (Kind::LedgerHead, "")] {
            let id = RecordId { origin, kind, key: key.to_owned() };
            let text = RecordName::of(&id).to_string();
            assert_eq!(RecordName::try_from(text).unwrap().id(), Some(id));
        }
        for wrong in [String::new(), origin.to_string(), format!("{origin}/rumor"), "b/links".to_owned()] {
            assert!(RecordName::try_from(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
