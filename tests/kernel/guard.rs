//! What the program does beside forwarding: floods, links that were there before it, and more links than it can know.

use std::collections::BTreeSet;

use prunella::datapath::{AttachMode, Counters, GuardedSource};
use prunella_core::frame::{Kind, REPLAY_WINDOW};
use prunella_core::limits::KERNEL_STRANGER_PER_SECOND;
use prunella_core::{Label, LinkId, PeerId};

use crate::namespaces::{Family, Row, at, socket, told};
use crate::relay::Relay;
use crate::scene::{Half, LEFT_KEYS, Scene, TO_LEFT, TO_RIGHT, frame};

#[test]
fn a_stranger_that_floods_is_held_to_its_rate_and_each_source_is_counted() {
    let Some(mut scene) = Scene::new(Family::V4, Half::Kernel(AttachMode::Native)) else { return };
    let west = scene.west();
    for _ in 0..2 * KERNEL_STRANGER_PER_SECOND {
        scene.stranger.send_to(&[0xc0; 30], west).unwrap();
    }
    scene.stranger.send_to(&[0x01; 30], west).unwrap();
    let left = BTreeSet::from([scene.left.local_addr().unwrap()]);
    scene.port(move |port| port.shut_out(&left));
    scene.send(&[0x40; 10]);
    scene.port(move |port| port.shut_out(&BTreeSet::new()));
    let data = scene.data();
    scene.send(&data);
    assert_eq!(scene.settle().right.len(), 1, "the neighbor is heard as ever");

    let Counters { over_rate, unknown_source, shut_out, .. } = scene.port(|port| port.counters());
    assert!((1..2 * KERNEL_STRANGER_PER_SECOND).contains(&over_rate), "{over_rate}");
    assert_eq!((unknown_source, shut_out), (1, 1));
    let sources = scene.port(|port| port.guarded_sources());
    let source = at(Family::V4.left()[1], 0);
    let passed = 2 * KERNEL_STRANGER_PER_SECOND - over_rate;
    assert_eq!(sources, [GuardedSource { source, shut_out: false, passed, dropped: over_rate + 1 }]);
}

#[test]
fn what_user_space_has_seen_before_there_was_a_program_is_not_taken_again() {
    let Some(mut scene) = Scene::new(Family::V4, Half::User) else { return };
    let before = scene.data();
    scene.send(&before);
    assert_eq!(scene.settle().right.len(), 1);
    scene.relay.attach(&["west", "east"]).unwrap();
    scene.send(&before);
    let next = scene.data();
    scene.send(&next);
    assert_eq!(scene.settle().right.len(), 1, "the one is refused, the other passed on");
    assert_eq!(scene.forwarded_in_kernel(), 0, "by user space, which has to know of it");
    let later = frame(Kind::Data as u8, &[TO_RIGHT], b"x", 2 * REPLAY_WINDOW);
    scene.send(&later);
    scene.send(&later);
    assert_eq!(scene.port(|port| port.counters().rejected.iter().sum::<u64>()), 2, "both replays were noticed");
    assert_eq!(scene.forwarded_in_kernel(), 1);
}

#[test]
fn more_links_than_the_program_can_know_are_carried_by_user_space() {
    let Some(row) = Row::new() else { return };
    let relay = Relay::start(&row.relay, at(Family::V4.any(), 4600));
    relay.attach(&["west"]).unwrap();
    let left = socket(&row.left, at(Family::V4.left()[0], 1111));
    let is_attached = || told(&format!("-n {} -d link show", row.relay)).contains("prog/xdp");
    assert!(is_attached());
    let remote = left.local_addr().unwrap();
    relay.with(move |port| {
        for id in 1..=257 {
            port.install_link(prunella::datapath::LinkInstall {
                id: LinkId(id),
                peer: PeerId::from_public_key([id as u8; 32]),
                remote,
                label: Label(id as u16),
                send_key: crate::scene::key(2),
                receive_key: crate::scene::key(LEFT_KEYS[0]),
                may_relay: true,
            });
        }
    });
    assert!(!is_attached(), "it would drop the frames of the one that it does not know");
    left.send_to(&frame(Kind::Data as u8, &[TO_LEFT], b"back", 1), at(Family::V4.relay()[0], 4600)).unwrap();
    let mut buffer = [0; 100];
    left.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    assert_eq!(left.recv(&mut buffer).unwrap(), 48 + 4);
    assert_eq!(relay.with(|port| port.counters().forwarded), 1);
}
