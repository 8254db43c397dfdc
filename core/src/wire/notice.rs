//! What one end of a session tells the other of the path between them, in a QUIC datagram (RFC 9221).

use bincode::{Decode, Encode};

use crate::limits::PATH_LABELS_MAX;
use crate::wire::codec;
use crate::{Rejected, Tag};

/// Longest notice, in bytes.
pub const SESSION_NOTICE_BYTES_MAX: usize = 128;

/// A notice. It may be lost, and it proves nothing: whoever hears one looks only at its own paths to the sender.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SessionNotice {
    /// The sender's packets take another path from now on. Its acknowledgment is what it is sent for.
    Rerouted,
    /// Nothing that the sender sent was acknowledged for too long, so it has left a path, or several one after another.
    Unacknowledged {
        /// The relays of what it left, as [`Tag`]s; for the link between the two stands the sender.
        relays: Vec<u64>,
    },
}

impl SessionNotice {
    /// That paths over these relays were left.
    pub fn unacknowledged(relays: impl IntoIterator<Item = Tag>) -> Self {
        Self::Unacknowledged { relays: relays.into_iter().map(|relay| relay.0).collect() }
    }

    /// Encodes the notice, with its version byte.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_message(self)
    }

    /// Decodes and checks a notice.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it is longer than [`SESSION_NOTICE_BYTES_MAX`] or names more relays than a path has;
    /// [`Rejected::UnknownVersion`] or [`Rejected::Malformed`] for its form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        if bytes.len() > SESSION_NOTICE_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        match codec::decode_message(bytes)? {
            Self::Unacknowledged { relays } if relays.len() > PATH_LABELS_MAX => Err(Rejected::OverLimit),
            notice => Ok(notice),
        }
    }
}

// A number takes nine bytes at most; before them come the version, the kind and the count.
const _: () = assert!(3 + 9 * PATH_LABELS_MAX <= SESSION_NOTICE_BYTES_MAX, "every path's relays fit a notice");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notice() -> impl Strategy<Value = SessionNotice> {
        let relays = prop::collection::vec(any::<u64>(), 0..=PATH_LABELS_MAX);
        prop_oneof![Just(SessionNotice::Rerouted), relays.prop_map(|relays| SessionNotice::Unacknowledged { relays })]
    }

    proptest! {
        #[test]
        fn every_notice_survives_the_wire(notice in notice()) {
            prop_assert_eq!(SessionNotice::decode(&notice.encode()), Ok(notice));
        }

        #[test]
        fn garbage_is_rejected_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(notice) = SessionNotice::decode(&bytes) {
                prop_assert!(bytes.len() <= SESSION_NOTICE_BYTES_MAX && notice.encode().len() <= bytes.len());
            }
        }
    }

    #[test]
    fn more_relays_than_a_path_has_are_too_many() {
        let relays = |count: usize| SessionNotice::unacknowledged((0..count as u64).map(Tag)).encode();
        assert!(SessionNotice::decode(&relays(PATH_LABELS_MAX)).is_ok());
        assert_eq!(SessionNotice::decode(&relays(PATH_LABELS_MAX + 1)), Err(Rejected::OverLimit));
        assert_eq!(SessionNotice::decode(&[0; SESSION_NOTICE_BYTES_MAX + 1]), Err(Rejected::OverLimit));
    }
}
