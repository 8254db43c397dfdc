//! Files of recordings: whole, cut off, changed, made up, altered, and in part.

use std::collections::BTreeMap;

use prunella_core::policy::{self, Document, Policy, Source};
use prunella_core::recording::{CHUNK_HEAD_BYTES, Chunk, Entry, sealed};
use prunella_core::wire::codec;
use prunella_core::{Instant, PeerId};
use tempfile::TempDir;

use super::replay::{ReplayOptions, ReplayReport, replay};
use super::*;
use crate::actors::recorder::{Recorder, RecorderSetup};

fn offered(bytes: usize) -> policy::Input {
    policy::Input::Offered(Document::new(0, Source::File, "p.toml", vec![b'#'; bytes]))
}

/// A recording of a policy role that hears so many inputs; its run's directory.
fn recorded(home: &TempDir, file_bytes: u64, inputs: usize) -> PathBuf {
    let (dir, node) = (home.path().to_path_buf(), PeerId::from_public_key([1; 32]));
    let recorder = Recorder::start(RecorderSetup { dir, node, run_unix_ms: 1000, file_bytes }).unwrap();
    let mut machine = Policy::default();
    let mut tape = recorder.begin("policy", &(), &mut machine, Instant::BOOT);
    for input in 0..inputs {
        tape.record(&mut machine, Some(offered(input % 3)), Instant::from_millis(input as u64), &mut Vec::new());
    }
    recorder.finish();
    assert_eq!(recorder.dropped(), 0);
    recorder.dir().to_path_buf()
}

fn all(path: &Path) -> Result<ReplayReport, Error> {
    replay(path, ReplayOptions::default())
}

/// Why a file with these bytes is not replayed.
fn refused(file: &Path, bytes: &[u8]) -> String {
    fs::write(file, bytes).unwrap();
    let error = all(file).expect_err("damage goes unnoticed");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.to_string()
}

/// Where each chunk of a file begins, the header's first.
fn chunks(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut starts) = (10, Vec::new());
    while at < bytes.len() {
        starts.push(at);
        at += CHUNK_HEAD_BYTES + Chunk::head(bytes[at..].first_chunk().unwrap()).unwrap().bytes;
    }
    starts
}

#[test]
fn a_recording_is_replayed_by_its_file_by_its_run_and_by_the_directory_of_runs() {
    let home = tempfile::tempdir().unwrap();
    recorded(&home, 1 << 20, 3);
    let run = recorded(&home, 1 << 20, 7);
    for path in [run.join("policy.000000.inputs"), run.clone(), home.path().to_path_buf()] {
        let report = all(&path).unwrap();
        assert!(report.is_same());
        let [role] = &report.roles[..] else { panic!("{report:?}") };
        assert_eq!((role.role.as_str(), role.lives, role.entries, role.same), ("policy", 1, 8, 7));
        assert_eq!((role.span_ns, role.torn), (Some((0, 6_000_000)), false));
    }
    let options = ReplayOptions { role: Some(RoleName::Policy), from: 4 };
    let report = replay(&run, options).unwrap();
    assert_eq!((report.roles[0].passed, report.roles[0].same), (2, 5));
    let none = replay(&run, ReplayOptions { role: Some(RoleName::Gossip), from: 1 }).unwrap_err();
    assert!(none.to_string().contains("no recording of the role gossip"), "{none}");
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1 << 20, 3);
    let whole = fs::read(run.join("policy.000000.inputs")).unwrap();
    let file = home.path().join("changed");
    let starts = chunks(&whole);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let why = refused(&file, &changed);
        let named = match at {
            0..8 => "at byte 0: not a recording".to_owned(),
            8..10 => "of the format; this program reads version".to_owned(),
            _ => {
                let chunk = starts.iter().rev().find(|start| **start <= at).unwrap();
                format!("at byte {chunk}: corrupt")
            }
        };
        assert!(why.contains(&named), "byte {at}: {why}");
    }
}

#[test]
fn a_recording_that_is_cut_off_is_replayed_to_its_end_wherever_that_is() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1 << 20, 3);
    let whole = fs::read(run.join("policy.000000.inputs")).unwrap();
    let file = home.path().join("cut");
    let starts = chunks(&whole);
    for length in 0..whole.len() {
        if length < starts[1] {
            let why = refused(&file, &whole[..length]);
            assert!(why.contains("it ends before its header does"), "{length}: {why}");
            continue;
        }
        fs::write(&file, &whole[..length]).unwrap();
        let report = all(&file).unwrap();
        let role = &report.roles[0];
        let entries = starts.iter().filter(|start| **start <= length).count() as u64 - 2;
        assert_eq!((role.entries, role.torn), (entries, !starts.contains(&length)), "{length}");
        assert_eq!((role.same, report.is_same()), (entries.saturating_sub(1), entries > 1));
    }
}

#[test]
fn what_a_chunk_claims_and_cannot_be_is_refused_before_it_is_read() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1 << 20, 1);
    let whole = fs::read(run.join("policy.000000.inputs")).unwrap();
    let file = home.path().join("made-up");
    let header = &whole[..chunks(&whole)[1]];
    let length = u32::MAX.to_le_bytes();
    let claim = [header, &length, &blake3::hash(&length).as_bytes()[..4], &[0; 8]].concat();
    assert!(refused(&file, &claim).contains("longer than"));
    let foreign = [header, &sealed(b"not an entry")].concat();
    assert!(refused(&file, &foreign).contains("does not decode"));
    let headless = [&whole[..10], &sealed(b"not a header")].concat();
    assert!(refused(&file, &headless).contains("at byte 10: an entry does not decode"));
    assert!(refused(&file, b"").contains("ends before"));
    assert!(refused(&file, b"#!/bin/sh\nexit 1\n").contains("not a recording"));
}

#[test]
fn one_altered_input_is_found_and_told() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1 << 20, 9);
    let file = run.join("policy.000000.inputs");
    let whole = fs::read(&file).unwrap();
    let starts = chunks(&whole);
    // The header is the first chunk, the start of the role the second, its first input the third.
    let (from, to) = (starts[6], starts[7]);
    let mut entry = Entry::decode(&whole[from + CHUNK_HEAD_BYTES..to]).unwrap();
    let Entry::Handled(handled) = &mut entry else { panic!("{entry:?}") };
    assert_eq!(handled.number, 5);
    handled.heard = Some(codec::encode_plain(&offered(7)));
    fs::write(&file, [&whole[..from], &sealed(&entry.encode()), &whole[to..]].concat()).unwrap();

    let report = all(&run).unwrap();
    assert!(!report.is_same());
    let [found] = &report.divergences[..] else { panic!("{report:?}") };
    assert_eq!((found.role.as_str(), found.entry, found.number, found.at_ns), ("policy", 6, 5, 4_000_000));
    assert!(found.input.contains("Offered") && found.effects[0].contains("Enforce"), "{found:?}");
    assert_ne!(found.then, found.now);
    assert_eq!(report.roles[0].same, 4);
}

#[test]
fn what_began_in_a_file_that_is_gone_is_not_played_and_that_is_said() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1000, 200);
    let report = all(&run).unwrap();
    assert!(!report.is_same(), "nothing was compared");
    let role = &report.roles[0];
    assert!(role.entries > 2 && role.same == 0 && role.lives == 0, "{role:?}");
    let unplayed = BTreeMap::from([("their life began before this recording does".to_owned(), role.entries)]);
    assert_eq!(role.unplayed, unplayed);

    // Across two files that are both there, a life goes on.
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1000, 15);
    let report = all(&run).unwrap();
    assert!(run.join("policy.000001.inputs").exists());
    assert_eq!((report.is_same(), report.roles[0].same), (true, 15));
}

#[test]
fn where_nothing_was_recorded_the_error_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    assert!(all(home.path()).unwrap_err().to_string().contains("`journal.inputs` turns recording on"));
    assert!(all(&home.path().join("nowhere")).unwrap_err().to_string().contains("nowhere"));
    let (one, two) = (recorded(&home, 1 << 20, 3), recorded(&home, 1 << 20, 3));
    fs::copy(two.join("policy.000000.inputs"), one.join("policy.000001.inputs")).unwrap();
    assert!(all(&one).unwrap_err().to_string().contains("different runs"));
}
