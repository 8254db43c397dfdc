//! The same cases for both halves of the datapath: whatever happens to a frame in one happens to it in the other.

use std::collections::BTreeSet;

use prunella::datapath::{AttachMode, Direction, Impairment};
use prunella_core::frame::{
    HEADER_BYTES, KERNEL_SEQUENCES, Kind, PATH_ERROR_BYTES, PROBE_BYTES, REPLAY_WINDOW, TRACE_BYTES,
};
use prunella_core::{Label, LinkId, Rejected};

use crate::namespaces::{Family, at, socket};
use crate::scene::{
    Half, LEFT_KEYS, LEFT_LINK, NEWER_RIGHT_KEYS, RIGHT_LINK, Scene, Seen, TO_LEFT, TO_RIGHT, frame, key,
};

/// A case: its name, what it does, and how many frames it has the kernel's program pass on.
type Case = (&'static str, fn(&mut Scene), u64);

/// In this order, on one relay: sequence numbers go on.
const CASES: &[Case] = &[
    ("data, packets and copies pass", payload_kinds, 4),
    ("every length passes", lengths, 6),
    ("probes and echoes of paths pass", path_probes, 2),
    ("the way back is collected", long_path, 1),
    ("what has arrived stays", arrived, 0),
    ("late frames pass once", replays, 4),
    ("numbers of the kernel's space are a space of their own", kernel_space, 3),
    ("a wrong MAC is refused", wrong_macs, 0),
    ("every bad form is refused", bad_forms, 0),
    ("whoever may not relay is refused", unauthorized, 1),
    ("a label that leads nowhere is answered", unknown_label, 0),
    ("a link that may not be used is answered", unusable, 1),
    ("a label may lead back", back, 1),
    ("strangers are not heard", strangers, 0),
    ("QUIC goes up", quic, 0),
    ("whoever is shut out is not heard until it is let in", shut_out, 1),
    ("a replaced link is readable until it is removed", replaced, 3),
    ("a neighbor may move", moved, 1),
    ("a fault on purpose strikes what is passed on", faults, 1),
    ("a link that is gone is answered", gone, 0),
];

#[test]
fn both_halves_agree_over_ipv4() {
    agree(Family::V4);
}

#[test]
fn both_halves_agree_over_ipv6() {
    agree(Family::V6);
}

fn agree(family: Family) {
    let Some(user) = play(family, Half::User) else { return };
    expect(&user);
    for mode in [AttachMode::Native, AttachMode::Generic] {
        let kernel = play(family, Half::Kernel(mode)).unwrap();
        for ((name, user), (_, kernel)) in user.iter().zip(&kernel) {
            assert_eq!(user, kernel, "{name}: {family:?}, {mode:?}");
        }
    }
}

fn play(family: Family, half: Half) -> Option<Vec<(&'static str, Seen)>> {
    let mut scene = Scene::new(family, half)?;
    let mut seen = Vec::new();
    for (name, case, passed) in CASES {
        let before = scene.forwarded_in_kernel();
        case(&mut scene);
        seen.push((*name, scene.settle()));
        let by_kernel = scene.forwarded_in_kernel() - before;
        assert_eq!(by_kernel, if half == Half::User { 0 } else { *passed }, "{name}: {family:?}, {half:?}");
    }
    Some(seen)
}

/// That user space itself does what the protocol says: two halves could agree on nonsense.
fn expect(seen: &[(&'static str, Seen)]) {
    let of = |wanted: &str| {
        let at = seen.iter().position(|(name, _)| *name == wanted).unwrap();
        let rejected = |seen: &Seen, reason| seen.counters.rejected_for(reason);
        let grown =
            move |reason| rejected(&seen[at].1, reason) - if at == 0 { 0 } else { rejected(&seen[at - 1].1, reason) };
        (&seen[at].1, grown)
    };
    let arrived = |wanted: &str| (of(wanted).0.left.len(), of(wanted).0.right.len());
    for (name, _, passed) in CASES {
        let (left, right) = arrived(name);
        assert!((left + right) as u64 >= *passed, "{name}: {left} {right}");
    }
    assert_eq!(of("late frames pass once").1(Rejected::Replayed), 4);
    assert_eq!(of("numbers of the kernel's space are a space of their own").1(Rejected::Replayed), 2);
    assert_eq!(of("a wrong MAC is refused").1(Rejected::Unsigned), 4);
    assert!(of("every bad form is refused").1(Rejected::Malformed) > 10);
    assert_eq!(of("whoever may not relay is refused").1(Rejected::Unauthorized), 2);
    assert_eq!(arrived("a label that leads nowhere is answered"), (5, 0), "nobody is told of an echo");
    assert_eq!(arrived("a link that may not be used is answered"), (2, 1));
    assert_eq!(arrived("a label may lead back"), (1, 0));
    assert_eq!(of("strangers are not heard").0.counters.unknown_source, 3);
    assert_eq!(of("QUIC goes up").0.counters.quic_received, 2);
    assert_eq!(of("whoever is shut out is not heard until it is let in").0.counters.shut_out, 3);
    assert_eq!(of("a fault on purpose strikes what is passed on").0.counters.faulted, 1);
    assert_eq!(arrived("a link that is gone is answered"), (1, 0));
}

fn payload_kinds(scene: &mut Scene) {
    for kind in [Kind::Data, Kind::Copy, Kind::Packet, Kind::PacketCopy] {
        let frame = scene.frame(kind, &[TO_RIGHT], b"payload");
        scene.send(&frame);
    }
}

fn lengths(scene: &mut Scene) {
    for length in [1, 2, 3, 200, 1401, 1404] {
        let payload: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
        let frame = scene.frame(Kind::Data, &[TO_RIGHT], &payload);
        scene.send(&frame);
    }
}

fn path_probes(scene: &mut Scene) {
    for kind in [Kind::Probe, Kind::Echo] {
        let frame = scene.frame(kind, &[TO_RIGHT, Label(99)], &[3; PROBE_BYTES]);
        scene.send(&frame);
    }
    // These are passed on by user space alone.
    for (kind, length) in [(Kind::PathError, PATH_ERROR_BYTES), (Kind::Trace, TRACE_BYTES)] {
        let frame = scene.frame(kind, &[TO_RIGHT], &vec![1; length]);
        scene.send(&frame);
    }
}

fn long_path(scene: &mut Scene) {
    let labels: Vec<Label> = [1, 2, 3, TO_RIGHT.0, 5, 6, 8, 9].map(Label).to_vec();
    let mut bytes = scene.frame(Kind::Data, &labels, b"far");
    bytes[1] |= 0x30;
    key(LEFT_KEYS[0]).seal(&mut bytes);
    scene.send(&bytes);
}

fn arrived(scene: &mut Scene) {
    let mut used_up = scene.frame(Kind::Data, &[TO_RIGHT], b"for the relay itself");
    used_up[1] |= 0x10;
    key(LEFT_KEYS[0]).seal(&mut used_up);
    let without = scene.frame(Kind::Data, &[], b"for the relay itself");
    scene.send_all([&used_up, &without]);
}

fn replays(scene: &mut Scene) {
    let (first, late) = (scene.data(), scene.data());
    let base = scene.number() + REPLAY_WINDOW;
    let ahead = frame(Kind::Data as u8, &[TO_RIGHT], b"ahead", base + 1);
    scene.send_all([&first, &first]);
    scene.send_all([&ahead, &ahead]);
    // Its number is the last one that is within the window, those of the others lie behind it.
    let last = frame(Kind::Data as u8, &[TO_RIGHT], b"last", base + 2 - REPLAY_WINDOW);
    scene.send_all([&last, &late]);
    let never = frame(Kind::Data as u8, &[TO_RIGHT], b"never", 0);
    scene.send(&never);
    while scene.number() < base + 1 {}
    let frame = scene.data();
    scene.send(&frame);
}

fn kernel_space(scene: &mut Scene) {
    let numbered = |number: u64| frame(Kind::Data as u8, &[TO_RIGHT], b"by a kernel", KERNEL_SEQUENCES | number);
    scene.send_all([&numbered(1), &numbered(1), &numbered(5), &numbered(3), &numbered(0)]);
}

fn wrong_macs(scene: &mut Scene) {
    let (mut flipped, mut longer, mut label) = (scene.data(), scene.data(), scene.data());
    flipped[HEADER_BYTES - 1] ^= 1;
    longer.push(0);
    label[5] ^= 1;
    let mut probe = scene.frame(Kind::Probe, &[TO_RIGHT], &[3; PROBE_BYTES]);
    probe[HEADER_BYTES] ^= 1;
    scene.send_all([&flipped, &longer, &label, &probe]);
}

fn bad_forms(scene: &mut Scene) {
    let good = scene.data();
    let broken = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        key(LEFT_KEYS[0]).seal(&mut bytes);
        bytes
    };
    let forms = [(0, 0), (0, 9), (0, 0x3f), (0, 2), (0, 3), (0, 4), (0, 6), (1, 0x21), (1, 0x09), (2, 8), (3, 1)];
    for (at, value) in forms {
        scene.send(&broken(at, value));
    }
    for length in [1, 20, HEADER_BYTES - 1, HEADER_BYTES] {
        scene.send(&good[..length]);
    }
    for (kind, payload) in [(Kind::Probe, &[0; PROBE_BYTES][..]), (Kind::Packet, b"x"), (Kind::PacketCopy, b"x")] {
        let mut lane = frame(kind as u8, &[TO_RIGHT], payload, scene.number());
        lane[2] = 1;
        key(LEFT_KEYS[0]).seal(&mut lane);
        scene.send(&lane);
    }
    let empty = frame(Kind::Packet as u8, &[TO_LEFT], b"", scene.number());
    scene.send(&empty);
}

fn unauthorized(scene: &mut Scene) {
    scene.port(|port| port.set_may_relay(LEFT_LINK, false));
    let (data, copy) = (scene.data(), scene.frame(Kind::Copy, &[TO_RIGHT], b"x"));
    scene.send_all([&data, &copy]);
    scene.pause();
    scene.port(|port| port.set_may_relay(LEFT_LINK, true));
    let data = scene.data();
    scene.send(&data);
}

fn unknown_label(scene: &mut Scene) {
    for kind in [Kind::Data, Kind::Copy, Kind::Packet, Kind::PacketCopy] {
        let frame = scene.frame(kind, &[Label(404)], b"x");
        scene.send(&frame);
    }
    for kind in [Kind::Probe, Kind::Echo] {
        let frame = scene.frame(kind, &[Label(404)], &[3; PROBE_BYTES]);
        scene.send(&frame);
    }
}

fn unusable(scene: &mut Scene) {
    scene.port(|port| port.set_usable(RIGHT_LINK, false));
    let data = scene.data();
    scene.send_all([&data, &data]);
    scene.pause();
    scene.port(|port| port.set_usable(RIGHT_LINK, true));
    let (data, nowhere) = (scene.data(), scene.frame(Kind::Data, &[Label(405)], b"x"));
    scene.send_all([&data, &nowhere]);
}

fn back(scene: &mut Scene) {
    let frame = scene.frame(Kind::Data, &[TO_LEFT], b"and back");
    scene.send(&frame);
}

fn strangers(scene: &mut Scene) {
    for datagram in [&scene.data()[..], &[1, 2, 3], &[0; 100]] {
        scene.stranger.send_to(datagram, scene.west()).unwrap();
    }
}

fn quic(scene: &mut Scene) {
    scene.send(&[0x40; 100]);
    scene.stranger.send_to(&[0xc0; 100], scene.west()).unwrap();
}

fn shut_out(scene: &mut Scene) {
    let left = BTreeSet::from([scene.left.local_addr().unwrap()]);
    scene.port(move |port| port.shut_out(&left));
    let data = scene.data();
    scene.send_all([&data, &vec![0x40; 50], &vec![9]]);
    // Nobody answers a question of the left now.
    while scene.port(|port| port.counters().shut_out) < 3 {
        std::thread::yield_now();
    }
    scene.port(move |port| port.shut_out(&BTreeSet::new()));
    let data = scene.data();
    scene.send(&data);
}

fn replaced(scene: &mut Scene) {
    let remote = scene.right.local_addr().unwrap();
    scene.install(LinkId(3), TO_RIGHT, remote, NEWER_RIGHT_KEYS);
    let data = scene.data();
    scene.send(&data);
    // Frames of both keys come from the left: those of the older one are for user space.
    scene.install(LinkId(4), TO_LEFT, scene.left.local_addr().unwrap(), [9, LEFT_KEYS[1]]);
    let older = scene.data();
    let mut newer = frame(Kind::Data as u8, &[TO_RIGHT], b"by the newer key", 1);
    key(9).seal(&mut newer);
    scene.send_all([&older, &newer]);
    scene.pause();
    scene.port(|port| port.remove_link(LinkId(4)));
    scene.port(|port| port.remove_link(LinkId(3)));
    let data = scene.data();
    scene.send(&data);
}

fn moved(scene: &mut Scene) {
    let elsewhere = socket(&scene.row.right, at(scene.family.right(), 2223));
    let remote = elsewhere.local_addr().unwrap();
    scene.right = elsewhere;
    scene.port(move |port| port.update_remote(RIGHT_LINK, remote));
    let data = scene.data();
    scene.send(&data);
}

fn faults(scene: &mut Scene) {
    let remote = scene.right.local_addr().unwrap();
    scene.port(move |port| port.impair(remote, Direction::Sent, Impairment::CUT, 0));
    let data = scene.data();
    scene.send(&data);
    while scene.port(|port| port.counters().faulted) < 1 {
        std::thread::yield_now();
    }
    scene.port(|port| port.mend_all());
    let data = scene.data();
    scene.send(&data);
}

fn gone(scene: &mut Scene) {
    scene.port(|port| port.remove_link(RIGHT_LINK));
    let data = scene.data();
    scene.send(&data);
}
