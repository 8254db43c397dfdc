//! What the role raises and clears.

use super::*;

fn link(state: LinkState) -> Input {
    let peer = PeerId::from_public_key([1; 32]);
    Input::LinkReported(LinkReport {
        peer,
        link: None,
        state,
        rtt: Duration::ZERO,
        loss_permille: 0,
        probes_returned: 0,
        probes_lost: 0,
        heard: None,
        established: 1,
        probed_every: Duration::ZERO,
        carries_until: Instant::BOOT,
        failing: false,
        latency: Default::default(),
    })
}

fn feed(monitor: &mut Monitor, input: Input, ms: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    monitor.handle(input, Instant::from_millis(ms), &mut effects);
    effects
}

fn config(neighbors_target: usize) -> Config {
    Config { me: PeerId::from_public_key([9; 32]), neighbors_target, rtt_limit: RTT_LIMIT }
}

fn monitor(target: usize) -> Monitor {
    let mut monitor = Monitor::new(config(target), 1, [], Instant::BOOT);
    monitor.wake(Instant::BOOT, &mut Vec::new());
    monitor
}

#[test]
fn a_link_that_goes_down_is_one_incident_until_it_is_up() {
    let mut monitor = monitor(0);
    assert_eq!(feed(&mut monitor, link(LinkState::Up), 1), []);
    let raised = feed(&mut monitor, link(LinkState::Down), 2);
    assert!(matches!(&raised[..], [Effect::Raise(i)] if i.kind.name() == "link-down"), "{raised:?}");
    assert_eq!(feed(&mut monitor, link(LinkState::Dialing), 3), []);
    assert_eq!(feed(&mut monitor, link(LinkState::Up), 4), [Effect::Clear { incident: 1 }]);
}

#[test]
fn too_few_links_are_an_incident_after_a_while() {
    let mut monitor = monitor(4);
    let mut effects = Vec::new();
    monitor.wake(Instant::from_millis(5000), &mut effects);
    assert_eq!(effects, [], "alone in the mesh, there is nobody to link to");
    for peer in [1, 9] {
        let peer = PeerId::from_public_key([peer; 32]);
        assert_eq!(feed(&mut monitor, Input::NodeLearned { peer, known: true, region: String::new() }, 5000), []);
    }
    monitor.wake(Instant::from_millis(5900), &mut effects);
    assert_eq!(effects, []);
    monitor.wake(Instant::from_millis(6000), &mut effects);
    assert!(matches!(&effects[..], [Effect::Raise(i)] if i.kind == IncidentKind::FewNeighbors), "{effects:?}");
    assert_eq!(feed(&mut monitor, link(LinkState::Up), 6100), [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_switch_is_told_and_ends_by_itself() {
    let mut monitor = monitor(0);
    let change = PathChange::Switched { from: vec![], to: vec![], cause: SwitchCause::Late, silent: Duration::ZERO };
    let report = PathReport { destination: PeerId::from_public_key([2; 32]), change };
    assert_eq!(feed(&mut monitor, Input::PathReported(report), 0).len(), 1);
    let mut effects = Vec::new();
    let at = monitor.deadline().unwrap();
    monitor.wake(at, &mut effects);
    assert_eq!(effects, [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_change_to_a_better_path_is_no_incident() {
    let mut monitor = monitor(0);
    let change = PathChange::Switched { from: vec![], to: vec![], cause: SwitchCause::Better, silent: Duration::ZERO };
    let report = PathReport { destination: PeerId::from_public_key([2; 32]), change };
    assert_eq!(feed(&mut monitor, Input::PathReported(report), 0), []);
}

#[test]
fn an_adopted_incident_ends_as_its_own() {
    let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
    let open = Incident::new(7, kind, Evidence::Adopted, Instant::BOOT);
    let mut monitor = Monitor::new(config(0), 8, [open], Instant::BOOT);
    let effects = feed(&mut monitor, link(LinkState::Up), 5);
    assert!(effects.contains(&Effect::Clear { incident: 7 }), "{effects:?}");
}

fn sampled(late_ms: u64, actors: &[(&str, u64, u64)]) -> Input {
    let process = ProcessSample { late: Duration::from_millis(late_ms), ..ProcessSample::default() };
    let actor = |(name, handled, waiting): &(&str, u64, u64)| ActorSample {
        actor: (*name).to_owned(),
        handled: *handled,
        waiting: *waiting,
        oldest: None,
    };
    Input::ProcessSampled { process, actors: actors.iter().map(actor).collect() }
}

/// The names of the kinds that were raised.
fn raised(effects: &[Effect]) -> Vec<&'static str> {
    effects.iter().filter_map(|e| if let Effect::Raise(i) = e { Some(i.kind.name()) } else { None }).collect()
}

#[test]
fn a_stuck_actor_is_found_and_is_well_when_it_moves() {
    let mut monitor = monitor(0);
    let mut told = Vec::new();
    (1..300).for_each(|i| told.extend(feed(&mut monitor, sampled(0, &[("gossip", 5, 3), ("policy", i, 1)]), i * 10)));
    assert_eq!(raised(&told), ["actor-stuck"]);
    let effects = feed(&mut monitor, sampled(0, &[("gossip", 6, 2), ("policy", 300, 1)]), 3000);
    assert_eq!(effects, [Effect::Clear { incident: 1 }]);
}

#[test]
fn an_actor_that_is_gone_is_not_stuck() {
    let mut monitor = monitor(0);
    (1..300).for_each(|i| drop(feed(&mut monitor, sampled(0, &[("peer/x", 5, 3)]), i * 10)));
    assert_eq!(feed(&mut monitor, sampled(0, &[]), 3000), [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_process_that_is_starved_accuses_nobody_but_its_host() {
    let mut monitor = monitor(0);
    let mut told = Vec::new();
    for i in 1..200 {
        let ms = i * 310;
        told.extend(feed(&mut monitor, sampled(300, &[("gossip", 5, 3)]), ms));
        told.extend(feed(&mut monitor, Input::StoreWrote { took: Duration::from_millis(20 + 500 * (i / 100)) }, ms));
        let session = PathSample { destination: PeerId::from_public_key([2; 32]), sent: i, lost: 0, acknowledged: 0 };
        told.extend(feed(&mut monitor, Input::PathsSampled(vec![session]), ms));
    }
    assert_eq!(raised(&told), ["starved"]);
}

#[test]
fn a_lossy_link_is_told_while_it_is_up_and_ends_when_it_is_clean() {
    let mut monitor = monitor(0);
    let report = |returned: u64, lost: u64| {
        let Input::LinkReported(report) = link(LinkState::Up) else { unreachable!() };
        Input::LinkReported(LinkReport { probes_returned: returned, probes_lost: lost, ..report })
    };
    let mut told = Vec::new();
    (0..10).for_each(|s| told.extend(feed(&mut monitor, report(s * 7, s * 3), s * 1000)));
    assert_eq!(raised(&told), ["link-lossy"]);
    let effects: Vec<_> = (10..20).flat_map(|s| feed(&mut monitor, report(s * 10, 27), s * 1000)).collect();
    assert_eq!(effects, [Effect::Clear { incident: 1 }]);
}

#[test]
fn an_actor_that_was_restarted_is_not_stuck_and_can_be_stuck_again() {
    let mut monitor = monitor(0);
    let stand = |monitor: &mut Monitor, from: u64| -> Vec<Effect> {
        (from..from + 300).flat_map(|i| feed(monitor, sampled(0, &[("gossip", 5, 3)]), i * 10)).collect()
    };
    assert_eq!(raised(&stand(&mut monitor, 1)), ["actor-stuck"]);
    let restarted = Input::ActorRestarted { actor: "gossip".to_owned() };
    assert_eq!(feed(&mut monitor, restarted, 3010), [Effect::Clear { incident: 1 }]);
    assert_eq!(raised(&stand(&mut monitor, 302)), ["actor-stuck"]);
}

#[test]
fn a_link_that_is_late_for_every_loss_is_lossy_all_the_same() {
    let mut monitor = monitor(0);
    let report = |state, returned: u64, lost: u64| {
        let Input::LinkReported(report) = link(state) else { unreachable!() };
        Input::LinkReported(LinkReport { probes_returned: returned, probes_lost: lost, ..report })
    };
    let mut told = Vec::new();
    for s in 0..10 {
        told.extend(feed(&mut monitor, report(LinkState::Up, s * 4, s), s * 1000));
        told.extend(feed(&mut monitor, report(LinkState::Late, s * 4 + 3, s + 1), s * 1000 + 800));
    }
    assert_eq!(raised(&told), ["link-lossy"]);
}

#[test]
fn payload_that_does_not_arrive_is_told_although_the_path_works() {
    let mut monitor = monitor(0);
    let destination = PeerId::from_public_key([2; 32]);
    feed(&mut monitor, Input::PathReported(PathReport { destination, change: PathChange::Found }), 0);
    let mut told = Vec::new();
    for i in 1..60 {
        let session = PathSample { destination, sent: i * 3, lost: 0, acknowledged: 10 };
        told.extend(feed(&mut monitor, Input::PathsSampled(vec![session]), i * 100));
    }
    assert_eq!(raised(&told), ["payload-lost"]);
    let released = PathReport { destination, change: PathChange::Released };
    assert_eq!(feed(&mut monitor, Input::PathReported(released), 7000), [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_slow_disk_is_told_and_forgiven_when_nobody_writes() {
    let mut monitor = monitor(0);
    let wrote = |ms| Input::StoreWrote { took: Duration::from_millis(ms) };
    (0..20).for_each(|i| assert_eq!(feed(&mut monitor, wrote(15), i * 100), []));
    let told: Vec<_> = (20..24).flat_map(|i| feed(&mut monitor, wrote(900), i * 1000)).collect();
    assert_eq!(raised(&told), ["store-slow"]);
    let mut effects = Vec::new();
    let at = monitor.deadline().unwrap();
    monitor.wake(at, &mut effects);
    assert_eq!(effects, [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_store_that_fails_is_told_once_until_it_writes_again() {
    let mut monitor = monitor(0);
    let failed = || Input::StoreFailed { reason: "no space left".to_owned() };
    let told: Vec<_> = (0..5).flat_map(|i| feed(&mut monitor, failed(), i * 200)).collect();
    assert_eq!(raised(&told), ["store-failing"]);
    let wrote = Input::StoreWrote { took: Duration::from_millis(15) };
    assert_eq!(feed(&mut monitor, wrote, 2000), [Effect::Clear { incident: 1 }]);
}

#[test]
fn what_is_lost_together_is_explained_by_one_incident_that_ends_with_it() {
    let mut monitor = monitor(0);
    let peers: Vec<PeerId> = (1..=3).map(|i| PeerId::from_public_key([i; 32])).collect();
    let report = |peer: PeerId, state| {
        let Input::LinkReported(report) = link(state) else { unreachable!() };
        Input::LinkReported(LinkReport { peer, ..report })
    };
    peers.iter().for_each(|peer| drop(feed(&mut monitor, report(*peer, LinkState::Up), 1)));
    peers.iter().for_each(|peer| drop(feed(&mut monitor, report(*peer, LinkState::Down), 1000)));
    let mut effects = Vec::new();
    monitor.wake(monitor.deadline().unwrap(), &mut effects);
    assert_eq!(raised(&effects), ["cut-off"]);
    let explained = |e: &&Effect| matches!(e, Effect::Explain { root: 4, culprit: Subject::Host, .. });
    assert_eq!(effects.iter().filter(explained).count(), 3, "{effects:?}");
    let told: Vec<_> = peers.iter().flat_map(|peer| feed(&mut monitor, report(*peer, LinkState::Up), 5000)).collect();
    assert_eq!(told.iter().filter(|e| matches!(e, Effect::Clear { .. })).count(), 4, "{told:?}");
}

#[test]
fn a_node_with_links_is_not_cut_off_although_a_path_stays_lost() {
    let mut monitor = monitor(0);
    let peers: Vec<PeerId> = (1..=3).map(|i| PeerId::from_public_key([i; 32])).collect();
    let report = |peer: PeerId, state| {
        let Input::LinkReported(report) = link(state) else { unreachable!() };
        Input::LinkReported(LinkReport { peer, ..report })
    };
    peers.iter().for_each(|peer| drop(feed(&mut monitor, report(*peer, LinkState::Up), 1)));
    peers.iter().for_each(|peer| drop(feed(&mut monitor, report(*peer, LinkState::Down), 1000)));
    let lost = PathReport { destination: PeerId::from_public_key([8; 32]), change: PathChange::Lost };
    feed(&mut monitor, Input::PathReported(lost), 1100);
    let mut effects = Vec::new();
    monitor.wake(monitor.deadline().unwrap(), &mut effects);
    assert_eq!(raised(&effects), ["cut-off"]);
    effects.clear();
    peers.iter().for_each(|peer| effects.extend(feed(&mut monitor, report(*peer, LinkState::Up), 5000)));
    monitor.wake(monitor.deadline().unwrap(), &mut effects);
    let cleared = effects.iter().filter(|effect| matches!(effect, Effect::Clear { .. })).count();
    assert_eq!(cleared, 4, "three links, and what they had in common: {effects:?}");
}

#[test]
fn who_leaves_the_neighbors_that_it_lost_is_cut_off_until_another_link_works() {
    let mut monitor = monitor(0);
    let [a, b, c] = [1, 2, 3].map(|i| PeerId::from_public_key([i; 32]));
    let report = |peer: PeerId, state| {
        let Input::LinkReported(report) = link(state) else { unreachable!() };
        Input::LinkReported(LinkReport { peer, ..report })
    };
    for (state, ms) in [(LinkState::Up, 1), (LinkState::Down, 1000)] {
        [a, b].iter().for_each(|peer| drop(feed(&mut monitor, report(*peer, state), ms)));
    }
    let mut effects = Vec::new();
    monitor.wake(monitor.deadline().unwrap(), &mut effects);
    assert_eq!(raised(&effects), ["cut-off"]);
    let cut_off = effects.iter().find_map(|e| if let Effect::Raise(i) = e { Some(i.id) } else { None }).unwrap();
    let left: Vec<_> =
        [a, b].iter().flat_map(|peer| feed(&mut monitor, Input::PeerForgotten { peer: *peer }, 5000)).collect();
    assert!(!left.is_empty() && !left.contains(&Effect::Clear { incident: cut_off }), "{left:?}");
    let effects = feed(&mut monitor, report(c, LinkState::Up), 9000);
    assert!(effects.contains(&Effect::Clear { incident: cut_off }), "{effects:?}");
}

#[test]
fn a_certificate_that_runs_out_is_told_until_it_is_renewed() {
    let mut monitor = monitor(0);
    let checked = |left| Input::CertificateChecked { left: Duration::from_secs(left), life: Duration::from_secs(400) };
    assert_eq!(feed(&mut monitor, checked(100), 0), []);
    assert_eq!(raised(&feed(&mut monitor, checked(99), 1)), ["certificate-expiring"]);
    assert_eq!(feed(&mut monitor, checked(400), 2), [Effect::Clear { incident: 1 }]);
}

#[test]
fn a_learned_detector_is_asked_like_every_other() {
    /// Has learned that round trips are short.
    #[derive(Debug)]
    struct Short;

    impl Learned for Short {
        fn name(&self) -> &str {
            "short"
        }

        fn score(&mut self, _: &PeerId, figures: &LinkFigures) -> u16 {
            if figures.rtt > Duration::from_millis(5) { 1000 } else { 0 }
        }
    }

    let mut monitor = monitor(0);
    monitor.plug_in(Box::new(Short));
    let report = |rtt_ms| {
        let Input::LinkReported(report) = link(LinkState::Up) else { unreachable!() };
        Input::LinkReported(LinkReport { rtt: Duration::from_millis(rtt_ms), ..report })
    };
    let told: Vec<_> = (0..4).flat_map(|s| feed(&mut monitor, report(6), s * 1000)).collect();
    assert_eq!(raised(&told), ["link-unusual"]);
    let over: Vec<_> = (4..10).flat_map(|s| feed(&mut monitor, report(1), s * 1000)).collect();
    assert_eq!(over, [Effect::Clear { incident: 1 }]);
}

#[test]
fn an_exchange_is_an_incident_until_it_is_over_whatever_becomes_of_its_links() {
    let mut monitor = monitor(0);
    let [far, near] = [1, 2].map(|i| PeerId::from_public_key([i; 32]));
    let proposed = Input::ExchangeProposed(Pair { far, near, far_us: 40_000, near_us: 1_000 });
    assert_eq!(raised(&feed(&mut monitor, proposed, 0)), ["far-neighbor"]);
    feed(&mut monitor, link(LinkState::Up), 1);
    assert_eq!(feed(&mut monitor, Input::PeerForgotten { peer: far }, 2), []);
    assert_eq!(feed(&mut monitor, Input::ExchangeEnded { far, near }, 3), [Effect::Clear { incident: 1 }]);
}
