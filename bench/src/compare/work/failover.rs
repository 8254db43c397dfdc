//! How long nothing arrives when the relay in use goes dark, and nobody says so.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use prunella_bench::traffic::{Echo, Pace};
use prunella_bench::{Host, LabError, until};

use super::Effort;
use crate::compare::ground::Ground;
use crate::compare::systems::{ECHO_PORT, Reach};

/// The longest time between two answers, in milliseconds, and whether that is a bound.
pub(super) fn gap(ground: &Ground, reach: &Reach, effort: Effort) -> Result<(f64, bool), LabError> {
    match reach.ping {
        Some(address) => pinged(ground, address, effort),
        None => requested(ground, reach),
    }
}

/// By pings, 10 ms apart.
fn pinged(ground: &Ground, address: IpAddr, effort: Effort) -> Result<(f64, bool), LabError> {
    let ping = ground.source().start("pings", &["ping", "-n", "-D", "-i", "0.01", &address.to_string()])?;
    let answers = || -> Vec<f64> { ping.log().lines().filter_map(when).collect() };
    settle()?;
    let before = answers().len();
    cut(ground)?;
    let cut_at = Instant::now();
    let back = until("answers by another way", effort.gap_max, || match answers().len() - before {
        // More than can have been under way.
        count if count > 100 => Ok(()),
        count => Err(count.to_string()),
    });
    let answers = answers();
    let gap = answers.windows(2).skip(before.saturating_sub(2)).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max) * 1e3;
    match back {
        Ok(()) => Ok((gap, false)),
        Err(LabError::TimedOut { .. }) => Ok((gap.max(cut_at.elapsed().as_secs_f64() * 1e3), true)),
        Err(error) => Err(error),
    }
}

/// When a line of `ping -D` was printed, in seconds.
fn when(line: &str) -> Option<f64> {
    let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
    rest.contains("time=").then(|| time.parse().ok())?
}

/// By requests on an open connection, 10 ms apart.
fn requested(ground: &Ground, reach: &Reach) -> Result<(f64, bool), LabError> {
    let echo = Echo::start(ground.source(), reach.client[&ECHO_PORT], Pace(Duration::from_millis(10)))?;
    settle()?;
    cut(ground)?;
    echo.goes_on(100)?;
    Ok((echo.finish()?.gap.as_secs_f64() * 1e3, false))
}

/// Every system gets the same time in which to know its ways, while traffic flows.
fn settle() -> Result<(), LabError> {
    let until = Instant::now() + SETTLE;
    prunella_bench::until("the system to settle", SETTLE * 2, || match Instant::now() {
        now if now >= until => Ok(()),
        _ => Err("it is early".to_owned()),
    })
}

/// Cuts the first cable of the relay over which more packets go.
fn cut(ground: &Ground) -> Result<(), LabError> {
    let before = [received(&ground.hosts[1])?, received(&ground.hosts[2])?];
    std::thread::sleep(Duration::from_millis(400));
    let after = [received(&ground.hosts[1])?, received(&ground.hosts[2])?];
    let relay = if after[0] - before[0] >= after[1] - before[1] { 1 } else { 2 };
    let way = ground.joins.iter().find(|join| join.hosts == [0, relay]).and_then(|join| join.switch.as_ref());
    way.map_or(Ok(()), prunella_bench::Switch::cut)
}

/// How many packets a host has had on its cables.
fn received(host: &Host) -> Result<u64, LabError> {
    let mut sum = 0;
    for device in ["e0", "e1"] {
        let told = host.run_well(&["cat", &format!("/sys/class/net/{device}/statistics/rx_packets")])?;
        sum += told.trim().parse::<u64>().unwrap_or_default();
    }
    Ok(sum)
}

const SETTLE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ping_tells_when_it_was_printed() {
        assert_eq!(
            when("[1763856000.250000] 64 bytes from fd70::1: icmp_seq=1 ttl=64 time=0.2 ms"),
            Some(1_763_856_000.25)
        );
        assert_eq!(when("[1763856000.250000] From 10.0.0.1 icmp_seq=1 Destination Host Unreachable"), None);
    }
}
