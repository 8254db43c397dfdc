//! `prunella ping`: round trips to a node, one after the other, and what they amount to.

use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::render::quantity::round_trip;
use super::session::Session;
use crate::api::{Error, ErrorKind, Request, Response};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A node's name, its peer id, or a beginning of it
    #[arg(value_name = "NODE")]
    destination: String,
    /// How many round trips
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Milliseconds between one answer and the next round trip
    #[arg(long, default_value_t = 200, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    interval: u64,
    /// Milliseconds to wait for an answer
    #[arg(long, default_value_t = 2000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: u64,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = format!("ping {}", arguments.destination);
    let request = Request::Ping { destination: arguments.destination, timeout_ms: arguments.timeout };
    let (mut round_trips_us, mut last_loss) = (Vec::new(), None);
    for number in 0..arguments.count {
        if number > 0 {
            tokio::time::sleep(Duration::from_millis(arguments.interval)).await;
        }
        match session.ask(&doing, &request).await {
            Ok(response) => {
                round_trips_us.extend(rtt_us(&response));
                session.output.show(&response)?;
            }
            Err(Failure::Failed { error, .. }) if is_loss(&error) => {
                session.output.show(&Response::Error { error: error.clone() })?;
                last_loss = Some(error);
            }
            Err(failure) => return Err(failure),
        }
        session.output.flush()?;
    }
    match last_loss {
        Some(error) if round_trips_us.is_empty() => Err(Failure::new(doing, error)),
        _ if session.output.is_json() => Ok(()),
        _ => session.output.write(&summary(arguments.count, &round_trips_us)),
    }
}

/// Whether the next round trip may well succeed: the mesh heals.
fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::NoPath)
}

fn rtt_us(response: &Response) -> Option<u64> {
    match response {
        Response::Ping { rtt_us, .. } => Some(*rtt_us),
        _ => None,
    }
}

fn summary(sent: u32, round_trips_us: &[u64]) -> String {
    let answered = round_trips_us.len();
    let (Some(least), Some(most)) = (round_trips_us.iter().min(), round_trips_us.iter().max()) else {
        return format!("{sent} sent, none answered\n");
    };
    let mean = round_trips_us.iter().sum::<u64>() / answered as u64;
    let [least, mean, most] = [*least, mean, *most].map(round_trip);
    format!("{sent} sent, {answered} answered; least {least}, mean {mean}, most {most}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_compares() {
        assert_eq!(summary(3, &[500, 1500]), "3 sent, 2 answered; least 500 µs, mean 1.00 ms, most 1.50 ms\n");
        assert_eq!(summary(3, &[]), "3 sent, none answered\n");
    }
}
