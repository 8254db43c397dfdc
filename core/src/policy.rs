//! The policy role: which policy is in force at this node.
//!
//! It hears of documents that have been compiled already, and asks for one of them to be enforced. What a document says
//! is not for this crate to read: it carries bytes. Invariant: the version that is in force never falls, and of two
//! documents of one version that the mesh was told, every node takes the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{POLICY_FILE_BYTES_MAX, POLICY_NAME_BYTES_MAX};
use crate::{Instant, Machine, Rejected};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A document that compiles. Of those that an actor finds when it starts, the newest comes first.
    Offered(Document),
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// From now on this document decides; nothing comes back.
    Enforce(Document),
    /// A document was refused as a whole; the one before stays in force.
    Refuse {
        /// Its version.
        version: u64,
        /// Where it comes from.
        source: Source,
        /// Why: [`Rejected::Stale`] for an older version, [`Rejected::OverLimit`] for too long a document,
        /// [`Rejected::Inconsistent`] for one whose digest is another one's.
        reason: Rejected,
    },
}

/// A policy as it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The mesh's version under which it counts; 0: the mesh has said nothing.
    pub version: u64,
    /// Where it comes from.
    pub source: Source,
    /// The file's name; its end says how the document is written.
    pub name: String,
    /// BLAKE3 over the text.
    pub digest: [u8; 32],
    /// What the file holds.
    pub text: Vec<u8>,
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The node's own file.
    File,
    /// An issuer or the authority of the mesh has said it to all nodes.
    Mesh,
}

impl Document {
    /// The document of this text.
    pub fn new(version: u64, source: Source, name: impl Into<String>, text: Vec<u8>) -> Self {
        Self { version, source, name: name.into(), digest: *blake3::hash(&text).as_bytes(), text }
    }

    /// Whether this one takes the place of the other. A node's own file may change as often as its operator likes; of
    /// two that the mesh was told under one version, the greater digest counts.
    pub fn supersedes(&self, other: &Document) -> bool {
        match (self.version == other.version, self.source, other.source) {
            (false, _, _) => self.version > other.version,
            (true, Source::File, Source::File) => true,
            (true, Source::Mesh, Source::Mesh) => self.digest >= other.digest,
            (true, Source::Mesh, Source::File) => true,
            (true, Source::File, Source::Mesh) => false,
        }
    }

    /// The beginning of its digest, for people: 16 hexadecimal digits.
    pub fn short_digest(&self) -> String {
        self.digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(&self) -> Result<(), Rejected> {
        if self.text.len() > POLICY_FILE_BYTES_MAX || self.name.len() > POLICY_NAME_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        if self.digest != *blake3::hash(&self.text).as_bytes() {
            return Err(Rejected::Inconsistent);
        }
        Ok(())
    }
}

/// Its text may be long, and says nothing here.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Document { version, source, name, text, .. } = self;
        write!(f, "Document({source} {name:?} version {version}, {} of {} bytes)", self.short_digest(), text.len())
    }
}

impl Source {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::Mesh => "mesh",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The role.
#[derive(Debug, Default)]
pub struct Policy {
    in_force: Option<Document>,
}

impl Policy {
    /// The document in force; `None`: there is none yet, and everything is denied.
    pub fn in_force(&self) -> Option<&Document> {
        self.in_force.as_ref()
    }
}

impl Machine for Policy {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, _now: Instant, effects: &mut Vec<Effect>) {
        let Input::Offered(document) = input;
        let newer = |before: &Document| if document.supersedes(before) { Ok(()) } else { Err(Rejected::Stale) };
        let judged = document.check().and_then(|()| self.in_force.as_ref().map_or(Ok(()), newer));
        if let Err(reason) = judged {
            let Document { version, source, .. } = document;
            return effects.push(Effect::Refuse { version, source, reason });
        }
        self.in_force = Some(document.clone());
        effects.push(Effect::Enforce(document));
    }

    fn wake(&mut self, _now: Instant, _effects: &mut Vec<Effect>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u64, source: Source, text: &str) -> Document {
        Document::new(version, source, "p.toml", text.as_bytes().to_vec())
    }

    /// Whether each of these is enforced, one after the other.
    fn enforced(documents: &[Document]) -> Vec<bool> {
        let (mut policy, mut effects) = (Policy::default(), Vec::new());
        for document in documents {
            policy.handle(Input::Offered(document.clone()), Instant::BOOT, &mut effects);
        }
        effects.iter().map(|effect| matches!(effect, Effect::Enforce(_))).collect()
    }

    #[test]
    fn the_version_in_force_never_falls() {
        let (file, mesh) = (document(0, Source::File, "a"), |version| document(version, Source::Mesh, "b"));
        assert_eq!(enforced(&[file.clone(), mesh(2), mesh(1), file.clone()]), [true, true, false, false]);
        assert_eq!(enforced(&[mesh(2), mesh(3), file]), [true, true, false]);
        let back = document(4, Source::File, "a");
        assert_eq!(enforced(&[mesh(3), back.clone(), back, mesh(3)]), [true, true, true, false]);
    }

    #[test]
    fn a_file_may_be_read_again_and_again() {
        let read = |text| document(0, Source::File, text);
        assert_eq!(enforced(&[read("b"), read("a"), read("a")]), [true, true, true]);
    }

    #[test]
    fn of_two_documents_of_one_version_everybody_takes_the_same() {
        let (one, two) = (document(1, Source::Mesh, "one"), document(1, Source::Mesh, "two"));
        let last = |documents: &[Document]| {
            let mut policy = Policy::default();
            for document in documents {
                policy.handle(Input::Offered(document.clone()), Instant::BOOT, &mut Vec::new());
            }
            policy.in_force().cloned().unwrap()
        };
        assert_eq!(last(&[one.clone(), two.clone()]), last(&[two, one]));
    }

    #[test]
    fn what_is_too_long_or_not_what_its_digest_says_leaves_the_old_one_in_force() {
        let good = document(0, Source::File, "good");
        let long = Document::new(1, Source::Mesh, "p", vec![b'#'; POLICY_FILE_BYTES_MAX + 1]);
        let forged = Document { text: b"bad".to_vec(), ..document(1, Source::Mesh, "good") };
        let (mut policy, mut effects) = (Policy::default(), Vec::new());
        for offered in [good.clone(), long, forged] {
            policy.handle(Input::Offered(offered), Instant::BOOT, &mut effects);
        }
        let refused = |reason| Effect::Refuse { version: 1, source: Source::Mesh, reason };
        let expected = [Effect::Enforce(good.clone()), refused(Rejected::OverLimit), refused(Rejected::Inconsistent)];
        assert_eq!(effects, expected);
        assert_eq!(policy.in_force(), Some(&good));
    }
}
