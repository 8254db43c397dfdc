//! How long small things take: pings, and requests on an open TCP connection.

use std::time::Duration;

use prunella_bench::traffic::{Echo, Pace};
use prunella_bench::{Host, LabError};

use super::{Effort, Figures, throughput};
use crate::compare::measure::{Measure, quantile};
use crate::compare::systems::{ECHO_PORT, Reach};

/// While nothing else is sent.
pub(super) fn at_rest(source: &Host, reach: &Reach, effort: Effort) -> Result<Figures, LabError> {
    let pings = pings(source, reach, effort.samples)?;
    let requests = requests(source, reach, effort.samples)?;
    let mut figures = tails(pings, [Measure::PingMedian, Measure::PingTail]);
    figures.extend(tails(requests, [Measure::RequestMedian, Measure::RequestTail]));
    Ok(figures)
}

/// While one TCP flow sends all that it can.
pub(super) fn beside_a_flow(source: &Host, reach: &Reach, effort: Effort) -> Result<Figures, LabError> {
    let words = throughput::words(reach, effort.seconds + LEAD_SECONDS, 1);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut flow = source.start("flow", &words)?;
    // The flow is to be at its speed.
    std::thread::sleep(Duration::from_millis(700));
    let count = effort.seconds * 100;
    let (pings, requests) = std::thread::scope(|scope| {
        let pings = scope.spawn(|| pings(source, reach, count));
        let requests = requests(source, reach, count);
        (pings.join().expect("BUG: it does not panic"), requests)
    });
    flow.ended(Duration::from_secs(40))?;
    let mut figures = tails(pings?, [Measure::LoadedPingMedian, Measure::LoadedPingTail]);
    figures.extend(tails(requests?, [Measure::LoadedRequestMedian, Measure::LoadedRequestTail]));
    Ok(figures)
}

/// So many pings, 10 ms apart; the round trips in microseconds. None where there is nothing to ping.
fn pings(source: &Host, reach: &Reach, count: u32) -> Result<Vec<f64>, LabError> {
    let Some(address) = reach.ping else { return Ok(Vec::new()) };
    let (count, address) = (count.to_string(), address.to_string());
    let told = source.run(&["ping", "-n", "-i", "0.01", "-W", "1", "-c", &count, &address], Duration::from_secs(60))?;
    Ok(told.stdout.lines().filter_map(time_of).collect())
}

/// The round trip that a line of `ping` tells, in microseconds.
fn time_of(line: &str) -> Option<f64> {
    let (_, time) = line.split_once("time=")?;
    time.split(' ').next()?.parse::<f64>().ok().map(|ms| ms * 1e3)
}

/// So many requests, 10 ms apart; how long each took until its answer, in microseconds.
fn requests(source: &Host, reach: &Reach, count: u32) -> Result<Vec<f64>, LabError> {
    let echo = Echo::start(source, reach.client[&ECHO_PORT], Pace(Duration::from_millis(10)))?;
    echo.goes_on(count.into())?;
    let took = echo.finish()?.round_trips;
    // The first one waits for the connection's slow parts.
    Ok(took.iter().skip(1).map(|took| took.as_secs_f64() * 1e6).collect())
}

fn tails(mut values: Vec<f64>, [median, tail]: [Measure; 2]) -> Figures {
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return Vec::new();
    }
    vec![(median, quantile(&values, 0.5), false), (tail, quantile(&values, 0.99), false)]
}

const LEAD_SECONDS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ping_tells_its_time() {
        assert_eq!(time_of("64 bytes from 10.88.0.2: icmp_seq=1 ttl=64 time=0.25 ms"), Some(250.0));
        assert_eq!(time_of("PING 10.88.0.2 (10.88.0.2) 56(84) bytes of data."), None);
    }
}
