//! Gossip at scale: the tree machine that ships, on up to millions of simulated nodes.
//!
//! Lean where [`World`](crate::World) is thorough: a node here is its [`Broadcast`](prunella_core::broadcast::Broadcast)
//! machine and one bit for each message; there are no signatures, stores or sessions. Links, losses and crashes are
//! invented, time is virtual, all randomness comes from one seed, and the neighbors are chosen by
//! [`selection`](prunella_core::selection). Messages are sent one after the other, so none waits for another.

mod links;
mod mesh;
mod options;
mod overlay;
mod queue;
mod report;

use std::time::{Duration, Instant};

pub use options::{Options, Preset, presets};
pub use report::{Cost, Report};

use mesh::Mesh;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many messages were sent, the warm-up included.
    pub sent: usize,
    /// How many will be.
    pub of: usize,
    /// How many nodes the last one has reached so far, its origin included; 0 until one was sent.
    pub reached: usize,
    /// Real time since the run began.
    pub wall: Duration,
}

/// Runs a simulation, and tells of its progress: when the mesh is built, after each message, and in between every once
/// in a while. As soon as `progress` says no, it is broken off, and the report is about the messages that had their time.
///
/// # Panics
/// If the options are unusable: [`Options::complaint`] says why.
pub fn run(options: &Options, mut progress: impl FnMut(Progress) -> bool) -> Report {
    if let Some(complaint) = options.complaint() {
        panic!("BUG: unusable options: {complaint}");
    }
    let (began, processor) = (Instant::now(), report::processor_time());
    let of = options.warm_up + options.messages;
    let mut told = |sent, reached| progress(Progress { sent, of, reached, wall: began.elapsed() });
    let mesh = Mesh::new(options, &mut || told(0, 0));
    let building = began.elapsed();
    let mut counted = Vec::with_capacity(of);
    let mut mesh = mesh.filter(|_| told(0, 0));
    if let Some(mesh) = &mut mesh {
        for message in 0..of {
            if message == options.warm_up {
                mesh.crash(options.crashed);
            }
            let Some(counters) = mesh.send(message as u8, &mut |reached| told(message, reached)) else { break };
            let reached = counters.reached() + 1;
            counted.push(counters);
            if !told(message + 1, reached) {
                break;
            }
        }
    }
    let measured = counted.get(options.warm_up..).unwrap_or_default();
    let mut report = Report::new(options, measured, mesh.as_ref().map_or(options.nodes, Mesh::living));
    report.redundancy_first = counted.first().map_or(0.0, |first| first.redundancy(options.nodes));
    if let Some(mesh) = mesh {
        report.degree = mesh.links() as f64 / options.nodes as f64;
        report.node_bytes = mesh.bytes() as f64 / options.nodes as f64;
        report.virtual_time = mesh.passed();
    }
    report.cost = Cost {
        wall: began.elapsed(),
        building,
        processor: report::processor_time().zip(processor).map(|(now, before)| now.saturating_sub(before)),
        peak_memory: report::peak_memory(),
    };
    report
}

#[cfg(test)]
mod tests {
    use prunella_core::selection::Strategy;

    use super::*;

    fn quiet(options: &Options) -> Report {
        run(options, |_| true)
    }

    fn flat(nodes: usize) -> Options {
        Options { nodes, strategy: Strategy::Random, messages: 5, ..Options::default() }
    }

    fn lossy() -> Options {
        Options { nodes: 600, regions: 6, loss_permille: 200, messages: 5, ..Options::default() }
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let figures = |seed| Report { cost: Cost::default(), ..quiet(&Options { seed, crashed: 9, ..lossy() }) };
        assert_eq!(figures(1), figures(1));
        assert_ne!(figures(1).p50, figures(2).p50);
    }

    #[test]
    fn every_node_is_reached_in_spite_of_loss() {
        for seed in 1..4 {
            let report = quiet(&Options { seed, ..lossy() });
            assert!(report.is_complete(), "{report}");
            assert_eq!(report.rejected, 0, "{report}");
            assert!(report.redundancy < 0.43 && report.all_max < Duration::from_secs(1), "{report}");
        }
    }

    #[test]
    fn every_living_node_is_reached_when_a_twentieth_crashes_unnoticed() {
        for seed in 1..4 {
            let report = quiet(&Options { seed, crashed: 30, ..flat(600) });
            assert_eq!((report.living, report.complete), (570, 5), "{report}");
            assert!(report.grafts > 0.0 && report.all_max > 2 * report.p50, "nothing was missed: {report}");
        }
    }

    #[test]
    fn copies_are_few_once_there_is_a_tree() {
        let report = quiet(&flat(600));
        assert!(report.redundancy_first > 5.0, "the first message is flooded: {report}");
        assert!((0.0..=0.07).contains(&report.redundancy), "{report}");
        assert!(report.all_mean < Duration::from_millis(26) && report.all_max < Duration::from_millis(34), "{report}");
    }

    #[test]
    fn hops_grow_with_the_logarithm_of_the_mesh() {
        let hops = [250, 1000, 4000].map(|nodes| quiet(&flat(nodes)).hops_mean);
        // Four times the nodes take some hops more, not four times or twice as many.
        assert!(hops[0] < hops[1] && hops[1] < hops[2], "{hops:?}");
        assert!(hops[2] < 2.0 * hops[0] && hops[2] < 12.0, "{hops:?}");
    }

    #[test]
    fn whoever_waits_is_told_of_the_progress() {
        let mut told = Vec::new();
        let report = run(&Options { warm_up: 1, messages: 2, ..flat(100) }, |progress| {
            told.push(progress);
            true
        });
        let sent: Vec<_> = told.iter().map(|progress| (progress.sent, progress.of, progress.reached)).collect();
        assert_eq!(sent, [(0, 3, 0), (1, 3, 100), (2, 3, 100), (3, 3, 100)]);
        let text = report.to_string();
        assert!(text.starts_with("simulated: 100 nodes"), "{text}");
        assert!(report.virtual_time > report.all_max * 2 && report.node_hours() > 0.0, "{report:?}");
        assert!(text.contains("reached     all 100 nodes by 2 of 2 messages"), "{text}");
    }

    #[test]
    fn a_run_that_is_broken_off_reports_the_messages_that_had_their_time() {
        let options = Options { warm_up: 1, messages: 3, ..flat(100) };
        for (last, measured) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
            let report = run(&options, |progress| progress.sent < last);
            assert_eq!((report.measured, report.complete), (measured, measured), "{report}");
            assert!(!report.is_complete() && report.to_string().contains("BROKEN OFF"), "{report}");
        }
        let whole = run(&options, |_| true);
        assert!(whole.is_complete() && !whole.to_string().contains("BROKEN OFF"), "{whole}");
    }

    #[test]
    fn a_large_run_is_broken_off_while_it_is_built_and_in_the_middle_of_a_message() {
        let options = flat(20_000);
        let mut asked = 0;
        let report = run(&options, |_| {
            asked += 1;
            false
        });
        assert_eq!((asked, report.measured, report.degree), (1, 0, 0.0), "{report}");
        let mut under_way = 0;
        run(&options, |progress| {
            under_way += usize::from(progress.sent == 0 && progress.reached > 0);
            under_way < 2
        });
        assert_eq!(under_way, 2);
    }
}
