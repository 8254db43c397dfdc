//! Entries, heads, proofs and attestations for the corpus, as this build encodes and signs them.

use prunella_core::identity::Identity;
use prunella_core::ledger::{Attestation, Entry, Event, Ledger, Message};
use prunella_core::wire::codec;

/// Each by the name of its file.
pub(crate) fn files() -> [(&'static str, Vec<u8>); 10] {
    let me = Identity::from_secret(&[1; 32]);
    let mut ledger = Ledger::new(me.peer());
    let mut entries = Vec::new();
    for i in 0..5 {
        let event = Event::Commanded { command: format!("kill {i}"), who: "uid 0".into(), from: "local".into() };
        let entry = ledger.next(&event, 1_800_000_000_000 + i);
        ledger.push(&entry).expect("it is the next one");
        entries.push(entry);
    }
    let head = ledger.head().sign(&me);
    let consistency = ledger.tree().consistency(2, 5).expect("it grew");
    let attestation = Attestation::of(entries[1].clone(), ledger.tree(), head.clone()).expect("it is under the head");
    let bytes = entries[1..4].iter().map(Entry::encode).collect();
    let given = Message::Entries { ledger: me.peer(), first: 1, entries: bytes };
    let json = |text: serde_json::Result<Vec<u8>>| text.expect("it is JSON");
    [
        ("entry", entries[0].encode()),
        ("entry-json", json(serde_json::to_vec(&entries[1]))),
        ("head", codec::encode(&head)),
        ("head-json", json(serde_json::to_vec(&head))),
        ("attestation-json", json(serde_json::to_vec(&attestation))),
        ("message-prove", codec::encode(&Message::Prove { first: 2, second: 5 })),
        ("message-proof", codec::encode(&Message::Proof(consistency.clone()))),
        ("message-fetch", codec::encode(&Message::Fetch { ledger: me.peer(), first: 1, count: 3 })),
        ("message-entries", codec::encode(&given)),
        ("consistency", codec::encode(&consistency)),
    ]
}
