//! The simulator can fail: every planted bug is found within the ordinary budget of seeds.

use prunella_core::planted::{PlantedBug, plant};
use prunella_sim::scenario::Scenario;
use prunella_sim::{Bug, Options, Report};

/// As many small worlds as the ordinary tests run.
const BUDGET: u64 = 200;

/// The first seed of the budget that fails, and what it says.
fn found(bug: Option<Bug>) -> Report {
    let options = Options { nodes: 6, seconds: 5, bug, ..Options::default() };
    let failed = (1..=BUDGET).map(|seed| options.run(seed, &mut || true)).find(|report| !report.passed());
    failed.expect("the bug is found")
}

fn says(report: &Report, what: &[&str]) {
    let said = report.failures.iter().any(|failure| what.iter().any(|what| failure.what.contains(what)));
    assert!(said, "{report}");
}

#[test]
fn an_unchecked_signature_is_found() {
    let _planted = plant(PlantedBug::SignatureUnchecked);
    says(&found(None), &["that its origin never signed", "believes a lie"]);
}

#[test]
fn an_uncompared_version_is_found() {
    let _planted = plant(PlantedBug::VersionUncompared);
    says(&found(None), &["goes back from version"]);
}

#[test]
fn a_suspicion_that_never_runs_out_is_found() {
    let _planted = plant(PlantedBug::SuspicionUnending);
    says(&found(None), &["which is dead"]);
}

/// A node whose ledger is damaged asks a liar and an honest one for what stood there.
fn told_of_damage(seed: u64) -> String {
    let script = format!(
        "nodes a b c\nmesh 2ms\ntell ledgers\nseed {seed}\nat 1s equivocate c\nat 20s kill-corrupt a for 1s\nend 50s\n"
    );
    let story = Scenario::parse(&script).expect("it is a script").play();
    format!("{story}{}", story.failures.join("\n"))
}

#[test]
fn an_unchecked_copy_of_an_entry_is_found() {
    let repaired = (1..=8).filter(|seed| told_of_damage(*seed).contains("a: repairs ")).count();
    assert!(repaired >= 4, "{repaired} of 8");
    let _planted = plant(PlantedBug::CopyUnchecked);
    let found = (1..=8).any(|seed| told_of_damage(seed).contains("puts into its ledger what was not its entry"));
    assert!(found, "{}", told_of_damage(1));
}

#[test]
fn a_forgotten_flush_is_found() {
    says(&found(Some(Bug::ForgottenFlush)), &["had flushed"]);
}

#[test]
fn a_forgotten_entry_of_a_ledger_is_found() {
    says(&found(Some(Bug::ForgottenEntry)), &["says that its ledger was set back", "calls the ledger of node"]);
}

#[test]
fn swapped_labels_are_found() {
    says(&found(Some(Bug::SwappedLabels)), &["leads elsewhere", "loops", "the mesh did not form"]);
}

#[test]
fn missing_anti_entropy_is_found() {
    let report = found(Some(Bug::NoAntiEntropy));
    says(&report, &["hold different records"]);
    let replay = format!("replay: prunella sim --seed {} --nodes 6 --seconds 5", report.seed);
    assert!(report.to_string().contains(&replay), "{report}");
}

#[test]
fn probes_that_always_return_are_found() {
    says(&found(Some(Bug::CredulousProbes)), &["of silence"]);
}
