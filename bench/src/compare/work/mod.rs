//! The work that every system does.

mod failover;
mod latency;
mod throughput;

use std::time::Duration;

use prunella_bench::traffic::{Echo, EchoServer, Pace};
use prunella_bench::{Host, LabError, Process, until};

use super::ground::{Ground, Shape};
use super::machine::resident_bytes;
use super::measure::Measure;
use super::systems::{ECHO_PORT, IPERF_PORT, Reach, Running};

/// How long things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Of each transfer, and of requests and pings beside one.
    pub(crate) seconds: u32,
    /// How many pings and requests are sent while nothing else is.
    pub(crate) samples: u32,
    /// How long anybody waits for a system to find another way.
    pub(crate) gap_max: Duration,
}

/// Figures with what they are; `true` if nobody waited longer.
pub(crate) type Figures = Vec<(Measure, f64, bool)>;

/// Does all of the work through a system that was started just now.
pub(crate) fn do_all(ground: &Ground, running: &Running, effort: Effort) -> Result<Figures, LabError> {
    let servers = Servers::start(ground, &running.reach)?;
    let mut figures = vec![(Measure::SetUp, await_reach(ground.source(), running)?, false)];
    if ground.shape == Shape::Diamond {
        let (gap, at_least) = failover::gap(ground, &running.reach, effort)?;
        return Ok(vec![(Measure::Gap, gap, at_least)]);
    }
    servers.await_iperf()?;
    figures.extend(throughput::of(ground.source(), running, effort)?);
    figures.extend(latency::at_rest(ground.source(), &running.reach, effort)?);
    figures.extend(latency::beside_a_flow(ground.source(), &running.reach, effort)?);
    let largest = running.pids.iter().map(|pid| resident_bytes(*pid)).max();
    figures.extend(largest.map(|bytes| (Measure::Memory, bytes as f64 / 1e6, false)));
    Ok(figures)
}

/// What answers on the last host.
struct Servers {
    iperf: Process,
    _echo: EchoServer,
}

impl Servers {
    fn start(ground: &Ground, reach: &Reach) -> Result<Self, LabError> {
        let (host, address) = (ground.target(), reach.server.to_string());
        // An interface appears when its daemon has made it.
        let echo = until("an address to listen at", REACH_PATIENCE, || {
            EchoServer::start(host, (reach.server, ECHO_PORT).into()).map_err(|error| error.to_string())
        })?;
        let port = IPERF_PORT.to_string();
        let iperf = host.start("iperf", &["iperf3", "-s", "-p", &port, "-B", &address, "--forceflush"])?;
        Ok(Self { iperf, _echo: echo })
    }

    fn await_iperf(&self) -> Result<(), LabError> {
        until("iperf3 to listen", REACH_PATIENCE, || match self.iperf.log() {
            log if log.contains("Server listening") => Ok(()),
            log => Err(log),
        })
    }
}

/// Waits until the last host answers; how long after the start that was, in milliseconds.
fn await_reach(source: &Host, running: &Running) -> Result<f64, LabError> {
    until("an answer from the far end", REACH_PATIENCE, || match running.reach.ping {
        Some(address) => {
            // Every 10 ms, until one is answered or refused.
            let ping = ["ping", "-c", "1", "-i", "0.01", "-w", "1", &address.to_string()];
            let told = source.run(&ping, REACH_PATIENCE);
            told.map_err(|error| error.to_string()).and_then(|told| if told.ok { Ok(()) } else { Err(told.stdout) })
        }
        None => {
            let echo = Echo::start(source, running.reach.client[&ECHO_PORT], Pace(Duration::from_millis(5)));
            echo.and_then(Echo::finish).map(drop).map_err(|error| error.to_string())
        }
    })?;
    Ok(running.began.elapsed().as_secs_f64() * 1e3)
}

const REACH_PATIENCE: Duration = Duration::from_secs(40);
