//! `prunella chaos soak`: faults at random, one after another, and an actor killed every second, for as long as wanted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::arguments::{Setup, Shared};
use super::census::Census;
use super::control::Control;
use super::draw::Draw;
use super::experiment::{Course, Opened, Outcome, open};
use super::faults::{ACTORS, FaultKind};
use super::healing::Healing;
use super::interruption::Interruption;
use super::machine::Machine;
use super::mesh::Mesh;
use super::progress::Progress;
use super::report::{Report, Row};
use super::soak_report::SoakReport;
use super::traffic::{Finished, Task, Traffic};
use crate::api::Error;

/// What the user said.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct SoakArguments {
    /// How long, in minutes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    #[arg(required_unless_present = "seconds", conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// How long, in seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: Option<u64>,
    /// Nodes to start, 4 to 16
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(4..=16))]
    nodes: u16,
    /// Replays the schedule: which fault strikes what, and which actors are killed [default: random]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Rate limit of the bulk stream, in megabits per second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    bulk_mbit: u32,
    /// Write the report as JSON to this file; `-` is the standard output
    #[arg(id = "report", long = "json", value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

impl SoakArguments {
    fn lasts(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or_else(|| 60 * self.minutes.unwrap_or(1)))
    }

    /// Whether the standard output is for JSON.
    pub(super) fn is_json_shown(&self) -> bool {
        self.shared.is_json() || self.json.as_deref() == Some(Path::new("-"))
    }

    /// The file for the JSON.
    pub(super) fn json_file(&self) -> Option<&Path> {
        self.json.as_deref().filter(|file| *file != Path::new("-"))
    }
}

/// Soaks a mesh from beginning to end; `None` if it was interrupted before the mesh was there.
pub(super) async fn run(
    arguments: &SoakArguments,
    progress: Progress,
    interruption: &mut Interruption,
) -> Result<Option<SoakReport>, Error> {
    let setup =
        Setup { nodes: arguments.nodes, seed: arguments.seed, bulk_mbit: arguments.bulk_mbit, ..Setup::default() };
    let machine = Machine::at_start();
    let mut opened = tokio::select! {
        opened = open(&setup, progress) => opened?,
        () = interruption.received() => return Ok(None),
    };
    let Opened { mesh, servers, forwards, seed, .. } = &mut opened;
    let traffic = Traffic::start(*forwards, servers, *seed, setup.bulk_mbit);
    tokio::select! {
        () = sleep(WARM_UP) => {}
        () = interruption.received() => return Ok(None),
    }
    let before = Census::take(mesh).await?;
    let (nodes, began) = (mesh.nodes().len(), Instant::now());
    let killer = Killer::start(mesh, Draw::new(*seed, "actors"));
    let mut course = Course { mesh, traffic, draw: Draw::new(*seed, "faults"), progress, spells: Vec::new() };
    let (draw, healing) = (Draw::new(*seed, "schedule"), Healing::begin(course.mesh).await);
    let mut schedule = Schedule { draw, rows: Vec::new(), healing, problems: Vec::new() };
    let interrupted = tokio::select! {
        () = schedule.play(&mut course, began + arguments.lasts()) => false,
        () = interruption.received() => true,
    };
    let (lasted, kills) = (began.elapsed(), killer.end());
    // After an interruption a node may be down: what is there to count would tell nothing.
    let settled = if interrupted { None } else { Some(settle(course.mesh, &before).await) };
    let after = settled.and_then(|settled| settled.map_err(|error| schedule.problems.push(error.to_string())).ok());
    schedule.healing.gather(course.mesh).await;
    let Finished { requests, http, losses } = course.finish().await;
    let Schedule { rows, problems, healing, .. } = schedule;
    let machine = machine.at_end();
    let report = Report { nodes, seed: *seed, rows, requests, http, losses, machine, problems };
    Ok(Some(SoakReport { report, lasted, kills, healed: healing.kinds(), before, after, interrupted }))
}

/// What strikes when, and what came of it.
struct Schedule {
    draw: Draw,
    rows: Vec<Row>,
    healing: Healing,
    problems: Vec<String>,
}

impl Schedule {
    /// Injects one fault after another until the time is over, or one cannot be mended.
    async fn play(&mut self, course: &mut Course<'_>, until: Instant) {
        let kinds: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(|kind| kind.is_drawn()).collect();
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let kind = *self.draw.pick(&kinds).expect("BUG: there are kinds of faults");
            let fault = kind.faults()[0];
            let outcome = course.run_fault(fault, &format!("{number}: {}", kind.name())).await;
            let problem = outcome.problem.as_ref().map(|error| format!("{}: {error}", kind.name()));
            self.note(kind, outcome);
            self.healing.gather(course.mesh).await;
            if let Some(problem) = problem {
                self.problems.push(problem);
                return;
            }
            sleep(BETWEEN).await;
        }
    }

    fn note(&mut self, kind: FaultKind, outcome: Outcome) {
        let place = self.rows.iter().position(|row| row.kind == kind).unwrap_or_else(|| {
            self.rows.push(Row { kind, runs: 0, actors: Vec::new(), measured: Vec::new(), paths: None });
            self.rows.len() - 1
        });
        let row = &mut self.rows[place];
        row.runs += 1;
        row.measured.push(outcome.measured);
        row.paths = row.paths.take().or(outcome.paths);
    }
}

/// Waits until what was there before is there again, and nothing more; after a while it is told as it is.
async fn settle(mesh: &Mesh, before: &Census) -> Result<Census, Error> {
    let deadline = Instant::now() + SETTLE_PATIENCE;
    loop {
        sleep(SETTLE_POLL).await;
        let after = Census::take(mesh).await?;
        if after.leaks(before).is_empty() || Instant::now() >= deadline {
            return Ok(after);
        }
    }
}

// --- Actors ----------------------------------------------------------------------------------------------------------

/// Kills an actor at random every second, on a node at random, until it is dropped.
struct Killer {
    kills: Arc<Mutex<BTreeMap<String, u64>>>,
    _task: Task,
}

impl Killer {
    fn start(mesh: &Mesh, draw: Draw) -> Self {
        let controls = mesh.nodes().iter().map(|node| node.control.clone()).collect();
        let kills = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        Self { _task: Task::start(kill(controls, draw, kills.clone())), kills }
    }

    /// Ends it; how often actors of each kind were killed.
    fn end(self) -> BTreeMap<String, u64> {
        lock(&self.kills).clone()
    }
}

async fn kill(controls: Vec<Control>, mut draw: Draw, kills: Arc<Mutex<BTreeMap<String, u64>>>) {
    let mut ticks = interval(KILL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let control = &controls[draw.below(controls.len())];
        let kind = ACTORS[draw.below(ACTORS.len())];
        // A node that is down or paused has no actors to kill.
        let Ok(actors) = control.actors().await else { continue };
        let of_kind: Vec<_> = actors.iter().filter(|actor| actor.name.split('/').next() == Some(kind)).collect();
        let Some(actor) = draw.pick(&of_kind) else { continue };
        if control.kill_actor(&actor.name).await.is_ok() {
            *lock(&kills).entry(kind.to_owned()).or_default() += 1;
        }
    }
}

fn lock(kills: &Mutex<BTreeMap<String, u64>>) -> MutexGuard<'_, BTreeMap<String, u64>> {
    kills.lock().unwrap_or_else(PoisonError::into_inner)
}

const WARM_UP: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(250);
const KILL_EVERY: Duration = Duration::from_secs(1);
const SETTLE_PATIENCE: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_secs(1);
