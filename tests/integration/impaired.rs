//! What each fault of a link does to real traffic, and that it does no more once it is mended.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::{Duration, Instant};

use prunella::datapath::{Direction, Event, Impairment};
use prunella_core::Rejected;

use super::datapath::transfer;
use super::rig::{LinkEnds, Node, Tls, in_time, link};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_strikes_each_direction_and_ends_when_it_is_mended() {
    let (mut a, b, ends) = pair();
    let delay = Duration::from_millis(40);
    let slow = Impairment { delay, ..Impairment::default() };
    for (direction, least) in [(Direction::Sent, delay), (Direction::Received, 2 * delay)] {
        a.port.impair(b.address(), direction, slow, 1);
        let rtt = round_trip(&mut a, &ends, 1).await;
        assert!(rtt >= least && rtt < least + Duration::from_secs(2), "{direction:?}: {rtt:?}");
    }
    assert_eq!(a.port.counters().held, 3);
    a.port.mend(b.address(), Direction::Sent);
    assert!(round_trip(&mut a, &ends, 2).await >= delay, "the other direction is still slow");
    a.port.mend(b.address(), Direction::Received);
    let before = a.port.counters().held;
    round_trip(&mut a, &ends, 3).await;
    assert_eq!(a.port.counters().held, before, "nothing is held back any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossy_link_loses_its_share_and_sessions_repair_it() {
    let (a, b, _) = pair();
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    a.port.impair(b.address(), Direction::Sent, Impairment { drop_permille: 100, ..Impairment::default() }, 7);
    transfer(&dialed, &accepted, 1 << 20).await;
    let (lost, sent) = (a.port.counters().faulted, a.port.link_stats()[0].frames_sent);
    assert!((sent / 40..sent / 4).contains(&lost), "{lost} of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_frames_are_turned_away_and_nothing_is_lost() {
    let (a, b, _) = pair();
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    let twice = Impairment { duplicate_permille: 500, ..Impairment::default() };
    a.port.impair(b.address(), Direction::Sent, twice, 7);
    b.port.impair(a.address(), Direction::Received, twice, 8);
    transfer(&dialed, &accepted, 1 << 20).await;
    assert!(a.port.counters().doubled > 100 && b.port.counters().doubled > 100);
    assert!(b.port.link_stats()[0].rejected_for(Rejected::Replayed) > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reordered_frames_arrive_whole() {
    let (a, b, _) = pair();
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    let mixed = Impairment { reorder_permille: 200, ..Impairment::default() };
    a.port.impair(b.address(), Direction::Sent, mixed, 7);
    b.port.impair(a.address(), Direction::Received, mixed, 8);
    transfer(&dialed, &accepted, 1 << 20).await;
    assert!(a.port.counters().held > 50 && b.port.counters().held > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_link_passes_no_more_than_its_rate() {
    let (a, b, _) = pair();
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    let narrow = Impairment { bytes_per_second: 1_000_000, ..Impairment::default() };
    a.port.impair(b.address(), Direction::Sent, narrow, 7);
    let began = Instant::now();
    transfer(&dialed, &accepted, 1 << 20).await;
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gray_link_answers_probes_and_carries_nothing() {
    let (mut a, b, ends) = pair();
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    let gray = Impairment { gray: true, ..Impairment::default() };
    a.port.impair(b.address(), Direction::Sent, gray, 7);
    // What was sent before has arrived when a probe sent later returns.
    round_trip(&mut a, &ends, 99).await;
    let before = b.port.link_stats()[0].frames_received;
    let stuck = transfer(&dialed, &accepted, 1 << 16);
    let probing = async {
        for nonce in 1..=20 {
            round_trip(&mut a, &ends, nonce).await;
        }
        assert_eq!(b.port.link_stats()[0].frames_received, before + 20, "the probes, and nothing else");
        assert!(a.port.counters().faulted > 0);
        tokio::join!(
            async { in_time(a.links.connect(b.address(), super::rig::SERVER_NAME).unwrap()).await.unwrap() },
            async { in_time(in_time(b.links.accept()).await.unwrap()).await.unwrap() },
        );
        a.port.mend_all();
    };
    // The transfer ends as soon as the fault does, and loses nothing.
    tokio::join!(stuck, probing);
}

fn pair() -> (Node, Node, LinkEnds) {
    let tls = Tls::new();
    let (a, b) = (Node::start(1, &tls), Node::start(2, &tls));
    let ends = link(&a, &b, 1, 1);
    a.route(&b, 1, ends.left, &[]);
    b.route(&a, 1, ends.right, &[]);
    (a, b, ends)
}

/// Probes the link from its left end.
async fn round_trip(node: &mut Node, ends: &LinkEnds, nonce: u64) -> Duration {
    node.port.send_probe(ends.left, &[], 0, nonce);
    let returned = node.event(|event| match event {
        Event::ProbeReturned { nonce, rtt, .. } => Some((*nonce, *rtt)),
        _ => None,
    });
    let (back, rtt) = returned.await;
    assert_eq!(back, nonce);
    rtt
}
