//! Messages between neighbors.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::record::SignedRecord;
use crate::{ItemId, Label};
use crate::{ledger, reconcile};

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
    /// Records that the receiver may not have, along the tree of [`crate::broadcast`]: sent on change, and as the answer
    /// to a graft.
    Push(Vec<SignedRecord>),
    /// Records that the receiver was found to lack.
    Give(Vec<SignedRecord>),
    /// Items that the sender holds and does not push.
    Announce(Vec<ItemId>),
    /// Asks for these items, and to be pushed whatever comes.
    Graft(Vec<ItemId>),
    /// Asks for announcements instead of pushes.
    Prune,
    /// A part of finding out what differs.
    Reconcile(reconcile::Message),
    /// Asks whether the two may part: the receiver closes the link, or says that it stays.
    Part,
    /// The answer to [`Control::Part`] of a node that needs the link.
    Stay,
    /// About the ledger of one of the two.
    Ledger(ledger::Message),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::CONTROL_MESSAGE_BYTES_MAX;
    use crate::record::Path;
    use crate::rejected::Rejected;
    use crate::wire::codec::{VERSION, decode_message, encode_message};

    fn control() -> impl Strategy<Value = Control> {
        let path = (any::<u16>(), any::<u16>(), proptest::collection::vec(any::<[u8; 32]>(), 0..9))
            .prop_map(|(size, index, siblings)| Path { size, index, siblings });
        let signed = (any::<Vec<u8>>(), any::<Vec<u8>>(), proptest::option::of(path))
            .prop_map(|(bytes, signature, path)| SignedRecord { bytes, signature, path });
        let records = proptest::collection::vec(signed, 0..5);
        let items = proptest::collection::vec(any::<[u8; 16]>().prop_map(ItemId), 0..5);
        let summary = (any::<[u8; 32]>(), any::<u32>(), any::<bool>());
        prop_oneof![
            (any::<u64>(), any::<u16>())
                .prop_map(|(incarnation, label)| Control::Hello { incarnation, label: Label(label) }),
            records.clone().prop_map(Control::Push),
            records.prop_map(Control::Give),
            items.clone().prop_map(Control::Announce),
            items.clone().prop_map(Control::Graft),
            Just(Control::Prune),
            Just(Control::Part),
            Just(Control::Stay),
            (any::<u64>(), any::<u64>())
                .prop_map(|(first, second)| Control::Ledger(ledger::Message::Prove { first, second })),
            (any::<u64>(), any::<u64>(), proptest::collection::vec(any::<[u8; 32]>().prop_map(ledger::Hash), 0..9))
                .prop_map(|(first, second, path)| {
                    Control::Ledger(ledger::Message::Proof(ledger::Consistency { first, second, path }))
                }),
            (any::<[u8; 32]>(), any::<u64>(), any::<Vec<u8>>()).prop_map(|(witness, size, signature)| {
                let witness = crate::PeerId::from_public_key(witness);
                Control::Ledger(ledger::Message::Seen(ledger::Cosignature { witness, size, signature }))
            }),
            (any::<[u8; 32]>(), any::<u64>(), any::<u64>()).prop_map(|(ledger, first, count)| {
                let ledger = crate::PeerId::from_public_key(ledger);
                Control::Ledger(ledger::Message::Fetch { ledger, first, count })
            }),
            (any::<[u8; 32]>(), any::<u64>(), any::<Vec<Vec<u8>>>()).prop_map(|(ledger, first, entries)| {
                let ledger = crate::PeerId::from_public_key(ledger);
                Control::Ledger(ledger::Message::Entries { ledger, first, entries })
            }),
            summary.prop_map(|(root, items, fresh)| Control::Reconcile(reconcile::Message::Summary {
                root,
                items,
                fresh
            })),
            items.prop_map(|items| Control::Reconcile(reconcile::Message::WantItems(items))),
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
        let summary =
            encode_message(&Control::Reconcile(reconcile::Message::Summary { root: [1; 32], items: 0, fresh: true }));
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
