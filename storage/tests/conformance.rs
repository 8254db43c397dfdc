//! What every store promises, checked on all of them.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use prunella_storage::limits::{BATCH_ENTRIES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use prunella_storage::{Batch, Entry, FaultyStore, MemoryStore, SledStore, Store, StoreError, Tree};

#[test]
fn the_memory_store_conforms() {
    conformance(|| Box::new(MemoryStore::new()));
}

#[test]
fn the_sled_store_conforms() {
    let home = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance(|| {
        count.set(count.get() + 1);
        Box::new(SledStore::open(home.path().join(count.get().to_string())).unwrap())
    });
}

#[test]
fn the_faulty_store_without_faults_conforms() {
    conformance(|| Box::new(FaultyStore::new(MemoryStore::new())));
}

/// Runs every check on a new, empty store.
fn conformance(make: impl Fn() -> Box<dyn Store>) {
    let checks = [
        an_empty_store_holds_nothing,
        a_put_is_seen_at_once_and_replaced_by_the_next,
        trees_do_not_mix,
        a_scan_is_ordered_by_key_and_complete,
        the_last_change_of_a_key_in_a_batch_counts,
        a_batch_over_the_limits_changes_nothing,
        a_batch_at_the_limits_is_kept,
        odd_keys_and_values_are_kept,
        a_scan_sees_a_batch_as_a_whole,
        a_random_history_matches_a_map,
    ];
    checks.into_iter().for_each(|check| check(&*make()));
}

fn an_empty_store_holds_nothing(store: &dyn Store) {
    for tree in Tree::ALL {
        assert_eq!(store.get(tree, b"").unwrap(), None);
        assert_eq!(store.scan(tree).unwrap(), []);
    }
    store.apply(&Batch::new()).unwrap();
    store.apply(Batch::new().delete(Tree::Meta, "nothing")).unwrap();
    store.flush().unwrap();
    assert_eq!(store.scan(Tree::Meta).unwrap(), []);
}

fn a_put_is_seen_at_once_and_replaced_by_the_next(store: &dyn Store) {
    for value in ["old", "new", ""] {
        store.apply(Batch::new().put(Tree::Meta, "k", value)).unwrap();
        assert_eq!(store.get(Tree::Meta, b"k").unwrap().unwrap(), value.as_bytes());
    }
    store.apply(Batch::new().delete(Tree::Meta, "k")).unwrap();
    assert_eq!(store.get(Tree::Meta, b"k").unwrap(), None);
}

fn trees_do_not_mix(store: &dyn Store) {
    let mut batch = Batch::new();
    for tree in Tree::ALL {
        batch.put(tree, "k", format!("{tree:?}"));
    }
    store.apply(&batch).unwrap();
    store.apply(Batch::new().delete(Tree::Outcomes, "k")).unwrap();
    for tree in Tree::ALL {
        let expected = (tree != Tree::Outcomes).then(|| entry("k", &format!("{tree:?}")));
        assert_eq!(store.scan(tree).unwrap(), Vec::from_iter(expected));
    }
}

fn a_scan_is_ordered_by_key_and_complete(store: &dyn Store) {
    let keys: Vec<u64> = (0..1000).map(|n| n * 7919 % 1000).collect();
    for some in keys.chunks(100) {
        let mut batch = Batch::new();
        for key in some {
            batch.put(Tree::Records, key.to_be_bytes(), vec![1; 300]);
        }
        store.apply(&batch).unwrap();
    }
    let found = store.scan(Tree::Records).unwrap();
    assert!(found.iter().map(|(key, _)| key.clone()).eq((0..1000_u64).map(|n| n.to_be_bytes().to_vec())));
}

fn the_last_change_of_a_key_in_a_batch_counts(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(Tree::Meta, "a", "1").delete(Tree::Meta, "a").put(Tree::Meta, "a", "2");
    batch.put(Tree::Meta, "b", "1").delete(Tree::Meta, "b");
    store.apply(&batch).unwrap();
    assert_eq!(store.scan(Tree::Meta).unwrap(), [entry("a", "2")]);
}

fn a_batch_over_the_limits_changes_nothing(store: &dyn Store) {
    let mut crowd = Batch::new();
    for n in 0..=BATCH_ENTRIES_MAX as u64 {
        crowd.put(Tree::Records, n.to_be_bytes(), "");
    }
    let mut long_key = Batch::new();
    long_key.put(Tree::Records, "fits", "").delete(Tree::Records, vec![0; KEY_BYTES_MAX + 1]);
    let mut long_value = Batch::new();
    long_value.put(Tree::Records, "fits", "").put(Tree::Records, "k", vec![0; VALUE_BYTES_MAX + 1]);
    for batch in [crowd, long_key, long_value] {
        let error = store.apply(&batch).unwrap_err();
        assert!(matches!(error, StoreError::OverLimit { size, max, .. } if size == max + 1), "{error}");
        assert_eq!(store.scan(Tree::Records).unwrap(), []);
    }
}

fn a_batch_at_the_limits_is_kept(store: &dyn Store) {
    let mut batch = Batch::new();
    let mut expected = Vec::new();
    for n in 0..BATCH_ENTRIES_MAX {
        let mut key = vec![0xff; KEY_BYTES_MAX];
        key[0] = n as u8;
        batch.put(Tree::Records, key.clone(), vec![n as u8; VALUE_BYTES_MAX]);
        expected.push((key, vec![n as u8; VALUE_BYTES_MAX]));
    }
    store.apply(&batch).unwrap();
    store.flush().unwrap();
    assert!(store.scan(Tree::Records).unwrap() == expected);
}

fn odd_keys_and_values_are_kept(store: &dyn Store) {
    let odd: [&[u8]; 5] = [b"", b"\0", b"\0format", b"\xff", b"\xff\xff\xff"];
    let mut batch = Batch::new();
    for bytes in odd {
        batch.put(Tree::Meta, bytes, bytes);
    }
    store.apply(&batch).unwrap();
    let expected: Vec<Entry> = odd.iter().map(|bytes| (bytes.to_vec(), bytes.to_vec())).collect();
    assert_eq!(store.scan(Tree::Meta).unwrap(), expected);
    assert_eq!(store.scan(Tree::UsedTokens).unwrap(), []);
}

fn a_scan_sees_a_batch_as_a_whole(store: &dyn Store) {
    const KEYS: u64 = 64;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut scans = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) || scans == 0 {
                let found = store.scan(Tree::Outcomes).unwrap();
                let whole = found.is_empty() || found.len() as u64 == KEYS;
                assert!(whole && found.windows(2).all(|pair| pair[0].1 == pair[1].1), "half a batch: {found:?}");
                scans += 1;
            }
        });
        for round in 0..100_u64 {
            let mut batch = Batch::new();
            for key in 0..KEYS {
                batch.put(Tree::Outcomes, key.to_be_bytes(), round.to_be_bytes());
            }
            store.apply(&batch).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        reader.join().unwrap();
    });
}

fn a_random_history_matches_a_map(store: &dyn Store) {
    let mut model = std::collections::BTreeMap::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..400 {
        let mut batch = Batch::new();
        for _ in 0..draw(12) {
            let (tree, key) = (Tree::ALL[draw(7) as usize], draw(40).to_string().into_bytes());
            if draw(3) == 0 {
                batch.delete(tree, key.clone());
                model.remove(&(tree, key));
            } else {
                let value = vec![step as u8; draw(2000) as usize];
                batch.put(tree, key.clone(), value.clone());
                model.insert((tree, key), value);
            }
        }
        store.apply(&batch).unwrap();
        if draw(10) == 0 {
            store.flush().unwrap();
        }
    }
    let found = Tree::ALL.iter().flat_map(|&tree| {
        let entries = store.scan(tree).unwrap();
        entries.into_iter().map(move |(key, value)| ((tree, key), value))
    });
    assert!(found.eq(model));
}

fn entry(key: &str, value: &str) -> Entry {
    (key.as_bytes().to_vec(), value.as_bytes().to_vec())
}
