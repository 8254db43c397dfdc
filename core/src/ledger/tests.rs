//! Trees and proofs against those of RFC 9162, and chains against what does not fit them.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::Rejected;

/// The leaves of the reference tree of the tests of Certificate Transparency.
const REFERENCE: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// Its root with so many of them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hash(text: &str) -> Hash {
    text.parse().unwrap()
}

fn reference() -> Tree {
    let mut tree = Tree::new();
    REFERENCE.iter().for_each(|leaf| tree.push(Hash::of_leaf(&HEXLOWER.decode(leaf.as_bytes()).unwrap())));
    tree
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|i| Hash::of_leaf(&i.to_be_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

/// MTH of RFC 9162, section 2.1.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [leaf] => *leaf,
        _ => {
            let k = naive_split(leaves.len());
            Hash::of_node(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

fn naive_split(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// PATH of RFC 9162, section 2.1.3.1, word for word.
fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = naive_split(leaves.len());
    let (mut path, other) = if m < k {
        (naive_path(m, &leaves[..k]), naive_root(&leaves[k..]))
    } else {
        (naive_path(m - k, &leaves[k..]), naive_root(&leaves[..k]))
    };
    path.push(other);
    path
}

/// SUBPROOF of RFC 9162, section 2.1.4.1, word for word.
fn naive_subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let k = naive_split(leaves.len());
    let (mut proof, other) = if m <= k {
        (naive_subproof(m, &leaves[..k], whole), naive_root(&leaves[k..]))
    } else {
        (naive_subproof(m - k, &leaves[k..], false), naive_root(&leaves[..k]))
    };
    proof.push(other);
    proof
}

#[test]
fn the_reference_tree_has_the_known_roots() {
    let tree = reference();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(tree.root_at(size as u64), Some(hash(root)), "{size}");
    }
    assert_eq!(tree.root_at(9), None);
    assert_eq!(Tree::new().root(), hash(ROOTS[0]));
}

#[test]
fn the_reference_tree_has_the_known_proofs() {
    let tree = reference();
    let path = |index, size| tree.inclusion(index, size).unwrap().path;
    let first = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(path(0, 8), first.map(hash));
    assert_eq!(path(0, 1), []);
    let proof = |first, second| tree.consistency(first, second).unwrap().path;
    assert_eq!(proof(1, 8), first.map(hash));
    let from_six = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(proof(6, 8), from_six.map(hash));
    let from_two = [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ];
    assert_eq!(proof(2, 5), from_two.map(hash));
}

#[test]
fn every_proof_of_every_small_tree_is_that_of_the_rfc_and_proves() {
    let leaves = leaves(40);
    let tree = tree(&leaves);
    for size in 0..=40 {
        let root = naive_root(&leaves[..size]);
        assert_eq!(tree.root_at(size as u64), Some(root));
        for index in 0..size {
            let proof = tree.inclusion(index as u64, size as u64).unwrap();
            assert_eq!(proof.path, naive_path(index, &leaves[..size]));
            assert_eq!(proof.verify(&leaves[index], &root), Ok(()), "{index} of {size}");
        }
        assert_eq!(tree.inclusion(size as u64, size as u64), None);
        for first in 0..=size {
            let proof = tree.consistency(first as u64, size as u64).unwrap();
            let naive = if first == 0 { vec![] } else { naive_subproof(first, &leaves[..size], true) };
            assert_eq!(proof.path, naive, "{first} in {size}");
            assert_eq!(proof.verify(&naive_root(&leaves[..first]), &root), Ok(()), "{first} in {size}");
        }
        assert_eq!(tree.consistency(size as u64 + 1, size as u64), None);
    }
}

#[test]
fn proofs_that_no_tree_has_are_refused() {
    let long = vec![Hash::NONE; crate::limits::LEDGER_PROOF_HASHES_MAX + 1];
    let inclusion = Inclusion { index: 0, size: 2, path: long.clone() };
    assert_eq!(inclusion.verify(&Hash::NONE, &Hash::NONE), Err(Rejected::OverLimit));
    let consistency = Consistency { first: 1, second: 2, path: long };
    assert_eq!(consistency.verify(&Hash::NONE, &Hash::NONE), Err(Rejected::OverLimit));
    for (first, second) in [(3, 2), (u64::MAX, 1), (1, 0), (3, u64::MAX), (u64::MAX, u64::MAX)] {
        let empty = Consistency { first, second, path: vec![] };
        assert_eq!(empty.verify(&Hash([1; 32]), &Hash([2; 32])), Err(Rejected::Inconsistent), "{first} {second}");
        let some = Consistency { first, second, path: vec![Hash::NONE; 3] };
        assert_eq!(some.verify(&Hash([1; 32]), &Hash([2; 32])), Err(Rejected::Inconsistent), "{first} {second}");
    }
    let nothing = Inclusion { index: 0, size: 0, path: vec![] };
    assert_eq!(nothing.verify(&Hash::NONE, &Hash::of_empty_tree()), Err(Rejected::Inconsistent));
}

fn peer(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

fn event(i: u64) -> Event {
    Event::Commanded { command: format!("command {i}"), who: "uid 0".into(), from: "local".into() }
}

/// A ledger and its entries.
fn written(size: u64) -> (Ledger, Vec<Entry>) {
    let mut ledger = Ledger::new(peer(1));
    let mut entries = Vec::new();
    for i in 0..size {
        let entry = ledger.next(&event(i), 1000 + i);
        ledger.push(&entry).unwrap();
        entries.push(entry);
    }
    (ledger, entries)
}

#[test]
fn an_entry_that_is_not_the_next_one_is_refused_by_name_and_changes_nothing() {
    let (mut ledger, entries) = written(5);
    let before = ledger.clone();
    let good = ledger.next(&event(5), 1005);
    assert_eq!(ledger.push(&Entry { ledger: peer(2), ..good.clone() }), Err(Broken::OtherLedger));
    assert_eq!(ledger.push(&entries[4]), Err(Broken::OtherIndex { found: 4, wanted: 5 }));
    let elsewhere = Entry { previous: entries[3].hash(), ..good.clone() };
    assert_eq!(ledger.push(&elsewhere), Err(Broken::OtherPrevious { index: 5 }));
    let earlier = Entry { unix_ms: 1004, ..good.clone() };
    assert_eq!(ledger.push(&earlier), Err(Broken::OtherTime { index: 5 }));
    assert_eq!(ledger, before);
    assert_eq!(ledger.push(&good), Ok(()));
}

#[test]
fn whatever_the_clock_does_each_entry_is_later_than_the_one_before() {
    let (mut ledger, entries) = written(3);
    for unix_ms in [0, 1002, 5000, 4000, u64::MAX] {
        let entry = ledger.next(&event(3), unix_ms);
        assert!(entry.unix_ms > entries[2].unix_ms);
        assert_eq!(ledger.push(&entry), Ok(()));
        assert_eq!(ledger.head().unix_ms, entry.unix_ms);
    }
}

#[test]
fn a_damaged_entry_is_stood_for_by_the_hash_that_the_next_one_names() {
    let (ledger, entries) = written(9);
    let mut read = Ledger::new(peer(1));
    for (i, entry) in entries.iter().enumerate() {
        if i == 4 {
            read.push_hash(entries[5].previous).unwrap();
        } else {
            read.push(entry).unwrap();
        }
    }
    assert_eq!(read, ledger);
}

#[test]
fn a_ledger_continues_each_of_its_heads_and_no_other() {
    let (ledger, _) = written(20);
    for size in 0..=20 {
        let head = written(size).0.head();
        assert!(ledger.continues(&head), "{size}");
        assert!(!ledger.continues(&Head { ledger: peer(2), ..head }));
        assert!(!ledger.continues(&Head { root: Hash([7; 32]), ..head }));
        assert!(!ledger.continues(&Head { last: Hash([7; 32]), ..head }));
    }
    assert!(!ledger.continues(&written(21).0.head()));
}

proptest! {
    #[test]
    fn a_tree_proves_what_a_naive_one_does(size in 1u64..600, index: u64, first: u64) {
        let leaves = leaves(size);
        let tree = tree(&leaves);
        let (index, first) = (index % size, first % size + 1);
        let root = naive_root(&leaves);
        prop_assert_eq!(tree.root(), root);
        let inclusion = tree.inclusion(index, size).unwrap();
        prop_assert_eq!(&inclusion.path, &naive_path(index as usize, &leaves));
        prop_assert_eq!(inclusion.verify(&leaves[index as usize], &root), Ok(()));
        let consistency = tree.consistency(first, size).unwrap();
        prop_assert_eq!(&consistency.path, &naive_subproof(first as usize, &leaves, true));
        prop_assert_eq!(consistency.verify(&naive_root(&leaves[..first as usize]), &root), Ok(()));
    }

    #[test]
    fn a_proof_that_was_changed_anywhere_proves_nothing(
        size in 2u64..200, index: u64, first: u64, which: u16, bit: u8, change in 0..6u8,
    ) {
        let leaves = leaves(size);
        let tree = tree(&leaves);
        let (index, first) = (index % size, first % (size - 1) + 1);
        let (mut leaf, mut root) = (leaves[index as usize], tree.root());
        let mut old = tree.root_at(first).unwrap();
        let mut inclusion = tree.inclusion(index, size).unwrap();
        let mut consistency = tree.consistency(first, size).unwrap();
        let flip = |path: &mut Vec<Hash>| {
            let at = usize::from(which) % path.len();
            path[at].0[usize::from(bit) / 8] ^= 1 << (bit % 8);
        };
        match change {
            0 => { flip(&mut inclusion.path); flip(&mut consistency.path); }
            1 => { inclusion.path.pop(); consistency.path.pop(); }
            2 => { inclusion.path.push(Hash([3; 32])); consistency.path.push(Hash([3; 32])); }
            3 => root.0[usize::from(bit) / 8] ^= 1 << (bit % 8),
            4 => { leaf.0[0] ^= 1; old.0[0] ^= 1; }
            _ => { inclusion.index = (index + 1 + u64::from(which) % (size - 1)) % size; old = Hash([4; 32]); }
        }
        prop_assert_eq!(inclusion.verify(&leaf, &root), Err(Rejected::Inconsistent));
        prop_assert_eq!(consistency.verify(&old, &root), Err(Rejected::Inconsistent));
    }

    #[test]
    fn no_proof_makes_verification_panic(a: u64, b: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let path: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let _ = Inclusion { index: a, size: b, path: path.clone() }.verify(&Hash::NONE, &Hash::NONE);
        let _ = Consistency { first: a, second: b, path }.verify(&Hash::NONE, &Hash::NONE);
    }
}
