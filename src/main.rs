//! The program: everything but the simulator is in the library.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use prunella::cli::{
    self, AttackOutcome, FailedSeed, GossipPreset, GossipProgress, GossipSpread, ScenarioStory, Simulated, Simulation,
    Simulators, Watch,
};
use prunella_sim::attack::{self, Attack, Outcome, Size};
use prunella_sim::scenario::Scenario;
use prunella_sim::{Options, scale};

fn main() -> ExitCode {
    cli::main(Simulators { worlds: simulate, gossip, presets, scenario, attacks })
}

fn simulate(simulation: &Simulation, watch: &mut dyn Watch) -> Simulated {
    let Simulation { seeds, first_seed, nodes, seconds } = *simulation;
    let options = Options { seeds, first_seed, nodes, seconds, ..Options::default() };
    let mut simulated = Simulated::default();
    for seed in (0..seeds).map(|i| first_seed.wrapping_add(i)) {
        let report = options
            .run_watched(seed, &mut |progress| watch.passed(seed, progress.phase.name(), progress.passed.as_secs()));
        watch.report(&report.to_string());
        simulated.seeds += u64::from(!report.broken_off);
        simulated.virtual_seconds += report.virtual_time.as_secs_f64();
        simulated.node_hours += report.node_hours();
        if !report.passed() {
            let replay = report.replay.clone().unwrap_or_default();
            let failures = report.failures.iter().map(|failure| format!("{}: {}", failure.at, failure.what)).collect();
            simulated.failed.push(FailedSeed { seed, replay, failures });
        }
        if !watch.goes_on() {
            break;
        }
    }
    simulated
}

fn scenario(script: &str) -> Result<ScenarioStory, String> {
    let story = Scenario::parse(script).map_err(|mistake| mistake.to_string())?.play();
    Ok(ScenarioStory { text: story.to_string(), lines: story.lines, failures: story.failures })
}

fn attacks([honest, attackers]: [u16; 2], seed: u64, told: &mut dyn FnMut(&str, Option<AttackOutcome>) -> bool) {
    let size = Size { honest: honest.into(), attackers: attackers.into(), seed, ..Size::default() };
    let head = Outcome::head();
    let mut goes_on = told(&head, None);
    for attack in Attack::ALL {
        if !goes_on {
            break;
        }
        let outcome = attack::run(attack, size);
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let json = serde_json::json!({
            "attack": attack.name(), "delivered": outcome.delivered, "expected": outcome.expected,
            "p50_ms": ms(outcome.p50), "p99_ms": ms(outcome.p99), "max_ms": ms(outcome.max),
            "held": outcome.held(),
            "countered": outcome.countered.iter().map(|(what, count)| (*what, *count)).collect::<BTreeMap<_, _>>(),
        });
        goes_on = told(&head, Some(AttackOutcome { text: outcome.to_string(), json, held: outcome.held() }));
    }
}

fn presets() -> Vec<GossipPreset> {
    let preset = |preset: scale::Preset| {
        let scale::Preset { name, what, mean_max, all_max, .. } = preset;
        GossipPreset { name, what, mean_max, all_max }
    };
    scale::presets().into_iter().map(preset).collect()
}

fn gossip(name: &str, seed: u64, told: &mut dyn FnMut(GossipProgress) -> bool) -> Option<GossipSpread> {
    let preset = scale::presets().into_iter().find(|preset| preset.name == name)?;
    let report = scale::run(&scale::Options { seed, ..preset.options }, |progress| {
        let scale::Progress { sent, of, reached, wall } = progress;
        told(GossipProgress { sent, of, reached, wall })
    });
    let within = |took, most: Option<Duration>| most.is_none_or(|most| took <= most);
    let passed =
        report.is_complete() && within(report.all_mean, preset.mean_max) && within(report.all_max, preset.all_max);
    let interrupted = report.measured < report.options.messages;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let json = serde_json::json!({
        "simulated": true, "preset": name, "seed": seed, "passed": passed, "interrupted": interrupted, "nodes": report.options.nodes, "living": report.living,
        "messages": report.options.messages, "measured": report.measured, "complete": report.complete,
        "all_mean_ms": ms(report.all_mean), "all_mean_max_ms": preset.mean_max.map(ms),
        "all_max_ms": ms(report.all_max), "all_max_max_ms": preset.all_max.map(ms),
        "p50_ms": ms(report.p50), "p90_ms": ms(report.p90), "p99_ms": ms(report.p99),
        "hops_mean": report.hops_mean, "hops_max": report.hops_max, "redundancy": report.redundancy,
        "bytes": report.bytes, "node_bytes": report.node_bytes, "wall_ms": ms(report.cost.wall),
        "virtual_ms": ms(report.virtual_time), "node_hours": report.node_hours(), "speed": report.speed(),
    });
    let bars = match passed || interrupted {
        true => "",
        false => "\n  FAILED      not all nodes were reached, or not within the preset's bars",
    };
    Some(GossipSpread { text: format!("{report}{bars}"), json, passed })
}
