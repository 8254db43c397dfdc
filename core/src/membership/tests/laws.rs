//! Laws that hold whatever the records say, checked against a model that counts the voices from scratch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{at, peer, says};
use crate::limits::PAIR_FADES_AFTER;
use crate::membership::verdict::{Tally, Thresholds};
use crate::membership::{Change, Membership, Reason, Status};
use crate::rng::Rng;
use crate::{Instant, PeerId};

/// One record, by the numbers of peers.
#[derive(Clone, Debug)]
struct Said {
    origin: usize,
    links: BTreeSet<usize>,
    accused: BTreeSet<usize>,
    refuted: BTreeMap<usize, u64>,
}

/// Records of one moment, at most one an origin.
#[derive(Clone, Debug)]
struct Moment {
    after_ms: u64,
    records: Vec<Said>,
}

const NODES: usize = 7;

fn said() -> impl Strategy<Value = Said> {
    let some = || proptest::collection::btree_set(0..NODES, 0..NODES);
    let refuted = proptest::collection::btree_map(0..NODES, 1..8u64, 0..3);
    (0..NODES, some(), some(), refuted).prop_map(|(origin, links, accused, refuted)| {
        let links = links.into_iter().filter(|n| *n != origin && !accused.contains(n)).collect();
        Said { origin, links, accused: accused.into_iter().filter(|n| *n != origin).collect(), refuted }
    })
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let records = proptest::collection::vec(said(), 0..2 * NODES).prop_map(|mut records| {
        records.sort_by_key(|said| said.origin);
        records.dedup_by_key(|said| said.origin);
        records
    });
    let moment = (1..30_000u64, records).prop_map(|(after_ms, records)| Moment { after_ms, records });
    proptest::collection::vec(moment, 1..8)
}

fn tell(membership: &mut Membership, said: &Said, version: u64, now: Instant) {
    let list = |set: &BTreeSet<usize>| set.iter().copied().collect::<Vec<_>>();
    let refuted: Vec<(usize, u64)> = said.refuted.iter().map(|(n, v)| (*n, *v)).collect();
    let body = says(&list(&said.links), &list(&said.accused), &refuted);
    membership.told(peer(said.origin), version, &body, now).unwrap();
}

/// Plays the moments, the records of each in an order of the seed's choice, and calls `look` after each waking.
fn play(moments: &[Moment], seed: u64, mut look: impl FnMut(&Membership, &[Change], Instant, usize)) {
    let mut membership = Membership::new(seed);
    let mut rng = Rng::from_seed(seed);
    let mut now = Instant::BOOT;
    for (round, moment) in moments.iter().enumerate() {
        let next = now + Duration::from_millis(moment.after_ms);
        while let Some(due) = membership.deadline().filter(|due| *due < next) {
            let changes = membership.wake(due);
            look(&membership, &changes, due, round);
        }
        now = next;
        let mut records: Vec<&Said> = moment.records.iter().collect();
        while !records.is_empty() {
            let said = records.swap_remove(rng.below(records.len()));
            tell(&mut membership, said, round as u64 + 1, now);
        }
        let changes = membership.wake(now);
        look(&membership, &changes, now, round + 1);
    }
    while let Some(due) = membership.deadline().filter(|due| *due < now + Duration::from_secs(300)) {
        let changes = membership.wake(due);
        look(&membership, &changes, due, moments.len());
    }
}

/// The records held after some moments, and until when pairs last listed each other.
#[derive(Default)]
struct Model {
    held: BTreeMap<usize, (u64, Said)>,
    paired: BTreeMap<(usize, usize), Option<Instant>>,
}

impl Model {
    fn of(moments: &[Moment]) -> Self {
        let (mut model, mut now) = (Self::default(), Instant::BOOT);
        for (round, moment) in moments.iter().enumerate() {
            now = now + Duration::from_millis(moment.after_ms);
            for said in &moment.records {
                model.held.insert(said.origin, (round as u64 + 1, said.clone()));
            }
            model.pair(now);
        }
        model
    }

    fn pair(&mut self, now: Instant) {
        for (one, other) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))).filter(|(a, b)| a < b) {
            let mutual = self.lists(one, other) && self.lists(other, one);
            let pair = self.paired.entry((one, other)).or_insert(Some(Instant::BOOT));
            match pair {
                _ if mutual => *pair = None,
                None => *pair = Some(now + PAIR_FADES_AFTER),
                // Faded meanwhile: it takes both ends to begin anew.
                Some(_) => {}
            }
        }
    }

    fn lists(&self, a: usize, b: usize) -> bool {
        self.held.get(&a).is_some_and(|(_, said)| said.links.contains(&b) || said.accused.contains(&b))
    }

    fn observes(&self, a: usize, b: usize, now: Instant) -> bool {
        a != b
            && self.held.contains_key(&a)
            && self.held.contains_key(&b)
            && self.paired.get(&(a.min(b), a.max(b))).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    /// Whether `a` accuses `b` and `b` does not refute that.
    fn accuses(&self, a: usize, b: usize) -> bool {
        let Some((version, by_a)) = self.held.get(&a) else { return false };
        let refuted = self.held.get(&b).and_then(|(_, by_b)| by_b.refuted.get(&a).copied());
        // A refutation counts only from somebody who lists the accuser: it claims round trips with it.
        let refuted = refuted.filter(|_| self.lists(b, a));
        by_a.accused.contains(&b) && refuted.is_none_or(|refuted| refuted < *version)
    }

    fn tally(&self, subject: usize, down: &BTreeSet<usize>, now: Instant) -> Tally {
        let observers = |of: usize| (0..NODES).filter(move |a| self.observes(*a, of, now));
        let doubted = |a: usize| {
            let (all, accusers) = (observers(a).count(), observers(a).filter(|b| self.accuses(*b, a)).count());
            all > 0 && accusers >= Thresholds::of(all, all).low.max(all.min(2))
        };
        let voting: Vec<usize> = observers(subject).filter(|a| !doubted(*a) && !down.contains(a)).collect();
        let works = |a: &&usize| self.held.get(a).is_some_and(|(_, said)| said.links.contains(&subject));
        Tally {
            observers: observers(subject).count(),
            voting: voting.len(),
            accusers: voting.iter().filter(|a| self.accuses(**a, subject)).count(),
            witnesses: voting.iter().filter(works).count(),
        }
    }
}

fn number(id: PeerId) -> usize {
    (0..NODES).find(|n| peer(*n) == id).expect("one of ours")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_within_a_moment_changes_no_verdict(moments in moments(), seeds in (0..1000u64, 1000..2000u64)) {
        let changes = |seed| {
            let mut all = Vec::new();
            play(&moments, seed, |_, changes, now, _| all.extend(changes.iter().map(|change| (now, *change))));
            all
        };
        prop_assert_eq!(changes(seeds.0), changes(seeds.1));
    }

    #[test]
    fn voices_are_counted_as_a_count_from_scratch_does(moments in moments(), seed in any::<u64>()) {
        play(&moments, seed, |membership, _, now, round| {
            let status = |n: usize| membership.roster().status(&peer(n));
            let down: BTreeSet<usize> = (0..NODES).filter(|n| status(*n) == Some(Status::Down)).collect();
            let model = Model::of(&moments[..round]);
            for n in (0..NODES).filter(|n| status(*n).is_some()) {
                assert_eq!(membership.tally(&peer(n)), Some(model.tally(n, &down, now)), "node {n} at {now}");
            }
        });
    }

    #[test]
    fn nobody_is_removed_while_fewer_than_h_accuse(moments in moments(), seed in any::<u64>()) {
        let mut down = BTreeSet::new();
        play(&moments, seed, |_, changes, now, round| {
            let model = Model::of(&moments[..round]);
            for change in changes.iter().filter(|change| change.to == Status::Down) {
                let tally = model.tally(number(change.peer), &down, now);
                assert!(tally.accusers >= tally.thresholds().high, "{tally:?} at {now}");
                assert_eq!(change.evidence.reason, Reason::Accusers);
            }
            for change in changes {
                let n = number(change.peer);
                if change.to == Status::Down { down.insert(n) } else { down.remove(&n) };
            }
        });
    }

    #[test]
    fn one_accuser_more_never_makes_a_verdict_healthier(
        moment in moments(), accuser in 0..NODES, subject in 0..NODES, seed in any::<u64>(),
    ) {
        prop_assume!(accuser != subject);
        let mut records: BTreeMap<usize, Said> = BTreeMap::new();
        for said in moment.iter().flat_map(|moment| &moment.records) {
            records.insert(said.origin, said.clone());
        }
        prop_assume!(records.contains_key(&accuser) && records.contains_key(&subject));
        records.get_mut(&subject).expect("assumed").refuted.remove(&accuser);
        let level = |accuses: bool| {
            let mut records = records.clone();
            let said = records.get_mut(&accuser).expect("assumed");
            said.links.remove(&subject);
            if accuses { said.accused.insert(subject) } else { said.accused.remove(&subject) };
            if !accuses { said.links.insert(subject); }
            let mut membership = Membership::new(seed);
            records.values().for_each(|said| tell(&mut membership, said, 1, at(0)));
            membership.wake(at(0));
            (membership.tally(&peer(subject)).unwrap().level(), membership.roster().status(&peer(subject)))
        };
        prop_assert!(level(true) >= level(false), "{:?} {:?}", level(true), level(false));
    }

    #[test]
    fn a_refutation_voids_exactly_up_to_its_version(accusing in 1..50u64, refuting in 1..50u64) {
        let mut membership = Membership::new(1);
        membership.told(peer(1), accusing, &says(&[], &[0], &[]), at(0)).unwrap();
        membership.told(peer(0), 1, &says(&[1], &[], &[(1, refuting)]), at(0)).unwrap();
        membership.wake(at(0));
        let accusers = membership.tally(&peer(0)).unwrap().accusers;
        prop_assert_eq!(accusers, usize::from(refuting < accusing));
    }

    #[test]
    fn whatever_comes_and_goes_leaves_no_trace_once_all_are_gone(
        steps in proptest::collection::vec((0..6usize, said(), 0..20_000u64), 1..60), seed in any::<u64>(),
    ) {
        let (mut membership, mut now) = (Membership::new(seed), Instant::BOOT);
        for (version, (what, said, after_ms)) in steps.iter().enumerate() {
            now = now + Duration::from_millis(*after_ms);
            let origin = peer(said.origin);
            match what {
                0 => membership.forgotten(&origin, now),
                1 => membership.lost(&origin, now),
                2 => membership.learned(origin, "here", now).unwrap(),
                _ => tell(&mut membership, said, version as u64 + 1, now),
            }
            if after_ms % 2 == 0 {
                membership.wake(now);
            }
            let counts = membership.roster().counts();
            prop_assert_eq!(counts.known(), membership.roster().members().count());
        }
        for n in 0..NODES {
            membership.forgotten(&peer(n), now);
            membership.lost(&peer(n), now);
        }
        membership.wake(now);
        prop_assert_eq!(membership.roster().counts().known(), 0);
        prop_assert!((0..NODES).all(|n| membership.roster().slot(&peer(n)).is_none()), "{membership:?}");
        prop_assert_eq!(membership.deadline(), None);
    }
}
