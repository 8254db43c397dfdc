//! Replays the committed fuzz corpora through the fuzz targets' bodies, so that what a fuzzer once found stays found, and
//! bytes without any meaning, from fixed seeds. `REWRITE=1` writes the corpus's pushes of records anew, for when their
//! encoding has changed.

#[path = "../../fuzz/bodies/gossip.rs"]
mod gossip;
#[path = "../../fuzz/bodies/ledger.rs"]
mod ledger;
#[path = "corpus/ledgers.rs"]
mod ledgers;
#[path = "corpus/pushes.rs"]
mod pushes;
#[path = "../../fuzz/bodies/wire.rs"]
mod wire;

use std::path::{Path, PathBuf};

use prunella_core::TraceContext;
use prunella_core::rng::Rng;
use prunella_core::wire::{Opening, StreamOpen};

#[test]
fn every_decoder_answers_to_the_whole_corpus() {
    let read: Vec<wire::Read> = corpus("wire").iter().map(|bytes| wire::read(bytes)).collect();
    let messages = read.iter().filter(|read| read.message).count();
    assert!(read.len() >= 8 && messages >= 3, "{} files, {messages} of them are messages", read.len());
    let verified: usize = read.iter().map(|read| read.signatures).sum();
    assert!(
        verified >= 4,
        "the corpus holds a single record, a batch and two proofs that verify: {verified} signatures"
    );
}

#[test]
fn the_pushes_in_the_corpus_are_what_this_build_sends() {
    let mut verified = Vec::new();
    for (name, bytes) in pushes::pushes() {
        let path = folder("wire").join(name);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &bytes).expect("the corpus can be written to");
        }
        assert!(std::fs::read(&path).expect("the corpus is committed") == bytes, "{name}: see REWRITE above");
        verified.push(wire::read(&bytes).signatures);
    }
    assert_eq!(
        verified,
        [1, 1, 1, 3, 2, 0],
        "one; one for three; for the first and the last of them; with two lies; with the links that prove a place; none"
    );
}

/// As for the pushes, `REWRITE=1` writes what this build makes.
#[test]
fn the_openings_of_streams_in_the_corpus_are_what_this_build_sends() {
    let command = |command: &str| StreamOpen::Command { command: command.to_owned(), uid: 1000 };
    let trace = |span| Some(TraceContext { trace: [0xab; 16], span, sampled: true });
    for (name, purpose, trace, is_good) in [
        ("open-service", StreamOpen::Service { name: "web".to_owned() }, None, true),
        ("open-service-traced", StreamOpen::Service { name: "web".to_owned() }, trace([0xcd; 8]), true),
        ("open-ping-of-no-span", StreamOpen::Ping, trace([0; 8]), false),
        ("open-command", command("shared-list"), None, true),
        ("open-command-bad-name", command("shared list"), None, false),
        ("open-network", StreamOpen::Network, None, true),
        ("open-shell", StreamOpen::Shell { uid: u32::MAX }, None, true),
    ] {
        let (path, bytes) = (folder("wire").join(name), Opening { purpose, trace }.encode());
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &bytes).expect("the corpus can be written to");
        }
        assert!(std::fs::read(&path).expect("the corpus is committed") == bytes, "{name}: see REWRITE above");
        assert_eq!(wire::read(&bytes).opening, is_good, "{name}");
    }
}

#[test]
fn every_decoder_answers_to_corpus_files_that_were_bent() {
    let files = corpus("wire");
    let mut rng = Rng::from_seed(1);
    for _ in 0..20_000 {
        wire::read(&bent(&files, &mut rng));
    }
}

#[test]
fn a_node_bears_whatever_its_neighbors_say() {
    let mut files = corpus("gossip");
    assert!(!files.is_empty());
    let passed: usize = files.iter().map(|bytes| gossip::converse(bytes)).sum();
    assert!(passed > 100, "{passed} messages passed the gates");
    let mut rng = Rng::from_seed(2);
    for round in 0..300 {
        let bytes = if round % 2 == 0 { bent(&files, &mut rng) } else { noise(&mut rng) };
        gossip::converse(&bytes);
        files.push(bytes);
    }
}

/// As for the pushes, `REWRITE=1` writes what this build makes.
#[test]
fn every_reader_of_ledgers_answers_to_the_whole_corpus_and_to_bent_files() {
    for (name, bytes) in ledgers::files() {
        let path = folder("ledger").join(name);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &bytes).expect("the corpus can be written to");
        }
        assert!(std::fs::read(&path).expect("the corpus is committed") == bytes, "{name}: see REWRITE above");
        assert!(ledger::read(&bytes) >= 1, "{name} is read as what it is");
    }
    let files = corpus("ledger");
    let mut rng = Rng::from_seed(3);
    for _ in 0..20_000 {
        ledger::read(&bent(&files, &mut rng));
    }
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder(target))
        .expect("the corpus is committed")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a corpus file")).collect()
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    (0..200 + rng.below(1000)).map(|_| rng.next_u64() as u8).collect()
}

/// A file with some bytes changed, left out or said twice.
fn bent(files: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.pick(files).cloned().unwrap_or_default();
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            break;
        }
        let place = rng.below(bytes.len());
        match rng.below(4) {
            0 => bytes[place] ^= 1 << rng.below(8),
            1 => bytes[place] = rng.next_u64() as u8,
            2 => bytes.truncate(place),
            _ => {
                let end = place + rng.below(bytes.len() - place);
                let copy = bytes[place..=end].to_vec();
                bytes.splice(place..place, copy);
            }
        }
    }
    bytes
}
