//! What became of requests without an answer: how many in a row, when, and what the client saw of it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::time::Duration;

use serde::Serialize;

/// What the client saw of a request that was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Why {
    /// The answer came, but after the time-out.
    Late,
    /// The connection ended while it was under way, and the client heard of it in time.
    Ended(io::ErrorKind),
    /// The connection ended while it was under way, and the client heard of it after the time-out.
    EndedLate(io::ErrorKind),
    /// Nothing at all came back for as long as the time-out, and the client gave the connection up.
    Silence,
    /// Something came back that nobody had sent, and the client gave the connection up.
    Garbled,
    /// Nothing had been heard of it when the traffic ended.
    Outstanding,
}

impl Why {
    /// Whether the caller was told in time.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Why::Ended(_))
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Why::Late => write!(f, "answered too late"),
            Why::Ended(error) => write!(f, "their connection ended ({error})"),
            Why::EndedLate(error) => write!(f, "their connection ended ({error}), which was heard too late"),
            Why::Silence => write!(f, "nothing came back on their connection"),
            Why::Garbled => write!(f, "something came back that nobody had sent"),
            Why::Outstanding => write!(f, "nothing had come back when the traffic ended"),
        }
    }
}

/// Requests in a row without an answer in time, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Loss {
    /// When the first of them was sent, since the traffic began.
    pub(in super::super) at: Duration,
    /// How many.
    pub(in super::super) requests: u64,
    /// What the client saw.
    pub(in super::super) why: Why,
    /// How long the first of them had been under way when its fate was known.
    pub(in super::super) waited: Duration,
    /// The longest time in which this process did not get to send another one meanwhile: so much of the wait was the
    /// machine's, which had no processor for it.
    pub(in super::super) starved: Duration,
    /// The fault that was in force, or was being mended, when the first was sent; empty if there was none.
    pub(in super::super) during: String,
}

impl Loss {
    /// A loss of nothing yet, for this reason.
    pub(in super::super) fn of(why: Why) -> Self {
        let (at, waited, starved) = Default::default();
        Self { at, requests: 0, why, waited, starved, during: String::new() }
    }
}

impl Display for Loss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Loss { at, requests, why, waited, starved, during } = self;
        let during = if during.is_empty() { "no fault" } else { during };
        let (at, waited, starved) = (at.as_secs_f64(), waited.as_millis(), starved.as_millis());
        write!(
            f,
            "{requests} from {at:.1} s on: {why}, after {waited} ms (own standstill {starved} ms), during {during}"
        )
    }
}

/// A loss, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in super::super) struct LossJson {
    /// When the first of them was sent, in milliseconds since the traffic began.
    pub(in super::super) at_ms: u64,
    /// How many in a row.
    pub(in super::super) requests: u64,
    /// What the client saw.
    pub(in super::super) why: String,
    /// How long the first had been under way when its fate was known, in milliseconds.
    pub(in super::super) waited_ms: u64,
    /// The longest time in which the lab itself did not get to send another one meanwhile, in milliseconds.
    pub(in super::super) starved_ms: u64,
    /// The fault that was in force, or was being mended, when the first was sent; empty if there was none.
    pub(in super::super) during: String,
}

impl From<&Loss> for LossJson {
    fn from(loss: &Loss) -> Self {
        let ms = |duration: Duration| duration.as_millis() as u64;
        Self {
            at_ms: ms(loss.at),
            requests: loss.requests,
            why: loss.why.to_string(),
            waited_ms: ms(loss.waited),
            starved_ms: ms(loss.starved),
            during: loss.during.clone(),
        }
    }
}

/// Puts losses together that follow each other: each item is when a request was sent, and its loss if it is lost.
pub(super) fn in_a_row(requests: impl Iterator<Item = (Duration, Option<(Why, Duration)>)>) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    let mut goes_on = false;
    for (at, lost) in requests {
        let Some((why, waited)) = lost else {
            goes_on = false;
            continue;
        };
        match losses.last_mut().filter(|last| goes_on && last.why == why) {
            Some(last) => last.requests += 1,
            None => losses.push(Loss { at, requests: 1, waited, ..Loss::of(why) }),
        }
        goes_on = true;
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_in_a_row_are_told_as_one_and_others_apart() {
        let ms = Duration::from_millis;
        let ended = Why::Ended(io::ErrorKind::ConnectionReset);
        let requests = [
            (0, Some(Why::Late)),
            (5, Some(Why::Late)),
            (10, None),
            (15, Some(Why::Late)),
            (20, Some(ended)),
            (25, Some(ended)),
        ];
        let requests = requests.map(|(at, why)| (ms(at), why.map(|why| (why, ms(2000 + at)))));
        let losses = in_a_row(requests.into_iter());
        let told: Vec<(u128, u64, Why)> = losses.iter().map(|l| (l.at.as_millis(), l.requests, l.why)).collect();
        assert_eq!(told, [(0, 2, Why::Late), (15, 1, Why::Late), (20, 2, ended)]);
        let during = |at: usize| Loss { during: "3: flap".to_owned(), ..losses[at].clone() }.to_string();
        assert_eq!(
            losses[0].to_string(),
            "2 from 0.0 s on: answered too late, after 2000 ms (own standstill 0 ms), during no fault"
        );
        assert_eq!(
            during(0),
            "2 from 0.0 s on: answered too late, after 2000 ms (own standstill 0 ms), during 3: flap"
        );
        assert!(during(2).contains("their connection ended (connection reset), after 2020 ms ("), "{}", during(2));
    }
}
