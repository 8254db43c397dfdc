//! What is done, in which order, and what is told of it.

use super::*;
use crate::PeerId;
use crate::incident::{Candidate, IncidentKind, Phases};

fn plan_of(candidates: Vec<Vec<Step>>) -> Plan {
    let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
    let candidate = |steps| Candidate { steps, tried: 0, helped: 0, cost: 0, risk: 0 };
    Plan {
        incident: 1,
        kind,
        candidates: candidates.into_iter().map(candidate).collect(),
        withheld: vec![],
        detected: Instant::BOOT,
        analyzed: None,
        planned: Instant::BOOT,
    }
}

fn plan() -> Plan {
    plan_of(vec![vec![Step::Wait], vec![Step::Redial { peer: PeerId::from_public_key([1; 32]) }]])
}

#[test]
fn a_step_that_does_not_help_is_followed_by_the_next() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
    assert!(matches!(&effects[..], [Effect::Do { step: Step::Wait, .. }]));
    effects.clear();
    executor.wake(executor.deadline().unwrap(), &mut effects);
    assert!(
        matches!(&effects[..], [Effect::Record { outcome, .. }, Effect::Do { step: Step::Redial { .. }, .. }] if !outcome.helped),
        "{effects:?}"
    );
    effects.clear();
    executor.wake(executor.deadline().unwrap(), &mut effects);
    assert!(matches!(&effects[..], [Effect::Record { .. }, Effect::Exhausted { incident: 1 }]), "{effects:?}");
    assert_eq!(executor.deadline(), None);
}

#[test]
fn a_step_has_helped_when_the_incident_is_over() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
    effects.clear();
    executor.handle(Input::Cleared { incident: 1 }, Instant::from_millis(70), &mut effects);
    let phases = Phases { verified_us: Some(70_000), ..Phases::default() };
    let (kind, step) = ("link-down".into(), "wait".into());
    let outcome = Outcome { kind, step, helped: true, took_ms: 70, refused: None, phases };
    assert_eq!(effects, [Effect::Record { incident: 1, outcome }]);
}

#[test]
fn a_plan_for_an_incident_that_is_over_is_not_begun() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    executor.handle(Input::Cleared { incident: 1 }, Instant::BOOT, &mut effects);
    executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
    assert_eq!((effects, executor.deadline()), (vec![], None));
}

/// The steps that are to be done, by name.
fn steps(effects: &[Effect]) -> Vec<&'static str> {
    effects.iter().filter_map(|e| if let Effect::Do { step, .. } = e { Some(step.name()) } else { None }).collect()
}

#[test]
fn what_did_not_help_is_taken_back_before_the_next_is_tried() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    let peer = PeerId::from_public_key([2; 32]);
    let plan = plan_of(vec![vec![Step::ShedLoad, Step::Quarantine { peer }], vec![Step::Wait]]);
    executor.handle(Input::Adopted(plan), Instant::BOOT, &mut effects);
    while let Some(at) = executor.deadline() {
        executor.wake(at, &mut effects);
    }
    assert_eq!(steps(&effects), ["shed-load", "quarantine", "readmit", "take-load", "wait"]);
    assert_eq!(effects.last(), Some(&Effect::Exhausted { incident: 1 }));
}

#[test]
fn load_is_taken_again_when_the_incident_is_over_and_the_quarantine_stays() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    let peer = PeerId::from_public_key([2; 32]);
    executor.handle(
        Input::Adopted(plan_of(vec![vec![Step::Quarantine { peer }, Step::ShedLoad]])),
        Instant::BOOT,
        &mut effects,
    );
    executor.wake(executor.deadline().unwrap(), &mut effects);
    executor.handle(Input::Cleared { incident: 1 }, Instant::from_millis(11_000), &mut effects);
    assert_eq!(steps(&effects), ["quarantine", "shed-load", "take-load"]);
}

#[test]
fn what_is_refused_is_passed_over_at_once_and_not_taken_back() {
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    let plan = plan_of(vec![vec![Step::ShedLoad], vec![Step::Wait]]);
    executor.handle(Input::Adopted(plan), Instant::BOOT, &mut effects);
    let refused = |step| Input::StepRefused { incident: 1, step, reason: "not offered".into() };
    executor.handle(refused(Step::Wait), Instant::from_millis(1), &mut effects);
    assert_eq!(steps(&effects), ["shed-load"], "another step was refused");
    executor.handle(refused(Step::ShedLoad), Instant::from_millis(2), &mut effects);
    assert_eq!(steps(&effects), ["shed-load", "wait"]);
    let told = |e: &Effect| matches!(e, Effect::Record { outcome, .. } if outcome.refused.is_some());
    assert!(effects.iter().any(told), "{effects:?}");
}

/// An exchange of neighbors, and the wait that follows it, begun.
fn exchange() -> (Executor, Vec<Effect>, [Step; 2]) {
    let [near, far] = [3, 4].map(|i| PeerId::from_public_key([i; 32]));
    let steps = [Step::AddNeighbor { peer: near }, Step::DropNeighbor { peer: far }];
    let (mut executor, mut effects) = (Executor::default(), Vec::new());
    executor.handle(Input::Adopted(plan_of(vec![steps.to_vec(), vec![Step::Wait]])), Instant::BOOT, &mut effects);
    (executor, effects, steps)
}

#[test]
fn a_step_is_begun_when_the_one_before_it_has_had_its_effect() {
    let (mut executor, mut effects, [add, part]) = exchange();
    let done = |step: &Step| Input::StepDone { incident: 1, step: step.clone() };
    executor.handle(done(&part), Instant::from_millis(1), &mut effects);
    assert_eq!(steps(&effects), ["add-neighbor"], "not before its time");
    executor.handle(done(&add), Instant::from_millis(2), &mut effects);
    assert_eq!(steps(&effects), ["add-neighbor", "drop-neighbor"]);
    executor.handle(Input::Cleared { incident: 1 }, Instant::from_millis(3), &mut effects);
    let helped: Vec<bool> = effects
        .iter()
        .filter_map(|e| if let Effect::Record { outcome, .. } = e { Some(outcome.helped) } else { None })
        .collect();
    assert_eq!((helped, steps(&effects).len()), (vec![true, true], 2), "what was done stays done");
}

#[test]
fn a_step_without_effect_is_taken_back_and_what_it_prepares_is_not_tried() {
    let (mut executor, mut effects, [add, _]) = exchange();
    executor.handle(Input::StepFailed { incident: 1, step: add }, Instant::from_millis(1), &mut effects);
    assert_eq!(steps(&effects), ["add-neighbor", "drop-neighbor", "wait"]);
    let near = PeerId::from_public_key([3; 32]);
    assert!(effects.contains(&Effect::Do { incident: 1, step: Step::DropNeighbor { peer: near } }), "{effects:?}");
    let (mut executor, mut effects, _) = exchange();
    executor.wake(executor.deadline().unwrap(), &mut effects);
    assert_eq!(steps(&effects), ["add-neighbor", "drop-neighbor", "wait"], "nor if nobody says anything");
}

#[test]
fn a_second_step_without_effect_takes_back_both_the_last_first() {
    let (mut executor, mut effects, [add, part]) = exchange();
    executor.handle(Input::StepDone { incident: 1, step: add }, Instant::from_millis(1), &mut effects);
    effects.clear();
    executor.handle(Input::StepFailed { incident: 1, step: part.clone() }, Instant::from_millis(2), &mut effects);
    assert_eq!(steps(&effects), ["add-neighbor", "drop-neighbor", "wait"], "the old one back, then the new one away");
    let (mut executor, mut effects, [add, _]) = exchange();
    executor.handle(Input::StepDone { incident: 1, step: add }, Instant::from_millis(1), &mut effects);
    effects.clear();
    let refused = Input::StepRefused { incident: 1, step: part, reason: "it carries".into() };
    executor.handle(refused, Instant::from_millis(2), &mut effects);
    assert_eq!(steps(&effects), ["drop-neighbor", "wait"], "what was not done is not taken back");
}

proptest::proptest! {
    #[test]
    fn every_plan_ends_and_every_risk_is_taken_back(
        shapes in proptest::collection::vec(proptest::collection::vec(0usize..4, 1..4), 0..5), cleared_at in 0u64..120_000,
    ) {
        let peer = PeerId::from_public_key([2; 32]);
        let all = [Step::Wait, Step::ShedLoad, Step::Quarantine { peer }, Step::FindNeighbors];
        let candidates = shapes.iter().map(|steps| steps.iter().map(|i| all[*i].clone()).collect()).collect();
        let (mut executor, mut effects) = (Executor::default(), Vec::new());
        executor.handle(Input::Adopted(plan_of(candidates)), Instant::BOOT, &mut effects);
        while let Some(at) = executor.deadline().filter(|at| at.as_millis() < cleared_at) {
            executor.wake(at, &mut effects);
        }
        executor.handle(Input::Cleared { incident: 1 }, Instant::from_millis(cleared_at), &mut effects);
        proptest::prop_assert_eq!(executor.deadline(), None);
        let count = |name| steps(&effects).iter().filter(|step| **step == name).count();
        proptest::prop_assert_eq!(count("shed-load"), count("take-load"));
        proptest::prop_assert!(count("readmit") <= count("quarantine"));
        let exhausted = effects.contains(&Effect::Exhausted { incident: 1 });
        proptest::prop_assert!(!exhausted || count("readmit") == count("quarantine"));
    }
}
