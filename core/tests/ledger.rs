//! What leaves a ledger as JSON, and comes back: the forms that foreign tools read.

use prunella_core::identity::Identity;
use prunella_core::ledger::{Attestation, Entry, Event, Ledger, SignedHead, verify_all};

fn written() -> (Vec<Entry>, Ledger, SignedHead) {
    let me = Identity::from_secret(&[1; 32]);
    let mut ledger = Ledger::new(me.peer());
    let mut entries = Vec::new();
    for (i, command) in ["kill b", "policy reload", "leave \"quotes\" alone"].into_iter().enumerate() {
        let event = Event::Commanded { command: command.into(), who: "uid 0".into(), from: "local".into() };
        let entry = ledger.next(&event, 1_800_000_000_000 + i as u64);
        ledger.push(&entry).expect("it is the next one");
        entries.push(entry);
    }
    let head = ledger.head().sign(&me);
    (entries, ledger, head)
}

#[test]
fn an_exported_ledger_is_read_back_and_verified() {
    let (entries, _, head) = written();
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).expect("it is JSON")).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')), "an entry is a line");
    let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).expect("it was written here")).collect();
    assert_eq!(read, entries);
    let told = serde_json::to_string(&head).expect("it is JSON");
    let head: SignedHead = serde_json::from_str(&told).expect("it was written here");
    assert_eq!(verify_all(&read, &head), Ok(()));
}

#[test]
fn an_attestation_in_a_file_is_verified_with_nothing_else_at_hand() {
    let (entries, ledger, head) = written();
    let attestation = Attestation::of(entries[1].clone(), ledger.tree(), head).expect("it is under the head");
    let text = serde_json::to_string_pretty(&attestation).expect("it is JSON");
    let read: Attestation = serde_json::from_str(&text).expect("it was written here");
    assert_eq!((read.verify(), &read), (Ok(()), &attestation));
    let lie = text.replace("policy reload", "policy relax");
    let read: Attestation = serde_json::from_str(&lie).expect("it is JSON still");
    assert!(read.verify().is_err());
}

#[test]
fn the_fields_of_an_entry_and_of_a_head_have_the_names_of_the_format() {
    let (entries, _, head) = written();
    let me = head.head.ledger;
    let zeros = "0".repeat(64);
    assert_eq!(
        serde_json::to_string(&entries[0]).expect("it is JSON"),
        format!(
            "{{\"ledger\":\"{me}\",\"index\":0,\"unix_ms\":1800000000000,\"previous\":\"{zeros}\",\"kind\":\"commanded\",\
             \"who\":\"uid 0\",\"from\":\"local\",\"subject\":\"{me}\",\"text\":\"kill b\"}}"
        )
    );
    let told = serde_json::to_string(&head).expect("it is JSON");
    let (root, last) = (head.head.root, head.head.last);
    let begins =
        format!("{{\"head\":{{\"ledger\":\"{me}\",\"size\":3,\"root\":\"{root}\",\"last\":\"{last}\",\"unix_ms\":");
    assert!(told.starts_with(&begins), "{told}");
    let signature = told.split("\"signature\":\"").nth(1).map(|rest| rest.len());
    assert_eq!(signature, Some(128 + 2), "{told}");
}
