//! Which plans are made, and when.

use super::*;
use crate::PeerId;
use crate::incident::{Evidence, Phases, Quantity};

fn link_down(id: u64) -> Incident {
    let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
    Incident::new(id, kind, Evidence::Adopted, Instant::BOOT)
}

fn feed(planner: &mut Planner, input: Input, ms: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    planner.handle(input, Instant::from_millis(ms), &mut effects);
    effects
}

fn first_step(effects: &[Effect]) -> &'static str {
    let [Effect::Adopt(plan)] = effects else { panic!("{effects:?}") };
    plan.candidates[0].name()
}

fn outcome(kind: &str, step: &str, helped: bool) -> Input {
    let (kind, step) = (kind.to_owned(), step.to_owned());
    Input::Learned(Outcome { kind, step, helped, took_ms: 2000, refused: None, phases: Phases::default() })
}

#[test]
fn the_gentler_step_comes_first_until_experience_says_otherwise() {
    let mut planner = Planner::default();
    assert_eq!(first_step(&feed(&mut planner, Input::Raised(link_down(1)), 0)), "wait");
    for _ in 0..3 {
        feed(&mut planner, outcome("link-down", "wait", false), 1);
    }
    assert_eq!(first_step(&feed(&mut planner, Input::Raised(link_down(2)), 2)), "redial");
}

#[test]
fn what_did_not_help_is_tried_again_later_and_later() {
    let mut planner = Planner::default();
    feed(&mut planner, Input::Raised(link_down(1)), 0);
    let (mut now, mut waits) = (Instant::BOOT, Vec::new());
    for _ in 0..10 {
        let mut effects = Vec::new();
        planner.handle(Input::Exhausted { incident: 1 }, now, &mut effects);
        assert!(effects.iter().all(|e| matches!(e, Effect::Escalate { .. })), "{effects:?}");
        effects.clear();
        let next = planner.deadline().unwrap();
        waits.push(next.since(now));
        now = next;
        planner.wake(now, &mut effects);
        assert_eq!(effects.len(), 1);
    }
    assert!(waits.is_sorted() && waits[9] == RETRY_MAX, "{waits:?}");
}

#[test]
fn plans_under_way_are_bounded() {
    let mut planner = Planner::default();
    let plans: usize = (0..40).map(|id| feed(&mut planner, Input::Raised(link_down(id)), 0).len()).sum();
    assert_eq!(plans, PLANS_MAX);
    assert_eq!(feed(&mut planner, Input::Cleared { incident: 0 }, 1).len(), 1);
}

#[test]
fn the_ranking_can_be_read_with_its_numbers() {
    let mut planner = Planner::default();
    (0..3).for_each(|_| drop(feed(&mut planner, outcome("link-down", "wait", false), 1)));
    feed(&mut planner, outcome("link-down", "redial", true), 1);
    let effects = feed(&mut planner, Input::Raised(link_down(2)), 2);
    let [Effect::Adopt(plan)] = &effects[..] else { panic!("{effects:?}") };
    let told: Vec<String> = plan.candidates.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "redial 646 = 666 (helped 1 of 1) - 20 cost - 0 risk",
            "find-neighbors 460 = 500 (helped 0 of 0) - 40 cost - 0 risk",
            "wait 200 = 200 (helped 0 of 3) - 0 cost - 0 risk",
        ]
    );
}

#[test]
fn a_person_is_called_once_when_plans_run_out() {
    let mut planner = Planner::default();
    feed(&mut planner, Input::Raised(link_down(1)), 0);
    let mut called = Vec::new();
    for round in 1..10 {
        let mut effects = Vec::new();
        planner.handle(Input::Exhausted { incident: 1 }, Instant::from_millis(round * 100_000), &mut effects);
        if effects.contains(&Effect::Escalate { incident: 1, plans: round as u32 }) {
            called.push(round);
        }
        planner.wake(planner.deadline().unwrap(), &mut effects);
    }
    assert_eq!(called, [3]);
}

#[test]
fn what_follows_from_something_waits_while_that_is_repaired() {
    let mut planner = Planner::default();
    (1..=2).for_each(|id| drop(feed(&mut planner, Input::Raised(link_down(id)), 0)));
    feed(&mut planner, Input::Explained { incident: 2, root: 1 }, 1);
    feed(&mut planner, Input::Exhausted { incident: 2 }, 2);
    assert_eq!(planner.deadline(), None, "the root's plan is under way");
    assert_eq!(
        feed(&mut planner, Input::Cleared { incident: 1 }, 10_000).len(),
        1,
        "the root is over, and this is not"
    );
}

#[test]
fn a_refusal_teaches_nothing() {
    let mut planner = Planner::default();
    let Input::Learned(refused) = outcome("link-down", "wait", false) else { unreachable!() };
    for _ in 0..5 {
        feed(&mut planner, Input::Learned(Outcome { refused: Some("no".into()), ..refused.clone() }), 0);
    }
    assert_eq!(first_step(&feed(&mut planner, Input::Raised(link_down(1)), 1)), "wait");
}

#[test]
fn what_users_do_not_notice_calls_no_person() {
    let mut planner = Planner::default();
    let kind = IncidentKind::LinkSlow { peer: PeerId::from_public_key([1; 32]) };
    feed(&mut planner, Input::Raised(Incident::new(1, kind, Evidence::Adopted, Instant::BOOT)), 0);
    for round in 1..10 {
        let mut effects = Vec::new();
        planner.handle(Input::Exhausted { incident: 1 }, Instant::from_millis(round * 100_000), &mut effects);
        assert_eq!(effects, [], "round {round}");
        planner.wake(planner.deadline().unwrap(), &mut effects);
    }
}

#[test]
fn a_planner_that_a_restart_ended_does_not_plan_that_restart_again_at_once() {
    let stuck =
        Incident::new(1, IncidentKind::ActorStuck { actor: "gossip".to_owned() }, Evidence::Adopted, Instant::BOOT);
    let mut planner = Planner::new([stuck], Instant::BOOT);
    let mut effects = Vec::new();
    planner.wake(Instant::from_millis(5000), &mut effects);
    assert_eq!(effects, [], "it may be over");
    planner.wake(planner.deadline().unwrap(), &mut effects);
    assert!(matches!(&effects[..], [Effect::Adopt(_)]), "it is still stuck: {effects:?}");
}

/// One incident of every kind.
fn every_kind() -> Vec<IncidentKind> {
    let peer = PeerId::from_public_key([1; 32]);
    let actor = || "gossip".to_owned();
    vec![
        IncidentKind::LinkDown { peer },
        IncidentKind::LinkLossy { peer },
        IncidentKind::LinkSlow { peer },
        IncidentKind::LinkOneWay { peer },
        IncidentKind::PathSwitched { destination: peer },
        IncidentKind::PathLost { destination: peer },
        IncidentKind::PayloadLost { destination: peer },
        IncidentKind::PathChurn { destination: peer },
        IncidentKind::BreachAhead { peer },
        IncidentKind::LinkUnusual { peer },
        IncidentKind::FewNeighbors,
        IncidentKind::FarNeighbor { far: peer, near: PeerId::from_public_key([2; 32]) },
        IncidentKind::NodeUnreachable { peer },
        IncidentKind::RelayFailing { peer },
        IncidentKind::RegionUnreachable { region: "east".to_owned() },
        IncidentKind::CutOff,
        IncidentKind::ActorFailed { actor: actor() },
        IncidentKind::ActorStuck { actor: actor() },
        IncidentKind::ActorSlow { actor: actor() },
        IncidentKind::StoreSlow,
        IncidentKind::StoreFailing,
        IncidentKind::Leak { of: Quantity::Memory },
        IncidentKind::Starved,
        IncidentKind::ClockJumped,
        IncidentKind::Refusals { peer },
        IncidentKind::Misbehaving { peer },
        IncidentKind::CertificateExpiring,
        IncidentKind::LedgerDamaged,
        IncidentKind::LedgerSetBack,
        IncidentKind::LedgerBroken { peer, fault: crate::ledger::Fault::Forked },
    ]
}

#[test]
fn only_who_misbehaves_is_quarantined() {
    for kind in every_kind() {
        let candidates = ranking::rank(&kind, &Knowledge::default());
        let quarantines = candidates.iter().any(|candidate| candidate.name() == "quarantine");
        assert_eq!(quarantines, matches!(kind, IncidentKind::Misbehaving { .. }), "{}", kind.name());
    }
}

#[test]
fn what_users_notice_has_a_plan() {
    for kind in every_kind().into_iter().filter(|kind| kind.severity() >= Severity::Major) {
        assert!(!ranking::rank(&kind, &Knowledge::default()).is_empty(), "{}", kind.name());
    }
}

#[test]
fn a_failing_store_is_waited_for_first_and_then_rebuilt() {
    let mut planner = Planner::default();
    let failing = Incident::new(1, IncidentKind::StoreFailing, Evidence::Adopted, Instant::BOOT);
    let effects = feed(&mut planner, Input::Raised(failing), 0);
    let [Effect::Adopt(plan)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(plan.candidates.iter().map(Candidate::name).collect::<Vec<_>>(), ["wait", "rebuild-store"]);
    // The writer gives up after five seconds: by then the new store is there.
    assert!(plan.candidates[0].steps[0].patience() < std::time::Duration::from_secs(3));
}

#[test]
fn who_is_cut_off_joins_again_when_nothing_else_has_helped() {
    let ranked = ranking::rank(&IncidentKind::CutOff, &Knowledge::default());
    assert_eq!(ranked.iter().map(Candidate::name).collect::<Vec<_>>(), ["wait", "find-neighbors", "rejoin"]);
}

#[test]
fn load_is_shed_where_that_can_help() {
    let plan = |kind: IncidentKind| -> Vec<&str> {
        ranking::rank(&kind, &Knowledge::default()).iter().map(Candidate::name).collect()
    };
    let slow = |actor: &str| IncidentKind::ActorSlow { actor: actor.to_owned() };
    assert_eq!(plan(IncidentKind::Starved), ["wait", "shed-load"]);
    assert_eq!(plan(slow("pathfinder")), ["wait", "shed-load"]);
    assert_eq!(plan(slow("gossip")), ["wait"]);
}
