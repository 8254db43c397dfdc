//! How far a node is believed, by one and by all.

use super::*;
use crate::membership::Votes;

#[test]
fn a_neighbor_with_a_bad_name_is_ignored_until_it_is_forgotten() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.run(5);
    for _ in 0..4 {
        mesh.give(id(1), Input::Rejected { from: id(2), reason: Rejected::Unsigned });
    }
    assert!(mesh.nodes[&id(1)].score(&id(2)).sum < 0.5);
    mesh.give(id(2), expose("web"));
    assert!(mesh.says(1, "web").is_none() && mesh.nodes[&id(1)].ignored() > 0);
    mesh.run(900);
    assert!(mesh.nodes[&id(1)].score(&id(2)).sum > 0.5);
    assert!(mesh.says(1, "web").is_some(), "anti-entropy brings what was ignored");
}

#[test]
fn who_goes_on_sending_what_is_bad_is_not_forgiven_meanwhile() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    for _ in 0..40 {
        mesh.give(id(1), Input::Rejected { from: id(2), reason: Rejected::Unsigned });
        mesh.run(60);
    }
    assert!(mesh.nodes[&id(1)].score(&id(2)).sum < 0.5);
}

#[test]
fn how_far_a_node_is_believed_is_told_when_it_changes_and_until_it_is_believed_in_full() {
    let mut gossip = Gossip::new(Identity::from_secret(&[2; 32]), 1, Instant::BOOT);
    let (mut effects, mut told) = (Vec::new(), Vec::new());
    for after in 1..=3 {
        let rejected = Input::Rejected { from: id(1), reason: Rejected::Unsigned };
        gossip.handle(rejected, Instant::from_millis(1000 + after), &mut effects);
    }
    while let Some(at) = gossip.deadline().filter(|at| *at < Instant::from_millis(7 * 24 * 3_600_000)) {
        gossip.wake(at, &mut effects);
        if effects.iter().any(|e| matches!(e, Effect::ReputationChanged { permille: 1000, .. })) {
            break;
        }
    }
    for effect in effects {
        if let Effect::ReputationChanged { peer, permille } = effect {
            assert_eq!(peer, id(1));
            told.push(permille);
        }
    }
    let least = told.iter().position(|permille| permille == told.iter().min().unwrap()).unwrap();
    assert_eq!(least, 2, "three faults: {told:?}");
    assert!(told[least..].is_sorted() && told.last() == Some(&1000), "{told:?}");
    assert!(told.len() < 110, "not every change is told: {} of them", told.len());
}

#[test]
fn who_is_believed_no_more_is_told_once_and_again_when_that_is_forgotten() {
    let mut gossip = Gossip::new(Identity::from_secret(&[2; 32]), 1, Instant::BOOT);
    let mut told = Vec::new();
    let mut take = |effects: &mut Vec<Effect>| {
        told.extend(
            effects.drain(..).filter_map(|e| if let Effect::TrustChanged(report) = e { Some(report) } else { None }),
        );
        told.len()
    };
    let mut effects = Vec::new();
    for after in 1..=6 {
        let rejected = Input::Rejected { from: id(1), reason: Rejected::Unsigned };
        gossip.handle(rejected, Instant::from_millis(1000 + after), &mut effects);
    }
    assert_eq!(take(&mut effects), 1);
    gossip.handle(Input::ResyncRequested, Instant::from_millis(2000), &mut effects);
    assert_eq!(take(&mut effects), 2, "who was restarted hears it as well");
    while let Some(at) = gossip.deadline().filter(|at| *at < Instant::from_millis(3_600_000)) {
        gossip.wake(at, &mut effects);
    }
    assert_eq!(take(&mut effects), 3);
    assert_eq!(told.iter().map(|report| report.trusted).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(
        (told[0].peer, told[0].score_permille, &told[0].faults[..]),
        (id(1), 400, &["bad_signature".to_owned()][..])
    );
}

/// What the other roles of a node are told of node 1: whether it is believed no more, and by how many votes.
fn told_of_one(mesh: &mut Mesh, node: u8) -> Option<Option<Votes>> {
    let mut effects = Vec::new();
    mesh.nodes.get_mut(&id(node)).unwrap().handle(Input::ResyncRequested, mesh.now, &mut effects);
    effects.into_iter().find_map(|effect| match effect {
        Effect::TrustChanged(report) if report.peer == id(1) && !report.trusted => Some(report.votes),
        _ => None,
    })
}

#[test]
fn whom_most_of_its_neighbors_believe_no_more_is_isolated_by_all_until_they_believe_it_again() {
    let mut mesh = Mesh::new(8);
    (2..=5).for_each(|neighbor| mesh.link(1, neighbor, LinkState::Up));
    (2..=8).for_each(|node| mesh.link(node, if node == 8 { 2 } else { node + 1 }, LinkState::Up));
    mesh.run(5);
    let lies_to = |mesh: &mut Mesh, node: u8| {
        (0..5).for_each(|_| mesh.give(id(node), Input::Rejected { from: id(1), reason: Rejected::Unsigned }));
        // Who believes it no more deals with it no more.
        mesh.give(id(node), Input::PeerForgotten { peer: id(1) });
        mesh.run(1);
    };
    lies_to(&mut mesh, 2);
    lies_to(&mut mesh, 3);
    assert_eq!([2, 5, 7].map(|node| told_of_one(&mut mesh, node)), [Some(None), None, None]);
    lies_to(&mut mesh, 4);
    let votes = Some(Some(Votes { against: 3, of: 4 }));
    assert_eq!([2, 5, 7].map(|node| told_of_one(&mut mesh, node)), [Some(None), votes, votes]);
    let view = mesh.nodes[&id(7)].members().into_iter().find(|member| member.peer == id(1)).unwrap();
    assert_eq!(view.distrusted_by.len(), 3);
    assert_eq!(view.score, 1.0, "node 7 has seen nothing of it itself");
    mesh.run(300);
    assert_eq!([2, 5, 7].map(|node| told_of_one(&mut mesh, node)), [Some(None), votes, votes], "links or not");
    // The fourth has left it, too. Who starts now never saw a neighbor of it, and has the proofs of three.
    mesh.give(id(5), Input::PeerForgotten { peer: id(1) });
    mesh.run(1);
    mesh.restart(8);
    [2, 7].into_iter().for_each(|node| mesh.link(8, node, LinkState::Up));
    mesh.run(3);
    assert_eq!(told_of_one(&mut mesh, 8), Some(Some(Votes { against: 3, of: 3 })));
    mesh.run(900);
    assert_eq!([2, 5, 7, 8].map(|node| told_of_one(&mut mesh, node)), [None; 4]);
    let places = |gossip: &Gossip| gossip.records().filter(|record| matches!(record.body, Body::Place(_))).count();
    assert!(mesh.nodes.values().all(|gossip| places(gossip) == 0), "they are taken back with the votes");
}

#[test]
fn a_vote_goes_over_every_link_though_the_tree_has_others_and_is_passed_on_so_once() {
    let mut mesh = Mesh::new(5);
    (2..=5).for_each(|neighbor| mesh.link(1, neighbor, LinkState::Up));
    mesh.run(5);
    let pushed_to = |effects: Vec<Effect>| -> Vec<PeerId> {
        let to = |effect| match effect {
            Effect::Send { to, control: Control::Push(_) } => Some(to),
            _ => None,
        };
        effects.into_iter().filter_map(to).collect()
    };
    let (mut effects, now) = (Vec::new(), mesh.now);
    let one = mesh.nodes.get_mut(&id(1)).unwrap();
    for lazy in 3..=5 {
        one.handle(Input::Heard { from: id(lazy), message: Heard::Pruned }, now, &mut effects);
    }
    effects.clear();
    one.handle(Input::SetService { name: "web".to_owned(), exposed: true }, now, &mut effects);
    assert_eq!(pushed_to(std::mem::take(&mut effects)), [id(2)], "the others are told of it");
    for _ in 0..4 {
        one.handle(Input::Rejected { from: id(2), reason: Rejected::Unsigned }, now, &mut effects);
    }
    let mut to = pushed_to(std::mem::take(&mut effects));
    to.dedup();
    assert!((3..=5).all(|lazy| to.contains(&id(lazy))), "{to:?}");
    // Whoever hears it passes it on so, and not a second time.
    let proven = one.proven().find(|proven| matches!(&proven.record.body, Body::Judgments(_))).unwrap().clone();
    mesh.link(3, 4, LinkState::Up);
    let three = mesh.nodes.get_mut(&id(3)).unwrap();
    three.handle(Input::Heard { from: id(4), message: Heard::Pruned }, now, &mut effects);
    effects.clear();
    for passes in [1, 0] {
        let message = Heard::Push(vec![proven.clone()]);
        three.handle(Input::Heard { from: id(1), message }, now, &mut effects);
        assert_eq!(pushed_to(std::mem::take(&mut effects)).len(), passes);
    }
}
