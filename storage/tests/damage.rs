//! A store that is locked, damaged, foreign or of another format says so, and never panics.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use prunella_storage::{Batch, Damage, Entry, SledStore, Store, StoreError, Tree};

/// At how many places of the file a change is tried.
const SPOTS: u64 = 80;

#[test]
fn an_open_store_is_locked_and_a_closed_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let first = filled(home.path());
    assert!(matches!(SledStore::open(home.path()), Err(StoreError::Locked { path }) if path == home.path()));
    assert!(matches!(SledStore::set_aside(home.path()), Err(StoreError::Locked { .. })));
    drop(first);
    for _ in 0..20 {
        assert!(contents(&SledStore::open(home.path()).unwrap()) == expected());
    }
}

#[test]
fn the_text_of_a_locked_store_says_where_and_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let _first = filled(home.path());
    let text = SledStore::open(home.path()).unwrap_err().to_string();
    assert!(text.contains(home.path().to_str().unwrap()) && text.contains("stop the other node"), "{text}");
    assert!(!text.contains('\n'));
}

#[test]
fn garbage_is_damage_and_the_way_out_leads_to_an_empty_store() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    for n in 1..=2 {
        drop(filled(&path));
        let length = fs::metadata(path.join("db")).unwrap().len();
        fs::write(path.join("db"), vec![0xa5; length as usize]).unwrap();
        let error = SledStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("start with --rebuild"), "{error}");
        let aside = SledStore::set_aside(&path).unwrap();
        assert_eq!(aside, home.path().join(format!("store.damaged-{n}")));
        assert!(aside.join("db").exists(), "nothing is deleted");
        let afresh = SledStore::open(&path).unwrap();
        assert_eq!(contents(&afresh), []);
    }
}

#[test]
fn a_truncated_file_is_damage_wherever_it_ends() {
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    drop(filled(&original));
    let length = fs::metadata(original.join("db")).unwrap().len();
    let used = used(&original);
    for cut in [0, 1, 19, 20, 4096, used / 4, used / 2, used - 1] {
        let path = copy(&original, &home.path().join(cut.to_string()));
        OpenOptions::new().write(true).open(path.join("db")).unwrap().set_len(cut).unwrap();
        let error = SledStore::open(&path).map(|store| contents(&store).len()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{cut} of {length} bytes: {error}");
    }
}

#[test]
fn a_changed_file_is_damage_or_makes_no_difference() {
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    drop(filled(&original));
    let length = used(&original);
    let mut noticed = 0;
    for spot in 0..SPOTS {
        let path = copy(&original, &home.path().join(spot.to_string()));
        change(&path.join("db"), length * spot / SPOTS);
        match SledStore::open(&path) {
            Ok(store) => assert!(contents(&store) == expected(), "silent loss at {spot}"),
            Err(StoreError::Damaged { .. }) => noticed += 1,
            Err(other) => panic!("at {spot}: {other}"),
        }
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(noticed >= SPOTS / 5, "only {noticed} changes were noticed");
}

#[test]
fn a_state_in_which_the_engine_panics_is_damage() {
    let home = tempfile::tempdir().unwrap();
    drop(filled(home.path()));
    // The engine unwraps the text of every name in here, and this name is none.
    fs::write(home.path().join("blobs").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    let error = SledStore::open(home.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { source: Damage::Panic(_), .. }), "{error}");
}

#[test]
fn a_changed_configuration_of_the_engine_is_damage_or_makes_no_difference() {
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    drop(filled(&original));
    for spot in 0..fs::metadata(original.join("conf")).unwrap().len() {
        let path = copy(&original, &home.path().join(spot.to_string()));
        change(&path.join("conf"), spot);
        match SledStore::open(&path) {
            Ok(store) => assert!(contents(&store) == expected(), "silent loss at {spot}"),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "at {spot}: {error}"),
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_lost_file_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    drop(filled(&original));
    let path = copy(&original, &home.path().join("without-db"));
    fs::remove_file(path.join("db")).unwrap();
    assert!(matches!(SledStore::open(&path), Err(StoreError::Damaged { source: Damage::Missing, .. })));
}

#[test]
fn an_older_file_than_was_promised_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    drop(filled(&path));
    let old = copy(&path, &home.path().join("old"));
    let store = SledStore::open(&path).unwrap();
    store.apply(Batch::new().put(Tree::UsedTokens, "token", "")).unwrap();
    store.flush().unwrap();
    drop(store);
    // A disk that lost its last writes, but kept the note that they were promised.
    fs::copy(path.join("promise"), old.join("promise")).unwrap();
    assert!(matches!(SledStore::open(&old), Err(StoreError::Damaged { source: Damage::Lost { .. }, .. })));
}

#[test]
fn a_snapshot_that_a_crash_left_unfinished_does_no_harm() {
    let home = tempfile::tempdir().unwrap();
    drop(filled(home.path()));
    fs::write(home.path().join("snap.FFFFFFFFFFFFFFFF.generating"), "half").unwrap();
    assert!(contents(&SledStore::open(home.path()).unwrap()) == expected());
}

#[test]
fn a_directory_of_another_program_is_refused_untouched() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(SledStore::open(home.path()), Err(StoreError::Foreign { .. })));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_database_of_another_program_is_refused() {
    for name in ["__sled__default", "their tree"] {
        let home = tempfile::tempdir().unwrap();
        let database = sled::open(home.path()).unwrap();
        database.open_tree(name).unwrap().insert("their key", "their value").unwrap();
        database.flush().unwrap();
        drop(database);
        let error = SledStore::open(home.path()).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{name}: {error}");
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    drop(filled(home.path()));
    let database = sled::Config::new().path(home.path()).open().unwrap();
    database.insert(b"\0format", &2_u32.to_be_bytes()).unwrap();
    database.flush().unwrap();
    drop(database);
    let error = SledStore::open(home.path()).unwrap_err();
    assert!(matches!(error, StoreError::OtherFormat { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_path_that_is_a_file_and_a_store_that_is_not_there_are_errors_of_the_system() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(SledStore::open(&file), Err(StoreError::Io { .. })));
    assert!(matches!(SledStore::set_aside(home.path().join("nothing")), Err(StoreError::Io { .. })));
    assert!(!home.path().join("nothing").exists());
}

/// An open store with known contents over several of the engine's segments, with stale versions between, all flushed.
fn filled(path: &Path) -> SledStore {
    let store = SledStore::open(path).unwrap();
    let expected = expected();
    for round in expected.chunks(20).cycle().take(2 * expected.len().div_ceil(20)) {
        let mut batch = Batch::new();
        for (key, value) in round {
            batch.put(Tree::Records, key.clone(), value.clone());
        }
        store.apply(&batch).unwrap();
    }
    store.flush().unwrap();
    store
}

fn expected() -> Vec<Entry> {
    (0..300_u64).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8 | 1; 4000])).collect()
}

fn contents(store: &SledStore) -> Vec<Entry> {
    store.scan(Tree::Records).unwrap()
}

/// How many bytes of the engine's file carry something.
fn used(store: &Path) -> u64 {
    let bytes = fs::read(store.join("db")).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1
}

/// Flips one bit.
fn change(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    to.to_owned()
}
