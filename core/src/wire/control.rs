//! Messages between neighbors.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::Label;
use crate::record::{RecordId, SignedRecord};

/// One message on a link's control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum Control {
    /// First on every link, from both sides: tells a restarted neighbor from one that never went away.
    Hello {
        /// Drawn at random when the process started.
        incarnation: u64,
        /// The sender's label for this link.
        label: Label,
    },
    /// Records that the receiver may not have: sent on change, and as the answer to a pull.
    Push(Vec<SignedRecord>),
    /// The hash over everything that the sender holds: if the receiver's differs, it answers with its digest.
    Summary {
        /// See `gossip::root`.
        root: [u8; 32],
    },
    /// What the sender holds, a part at a time, between two ids. The receiver pushes what is newer at its side and
    /// pulls what is newer at the sender's.
    Digest(Digest),
    /// Asks for these records.
    Pull(Vec<RecordId>),
}

/// A part of what a node holds: every id in `(after, until]`, with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Digest {
    /// Where the part starts (exclusive); `None`: at the beginning.
    pub after: Option<RecordId>,
    /// Where the part ends (inclusive); `None`: at the end.
    pub until: Option<RecordId>,
    /// The ids held in between, ascending, and their versions.
    pub entries: Vec<(RecordId, u64)>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PeerId;
    use crate::limits::CONTROL_MESSAGE_BYTES_MAX;
    use crate::record::{Kind, Path};
    use crate::rejected::Rejected;
    use crate::wire::codec::{VERSION, decode_message, encode_message};

    fn record_id() -> impl Strategy<Value = RecordId> {
        (any::<[u8; 32]>(), 0..4u8, "[a-z]{0,20}").prop_map(|(key, kind, name)| RecordId {
            origin: PeerId::from_public_key(key),
            kind: [Kind::Node, Kind::Links, Kind::Service, Kind::Equivocation][usize::from(kind)],
            key: name,
        })
    }

    fn control() -> impl Strategy<Value = Control> {
        let path = (any::<u16>(), any::<u16>(), proptest::collection::vec(any::<[u8; 32]>(), 0..9))
            .prop_map(|(size, index, siblings)| Path { size, index, siblings });
        let signed = (any::<Vec<u8>>(), any::<Vec<u8>>(), proptest::option::of(path))
            .prop_map(|(bytes, signature, path)| SignedRecord { bytes, signature, path });
        let digest = (
            proptest::option::of(record_id()),
            proptest::option::of(record_id()),
            proptest::collection::vec((record_id(), any::<u64>()), 0..5),
        );
        prop_oneof![
            (any::<u64>(), any::<u16>())
                .prop_map(|(incarnation, label)| Control::Hello { incarnation, label: Label(label) }),
            proptest::collection::vec(signed, 0..5).prop_map(Control::Push),
            any::<[u8; 32]>().prop_map(|root| Control::Summary { root }),
            digest.prop_map(|(after, until, entries)| Control::Digest(Digest { after, until, entries })),
            proptest::collection::vec(record_id(), 0..5).prop_map(Control::Pull),
        ]
    }

    proptest! {
        #[test]
        fn every_message_survives_the_wire(message in control()) {
            prop_assert_eq!(decode_message(&encode_message(&message)), Ok(message));
        }

        #[test]
        fn garbage_is_rejected_or_decodes_but_never_panics(bytes: Vec<u8>) {
            let _ = decode_message::<Control>(&bytes);
        }

        #[test]
        fn a_truncated_message_is_malformed(message in control(), cut in 1usize..8) {
            let bytes = encode_message(&message);
            let cut = cut.min(bytes.len() - 1);
            prop_assert!(decode_message::<Control>(&bytes[..bytes.len() - cut]).is_err());
        }

        #[test]
        fn trailing_bytes_are_malformed(message in control(), tail in 1usize..8) {
            let mut bytes = encode_message(&message);
            bytes.extend(vec![0; tail]);
            prop_assert_eq!(decode_message::<Control>(&bytes), Err(Rejected::Malformed));
        }
    }

    #[test]
    fn each_bad_form_has_its_name() {
        let summary = encode_message(&Control::Summary { root: [1; 32] });
        let mut unknown = summary.clone();
        unknown[0] = VERSION + 1;
        assert_eq!(decode_message::<Control>(&unknown), Err(Rejected::UnknownVersion));
        assert_eq!(decode_message::<Control>(&[]), Err(Rejected::Malformed));
        let long = [vec![VERSION], vec![0; CONTROL_MESSAGE_BYTES_MAX + 1]].concat();
        assert_eq!(decode_message::<Control>(&long), Err(Rejected::OverLimit));
        // A push that claims 2^32 records: bounded by the limit before anything is allocated.
        let hostile = [VERSION, 1, 0xfc, 0xff, 0xff, 0xff, 0xff];
        assert!(decode_message::<Control>(&hostile).is_err());
    }
}
