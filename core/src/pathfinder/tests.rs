//! The pathfinder role on a diamond: routes, failover, and calm when nothing is wrong.

use super::*;
use crate::limits::HEDGES_PER_SECOND;
use crate::peer::{LinkReport, Probing};

const MS: Duration = Duration::from_millis(1);

fn id(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

fn links(neighbors: &[u8]) -> Vec<LinkBody> {
    let link = |n: &u8| LinkBody { neighbor: id(*n), label: Label(u16::from(*n)), rtt_us: 1000, loss_permille: 0 };
    neighbors.iter().map(link).collect()
}

fn report(peer: u8, state: LinkState) -> Input {
    let link = (LinkId(u64::from(peer)), Label(u16::from(peer)));
    Input::LinkReported(LinkReport {
        peer: id(peer),
        link: Some(link),
        state,
        rtt: MS,
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

/// A diamond seen from node 1: 1-2-4 and 1-3-4.
struct Diamond {
    role: Pathfinder,
    now: Instant,
    /// Relays (by their link) whose probes come back.
    answering: Vec<u64>,
    seen: Vec<Effect>,
}

impl Diamond {
    fn new() -> Self {
        let probing =
            Probing { interval: 40 * MS, idle_interval: 5000 * MS, late_after: 120 * MS, dead_after: 1000 * MS };
        let role = Pathfinder::new(id(1), Config { paths: 3, warm: 2, probing, hedge_after: 15 * MS, lanes: 1 }, 1);
        let mut diamond = Self { role, now: Instant::BOOT, answering: vec![2, 3], seen: Vec::new() };
        for (origin, neighbors) in [(1, &[2, 3]), (2, &[1, 4]), (3, &[1, 4]), (4, &[2, 3])] {
            diamond.give(Input::LinksLearned { origin: id(origin), links: links(neighbors) });
        }
        diamond.give(report(2, LinkState::Up));
        diamond.give(report(3, LinkState::Up));
        diamond
    }

    /// One whose destination has been talked to for half a second.
    fn talking() -> Self {
        let mut diamond = Self::new();
        diamond.give(Input::Wanted { destination: id(4) });
        diamond.run(500);
        diamond
    }

    fn give(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.role.handle(input, self.now, &mut effects);
        self.absorb(effects);
    }

    fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Probe { way, nonce } = &effect
                && self.answering.contains(&way.first.0)
            {
                self.give(Input::ProbeReturned { path: way.path, nonce: *nonce, rtt: MS });
            }
            self.seen.push(effect);
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.role.deadline().filter(|at| *at < end) {
            self.now = self.now.max(at);
            let mut effects = Vec::new();
            self.role.wake(self.now, &mut effects);
            self.absorb(effects);
        }
        self.now = end;
    }

    fn in_use(&self) -> u64 {
        let views = self.role.paths(id(4));
        views.iter().find(|v| v.state == PathState::InUse).and_then(|v| v.way.clone()).unwrap().first.0
    }
}

#[test]
fn a_wanted_destination_gets_a_route_at_once_and_a_warm_second_path() {
    let mut diamond = Diamond::new();
    diamond.give(Input::Wanted { destination: id(4) });
    assert!(
        diamond.seen.iter().any(|e| matches!(e, Effect::InstallRoute { destination, .. } if *destination == id(4)))
    );
    diamond.run(200);
    let states: Vec<_> = diamond.role.paths(id(4)).iter().map(|v| v.state).collect();
    assert_eq!(states, [PathState::InUse, PathState::Warm]);
}

#[test]
fn traffic_leaves_a_silent_path_soon_after_it_is_late() {
    let mut diamond = Diamond::talking();
    let (before, cut) = (diamond.in_use(), diamond.now);
    diamond.answering.retain(|link| *link != before);
    diamond.seen.clear();
    while diamond.in_use() == before {
        diamond.run(5);
        assert!(diamond.now.since(cut) < 200 * MS, "not switched in time");
    }
    assert!(diamond.seen.iter().any(|e| matches!(
        e,
        Effect::Report(PathReport { change: PathChange::Switched { cause: SwitchCause::Late, .. }, .. })
    )));
}

impl Diamond {
    /// The first link on which copies leave, if any do.
    fn hedge(&self) -> Option<u64> {
        let views = self.role.paths(id(4));
        views.iter().find(|v| v.state == PathState::Hedge).map(|v| v.way.clone().unwrap().first.0)
    }

    /// How often traffic began to be copied.
    fn hedges(&self) -> usize {
        self.seen.iter().filter(|e| matches!(e, Effect::InstallRoute { hedge: Some(_), .. })).count()
    }

    /// The path in use falls silent; returns it and when.
    fn cut(&mut self) -> (u64, Instant) {
        let before = self.in_use();
        self.answering.retain(|link| *link != before);
        (before, self.now)
    }
}

#[test]
fn traffic_takes_a_second_path_as_well_as_soon_as_a_probe_is_overdue() {
    let mut diamond = Diamond::talking();
    let (before, cut) = diamond.cut();
    while diamond.hedge().is_none() {
        diamond.run(1);
        assert!(diamond.now.since(cut) < 65 * MS, "a probe interval, a round trip and the slack: no hedge in time");
    }
    assert_eq!(diamond.in_use(), before, "nobody is judged yet");
    assert_ne!(diamond.hedge(), Some(before));
    diamond.run(200);
    assert_ne!(diamond.in_use(), before);
    assert_eq!(diamond.hedge(), None, "one path that works is enough");
    assert_eq!(diamond.hedges(), 1);
}

#[test]
fn copies_end_with_the_next_return() {
    let mut diamond = Diamond::talking();
    let (before, _) = diamond.cut();
    while diamond.hedge().is_none() {
        diamond.run(1);
    }
    diamond.answering.push(before);
    diamond.run(60);
    assert_eq!((diamond.in_use(), diamond.hedge()), (before, None));
    let last = diamond.seen.iter().rev().find(|e| matches!(e, Effect::InstallRoute { .. }));
    assert!(matches!(last, Some(Effect::InstallRoute { hedge: None, .. })), "{last:?}");
}

#[test]
fn a_path_that_keeps_losing_probes_is_not_hedged_all_the_time() {
    let mut diamond = Diamond::talking();
    let (before, start) = diamond.cut();
    while diamond.now.since(start) < Duration::from_secs(10) {
        diamond.answering.push(before);
        diamond.run(70);
        diamond.answering.retain(|link| *link != before);
        diamond.run(30);
    }
    let most = HEDGES_PER_SECOND as usize * 11;
    assert!((5..=most).contains(&diamond.hedges()), "{} hedges", diamond.hedges());
}

#[test]
fn a_process_that_is_late_itself_doubts_no_path() {
    let mut diamond = Diamond::talking();
    let mut effects = Vec::new();
    for _ in 0..50 {
        // Woken 30 ms late each time, and only then does it read what came back meanwhile.
        let held = std::mem::take(&mut effects);
        diamond.now = diamond.role.deadline().unwrap() + 30 * MS;
        diamond.role.wake(diamond.now, &mut effects);
        diamond.absorb(held);
    }
    assert_eq!(diamond.hedges(), 0);
}

#[test]
fn a_relays_word_that_a_path_is_broken_moves_traffic_at_once() {
    let mut diamond = Diamond::talking();
    let before = diamond.in_use();
    let broken = diamond.role.paths(id(4))[0].way.clone().unwrap().path;
    diamond.give(Input::PathBroken { path: broken });
    assert_ne!(diamond.in_use(), before);
}

#[test]
fn a_path_that_a_plan_gives_up_is_left_although_its_probes_return() {
    let mut diamond = Diamond::talking();
    let before = diamond.in_use();
    diamond.give(Input::SwitchRequested { destination: id(4) });
    assert_ne!(diamond.in_use(), before);
    diamond.run(3000);
    assert_ne!(diamond.in_use(), before, "a path as good as that one is not worth going back");
}

#[test]
fn a_path_that_carries_probes_and_no_payload_is_left() {
    let mut diamond = Diamond::talking();
    let before = diamond.in_use();
    diamond.give(Input::PayloadOverdue { destination: id(4), silent: 50 * MS });
    assert_ne!(diamond.in_use(), before);
    let change = |e: &Effect| match e {
        Effect::Report(PathReport { change: PathChange::Switched { cause, .. }, .. }) => Some(*cause),
        _ => None,
    };
    assert_eq!(diamond.seen.iter().find_map(change), Some(SwitchCause::Unacknowledged));
    diamond.run(3000);
    assert_ne!(diamond.in_use(), before, "a path as good as that one is not worth going back");
}

impl Diamond {
    /// The relay of the path in use.
    fn relay(&self) -> PeerId {
        let views = self.role.paths(id(4));
        views.iter().find(|v| v.state == PathState::InUse).unwrap().path.relays()[0]
    }

    /// What the destination was told of paths that were left.
    fn told(&self) -> Vec<Vec<PeerId>> {
        let told = |e: &Effect| match e {
            Effect::TellUnacknowledged { relays, .. } => Some(relays.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(told).collect()
    }
}

#[test]
fn the_destination_is_told_which_path_was_left_until_it_acknowledges() {
    let mut diamond = Diamond::talking();
    let relay = diamond.relay();
    for waited in 5..14 {
        diamond.give(Input::PayloadOverdue { destination: id(4), silent: waited * 10 * MS });
        diamond.run(10);
    }
    assert_eq!(diamond.told(), [[relay], [relay]], "at once, and after 50 ms");
}

#[test]
fn who_is_told_leaves_a_path_over_the_same_relay_and_no_other() {
    let mut diamond = Diamond::talking();
    let (before, relay) = (diamond.in_use(), diamond.relay());
    let other = if relay == id(2) { id(3) } else { id(2) };
    for elsewhere in [vec![other.tag()], vec![], vec![Tag(7)], vec![id(4).tag()], vec![id(1).tag()]] {
        diamond.give(Input::PeerUnanswered { destination: id(4), relays: elsewhere });
        assert_eq!(diamond.in_use(), before, "it has nothing in common with the path that was left");
    }
    diamond.give(Input::PeerUnanswered { destination: id(4), relays: vec![Tag(7), relay.tag()] });
    assert_eq!(diamond.relay(), other);
    let both = || Input::PeerUnanswered { destination: id(4), relays: vec![id(2).tag(), id(3).tag()] };
    diamond.give(both());
    assert_eq!(diamond.relay(), other, "not as often as it likes");
    diamond.run(100);
    diamond.give(both());
    assert_eq!(diamond.relay(), relay, "of two that are blamed the one that was left longer ago");
    assert_eq!(diamond.told(), Vec::<Vec<PeerId>>::new(), "it knows already");
}

#[test]
fn the_link_between_the_two_is_named_by_whoever_left_it() {
    let linked = || {
        let mut diamond = Diamond::new();
        diamond.give(Input::LinksLearned { origin: id(1), links: links(&[2, 3, 4]) });
        diamond.give(Input::LinksLearned { origin: id(4), links: links(&[1, 2, 3]) });
        diamond.give(report(4, LinkState::Up));
        diamond.answering.push(4);
        diamond.give(Input::Wanted { destination: id(4) });
        diamond.run(500);
        assert_eq!(diamond.in_use(), 4);
        diamond
    };
    let mut told = linked();
    told.give(Input::PeerUnanswered { destination: id(4), relays: vec![id(2).tag()] });
    assert_eq!(told.in_use(), 4);
    told.give(Input::PeerUnanswered { destination: id(4), relays: vec![id(2).tag(), id(4).tag()] });
    assert_eq!(told.in_use(), 3, "neither the link nor the relay that was left before");
    let mut telling = linked();
    telling.give(Input::PayloadOverdue { destination: id(4), silent: 50 * MS });
    assert_eq!(telling.told(), [[id(1)]]);
}

#[test]
fn traffic_moves_before_its_first_link_is_too_slow_if_it_can() {
    let cause = |diamond: &Diamond| {
        diamond.seen.iter().find_map(|effect| match effect {
            Effect::Report(PathReport { change: PathChange::Switched { cause, .. }, .. }) => Some(*cause),
            _ => None,
        })
    };
    let ahead = |neighbor, limit| Input::BreachAhead { neighbor, limit };
    let mut diamond = Diamond::talking();
    let rising = diamond.relay();
    let other = if rising == id(2) { id(3) } else { id(2) };
    diamond.give(ahead(other, 250 * MS));
    diamond.give(ahead(rising, MS));
    assert_eq!((diamond.relay(), cause(&diamond)), (rising, None), "another link's, and no path is within the limit");
    diamond.give(ahead(rising, 250 * MS));
    assert_eq!((diamond.relay(), cause(&diamond)), (other, Some(SwitchCause::Rising)));
    let why = diamond.role.why(id(4), diamond.now);
    let verdict = why.iter().find(|(view, _)| view.path.relays() == [rising]).map(|(_, why)| why.verdict);
    assert_eq!(verdict, Some(Verdict::Doubted { why: Doubt::Rising, ago: Duration::ZERO }));
    diamond.give(ahead(other, 250 * MS));
    assert_eq!(diamond.relay(), other, "both rise: one is as good as the other");
}

#[test]
fn ends_that_have_changed_places_meet_at_once() {
    let mut diamond = Diamond::talking();
    let before = diamond.relay();
    diamond.give(Input::PayloadOverdue { destination: id(4), silent: 50 * MS });
    let after = diamond.relay();
    diamond.run(10);
    diamond.give(Input::PeerUnanswered { destination: id(4), relays: vec![after.tag()] });
    assert_eq!(diamond.relay(), before, "it has only just moved to what the other end has left");
}

#[test]
fn who_has_come_back_to_what_it_left_does_not_send_the_other_end_away_from_there() {
    let mut diamond = Diamond::talking();
    let before = diamond.relay();
    diamond.give(Input::PayloadOverdue { destination: id(4), silent: 50 * MS });
    let after = diamond.relay();
    assert_eq!(diamond.told(), [[before]]);
    diamond.run(40);
    // The other end has left what this one has moved to, and is where this one was: that worked.
    diamond.give(Input::PeerUnanswered { destination: id(4), relays: vec![after.tag()] });
    assert_eq!(diamond.relay(), before);
    diamond.seen.clear();
    for waited in 9..14 {
        diamond.give(Input::PayloadOverdue { destination: id(4), silent: waited * 10 * MS });
        diamond.run(10);
    }
    assert_eq!(diamond.relay(), before, "acknowledgments may be on their way");
    assert_eq!(diamond.told(), Vec::<Vec<PeerId>>::new());
}

#[test]
fn a_path_that_is_doubted_is_avoided_for_a_minute_however_good_it_looks() {
    doubted_for_a_minute(Input::PayloadOverdue { destination: id(4), silent: 50 * MS });
}

#[test]
fn a_path_that_a_plan_gives_up_is_avoided_for_a_minute_however_good_it_looks() {
    doubted_for_a_minute(Input::SwitchRequested { destination: id(4) });
}

fn doubted_for_a_minute(why: Input) {
    let mut diamond = Diamond::talking();
    let doubted = diamond.relay();
    diamond.give(why);
    diamond.run(100);
    // The path that was left becomes much cheaper than the one in use.
    let (left, used) = if doubted == id(2) { (2, 3) } else { (3, 2) };
    let mut slow = links(&[1, 4]);
    slow.iter_mut().for_each(|link| link.rtt_us = 50_000);
    diamond.give(Input::LinksLearned { origin: id(used), links: slow });
    diamond.run(30_000);
    assert_ne!(diamond.relay(), id(left));
    let paths = diamond.role.why(id(4), diamond.now);
    assert!(paths.iter().any(|(_, why)| matches!(why.verdict, Verdict::Doubted { .. })), "{paths:?}");
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.run(40_000);
    assert_eq!(diamond.relay(), id(left), "it is trusted again");
}

impl Diamond {
    /// How many probes are sent within the next `millis`, while packets go that only keep a session alive.
    fn probes_within(&mut self, millis: u64) -> usize {
        self.seen.clear();
        for _ in 0..millis / 500 {
            self.give(Input::Active { tags: vec![id(4).tag()] });
            self.run(500);
        }
        self.seen.iter().filter(|e| matches!(e, Effect::Probe { .. })).count()
    }
}

#[test]
fn the_paths_of_a_session_at_rest_are_probed_seldom_and_at_once_when_it_is_used() {
    let mut diamond = Diamond::new();
    diamond.give(Input::Wanted { destination: id(4) });
    assert!(diamond.probes_within(9_000) > 400);
    diamond.run(6_000);
    let probes = diamond.probes_within(100_000);
    assert!((36..=44).contains(&probes), "{probes} on two paths in 100 s");
    diamond.seen.clear();
    diamond.give(Input::Busy { destinations: vec![id(4)] });
    assert_eq!(diamond.seen.iter().filter(|e| matches!(e, Effect::Probe { .. })).count(), 2);
    assert!(diamond.probes_within(2_000) > 80);
}

#[test]
fn one_lost_probe_of_a_path_at_rest_is_no_reason_to_leave_it() {
    let mut diamond = Diamond::new();
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.probes_within(20_000);
    let (before, _) = diamond.cut();
    diamond.seen.clear();
    while diamond.seen.iter().all(|e| !matches!(e, Effect::Probe { way, .. } if way.first.0 == before)) {
        diamond.run(10);
    }
    diamond.run(20);
    diamond.answering.push(before);
    diamond.run(1_000);
    assert_eq!(diamond.in_use(), before);
    diamond.cut();
    diamond.probes_within(6_000);
    assert_ne!(diamond.in_use(), before, "one that stays silent is left, though later than one that is used");
}

#[test]
fn a_path_whose_probes_are_silent_as_well_is_not_blamed_for_a_late_acknowledgment() {
    let mut diamond = Diamond::talking();
    let before = diamond.in_use();
    diamond.answering.clear();
    diamond.run(45);
    diamond.give(Input::PayloadOverdue { destination: id(4), silent: 20 * MS });
    assert_eq!(diamond.in_use(), before, "the whole node may be late");
}

#[test]
fn a_link_of_its_own_that_goes_down_moves_traffic_at_once() {
    let mut diamond = Diamond::talking();
    let before = diamond.in_use();
    diamond.give(report(before as u8, LinkState::Down));
    assert_ne!(diamond.in_use(), before);
}

#[test]
fn when_all_paths_are_silent_it_is_told_and_told_again_when_one_answers() {
    let mut diamond = Diamond::talking();
    diamond.answering.clear();
    diamond.seen.clear();
    diamond.run(2000);
    let change =
        |d: &Diamond, wanted: &PathChange| d.seen.iter().any(|e| matches!(e, Effect::Report(r) if r.change == *wanted));
    assert!(change(&diamond, &PathChange::Lost));
    assert!(!change(&diamond, &PathChange::Found));
    diamond.answering = vec![3];
    diamond.run(1000);
    assert!(change(&diamond, &PathChange::Found));
    assert_eq!(diamond.in_use(), 3);
}

#[test]
fn the_first_proven_path_is_told_for_an_earlier_life_may_have_reported_a_loss() {
    let diamond = Diamond::talking();
    let found = |e: &&Effect| matches!(e, Effect::Report(r) if r.change == PathChange::Found);
    assert_eq!(diamond.seen.iter().filter(found).count(), 1);
}

#[test]
fn an_idle_destination_is_released() {
    let mut diamond = Diamond::new();
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.run(61_000);
    assert!(diamond.seen.contains(&Effect::WithdrawRoute { destination: id(4) }));
    let states: Vec<_> = diamond.role.paths(id(4)).iter().map(|v| v.state).collect();
    assert_eq!(states, [PathState::Spare, PathState::Spare]);
}

#[test]
fn healthy_paths_do_not_flap() {
    let mut diamond = Diamond::new();
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.run(10_000);
    let installs = diamond.seen.iter().filter(|e| matches!(e, Effect::InstallRoute { .. })).count();
    assert_eq!(installs, 1);
}

/// A diamond in which the way over 3 takes ten times as long, and the way over 2 fails for 400 of every so many
/// milliseconds; how often the route changed.
fn changes_when_the_better_path_comes_and_goes(every_ms: u64, times: usize) -> (usize, Diamond) {
    let mut diamond = Diamond::new();
    let mut far = links(&[1, 4]);
    far.iter_mut().for_each(|link| link.rtt_us = 10_000);
    diamond.give(Input::LinksLearned { origin: id(3), links: far });
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.run(500);
    assert_eq!(diamond.in_use(), 2);
    diamond.seen.clear();
    for _ in 0..times {
        diamond.answering = vec![3];
        diamond.run(400);
        assert_eq!(diamond.in_use(), 3, "what fails is left at once, every time");
        diamond.answering = vec![2, 3];
        diamond.run(every_ms - 400);
        diamond.give(Input::Wanted { destination: id(4) });
    }
    let switched = |e: &&Effect| matches!(e, Effect::Report(r) if matches!(r.change, PathChange::Switched { .. }));
    (diamond.seen.iter().filter(switched).count(), diamond)
}

#[test]
fn a_path_that_comes_and_goes_does_not_make_the_route_flap() {
    let (changes, _) = changes_when_the_better_path_comes_and_goes(1000, 20);
    assert_eq!(changes, 1, "away, and not back before it has worked for a while");
    let (changes, _) = changes_when_the_better_path_comes_and_goes(10_000, 30);
    assert!(changes <= 11, "each time it takes twice as long to be trusted: {changes}");
}

#[test]
fn traffic_goes_back_to_a_better_path_that_has_worked_for_long_enough() {
    let (_, mut diamond) = changes_when_the_better_path_comes_and_goes(1000, 1);
    diamond.run(1000);
    assert_eq!(diamond.in_use(), 2);
}

/// The verdicts on the paths over 2 and over 3.
fn verdicts(diamond: &Diamond) -> [Verdict; 2] {
    let why = diamond.role.why(id(4), diamond.now);
    [2, 3].map(|relay| why.iter().find(|(view, _)| view.path.hops[1] == id(relay)).unwrap().1.verdict)
}

#[test]
fn every_path_says_why_it_is_used_or_not() {
    let mut diamond = Diamond::new();
    assert_eq!(verdicts(&diamond), [Verdict::Unwatched; 2]);
    diamond.answering = vec![2];
    diamond.give(Input::Wanted { destination: id(4) });
    diamond.run(20);
    assert_eq!(verdicts(&diamond), [Verdict::Chosen, Verdict::Unproven]);
    diamond.answering = vec![2, 3];
    diamond.run(500);
    assert_eq!(verdicts(&diamond), [Verdict::Chosen, Verdict::Dearer(1000)]);
    diamond.answering = vec![2];
    diamond.run(2000);
    assert_eq!(verdicts(&diamond), [Verdict::Chosen, Verdict::Dead]);

    let (_, mut flapping) = changes_when_the_better_path_comes_and_goes(600, 1);
    let [Verdict::OnProbation { good_for, hold }, Verdict::Chosen] = verdicts(&flapping) else {
        panic!("{:?}", verdicts(&flapping))
    };
    assert!(good_for < 200 * MS && hold == 1000 * MS, "{good_for:?} of {hold:?}");
    flapping.run(2000);
    assert!(matches!(verdicts(&flapping), [Verdict::Chosen, Verdict::Dearer(2000..)]), "{:?}", verdicts(&flapping));
}

#[test]
fn a_path_tells_what_its_links_cost_and_what_it_shares() {
    let mut diamond = Diamond::new();
    // All ways to 5 lead over 4.
    diamond.give(Input::LinksLearned { origin: id(4), links: links(&[2, 3, 5]) });
    diamond.give(Input::LinksLearned { origin: id(5), links: links(&[4]) });
    let why = diamond.role.why(id(5), diamond.now);
    let [(first, ahead), (second, behind)] = why.as_slice() else { panic!("{why:?}") };
    assert_eq!((ahead.shared, behind.shared), (0, 2), "relay 4 and the link behind it");
    for (view, why) in [(first, ahead), (second, behind)] {
        assert_eq!(why.links.iter().map(|link| link.cost).sum::<u64>(), view.path.cost);
        let hops: Vec<PeerId> = why.links.iter().map(|link| link.to).collect();
        assert_eq!(hops, view.path.hops[1..]);
        assert!(why.links.iter().all(|link| link.measured.rtt_us == 1000 && link.measured.loss_permille == 0));
    }
}

#[test]
fn reachable_counts_relays() {
    let diamond = Diamond::new();
    let reachable = diamond.role.reachable();
    assert_eq!(reachable.into_iter().collect::<Vec<_>>(), [(id(2), 0), (id(3), 0), (id(4), 1)]);
}

impl Diamond {
    /// How many probes of each path were sent meanwhile, the one in use first.
    fn probes(&mut self, millis: u64) -> [usize; 2] {
        self.seen.clear();
        let used = self.in_use();
        self.run(millis);
        let is_over = |e: &Effect, over: u64| matches!(e, Effect::Probe { way, .. } if way.first.0 == over);
        [used, 5 - used].map(|over| self.seen.iter().filter(|e| is_over(e, over)).count())
    }
}

#[test]
fn while_it_sheds_load_it_probes_less_and_sends_no_copies() {
    let mut diamond = Diamond::talking();
    let before = diamond.probes(1000);
    diamond.give(Input::LoadChanged { sheds: true });
    diamond.run(200);
    let shedding = diamond.probes(2000);
    assert!(before.iter().all(|sent| (20..=30).contains(sent)), "{before:?}");
    assert!((8..=12).contains(&shedding[0]) && (1..=3).contains(&shedding[1]), "{shedding:?}");
    let used = diamond.in_use();
    diamond.answering.retain(|link| *link != used);
    diamond.run(1000);
    assert_eq!((diamond.hedges(), diamond.in_use()), (0, 5 - used), "traffic still leaves a late path");
    diamond.answering = vec![2, 3];
    diamond.give(Input::LoadChanged { sheds: false });
    diamond.run(1000);
    let after = diamond.probes(1000);
    assert!(after.iter().all(|sent| (20..=30).contains(sent)), "{after:?}");
}

#[test]
fn no_path_leads_through_a_node_in_quarantine_or_to_it() {
    let mut diamond = Diamond::talking();
    let relay = diamond.in_use();
    diamond.give(Input::Quarantined { peer: id(relay as u8), quarantined: true });
    // What it says, and that its link is still up, counts for nothing.
    diamond.give(Input::LinksLearned { origin: id(relay as u8), links: links(&[1, 4]) });
    diamond.run(100);
    assert_eq!((diamond.in_use(), diamond.role.paths(id(4)).len()), (5 - relay, 1));
    diamond.give(Input::Wanted { destination: id(relay as u8) });
    assert_eq!(diamond.role.paths(id(relay as u8)), []);
    diamond.seen.clear();
    diamond.give(Input::Quarantined { peer: id(relay as u8), quarantined: false });
    assert_eq!(diamond.seen, [Effect::ResyncWanted]);
    diamond.give(Input::LinksLearned { origin: id(relay as u8), links: links(&[1, 4]) });
    diamond.give(report(relay as u8, LinkState::Up));
    diamond.run(100);
    assert_eq!(diamond.role.paths(id(4)).len(), 2);
}

#[test]
fn a_node_in_quarantine_is_watched_no_more_and_that_is_no_loss() {
    let mut diamond = Diamond::talking();
    diamond.seen.clear();
    diamond.give(Input::Quarantined { peer: id(4), quarantined: true });
    diamond.run(2000);
    let told: Vec<_> =
        diamond.seen.iter().filter_map(|e| if let Effect::Report(r) = e { Some(&r.change) } else { None }).collect();
    assert_eq!(told, [&PathChange::Released]);
}
