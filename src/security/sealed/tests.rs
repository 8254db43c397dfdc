//! Whatever is sealed comes out again, and nothing else does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use prunella_core::identity::Identity;

use super::chunk::TAG_BYTES;
use super::*;
use crate::security::postquantum::{self, HybridKeys, HybridPublicKey};

/// The keys of a few nodes, made once.
fn keys(node: usize) -> &'static HybridKeys {
    static KEYS: OnceLock<Vec<HybridKeys>> = OnceLock::new();
    let made = || (1..=3).map(|seed| HybridKeys::generate(Identity::from_secret(&[seed; 32])).unwrap()).collect();
    &KEYS.get_or_init(made)[node]
}

fn sealed(data: &[u8], to: usize, from: Option<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    let sealed = seal(&mut &*data, &mut out, keys(to).public_key(), from.map(keys), &mut |_| {}).unwrap();
    assert_eq!(sealed, data.len() as u64);
    out
}

fn opened(sealed: &[u8], by: usize, from: Option<usize>) -> Result<(Vec<u8>, Option<HybridPublicKey>), SealError> {
    let (mut out, mut told) = (Vec::new(), 0);
    let from = from.map(|from| keys(from).public_key());
    let opened = open(&mut &*sealed, &mut out, keys(by), from, &mut |bytes| told = bytes)?;
    assert_eq!((opened.bytes, told), (out.len() as u64, out.len() as u64));
    Ok((out, opened.sender))
}

fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

/// Lengths at which chunks begin and end.
const LENGTHS: [usize; 7] = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES - 7];

#[test]
fn what_is_sealed_is_opened_by_its_recipient_and_by_nobody_else() {
    for (length, from) in LENGTHS.into_iter().flat_map(|length| [(length, None), (length, Some(1))]) {
        let data = data(length);
        let sealed = sealed(&data, 0, from);
        let chunks = length.div_ceil(CHUNK_BYTES).max(1);
        let tail = from.map_or(0, |_| SIGNED_BYTES + TAG_BYTES);
        assert_eq!(sealed.len(), HEADER_BYTES + length + chunks * TAG_BYTES + tail);
        let (out, sender) = opened(&sealed, 0, from).unwrap();
        assert!(out == data, "{length} bytes");
        assert_eq!(sender.as_ref(), from.map(|from| keys(from).public_key()));
        assert!(matches!(opened(&sealed, 2, None), Err(SealError::OtherRecipient)));
    }
}

/// Data and keys that were written once: what later versions of this program must still read. `REWRITE=1` writes them anew,
/// which is right only together with a new version of the format.
#[test]
fn what_was_sealed_by_the_first_version_opens_with_the_keys_that_it_wrote() {
    let node = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/security/sealed/golden");
    let (key_file, sealed_file) = (golden.join("postquantum.key"), golden.join("sealed"));
    crate::security::keys::create(&node.path().join("identity.key"), &Identity::from_secret(&[7; 32])).unwrap();
    let written = node.path().join("postquantum.key");
    if std::env::var_os("REWRITE").is_some() {
        let keys = postquantum::ensure(node.path()).unwrap();
        let mut sealed = Vec::new();
        seal(&mut &*data(70_000), &mut sealed, keys.public_key(), Some(&keys), &mut |_| {}).unwrap();
        fs::write(&sealed_file, sealed).unwrap();
        fs::copy(&written, &key_file).unwrap();
    }
    fs::copy(&key_file, &written).unwrap();
    fs::set_permissions(&written, fs::Permissions::from_mode(0o600)).unwrap();
    let keys = postquantum::load(node.path()).unwrap();
    let mut out = Vec::new();
    let sealed = fs::read(&sealed_file).unwrap();
    open(&mut &*sealed, &mut out, &keys, Some(keys.public_key()), &mut |_| {}).unwrap();
    assert!(out == data(70_000));
}

#[test]
fn nothing_is_sealed_the_same_way_twice() {
    let data = data(100);
    let (one, two) = (sealed(&data, 0, None), sealed(&data, 0, None));
    assert_ne!(one[42..], two[42..]);
    assert!(!one.windows(20).any(|window| window == &data[..20]));
}

#[test]
fn a_sender_that_is_asked_for_must_have_signed() {
    let unsigned = sealed(b"said", 0, None);
    assert!(matches!(opened(&unsigned, 0, Some(1)), Err(SealError::NotSigned)));
    let signed = sealed(b"said", 0, Some(1));
    let refused = opened(&signed, 0, Some(2));
    let peer = keys(1).public_key().peer();
    assert!(matches!(refused, Err(SealError::OtherSender { peer: whose }) if whose == peer), "{refused:?}");
    assert_eq!(opened(&signed, 0, None).unwrap().1.unwrap().peer(), peer, "told to whoever asks for nobody");
}

#[test]
fn the_recipient_cannot_pass_a_signed_message_on_as_if_it_were_for_another() {
    // The signature holds for the header, and that for one recipient: under another header it is no good.
    let signed = sealed(b"said", 0, Some(1));
    let mut tail = signed[signed.len() - SIGNED_BYTES - TAG_BYTES..].to_vec();
    let header = Header::decode(&signed).unwrap();
    let agreed = keys(0).agree(&header.x25519, header.ciphertext.as_slice()).unwrap();
    let mut chunks = chunk::Chunks::new(header.key(keys(0).public_key(), &agreed));
    chunks.open(chunk::Place::Last, &mut signed[HEADER_BYTES..HEADER_BYTES + 4 + TAG_BYTES].to_vec()).unwrap();
    let statement = chunks.open(chunk::Place::Signature, &mut tail).unwrap().to_vec();

    let (ciphertext, mlkem) = keys(2).public_key().mlkem().encapsulate();
    let ephemeral = crate::security::postquantum::X25519Secret::generate().unwrap();
    let agreed = ephemeral.agree(keys(2).public_key().x25519()).unwrap();
    let recipient = keys(2).public_key().fingerprint();
    let header = Header { signed: true, recipient, x25519: ephemeral.public_key(), ciphertext };
    let mut chunks = chunk::Chunks::new(header.key(keys(2).public_key(), &(agreed, mlkem)));
    let (mut said, mut statement) = (b"said".to_vec(), statement);
    chunks.seal(chunk::Place::Last, &mut said).unwrap();
    chunks.seal(chunk::Place::Signature, &mut statement).unwrap();
    let forwarded = [header.encode().as_slice(), &said, &statement].concat();
    assert!(matches!(opened(&forwarded, 2, Some(1)), Err(SealError::Forged(_))));
}

#[test]
fn whatever_is_cut_off_is_noticed() {
    for from in [None, Some(1)] {
        let whole = sealed(&data(2 * CHUNK_BYTES + 100), 0, from);
        let edges =
            [HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES + TAG_BYTES, HEADER_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES)];
        let around = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1, edge + 16, edge + 17]);
        for length in around.chain([0, 1, 100, whole.len() - SIGNED_BYTES, whole.len() - 1]) {
            let refused = opened(&whole[..length], 0, None).unwrap_err();
            let is_named = matches!(refused, SealError::Truncated | SealError::Damaged { .. })
                || length == 0 && matches!(refused, SealError::NotSealed);
            assert!(is_named, "{length} of {}: {refused}", whole.len());
        }
        assert!(matches!(opened(&[whole.as_slice(), b"x"].concat(), 0, None), Err(SealError::Damaged { .. })));
    }
    let whole = sealed(&data(2 * CHUNK_BYTES), 0, None);
    let cut = &whole[..HEADER_BYTES + CHUNK_BYTES + TAG_BYTES];
    assert!(matches!(opened(cut, 0, None), Err(SealError::Truncated)), "cut between two chunks");
}

#[test]
fn chunks_in_another_order_do_not_open() {
    let whole = sealed(&data(3 * CHUNK_BYTES), 0, None);
    let mut chunks: Vec<&[u8]> = whole[HEADER_BYTES..].chunks(CHUNK_BYTES + TAG_BYTES).collect();
    chunks.swap(0, 1);
    let swapped = [&whole[..HEADER_BYTES], &chunks.concat()].concat();
    assert!(matches!(opened(&swapped, 0, None), Err(SealError::Damaged { chunk: 1 })));
}

#[test]
fn a_reader_that_gives_little_at_a_time_makes_no_difference() {
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(self.0.len()).min(4097);
            let (now, later) = self.0.split_at(most);
            buffer[..most].copy_from_slice(now);
            self.0 = later;
            Ok(most)
        }
    }
    let data = data(2 * CHUNK_BYTES + 5);
    let (mut sealed, mut out) = (Vec::new(), Vec::new());
    seal(&mut Slow(&data), &mut sealed, keys(0).public_key(), Some(keys(1)), &mut |_| {}).unwrap();
    open(&mut Slow(&sealed), &mut out, keys(0), Some(keys(1).public_key()), &mut |_| {}).unwrap();
    assert!(out == data);
}

#[test]
fn sealing_and_opening_take_the_memory_of_a_few_chunks() {
    let data = data(64 * CHUNK_BYTES);
    let sealed_data = sealed(&data, 0, Some(1));
    let (mut sink, few) = (std::io::sink(), 6 * CHUNK_BYTES as u64);
    let (to, from) = (keys(0).public_key(), Some(keys(1)));
    let sealing = allocation_counter::measure(|| {
        seal(&mut &*data, &mut sink, to, from, &mut |_| {}).unwrap();
    });
    let opening = allocation_counter::measure(|| {
        open(&mut &*sealed_data, &mut std::io::sink(), keys(0), None, &mut |_| {}).unwrap();
    });
    assert!(sealing.bytes_max < few && opening.bytes_max < few, "{} and {}", sealing.bytes_max, opening.bytes_max);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_comes_back(data in prop::collection::vec(any::<u8>(), 0..3000), signs: bool) {
        let from = signs.then_some(1);
        let (out, sender) = opened(&sealed(&data, 0, from), 0, from).unwrap();
        prop_assert_eq!(out, data);
        prop_assert_eq!(sender.is_some(), signs);
    }

    #[test]
    fn any_flipped_bit_is_refused(at: prop::sample::Index, bit in 0..8_u8, signs: bool) {
        let mut sealed = sealed(b"a short message", 0, signs.then_some(1));
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(opened(&sealed, 0, None).is_err(), "byte {}", at);
    }

    #[test]
    fn any_bytes_behind_a_header_are_refused(noise in prop::collection::vec(any::<u8>(), 0..20_000), signs: bool) {
        let header = sealed(b"", 0, signs.then_some(1))[..HEADER_BYTES].to_vec();
        prop_assert!(opened(&[header, noise].concat(), 0, None).is_err());
    }
}
