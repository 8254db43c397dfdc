//! One entry of a ledger, and the bytes that stand for it.
//!
//! The bytes are written down here rather than derived, so that a program in any language can read and hash them: fixed
//! fields first, big-endian, then four texts, each with its length in 16 bits before it.

use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind, Told};
use super::hash::Hash;
use crate::limits::{LEDGER_ENTRY_BYTES_MAX, LEDGER_NAME_BYTES_MAX, LEDGER_TEXT_BYTES_MAX};
use crate::{PeerId, Rejected};

/// Something that a node wrote down, at its place in the chain of all that it wrote down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose ledger it belongs to.
    pub ledger: PeerId,
    /// Its place, from 0.
    pub index: u64,
    /// When it was written, by the node's wall clock, in milliseconds since the Unix epoch; later than the entry before it,
    /// by a millisecond at least, whatever the clock does.
    pub unix_ms: u64,
    /// The leaf hash of the entry before it; [`Hash::NONE`] for the first one.
    pub previous: Hash,
    /// What kind of event it tells of.
    pub kind: EventKind,
    /// Who did it: a peer id, or what else tells the actor.
    pub who: String,
    /// From where; empty if it came from nowhere else.
    pub from: String,
    /// What it was about.
    pub subject: String,
    /// What there is to say.
    pub text: String,
}

impl Entry {
    /// The entry that tells of an event; what is too long is cut.
    pub(super) fn of(event: &Event, ledger: PeerId, index: u64, previous: Hash, unix_ms: u64) -> Self {
        let Told { kind, who, from, subject, text } = event.told(&ledger);
        let [who, from, subject] = [who, from, subject].map(|name| cut(name, LEDGER_NAME_BYTES_MAX));
        let text = cut(text, LEDGER_TEXT_BYTES_MAX);
        Self { ledger, index, unix_ms, previous, kind, who, from, subject, text }
    }

    /// The bytes that stand for it, at most [`LEDGER_ENTRY_BYTES_MAX`].
    ///
    /// # Panics
    /// If a text is longer than its length's field can say, which [`Entry::check`] finds out.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.ledger.as_bytes());
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(self.unix_ms.to_be_bytes());
        bytes.extend(self.previous.0);
        bytes.push(self.kind.number());
        for text in [&self.who, &self.from, &self.subject, &self.text] {
            let length = u16::try_from(text.len()).expect("BUG: a text of an entry is bounded");
            bytes.extend(length.to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    /// Checks what the type does not say: that its texts are within their limits. What was decoded from its bytes, or made
    /// by a ledger, is.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`].
    pub fn check(&self) -> Result<(), Rejected> {
        let names = [&self.who, &self.from, &self.subject].into_iter().all(|name| name.len() <= LEDGER_NAME_BYTES_MAX);
        if names && self.text.len() <= LEDGER_TEXT_BYTES_MAX { Ok(()) } else { Err(Rejected::OverLimit) }
    }

    /// The entry for which these bytes stand; there are no other ones for it.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if they are too many, or a text is too long, [`Rejected::UnknownVersion`] for another
    /// version or kind, [`Rejected::Malformed`] otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        if bytes.len() > LEDGER_ENTRY_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        let mut fields = Fields(bytes);
        if fields.array()? != [VERSION] {
            return Err(Rejected::UnknownVersion);
        }
        let entry = Self {
            ledger: PeerId::from_public_key(fields.array()?),
            index: u64::from_be_bytes(fields.array()?),
            unix_ms: u64::from_be_bytes(fields.array()?),
            previous: Hash(fields.array()?),
            kind: EventKind::from_number(fields.array::<1>()?[0]).ok_or(Rejected::UnknownVersion)?,
            who: fields.text(LEDGER_NAME_BYTES_MAX)?,
            from: fields.text(LEDGER_NAME_BYTES_MAX)?,
            subject: fields.text(LEDGER_NAME_BYTES_MAX)?,
            text: fields.text(LEDGER_TEXT_BYTES_MAX)?,
        };
        if fields.0.is_empty() { Ok(entry) } else { Err(Rejected::Malformed) }
    }

    /// Its leaf hash, which the next entry names, and over which the tree is built.
    pub fn hash(&self) -> Hash {
        Hash::of_leaf(&self.encode())
    }
}

/// What is left to read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Rejected::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn text(&mut self, most: usize) -> Result<String, Rejected> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > most {
            return Err(Rejected::OverLimit);
        }
        let (text, rest) = self.0.split_at_checked(length).ok_or(Rejected::Malformed)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| Rejected::Malformed)
    }
}

/// At most so many bytes of a text, and only whole characters.
fn cut(mut text: String, most: usize) -> String {
    text.truncate((0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    text
}

/// The version of the format, the first byte of every entry.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let kinds = proptest::sample::select(EventKind::ALL.to_vec());
        let numbers = (any::<[u8; 32]>(), any::<u64>(), any::<u64>(), any::<[u8; 32]>());
        let texts = (".{0,60}", ".{0,60}", ".{0,60}", ".{0,900}");
        (numbers, kinds, texts).prop_map(|((ledger, index, unix_ms, previous), kind, (who, from, subject, text))| {
            let ledger = PeerId::from_public_key(ledger);
            Entry { ledger, index, unix_ms, previous: Hash(previous), kind, who, from, subject, text }
        })
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_bytes(entry in entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }

        #[test]
        fn there_is_one_form_of_an_entry(entry in entry(), at: u16, byte: u8) {
            let mut bytes = entry.encode();
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
            if let Ok(other) = Entry::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn garbage_is_no_entry_and_never_panics(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }
    }

    #[test]
    fn the_bytes_of_an_entry_are_those_of_the_format() {
        let me = PeerId::from_public_key([7; 32]);
        let event = Event::Commanded { command: "kill b".into(), who: "uid 0".into(), from: "local".into() };
        let entry = Entry::of(&event, me, 258, Hash([9; 32]), 5);
        let mut bytes = vec![1];
        bytes.extend([7; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 2]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 5]);
        bytes.extend([9; 32]);
        bytes.push(8);
        bytes.extend(b"\x00\x05uid 0\x00\x05local\x00\x34");
        bytes.extend(me.to_string().as_bytes());
        bytes.extend(b"\x00\x06kill b");
        assert_eq!(entry.encode(), bytes);
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_the_longest_entry_is_within_its_limit() {
        let long = "ß".repeat(5000);
        let event =
            Event::PolicyChanged { policy: long.clone(), who: format!("x{long}"), from: long.clone(), change: long };
        let entry = Entry::of(&event, PeerId::from_public_key([7; 32]), 0, Hash::NONE, 0);
        assert_eq!([entry.who.len(), entry.from.len(), entry.text.len()], [255, 256, 4096]);
        assert!(entry.encode().len() <= LEDGER_ENTRY_BYTES_MAX);
        assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    }
}
