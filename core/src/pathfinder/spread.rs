//! Lanes on a fan: from node 1 to node 9 over relays 2, 3 and 4, which have nothing in common.

use proptest::prelude::*;

use super::*;
use crate::peer::{LinkReport, Probing};

const MS: Duration = Duration::from_millis(1);
const END: u8 = 9;

fn id(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

struct Fan {
    role: Pathfinder,
    now: Instant,
    /// By relay, after how long the probes over it return, if they do.
    returns: BTreeMap<u8, Option<Duration>>,
    seen: Vec<Effect>,
}

impl Fan {
    /// A destination that has been talked to for a second over these relays, each with its round trip in milliseconds and
    /// the loss of its second link in thousandths.
    fn talking(lanes: usize, relays: &[(u8, u32, u16)]) -> Self {
        let probing =
            Probing { interval: 40 * MS, idle_interval: 5000 * MS, late_after: 120 * MS, dead_after: 1000 * MS };
        let config = Config { paths: 3, warm: 2, probing, hedge_after: 15 * MS, lanes };
        let returns = relays.iter().map(|(relay, rtt, _)| (*relay, Some(*rtt * MS))).collect();
        let mut fan = Self { role: Pathfinder::new(id(1), config, 1), now: Instant::BOOT, returns, seen: Vec::new() };
        for (relay, ..) in relays {
            fan.report(*relay, LinkState::Up);
        }
        fan.learn(relays);
        fan.give(Input::Wanted { destination: id(END) });
        fan.run(1000);
        fan
    }

    fn learn(&mut self, relays: &[(u8, u32, u16)]) {
        let link = |to: u8, rtt: u32, loss_permille| LinkBody {
            neighbor: id(to),
            label: Label(u16::from(to)),
            rtt_us: rtt * 500,
            loss_permille,
        };
        let ends = [(1, 0), (END, 1)].map(|(end, lossy)| {
            (end, relays.iter().map(|(relay, rtt, loss)| link(*relay, *rtt, *loss * lossy)).collect::<Vec<_>>())
        });
        let between = relays.iter().map(|(relay, rtt, loss)| (*relay, vec![link(1, *rtt, 0), link(END, *rtt, *loss)]));
        for (origin, links) in ends.into_iter().chain(between) {
            self.give(Input::LinksLearned { origin: id(origin), links });
        }
    }

    fn report(&mut self, peer: u8, state: LinkState) {
        self.give(Input::LinkReported(LinkReport {
            peer: id(peer),
            link: Some((LinkId(u64::from(peer)), Label(u16::from(peer)))),
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
        }));
    }

    fn give(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.role.handle(input, self.now, &mut effects);
        self.absorb(effects);
    }

    /// Probes return at once, with the round trip that they would have taken.
    fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Probe { way, nonce } = &effect
                && let Some(rtt) = self.returns[&(way.first.0 as u8)]
            {
                self.give(Input::ProbeReturned { path: way.path, nonce: *nonce, rtt });
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

    /// By lane, the relay of the path that its traffic takes.
    fn relays(&self) -> BTreeMap<u8, u8> {
        let views = self.role.paths(id(END));
        let relay = |view: &PathView| view.way.as_ref().map_or(0, |way| way.first.0 as u8);
        views.iter().flat_map(|view| view.lanes.iter().map(move |lane| (*lane, relay(view)))).collect()
    }

    /// What the datapath was told last, by lane: the relay, and that of the copies.
    fn told(&self) -> Vec<(u8, u64, Option<u64>)> {
        let told = self.seen.iter().rev().find_map(|effect| match effect {
            Effect::SpreadTraffic { lanes, .. } => Some(lanes),
            _ => None,
        });
        let lane = |lane: &LaneWay| (lane.lane, lane.way.first.0, lane.hedge.as_ref().map(|hedge| hedge.first.0));
        told.into_iter().flatten().map(lane).collect()
    }
}

const LIKE: [(u8, u32, u16); 3] = [(2, 2, 0), (3, 2, 0), (4, 2, 0)];

#[test]
fn without_spread_nothing_is_told_of_lanes() {
    let mut fan = Fan::talking(1, &LIKE);
    fan.give(Input::LaneOverdue { destination: id(END), lane: 1, silent: MS });
    fan.report(2, LinkState::Down);
    fan.run(1000);
    assert!(fan.seen.iter().all(|effect| !matches!(effect, Effect::SpreadTraffic { .. })));
    assert_eq!(fan.relays(), BTreeMap::new());
}

#[test]
fn each_lane_prefers_another_path_as_far_as_there_are_any() {
    for lanes in 2..=5 {
        let fan = Fan::talking(lanes, &LIKE);
        let relays = fan.relays();
        assert_eq!(relays.len(), lanes, "{relays:?}");
        let distinct: BTreeSet<u8> = relays.values().copied().collect();
        assert_eq!(distinct.len(), lanes.min(3), "{relays:?}");
        assert_eq!(fan.told().len(), lanes.min(3) - 1, "the others follow the route");
    }
}

#[test]
fn a_path_that_is_slow_lossy_doubted_or_silent_begins_no_lane() {
    assert_eq!(Fan::talking(2, &[(2, 10, 0), (3, 40, 0)]).told(), [(1, 3, None)], "four times the round trip");
    assert_eq!(Fan::talking(2, &[(2, 10, 0), (3, 41, 0)]).told(), []);
    assert_eq!(Fan::talking(2, &[(2, 1, 0), (3, 20, 0)]).told(), [(1, 3, None)], "short ones are all alike");
    assert_eq!(Fan::talking(2, &[(2, 2, 0), (3, 2, 63)]).told(), [(1, 3, None)], "one lost probe says nothing");
    assert_eq!(Fan::talking(2, &[(2, 2, 0), (3, 2, 64)]).told(), []);
    let mut silent = Fan::talking(2, &[(2, 2, 0), (3, 2, 0)]);
    let second = if silent.relays()[&0] == 2 { 3 } else { 2 };
    silent.returns.insert(second, None);
    silent.run(1500);
    assert_eq!((silent.told(), silent.relays()[&1]), (vec![], silent.relays()[&0]), "it follows the route");
}

#[test]
fn a_lane_bears_what_its_own_traffic_does_to_its_path() {
    let mut fan = Fan::talking(2, &LIKE[..2]);
    let own = fan.relays()[&1];
    fan.returns.insert(own, Some(100 * MS));
    fan.run(3000);
    assert_eq!(fan.relays()[&1], own, "a long queue");
    let lossy = |loss| LIKE[..2].iter().map(move |(relay, rtt, _)| (*relay, *rtt, loss * u16::from(*relay == own)));
    fan.learn(&lossy(120).collect::<Vec<_>>());
    fan.run(100);
    assert_eq!(fan.relays()[&1], own, "two lost probes");
    fan.learn(&lossy(180).collect::<Vec<_>>());
    fan.run(100);
    assert_ne!(fan.relays()[&1], own);
}

#[test]
fn a_lane_whose_path_is_silent_is_hedged_at_once_and_leaves_when_it_is_late() {
    let mut fan = Fan::talking(2, &LIKE[..2]);
    let (route, own) = (fan.relays()[&0], fan.relays()[&1]);
    fan.returns.insert(own, None);
    let cut = fan.now;
    while fan.told()[0].2.is_none() {
        fan.run(1);
        assert!(fan.now.since(cut) < 70 * MS, "a probe, and 15 ms more than usual");
    }
    assert_eq!(fan.told(), [(1, u64::from(own), Some(u64::from(route)))]);
    while !fan.told().is_empty() {
        fan.run(1);
        assert!(fan.now.since(cut) < 200 * MS, "a probe, and the time after which it is late");
    }
    assert_eq!(fan.relays(), [(0, route), (1, route)].into());
    fan.returns.insert(own, Some(2 * MS));
    fan.run(900);
    assert_eq!(fan.relays()[&1], route, "it has not worked for long enough");
    fan.run(500);
    assert_eq!(fan.relays()[&1], own);
    assert!(
        fan.seen
            .iter()
            .all(|effect| !matches!(effect, Effect::Report(PathReport { change: PathChange::Switched { .. }, .. })))
    );
}

/// Bulk fills the queue of a bottleneck within less time than a probe takes; when the lane comes back, the same happens again.
#[test]
fn a_lane_is_not_driven_off_twice_by_the_queue_that_it_fills() {
    let mut fan = Fan::talking(2, &LIKE[..2]);
    let (route, own) = (fan.relays()[&0], fan.relays()[&1]);
    fan.returns.insert(own, None);
    let queued = |fan: &Fan| {
        let sent = fan.seen.iter().rev().find_map(|effect| match effect {
            Effect::Probe { way, nonce } if way.first.0 == u64::from(own) => Some((way.path, *nonce)),
            _ => None,
        });
        sent.unwrap()
    };
    fan.run(40);
    let (path, nonce) = queued(&fan);
    fan.run(160);
    assert_eq!(fan.relays()[&1], route, "it looks like silence");
    fan.give(Input::ProbeReturned { path, nonce, rtt: 180 * MS });
    fan.returns.insert(own, Some(2 * MS));
    fan.run(1500);
    assert_eq!(fan.relays()[&1], own);
    fan.returns.insert(own, None);
    fan.run(300);
    assert_eq!(fan.relays()[&1], own, "by now it is known what a full queue is like");
    fan.run(200);
    assert_eq!(fan.relays()[&1], route, "and what is not");
}

#[test]
fn when_the_route_moves_to_the_path_of_a_lane_the_lane_takes_another_if_there_is_one() {
    let mut fan = Fan::talking(2, &LIKE);
    let (first, second) = (fan.relays()[&0], fan.relays()[&1]);
    let third = 2 + 3 + 4 - first - second;
    fan.returns.insert(first, None);
    fan.run(300);
    assert_eq!(fan.relays(), [(0, second), (1, third)].into());
    fan.returns.insert(third, None);
    fan.run(300);
    assert_eq!(fan.relays(), [(0, second), (1, second)].into());
}

#[test]
fn a_lane_leaves_a_path_that_carries_probes_and_no_payload_and_the_destination_is_told() {
    let mut fan = Fan::talking(2, &LIKE[..2]);
    let (route, own) = (fan.relays()[&0], fan.relays()[&1]);
    fan.give(Input::LaneOverdue { destination: id(END), lane: 1, silent: Duration::ZERO });
    assert_eq!(fan.relays()[&1], own, "no probe that was sent later has returned");
    fan.give(Input::LaneOverdue { destination: id(END), lane: 1, silent: 60 * MS });
    assert_eq!(fan.relays(), [(0, route), (1, route)].into());
    let told = |effect: &Effect| match effect {
        Effect::TellUnacknowledged { relays, .. } => Some(relays.clone()),
        _ => None,
    };
    assert_eq!(fan.seen.iter().find_map(told), Some(vec![id(own)]));
    for seconds in [1, 2, 4] {
        fan.run(seconds * 1000 - 100);
        assert_eq!(fan.relays()[&1], route, "each time for twice as long");
        fan.run(200);
        assert_eq!(fan.relays()[&1], own);
        fan.give(Input::LaneOverdue { destination: id(END), lane: 1, silent: 60 * MS });
    }
    fan.give(Input::LaneOverdue { destination: id(END), lane: 1, silent: 60 * MS });
    assert_eq!(fan.relays()[&0], own, "a lane that follows the route speaks for the route");
}

#[test]
fn a_lane_leaves_a_path_that_the_destination_left_or_that_is_about_to_be_too_slow() {
    for ahead in [false, true] {
        let mut fan = Fan::talking(2, &LIKE[..2]);
        let (route, own) = (fan.relays()[&0], fan.relays()[&1]);
        fan.give(match ahead {
            true => Input::BreachAhead { neighbor: id(own), limit: 250 * MS },
            false => Input::PeerUnanswered { destination: id(END), relays: vec![id(own).tag()] },
        });
        assert_eq!(fan.relays(), [(0, route), (1, route)].into());
    }
}

#[test]
fn a_destination_without_a_way_has_no_lanes_until_there_are_ways_again() {
    let mut fan = Fan::talking(3, &LIKE);
    (2..=4).for_each(|relay| fan.report(relay, LinkState::Down));
    fan.run(100);
    assert_eq!(fan.relays(), BTreeMap::new());
    fan.seen.clear();
    (2..=4).for_each(|relay| fan.report(relay, LinkState::Up));
    fan.run(2000);
    assert_eq!(fan.told().len(), 2, "the datapath has forgotten them with the route");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_no_two_lanes_share_a_path_of_their_own(
        happens in prop::collection::vec((0u8..6, 2u8..5, 0u64..400), 1..60),
    ) {
        let mut fan = Fan::talking(3, &LIKE);
        for (what, relay, wait) in happens {
            match what {
                0 => drop(fan.returns.insert(relay, None)),
                1 => drop(fan.returns.insert(relay, Some(2 * MS))),
                2 => fan.report(relay, LinkState::Down),
                3 => fan.report(relay, LinkState::Up),
                4 => fan.give(Input::LaneOverdue { destination: id(END), lane: relay - 1, silent: 60 * MS }),
                _ => fan.give(Input::PayloadOverdue { destination: id(END), silent: 60 * MS }),
            }
            fan.run(wait);
            let views = fan.role.paths(id(END));
            let in_use = views.iter().find(|view| view.state == PathState::InUse);
            let lanes: usize = views.iter().map(|view| view.lanes.len()).sum();
            prop_assert_eq!(lanes, if in_use.is_some() { 3 } else { 0 }, "each lane has one way, and only one");
            for view in views.iter().filter(|view| !view.lanes.is_empty() && view.state != PathState::InUse) {
                prop_assert_eq!(view.lanes.len(), 1);
                prop_assert!(!matches!(view.state, PathState::Late | PathState::Dead), "{:?}", view.state);
            }
        }
    }
}
