//! `prunella sim` as a user meets it: what it prints, how it ends, and that what it tells to type is true.

use std::path::Path;

use prunella_sim::{Options, scale};
use serde_json::Value;

use super::process::{Told, run, run_and_interrupt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_tells_each_seed_and_its_node_hours_and_speed() {
    let told = sim(&["--seeds", "2", "--first-seed", "7", "--nodes", "4", "--seconds", "1"]).await;
    assert_eq!(told.stderr, "", "a short run needs no progress");
    let text = told.ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("seed    7 ") && lines[1].starts_with("seed    8 "), "{text}");
    assert!(lines[2].starts_with("2 seeds, 0 failed; "), "{text}");
    for fragment in [" simulated node-hours in ", " a second), ", " x real time"] {
        assert!(lines[2].contains(fragment), "no {fragment:?} in {:?}", lines[2]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_that_a_report_names_replays_it_to_the_last_event() {
    let report = Options { nodes: 5, seconds: 2, ..Options::default() }.run(11, &mut || true);
    let replay = report.replay.clone().unwrap();
    let words: Vec<&str> = replay.split(' ').collect();
    assert_eq!(words[..2], ["prunella", "sim"]);
    let text = sim(&words[2..]).await.ok();
    assert_eq!(text.lines().next(), Some(report.to_string().as_str()), "the same line holds the same trace hash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_of_simulations_has_the_same_keys_every_time() {
    let worlds = json(&sim(&["--seeds", "1", "--nodes", "3", "--seconds", "0", "--json"]).await.ok());
    let keys = "failed failures first_seed interrupted node_hours node_hours_per_second nodes seconds seeds simulated \
                speed virtual_seconds wall_seconds";
    assert_eq!(sorted_keys(&worlds), keys);
    assert_eq!((&worlds["seeds"], &worlds["failed"], &worlds["interrupted"]), (&1.into(), &0.into(), &false.into()));
    assert!(worlds["node_hours"].as_f64() > Some(0.0) && worlds["speed"].as_f64() > Some(0.0), "{worlds}");

    let gossip = json(&sim(&["--gossip", "1k", "--seed", "2", "--json"]).await.ok());
    let keys = "all_max_max_ms all_max_ms all_mean_max_ms all_mean_ms bytes complete hops_max hops_mean interrupted \
                living measured messages node_bytes node_hours nodes p50_ms p90_ms p99_ms passed preset redundancy \
                replay seed simulated speed virtual_ms wall_ms";
    assert_eq!(sorted_keys(&gossip), keys);
    assert_eq!((&gossip["simulated"], &gossip["passed"]), (&true.into(), &true.into()));
    assert_eq!(gossip["replay"], "prunella sim --gossip 1k --seed 2");

    let presets = json(&sim(&["--gossip", "list", "--json"]).await.ok());
    assert_eq!(presets.as_array().unwrap().len(), scale::presets().len());
    assert_eq!(sorted_keys(&presets[0]), "all_max_ms mean_max_ms name what");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_at_scale_says_first_of_all_that_it_is_simulated() {
    let text = sim(&["--gossip", "1k"]).await.ok();
    assert!(text.starts_with("simulated: 1000 nodes on one thread in virtual time, no network; seed 1\n"), "{text}");
    for fragment in ["simulated seconds, ", " node-hours; ", " x real time", " s real time"] {
        assert!(text.contains(fragment), "no {fragment:?} in {text}");
    }
    let list = sim(&["--gossip", "list"]).await.ok();
    assert!(list.starts_with("simulated meshes"), "{list}");
    for preset in scale::presets() {
        assert!(list.lines().any(|line| line.starts_with(preset.name)), "no {} in {list}", preset.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_of_a_simulation_are_refused_before_anything_runs() {
    let names: Vec<&str> = scale::presets().iter().map(|preset| preset.name).collect();
    let unknown = sim(&["--gossip", "2k"]).await;
    unknown.fails(2, &[&["\"2k\"", "--gossip list"], names.as_slice()].concat());
    for (arguments, fragments) in [
        (&["--seed", "1", "--seeds", "2"] as &[&str], &["--seed <SEED>", "cannot be used with", "--seeds"] as &[&str]),
        (&["--nodes", "0"], &["'--nodes <NODES>'", "3..=1000"]),
        (&["--nodes", "60000"], &["'--nodes <NODES>'", "3..=1000"]),
        (&["--seeds", "0"], &["'--seeds <SEEDS>'", "1..=1000000"]),
        (&["--seeds", "18446744073709551615"], &["'--seeds <SEEDS>'", "1..=1000000"]),
        (&["--seconds", "18446744073709551615"], &["'--seconds <SECONDS>'", "604800"]),
        (&["--minutes", "10081"], &["'--minutes <MINUTES>'", "1..=10080"]),
        (&["--seed", "minus-one"], &["'--seed <SEED>'", "minus-one"]),
        (&["--gossip", "1k", "--nodes", "5"], &["--gossip <PRESET>", "cannot be used with", "--nodes"]),
    ] {
        let told = sim(arguments).await;
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{told:?}");
        assert!(told.stderr.starts_with("error: "), "{told:?}");
        for fragment in fragments {
            assert!(told.stderr.contains(fragment), "no {fragment:?} in {}", told.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_simulation_tells_its_progress_and_an_interrupt_ends_it_with_what_it_had() {
    let arguments = ["sim", "--seed", "1", "--nodes", "3", "--seconds", "604800"];
    let told = run_and_interrupt(Path::new("/nowhere"), &arguments, true).await;
    assert_eq!(told.code, 130, "{told:?}");
    let progress = "seed 1 (1 of 1): storm, ";
    assert!(told.stderr.starts_with(progress) && told.stderr.contains(" of 604800 simulated seconds"), "{told:?}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with("seed    1 ") && lines[0].contains("  broken off  "), "{told:?}");
    assert!(lines[1].starts_with("0 seeds of 1, interrupted, 0 failed; "), "{told:?}");
    assert!(lines[1].contains("simulated node-hours") && lines.len() == 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_simulation_still_prints_its_json() {
    let arguments = ["sim", "--seeds", "1000000", "--nodes", "4", "--seconds", "1", "--json"];
    let told = run_and_interrupt(Path::new("/nowhere"), &arguments, false).await;
    assert_eq!(told.code, 130, "{told:?}");
    assert_eq!(json(&told.stdout)["interrupted"], true);

    let arguments = ["sim", "--gossip", "100k", "--json"];
    let told = run_and_interrupt(Path::new("/nowhere"), &arguments, false).await;
    assert_eq!(told.code, 130, "{told:?}");
    let gossip = json(&told.stdout);
    assert_eq!((&gossip["interrupted"], &gossip["passed"]), (&true.into(), &false.into()));
    assert!(gossip["measured"].as_u64() < gossip["messages"].as_u64(), "{gossip}");
}

/// Runs `prunella sim`; it needs no node's directory.
async fn sim(arguments: &[&str]) -> Told {
    run(Path::new("/nowhere"), &[&["sim"], arguments].concat()).await
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn sorted_keys(object: &Value) -> String {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}
