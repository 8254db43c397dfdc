//! Both halves of the datapath on datagrams that nobody thought of: well-formed ones, such ones with bytes changed, noise, and
//! each of these once more.
//!
//! No two different frames have one number: each half takes a number once, and neither knows what the other has taken.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prunella::datapath::AttachMode;
use prunella_core::Label;
use prunella_core::frame::{HEADER_BYTES, KERNEL_SEQUENCES};

use crate::namespaces::Family;
use crate::scene::{Half, LEFT_KEYS, Scene, Seen, TO_LEFT, TO_RIGHT, frame, key};

/// Each begins with a relay of its own.
const SEEDS: u8 = 6;
/// Between these there is a pause, so that no socket's buffer overflows.
const BATCHES: usize = 5;
const BATCH: usize = 50;

/// A datagram as it is drawn; its number is known when it is sent.
#[derive(Clone, Debug)]
struct Draft {
    is_from_stranger: bool,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// A frame, with `changes` made to its first bytes; whoever has the key seals it after that.
    Frame {
        kind: u8,
        labels: Vec<u16>,
        payload: Vec<u8>,
        space: u64,
        changes: Vec<(usize, u8)>,
        is_sealed: bool,
    },
    /// Its first bytes alone.
    Cut {
        length: usize,
    },
    Noise(Vec<u8>),
    /// One that was sent before.
    Again(Index),
}

#[test]
fn both_halves_do_the_same_with_anything() {
    let mut passed = 0;
    for seed in 0..SEEDS {
        let family = if seed % 2 == 0 { Family::V4 } else { Family::V6 };
        let drafts = draw(seed);
        let Some((user, _)) = play(family, Half::User, &drafts) else { return };
        for mode in [AttachMode::Native, AttachMode::Generic] {
            let (kernel, by_kernel) = play(family, Half::Kernel(mode), &drafts).unwrap();
            assert_eq!(user, kernel, "seed {seed}, {family:?}, {mode:?}");
            passed += by_kernel;
        }
    }
    assert!(passed > u64::from(SEEDS) * 50, "the kernel's half passed {passed} frames on");
}

fn draw(seed: u8) -> Vec<Draft> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    vec(draft(), BATCHES * BATCH).new_tree(&mut runner).unwrap().current()
}

fn draft() -> impl Strategy<Value = Draft> {
    let label = prop_oneof![6 => Just(TO_RIGHT.0), 3 => Just(TO_LEFT.0), 1 => any::<u16>()];
    let payload = prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 0..1400),
    ];
    let space = prop_oneof![3 => Just(0), 1 => Just(KERNEL_SEQUENCES)];
    // Not in the number: one that is far ahead would have all that follow refused.
    let change = (prop_oneof![0_usize..32, 40..HEADER_BYTES], any::<u8>());
    let changes = prop_oneof![2 => Just(Vec::new()), 1 => vec(change, 1..3)];
    let framed = (0_u8..12, vec(label, 0..=8), payload, space, changes, prop::bool::weighted(0.9));
    let framed = framed.prop_map(|(kind, labels, payload, space, changes, is_sealed)| Form::Frame {
        kind,
        labels,
        payload,
        space,
        changes,
        is_sealed,
    });
    let form = prop_oneof![
        20 => framed,
        1 => (1..HEADER_BYTES).prop_map(|length| Form::Cut { length }),
        1 => vec(any::<u8>(), 1..200).prop_map(Form::Noise),
        2 => any::<Index>().prop_map(Form::Again),
    ];
    (prop::bool::weighted(0.05), form).prop_map(|(is_from_stranger, form)| Draft { is_from_stranger, form })
}

/// What one half does with them, and how many frames its program has passed on.
fn play(family: Family, half: Half, drafts: &[Draft]) -> Option<(Seen, u64)> {
    let mut scene = Scene::new(family, half)?;
    let mut sent = vec![scene.data()];
    for batch in drafts.chunks(BATCH) {
        for draft in batch {
            let datagram = write(&draft.form, &mut scene, &sent);
            let from = if draft.is_from_stranger { &scene.stranger } else { &scene.left };
            from.send_to(&datagram, scene.west()).unwrap();
            sent.push(datagram);
        }
        scene.pause();
    }
    let seen = scene.settle();
    Some((seen, scene.forwarded_in_kernel()))
}

fn write(form: &Form, scene: &mut Scene, sent: &[Vec<u8>]) -> Vec<u8> {
    match form {
        Form::Noise(bytes) => bytes.clone(),
        Form::Again(earlier) => earlier.get(sent).clone(),
        Form::Cut { length } => scene.data()[..*length].to_vec(),
        Form::Frame { kind, labels, payload, space, changes, is_sealed } => {
            let labels: Vec<Label> = labels.iter().copied().map(Label).collect();
            let mut bytes = frame(*kind, &labels, payload, space | scene.number());
            for (at, value) in changes {
                bytes[*at] = *value;
            }
            if *is_sealed {
                key(LEFT_KEYS[0]).seal(&mut bytes);
            }
            bytes
        }
    }
}
