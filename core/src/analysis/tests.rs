//! Groups of incidents with a known cause.

use super::*;

fn id(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

/// Symptoms numbered from 1, all noticed at one moment.
fn symptoms(kinds: Vec<(IncidentKind, Vec<PeerId>)>) -> Vec<Symptom> {
    let symptom = |(i, (kind, relays)): (usize, (IncidentKind, Vec<PeerId>))| Symptom {
        incident: i as u64 + 1,
        kind,
        evidence: Evidence::NoPath,
        opened: NOW,
        relays,
    };
    kinds.into_iter().enumerate().map(symptom).collect()
}

fn down(peer: u8) -> (IncidentKind, Vec<PeerId>) {
    (IncidentKind::LinkDown { peer: id(peer) }, vec![])
}

fn switched(destination: u8, relays: &[u8]) -> (IncidentKind, Vec<PeerId>) {
    let relays = relays.iter().map(|relay| id(*relay)).collect();
    (IncidentKind::PathSwitched { destination: id(destination) }, relays)
}

fn linked_to(peers: impl IntoIterator<Item = u8>) -> Topology {
    let mut topology = Topology::default();
    peers.into_iter().for_each(|peer| topology.set_link(id(peer), true));
    topology
}

const NOW: Instant = Instant::from_millis(100_000);

#[test]
fn ten_lost_links_on_one_host_are_one_incident_of_that_host() {
    let mut topology = linked_to(1..=3);
    for other in 10..=19 {
        topology.set_links_of(id(other), [id(1), id(50)], Instant::BOOT);
    }
    for other in 10..=19 {
        topology.set_links_of(id(other), [id(50)], NOW);
    }
    let open = symptoms(vec![down(1), switched(30, &[1]), switched(31, &[2, 1])]);
    let causes = explain(&open, &topology, NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(causes[0].culprit, Subject::Peer(id(1)));
    assert_eq!(causes[0].root, Root::Inferred(IncidentKind::NodeUnreachable { peer: id(1) }));
    assert_eq!((causes[0].children.len(), causes[0].hits, causes[0].of), (3, 11, 11));
}

#[test]
fn a_node_that_others_still_reach_has_only_lost_a_link() {
    let mut topology = linked_to(1..=3);
    (10..=19).for_each(|other| topology.set_links_of(id(other), [id(1)], Instant::BOOT));
    let open = symptoms(vec![down(1), switched(30, &[1]), switched(1, &[])]);
    let causes = explain(&open, &topology, NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!((&causes[0].culprit, &causes[0].root), (&Subject::Link(id(1)), &Root::Open(1)));
    assert_eq!(causes[0].children, BTreeSet::from([2, 3]));
}

#[test]
fn when_every_link_is_lost_it_is_this_node_that_is_cut_off() {
    let open = symptoms(vec![down(1), down(2), down(3), (IncidentKind::FewNeighbors, vec![])]);
    let causes = explain(&open, &linked_to(1..=3), NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!((&causes[0].culprit, causes[0].children.len()), (&Subject::Host, 4));
}

#[test]
fn a_relay_that_is_no_neighbor_is_named_when_all_paths_over_it_fail() {
    let mut topology = linked_to(1..=3);
    (30..=32).for_each(|to| topology.set_relays(id(to), Some(vec![id(2)])));
    let open = symptoms(vec![switched(30, &[1, 9]), switched(31, &[2, 9]), switched(32, &[3, 9])]);
    let causes = explain(&open, &topology, NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!((&causes[0].culprit, causes[0].hits, causes[0].of), (&Subject::Relay(id(9)), 3, 3));
}

#[test]
fn a_relay_that_most_paths_still_pass_is_not_to_blame() {
    let mut topology = linked_to(1..=3);
    (30..=39).for_each(|to| topology.set_relays(id(to), Some(vec![id(1), id(9)])));
    let open = symptoms(vec![switched(30, &[1, 9]), switched(31, &[1, 9])]);
    assert_eq!(explain(&open, &topology, NOW), []);
}

#[test]
fn a_region_that_is_silent_as_a_whole_is_one_incident() {
    let mut topology = linked_to(1..=4);
    (1..=3).for_each(|peer| topology.set_region(id(peer), Some("east".into())));
    topology.set_region(id(4), Some("west".into()));
    let causes = explain(&symptoms(vec![down(1), down(2), down(3)]), &topology, NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!((&causes[0].culprit, causes[0].hits, causes[0].of), (&Subject::Region("east".into()), 3, 3));
}

#[test]
fn a_slow_store_explains_its_stuck_writer_and_no_other_actor() {
    let stuck = |actor: &str| (IncidentKind::ActorStuck { actor: actor.into() }, vec![]);
    let open = symptoms(vec![stuck("knowledge"), (IncidentKind::StoreSlow, vec![]), stuck("gossip")]);
    let causes = explain(&open, &Topology::default(), NOW);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!((&causes[0].culprit, &causes[0].root), (&Subject::Store, &Root::Open(2)));
    assert_eq!(causes[0].children, BTreeSet::from([1]));
}

#[test]
fn what_was_wrong_long_before_its_cause_is_no_consequence() {
    let mut open = symptoms(vec![down(1), switched(30, &[1])]);
    open[1].opened = Instant::BOOT;
    assert_eq!(explain(&open, &linked_to(1..=3), NOW), []);
}

#[test]
fn unrelated_incidents_have_no_common_cause() {
    let open = symptoms(vec![down(1), switched(30, &[2]), (IncidentKind::ClockJumped, vec![])]);
    assert_eq!(explain(&open, &linked_to(1..=3), NOW), []);
}

proptest::proptest! {
    #[test]
    fn every_incident_has_at_most_one_cause_and_none_is_its_own(
        links in proptest::collection::btree_set(1u8..12, 0..8),
        failed in proptest::collection::vec((1u8..20, proptest::collection::vec(1u8..12, 0..4)), 0..12),
    ) {
        let topology = linked_to(links.iter().copied());
        let mut kinds: Vec<_> = links.iter().take(4).map(|link| down(*link)).collect();
        kinds.extend(failed.iter().map(|(to, relays)| switched(*to, relays)));
        let open = symptoms(kinds);
        let mut seen = BTreeSet::new();
        for cause in explain(&open, &topology, NOW) {
            for child in &cause.children {
                proptest::prop_assert!(seen.insert(*child), "{child} twice");
                proptest::prop_assert_ne!(&cause.root, &Root::Open(*child));
                proptest::prop_assert!(open.iter().any(|symptom| symptom.incident == *child));
            }
        }
    }
}
