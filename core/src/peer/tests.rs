//! The peer role: when links are probed, what silence means, and that nobody is accused who was not asked.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const LINK: LinkId = LinkId(1);

fn probing() -> Probing {
    Probing { interval: 100 * MS, idle_interval: 5000 * MS, late_after: 120 * MS, dead_after: 500 * MS }
}

fn feed(peer: &mut Peer, input: Input, ms: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    peer.handle(input, Instant::from_millis(ms), &mut effects);
    effects
}

fn wake(peer: &mut Peer, ms: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    peer.wake(Instant::from_millis(ms), &mut effects);
    effects
}

fn peer_with_link() -> Peer {
    peer_with_seed(1)
}

/// A peer with a link, over which the first probe came back.
fn peer_with_seed(seed: u64) -> Peer {
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), seed, Instant::BOOT);
    feed(&mut peer, Input::LinkEstablished { link: LINK, label: Label(7) }, 0);
    feed(&mut peer, Input::ProbeReturned { link: LINK, nonce: 1, rtt: MS }, 1);
    peer
}

/// A peer whose link has been at rest for a while.
fn peer_at_rest(seed: u64) -> Peer {
    let mut peer = peer_with_seed(seed);
    run(&mut peer, 20_000, true);
    assert_eq!(peer.report().probed_every, probing().idle_interval);
    peer
}

/// Runs the peer's own deadlines up to `until_ms`, answering probes if `answer`.
fn run(peer: &mut Peer, until_ms: u64, answer: bool) {
    run_with(peer, until_ms, |_| answer);
}

/// Runs the peer's own deadlines up to `until_ms`, answering the probes that `answers`; tells when probes were sent.
fn run_with(peer: &mut Peer, until_ms: u64, mut answers: impl FnMut(Instant) -> bool) -> Vec<Instant> {
    let mut sent = Vec::new();
    while let Some(at) = peer.deadline().filter(|at| at.as_millis() < until_ms) {
        let mut effects = Vec::new();
        peer.wake(at, &mut effects);
        for effect in effects {
            if let Effect::Probe { link, nonce } = effect {
                sent.push(at);
                if answers(at) {
                    peer.handle(Input::ProbeReturned { link, nonce, rtt: MS }, at + MS, &mut Vec::new());
                }
            }
        }
    }
    sent
}

/// As [`run_with`], while the shell says twice a second that the link carries frames.
fn run_carrying(peer: &mut Peer, from_ms: u64, until_ms: u64, answer: bool) -> Vec<Instant> {
    let mut sent = Vec::new();
    for ms in (from_ms..until_ms).step_by(500) {
        let effects = feed(peer, Input::Carrying { link: LINK }, ms);
        for effect in effects {
            if let Effect::Probe { link, nonce } = effect {
                sent.push(Instant::from_millis(ms));
                if answer {
                    feed(peer, Input::ProbeReturned { link, nonce, rtt: MS }, ms);
                }
            }
        }
        sent.extend(run_with(peer, (ms + 500).min(until_ms), |_| answer));
    }
    sent
}

/// How long after `cut_ms`, from which on nothing returns, the link is down.
fn downtime(peer: &mut Peer, cut_ms: u64) -> Duration {
    while peer.report().state != LinkState::Down {
        let at = peer.deadline().unwrap();
        assert!(at < Instant::from_millis(cut_ms + 60_000), "the silence is never noticed");
        peer.wake(at, &mut Vec::new());
        if peer.report().state == LinkState::Down {
            return at.since(Instant::from_millis(cut_ms));
        }
    }
    Duration::ZERO
}

#[test]
fn who_is_forgotten_is_told_to_be_gone_and_never_dialed_or_reported_again() {
    let mut peer = peer_with_link();
    feed(&mut peer, Input::AddressesLearned(vec!["192.0.2.1:1".parse().unwrap()]), 2);
    assert_eq!(feed(&mut peer, Input::Forgotten, 3), [Effect::Gone { peer: PeerId::from_public_key([1; 32]) }]);
    assert_eq!(feed(&mut peer, Input::LinkClosed { link: LINK }, 4), []);
    assert_eq!(feed(&mut peer, Input::ReportRequested, 5), []);
    assert_eq!((peer.deadline(), wake(&mut peer, 60_000)), (None, vec![]));
}

#[test]
fn latencies_are_counted_over_all_links_of_a_neighbor() {
    let mut peer = peer_with_link();
    assert_eq!(peer.report().latency.count, 1);
    let other = LinkId(2);
    feed(&mut peer, Input::LinkEstablished { link: other, label: Label(7) }, 10);
    feed(&mut peer, Input::ProbeReturned { link: other, nonce: 1, rtt: 3 * MS }, 13);
    let latency = peer.report().latency;
    assert_eq!((latency.count, latency.min_us, latency.current_us, latency.mean_us), (2, 1000, 3000, 2000));
    feed(&mut peer, Input::ProbeReturned { link: other, nonce: 77, rtt: MS }, 14);
    assert_eq!(peer.report().latency.count, 2, "an echo of nothing is no measurement");
}

#[test]
fn a_neighbor_with_an_address_is_dialed_at_once() {
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
    let address = "127.0.0.1:1".parse().unwrap();
    let effects = feed(&mut peer, Input::AddressesLearned(vec![address]), 0);
    assert!(matches!(effects[..], [Effect::Dial { .. }]), "{effects:?}");
    assert_eq!(wake(&mut peer, 10), []);
}

#[test]
fn failed_dials_back_off_up_to_a_bound() {
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
    feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 0);
    let (mut now, mut waits) = (Instant::BOOT, Vec::new());
    for _ in 0..12 {
        peer.handle(Input::DialFailed, now, &mut Vec::new());
        let next = peer.deadline().unwrap();
        waits.push(next.since(now));
        now = next;
        let mut effects = Vec::new();
        peer.wake(now, &mut effects);
        assert!(matches!(effects[..], [Effect::Dial { .. }]));
    }
    assert!(waits[0] < 130 * MS && waits[4] > 1000 * MS, "{waits:?}");
    assert!(waits.iter().all(|w| *w <= REDIAL_MAX.mul_f32(1.2)), "{waits:?}");
}

#[test]
fn a_link_whose_probes_return_stays_up() {
    let mut peer = peer_with_link();
    run(&mut peer, 10_000, true);
    let report = peer.report();
    assert_eq!((report.state, report.loss_permille, report.rtt), (LinkState::Up, 0, MS));
}

#[test]
fn a_silent_link_is_late_then_down_then_closed() {
    let mut peer = peer_with_link();
    run(&mut peer, 300, false);
    assert_eq!(peer.report().state, LinkState::Late);
    run(&mut peer, 800, false);
    assert_eq!(peer.report().state, LinkState::Down);
    let mut closed = false;
    while let Some(at) = peer.deadline().filter(|at| at.as_millis() < 10_000) {
        let mut effects = Vec::new();
        peer.wake(at, &mut effects);
        closed |= effects.contains(&Effect::CloseLink { link: LINK });
    }
    assert!(closed);
}

#[test]
fn a_link_that_was_down_is_trusted_after_two_returns() {
    let mut peer = peer_with_link();
    run(&mut peer, 900, false);
    assert_eq!(peer.report().state, LinkState::Down);
    run(&mut peer, 1300, true);
    assert_eq!(peer.report().state, LinkState::Up);
}

#[test]
fn an_echo_of_nothing_proves_nothing() {
    let mut peer = peer_with_link();
    run(&mut peer, 900, false);
    for nonce in 1000..1010 {
        feed(&mut peer, Input::ProbeReturned { link: LINK, nonce, rtt: MS }, 900);
    }
    assert_eq!(peer.report().state, LinkState::Down);
}

#[test]
fn a_starved_process_does_not_accuse() {
    let mut peer = peer_with_link();
    run(&mut peer, 200, true);
    wake(&mut peer, 210);
    // Nothing ran for three seconds: the first wake afterwards must not judge.
    wake(&mut peer, 3_300);
    assert_eq!(peer.report().state, LinkState::Up);
}

#[test]
fn a_closed_link_is_dialed_again() {
    let mut peer = peer_with_link();
    feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 1);
    feed(&mut peer, Input::LinkClosed { link: LINK }, 2);
    let effects = wake(&mut peer, 150);
    assert!(matches!(effects[..], [Effect::Dial { .. }]), "{effects:?}");
    assert_eq!(feed(&mut peer, Input::LinkClosed { link: LINK }, 151), []);
}

#[test]
fn a_link_that_was_replaced_is_not_dialed_again() {
    let mut peer = peer_with_link();
    feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 1);
    let mut effects = feed(&mut peer, Input::LinkClosed { link: LINK }, 2);
    effects.extend(feed(&mut peer, Input::RedialRequested, 2));
    effects.extend(feed(&mut peer, Input::LinkEstablished { link: LinkId(2), label: Label(7) }, 2));
    for ms in (10..300).step_by(10) {
        effects.extend(wake(&mut peer, ms));
    }
    assert!(!effects.iter().any(|e| matches!(e, Effect::Dial { .. })), "{effects:?}");
}

#[test]
fn a_link_at_rest_is_probed_seldom() {
    let mut peer = peer_at_rest(1);
    let sent = run_with(&mut peer, 120_000, |_| true);
    assert!((18..=23).contains(&sent.len()), "{sent:?}");
    assert_eq!(peer.report().state, LinkState::Up);
}

#[test]
fn a_carrying_link_is_probed_often_and_rests_when_it_carries_no_more() {
    let mut peer = peer_at_rest(1);
    let sent = run_carrying(&mut peer, 20_000, 30_000, true);
    assert!((90..=112).contains(&sent.len()), "{}", sent.len());
    let sent = run_with(&mut peer, 60_000, |_| true);
    assert!((20..=32).contains(&sent.len()), "two seconds of hurry, then rest: {sent:?}");
    assert_eq!(peer.report().probed_every, probing().idle_interval);
}

#[test]
fn a_link_that_starts_to_carry_is_probed_at_once() {
    let mut peer = peer_at_rest(1);
    let effects = feed(&mut peer, Input::Carrying { link: LINK }, 20_001);
    assert!(matches!(effects[0], Effect::Probe { .. }), "{effects:?}");
    assert_eq!(feed(&mut peer, Input::Carrying { link: LINK }, 20_002), [], "it is hurried already");
    assert_eq!(peer.report().probed_every, probing().interval);
}

#[test]
fn what_an_older_link_carries_hurries_nobody() {
    let mut peer = peer_at_rest(1);
    let effects = feed(&mut peer, Input::Carrying { link: LinkId(9) }, 20_001);
    assert!(!effects.iter().any(|e| matches!(e, Effect::Probe { .. })), "{effects:?}");
    assert_eq!(peer.report().probed_every, probing().idle_interval);
}

#[test]
fn a_fresh_link_is_probed_often_even_if_its_predecessor_was_good() {
    let mut peer = peer_at_rest(1);
    let effects = feed(&mut peer, Input::LinkEstablished { link: LinkId(2), label: Label(7) }, 20_001);
    let nonce = effects.iter().find_map(|e| if let Effect::Probe { nonce, .. } = e { Some(*nonce) } else { None });
    feed(&mut peer, Input::ProbeReturned { link: LinkId(2), nonce: nonce.unwrap(), rtt: MS }, 20_002);
    assert_eq!(peer.report().probed_every, probing().interval);
    let sent = run_with(&mut peer, 22_000, |_| true);
    assert!((4..=6).contains(&sent.len()), "{sent:?}");
}

#[test]
fn what_was_sent_before_the_neighbor_had_its_end_of_the_link_is_no_loss() {
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
    feed(&mut peer, Input::LinkEstablished { link: LINK, label: Label(7) }, 0);
    run(&mut peer, 2_000, true);
    let report = peer.report();
    assert_eq!((report.loss_permille, report.probed_every), (0, probing().idle_interval), "{report:?}");
}

#[test]
fn nobody_is_silent_who_was_not_asked() {
    let mut peer = peer_at_rest(1);
    while peer.deadline().unwrap() < Instant::from_millis(60_000) {
        let at = peer.deadline().unwrap();
        let mut effects = Vec::new();
        peer.wake(at, &mut effects);
        let Some(Effect::Probe { nonce, .. }) = effects.first() else { panic!("{effects:?}") };
        let returned = Input::ProbeReturned { link: LINK, nonce: *nonce, rtt: MS };
        peer.handle(returned, at + 100 * MS, &mut effects);
        assert!(!effects.iter().any(|e| matches!(e, Effect::SetUsable { .. })), "{effects:?}");
        assert_eq!(peer.report().state, LinkState::Up);
    }
}

#[test]
fn one_lost_probe_at_rest_hurries_the_link_until_ten_have_returned() {
    let mut peer = peer_at_rest(1);
    let mut lost = 0;
    let mut answers = |_| {
        lost += 1;
        lost > 1
    };
    let sent = run_with(&mut peer, 27_500, &mut answers);
    let second = sent[1].since(sent[0]);
    assert_eq!(second, probing().late_after, "the second is sent when the first is overdue");
    assert!((14..=18).contains(&sent.len()), "until the first is given up, and ten more: {sent:?}");
    assert_eq!((peer.report().state, peer.report().probed_every), (LinkState::Up, probing().idle_interval));
}

#[test]
fn a_neighbor_at_rest_whose_process_was_starved_is_not_accused() {
    let mut peer = peer_at_rest(1);
    let asked = peer.deadline().unwrap();
    peer.wake(asked, &mut Vec::new());
    // Nothing runs from just after the probe until long after its verdict was due, but before the next probe is.
    let mut effects = Vec::new();
    peer.wake(asked + 3000 * MS, &mut effects);
    assert_eq!(peer.report().state, LinkState::Up);
    assert!(matches!(effects[..], [Effect::Probe { .. }, ..]), "it is asked again at once: {effects:?}");
}

#[test]
fn a_far_neighbor_at_rest_is_not_late() {
    let far = 200 * MS;
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
    feed(&mut peer, Input::LinkEstablished { link: LINK, label: Label(7) }, 0);
    let mut late = 0;
    let mut under_way = vec![(Instant::BOOT + far, 1)];
    for ms in 1..60_000 {
        let now = Instant::from_millis(ms);
        let mut effects = Vec::new();
        if peer.deadline().is_some_and(|at| at <= now) {
            peer.wake(now, &mut effects);
        }
        while under_way.first().is_some_and(|(at, _)| *at <= now) {
            let (_, nonce) = under_way.remove(0);
            peer.handle(Input::ProbeReturned { link: LINK, nonce, rtt: far }, now, &mut effects);
        }
        for effect in effects {
            if let Effect::Probe { nonce, .. } = effect {
                under_way.push((now + far, nonce));
            }
        }
        late += usize::from(ms > 10_000 && peer.report().state != LinkState::Up);
    }
    assert_eq!((late, peer.report().probed_every), (0, probing().idle_interval));
}

#[test]
fn a_link_that_loses_most_of_its_probes_is_failing_though_it_is_usable() {
    let mut peer = peer_with_link();
    let mut number = 0;
    run_with(&mut peer, 6_000, |_| {
        number += 1;
        number % 3 == 0
    });
    let report = peer.report();
    assert!(report.failing && report.state.is_usable(), "{report:?}");
    run(&mut peer, 12_000, true);
    assert!(!peer.report().failing);
}

#[test]
fn a_neighbor_whose_links_are_replaced_again_and_again_is_not_taken_for_well() {
    let mut peer = peer_with_link();
    for life in 1..6 {
        // Each ends just before its first probe would be given up.
        feed(&mut peer, Input::LinkEstablished { link: LinkId(life + 1), label: Label(7) }, life * 480);
        run(&mut peer, (life + 1) * 480, false);
    }
    assert!(peer.report().failing, "{:?}", peer.report());
}

#[test]
fn a_link_that_is_replaced_while_its_probes_are_fresh_accuses_nobody() {
    let mut peer = peer_with_link();
    for life in 0..20 {
        let at = 1_000 + life * 100;
        feed(&mut peer, Input::LinkEstablished { link: LinkId(life + 2), label: Label(7) }, at);
        wake(&mut peer, at + 50);
    }
    assert!(!peer.report().failing);
}

#[test]
fn the_verdict_on_the_last_ten_is_told_when_it_changes() {
    let mut peer = peer_with_link();
    let mut told = Vec::new();
    for ms in 2..3_000 {
        for effect in wake(&mut peer, ms) {
            if let Effect::Report(report) = effect {
                told.push(report.failing);
            }
        }
    }
    assert!(!told[0] && told[told.len() - 1], "{told:?}");
}

#[test]
fn a_neighbor_that_cannot_be_dialed_is_failing() {
    let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
    for failures in 1..=5 {
        let effects = feed(&mut peer, Input::DialFailed, failures);
        assert_eq!(peer.report().failing, failures == 5);
        assert_eq!(effects.iter().any(|e| matches!(e, Effect::Report(_))), failures == 5, "{effects:?}");
    }
}

proptest! {
    #[test]
    fn a_link_at_rest_that_dies_is_noticed_soon_after_its_next_probe(seed: u64, cut_ms in 20_000u64..40_000) {
        let mut peer = peer_at_rest(seed);
        run(&mut peer, cut_ms, true);
        let noticed = downtime(&mut peer, cut_ms);
        let probing = probing();
        prop_assert!(noticed <= probing.idle_interval * 11 / 10 + probing.dead_after, "{noticed:?}");
        prop_assert!(noticed <= probing.idle_interval + 2 * probing.dead_after, "{noticed:?}");
    }

    #[test]
    fn a_carrying_link_that_dies_is_noticed_as_soon_as_ever(seed: u64, cut_ms in 20_001u64..40_000) {
        let mut peer = peer_at_rest(seed);
        run_carrying(&mut peer, 20_000, cut_ms, true);
        let noticed = downtime(&mut peer, cut_ms);
        // Silence counts from the last return, and that is at most one jittered interval older than the cut.
        let probing = probing();
        prop_assert!(noticed <= probing.dead_after + probing.interval / 10 + 2 * MS, "{noticed:?}");
        prop_assert!(noticed + probing.interval * 12 / 10 >= probing.dead_after, "{noticed:?}");
    }

    #[test]
    fn whatever_happens_it_rests_until_its_next_deadline(
        seed: u64,
        happens in proptest::collection::vec((0u64..3_000, 0u8..5, any::<bool>()), 1..60),
    ) {
        let mut peer = peer_with_seed(seed);
        let (mut now, mut nonce) = (Instant::from_millis(1), 1);
        for (pause, what, answered) in happens {
            now = now + Duration::from_millis(pause);
            let mut effects = Vec::new();
            match what {
                0 => peer.handle(Input::Carrying { link: LINK }, now, &mut effects),
                1 => peer.handle(Input::LinkEstablished { link: LINK, label: Label(7) }, now, &mut effects),
                2 => peer.handle(Input::RedialRequested, now, &mut effects),
                3 => peer.handle(Input::ProbeReturned { link: LINK, nonce, rtt: MS }, now, &mut effects),
                _ => peer.wake(now, &mut effects),
            }
            for effect in effects {
                if let Effect::Probe { nonce: sent, .. } = effect {
                    nonce = sent;
                    if answered {
                        peer.handle(Input::ProbeReturned { link: LINK, nonce, rtt: MS }, now, &mut Vec::new());
                    }
                }
            }
            prop_assert!(peer.deadline().is_some_and(|at| at > now), "it wants to be woken again and again");
        }
    }
}
