//! The course of the lab: found the mesh, start the traffic, break and mend, report.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::arguments::{Arguments, Setup};
use super::directory::{Directory, random_seed};
use super::draw::Draw;
use super::faults::{ACTORS, Fault, FaultKind};
use super::founding::found;
use super::machine::Machine;
use super::mesh::{Mesh, describe, in_use};
use super::processes::Program;
use super::progress::Progress;
use super::report::{Report, Row};
use super::topology::Topology;
use super::traffic::{Finished, Measured, SERVICES, Servers, Traffic};
use crate::api::vocabulary::PathInfo;
use crate::api::{Error, Request};

/// Runs the lab from beginning to end.
///
/// Dropping the future ends everything that it has started.
pub(super) async fn run(arguments: &Arguments, progress: Progress) -> Result<Conclusion, Error> {
    let (setup, machine) = (arguments.setup(), Machine::at_start());
    // The mesh stands last, so that it is dropped first: the directory is removed after the last process has ended.
    let Opened { directory, servers, forwards, seed, mut mesh } = open(&setup, progress).await?;
    let traffic = Traffic::start(forwards, &servers, seed, setup.bulk_mbit);
    let mut course = Course { mesh: &mut mesh, traffic, draw: Draw::new(seed, "faults"), progress, spells: Vec::new() };
    let (rows, problems) = course.inject_all(arguments).await;
    let Finished { requests, http, losses } = course.finish().await;
    let (nodes, machine) = (mesh.nodes().len(), machine.at_end());
    let report = Report { nodes, seed, rows, requests, http, losses, machine, problems };
    let kept = if arguments.keep { Some(keep(mesh, forwards, directory).await?) } else { None };
    Ok(Conclusion { report, kept })
}

/// A mesh that is whole, and the services through which traffic can flow. Dropping it ends the mesh.
pub(super) struct Opened {
    pub(super) mesh: Mesh,
    pub(super) servers: Servers,
    pub(super) forwards: [SocketAddr; 3],
    pub(super) seed: u64,
    /// Behind the mesh, so that it is removed after the last process has ended.
    directory: Directory,
}

/// Founds the mesh and waits until it is whole.
pub(super) async fn open(setup: &Setup, progress: Progress) -> Result<Opened, Error> {
    let seed = setup.seed.unwrap_or_else(random_seed);
    let topology = Topology::new(setup.nodes.into());
    // Declared before the mesh, so that it is removed after the last process has ended.
    let directory = Directory::open(setup.dir.as_deref())?;
    progress.say(format_args!("{} nodes in {}, seed {seed}", topology.nodes(), directory.path().display()));

    let servers = Servers::start(seed, setup.service.as_ref()).await?;
    let mesh = found(&Program::this()?, directory.path(), topology, &setup.set).await?;
    progress.say(format_args!("{} nodes are up", topology.nodes()));
    mesh.await_links().await?;
    mesh.await_pairs().await?;
    progress.say("every node can talk to every other");
    let forwards = publish(&mesh, &servers).await?;
    let path = mesh.await_paths(2).await?;
    progress.say(format_args!(
        "traffic from {} to {}: {}",
        mesh.source().name,
        mesh.destination().name,
        describe(&path)
    ));
    Ok(Opened { mesh, servers, forwards, seed, directory })
}

/// What the lab comes to.
#[derive(Debug)]
pub(super) struct Conclusion {
    /// What became of the traffic.
    pub(super) report: Report,
    /// How to reach the mesh that keeps running, and how to end it; `None` if it has ended.
    pub(super) kept: Option<String>,
}

// --- Services --------------------------------------------------------------------------------------------------------

/// Exposes the servers at the destination and forwards to them at the source; gives the forwards' addresses.
async fn publish(mesh: &Mesh, servers: &Servers) -> Result<[SocketAddr; 3], Error> {
    for (name, target) in SERVICES.iter().zip(servers.targets()) {
        mesh.destination().control.expose(name, target).await?;
    }
    let known = async |mesh: &Mesh| {
        let services = mesh.source().control.services().await.map_err(|error| error.to_string())?;
        match SERVICES.iter().find(|name| services.iter().all(|service| service.name != **name)) {
            Some(name) => Err(format!("{} does not know of {name}", mesh.source().name)),
            None => Ok(()),
        }
    };
    mesh.settle("services known to the source", SERVICES_PATIENCE, known).await?;
    let source = &mesh.source().control;
    let [echo, bulk, http] = SERVICES;
    Ok([source.forward(echo).await?, source.forward(bulk).await?, source.forward(http).await?])
}

/// Takes back what ends with the lab.
async fn withdraw(mesh: &Mesh, forwards: [SocketAddr; 3]) -> Result<(), Error> {
    for (name, listen) in SERVICES.into_iter().zip(forwards) {
        mesh.source().control.ask(&Request::Unforward { listen }).await?;
        mesh.destination().control.ask(&Request::Unexpose { name: name.to_owned() }).await?;
    }
    Ok(())
}

// --- Faults ----------------------------------------------------------------------------------------------------------

/// The part of the lab in which things break.
pub(super) struct Course<'a> {
    pub(super) mesh: &'a mut Mesh,
    pub(super) traffic: Traffic,
    pub(super) draw: Draw,
    pub(super) progress: Progress,
    /// What was wrong when, so far.
    pub(super) spells: Vec<Spell>,
}

/// A time in which a fault was in force, or was being mended, since the traffic began.
#[derive(Clone, Debug)]
pub(super) struct Spell {
    from: Duration,
    until: Duration,
    what: String,
}

/// What one fault did.
pub(super) struct Outcome {
    pub(super) measured: Measured,
    /// The path in use before the fault and while it was in force.
    pub(super) paths: Option<(String, String)>,
    /// Why it could not be injected or mended.
    pub(super) problem: Option<Error>,
}

impl Course<'_> {
    /// Injects every fault as often as wanted. The first that cannot be mended is the last: nothing that is measured on
    /// a broken mesh means anything.
    async fn inject_all(&mut self, arguments: &Arguments) -> (Vec<Row>, Vec<String>) {
        let mut rows = Vec::new();
        for kind in arguments.fault_kinds() {
            let (row, problem) = self.inject_kind(kind, arguments.runs).await;
            rows.push(row);
            if let Some(error) = problem {
                return (rows, vec![format!("{}: {error}", kind.name())]);
            }
        }
        (rows, Vec::new())
    }

    async fn inject_kind(&mut self, kind: FaultKind, runs: u32) -> (Row, Option<Error>) {
        let actors = if kind == FaultKind::KillActor { ACTORS.to_vec() } else { Vec::new() };
        let mut row = Row { kind, runs: 0, actors, measured: Vec::new(), paths: None };
        for run in 1..=runs {
            for fault in kind.faults() {
                let outcome = self.run_fault(fault, &format!("{} {run}/{runs}", kind.name())).await;
                row.measured.push(outcome.measured);
                row.paths = row.paths.or(outcome.paths);
                if outcome.problem.is_some() {
                    return (row, outcome.problem);
                }
            }
            row.runs = run;
        }
        (row, None)
    }

    /// Injects one fault, mends it, and measures the traffic from a little before to a little after.
    pub(super) async fn run_fault(&mut self, fault: Fault, title: &str) -> Outcome {
        let window = self.traffic.open_window();
        sleep(BASELINE).await;
        let mut paths = None;
        let result = self.break_and_mend(fault, title, &mut paths).await;
        sleep(BASELINE).await;
        let measured = self.traffic.close_window(window).await;
        self.progress.say(summary(&measured, paths.as_ref()));
        Outcome { measured, paths, problem: result.err() }
    }

    async fn break_and_mend(
        &mut self,
        fault: Fault,
        title: &str,
        paths: &mut Option<(String, String)>,
    ) -> Result<(), Error> {
        let before = self.mesh.await_paths(2).await?;
        let from = self.traffic.since_start();
        let injected = fault.inject(self.mesh, &before, &mut self.draw).await?;
        self.progress.say(format_args!("{title}: {}", injected.what));
        let held = injected.hold(self.mesh, fault.duration()).await;
        *paths = Some((describe(&before), self.path_now().await));
        let mended = injected.mend(self.mesh).await;
        let what = format!("{title} ({})", injected.what);
        self.spells.push(Spell { from, until: self.traffic.since_start(), what });
        held.and(mended)
    }

    /// Ends the traffic; what became of it, and during which fault requests were lost.
    pub(super) async fn finish(self) -> Finished {
        let mut finished = self.traffic.finish().await;
        for loss in &mut finished.losses {
            let spell = self.spells.iter().find(|spell| (spell.from..=spell.until).contains(&loss.at));
            loss.during = spell.map_or(String::new(), |spell| spell.what.clone());
        }
        finished
    }

    async fn path_now(&self) -> String {
        // An unanswered question is told as no path: the requests show what it meant for the traffic.
        let paths: Vec<PathInfo> = self.mesh.paths().await.unwrap_or_default();
        in_use(paths).map_or_else(|| "none".to_owned(), |path| describe(&path))
    }
}

fn summary(measured: &Measured, paths: Option<&(String, String)>) -> String {
    let (gap, lost) = (measured.requests.gap.as_millis(), measured.requests.lost());
    let stream = if measured.bulk.damage.is_none() { "stream intact" } else { "STREAM DAMAGED" };
    let path = paths.map_or(String::new(), |(before, after)| match before == after {
        true => format!(", path kept: {after}"),
        false => format!(", {before} became {after}"),
    });
    format!("    gap {gap} ms, {lost} lost, {stream}{path}")
}

// --- The end ---------------------------------------------------------------------------------------------------------

/// Leaves the mesh running without the lab, and says how to reach it and how to end it.
async fn keep(mesh: Mesh, forwards: [SocketAddr; 3], directory: Directory) -> Result<String, Error> {
    withdraw(&mesh, forwards).await?;
    let shells: Vec<_> = mesh.nodes().iter().map(|node| (node.name.clone(), node.dir.display().to_string())).collect();
    let home = directory.path().display().to_string();
    let processes: Vec<_> = mesh.release().iter().map(u32::to_string).collect();
    directory.keep();
    let mut told = String::from("the mesh keeps running; open a shell on a node with\n");
    for (name, dir) in shells {
        told += &format!("  {name}: prunella --dir {dir} shell\n");
    }
    told += &format!("end it with\n  kill {} && rm -r {home}\n", processes.join(" "));
    Ok(told)
}

/// How long the traffic flows undisturbed before a fault and after its mending.
const BASELINE: Duration = Duration::from_millis(250);
const SERVICES_PATIENCE: Duration = Duration::from_secs(15);
