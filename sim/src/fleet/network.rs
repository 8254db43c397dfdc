//! What lies between the nodes and under their processes: latency, loss, and when which host is unwell.
//!
//! Everything but loss is a function of time that is fixed before the run, so that two protocols can be put under the
//! very same trouble.

use std::time::Duration;

use prunella_core::Instant;
use prunella_core::rng::Rng;

/// From one moment up to another, without the latter.
type Span = (Instant, Instant);

/// How long packets take between any two hosts.
#[derive(Clone, Debug)]
pub enum Latency {
    /// The same everywhere.
    Uniform(Duration),
    /// Hosts stand on a square with sides of one: so much for the shortest way, and so much more across one side.
    Plane {
        /// Where each stands.
        places: Vec<(f64, f64)>,
        /// The least.
        least: Duration,
        /// What the length of one side adds.
        side: Duration,
    },
}

/// When a host is unwell, and how.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Its process is gone from this moment on, for good and without a word.
    pub dead_from: Option<Instant>,
    /// Its process does not run: what is due or arrives waits until the end of the span. Ascending.
    pub held: Vec<Span>,
    /// Nothing that is sent to it arrives. Ascending.
    pub deaf: Vec<Span>,
    /// From this moment on, of what it sends, so many thousandths are lost.
    pub loses: Option<(Instant, u16)>,
}

/// The network and the hosts' conditions.
#[derive(Clone, Debug)]
pub struct Network {
    rng: Rng,
    latency: Latency,
    conditions: Vec<Condition>,
}

impl Network {
    /// A network of so many hosts that are all well.
    pub fn new(nodes: usize, latency: Latency, seed: u64) -> Self {
        Self { rng: Rng::from_seed(seed), latency, conditions: vec![Condition::default(); nodes] }
    }

    /// A host's condition, to be changed before anything happens.
    pub fn condition_mut(&mut self, host: usize) -> &mut Condition {
        &mut self.conditions[host]
    }

    /// Holds a host's process again and again in between two moments: it runs for 20 to 100 ms, then does not run for
    /// 10 ms up to `held_max`, all drawn evenly.
    pub fn hog(&mut self, host: usize, (mut at, until): Span, held_max: Duration) {
        let between = |rng: &mut Rng, least: u64, most: u64| {
            Duration::from_millis(least + rng.below((most - least).max(1) as usize) as u64)
        };
        while at < until {
            let begin = at + between(&mut self.rng, 20, 100);
            at = begin + between(&mut self.rng, 10, held_max.as_millis() as u64);
            self.conditions[host].held.push((begin, at));
        }
    }

    /// Makes a host deaf for one period, lets it hear for one, and so on, in between two moments.
    pub fn flip_flop(&mut self, host: usize, (mut at, until): Span, period: Duration) {
        while at < until {
            self.conditions[host].deaf.push((at, at + period));
            at = at + period * 2;
        }
    }

    /// How long a packet takes that is not lost, on average.
    pub fn latency(&self, from: usize, to: usize) -> Duration {
        match &self.latency {
            Latency::Uniform(latency) => *latency,
            Latency::Plane { places, least, side } => {
                let (a, b) = (places[from], places[to]);
                *least + side.mul_f64((a.0 - b.0).hypot(a.1 - b.1))
            }
        }
    }

    /// How long this packet takes, sent `now`; `None` if it is lost. Whether its receiver is alive is not asked.
    pub fn carry(&mut self, from: usize, to: usize, now: Instant) -> Option<Duration> {
        let takes = self.rng.jitter(self.latency(from, to), JITTER_PERCENT);
        let loss = self.conditions[from].loses.filter(|(since, _)| *since <= now).map_or(0, |(_, permille)| permille);
        let lost = loss > 0 && self.rng.below(1000) < usize::from(loss);
        (!lost && covering(&self.conditions[to].deaf, now + takes).is_none()).then_some(takes)
    }

    /// Whether a host's process has died.
    pub fn is_dead(&self, host: usize, now: Instant) -> bool {
        self.conditions[host].dead_from.is_some_and(|at| at <= now)
    }

    /// Until when a host's process does not run; `None` if it does.
    pub fn held_until(&self, host: usize, now: Instant) -> Option<Instant> {
        covering(&self.conditions[host].held, now)
    }
}

/// By how much a packet may be quicker or slower than the average, in percent.
const JITTER_PERCENT: u32 = 10;

/// The end of the span in which a moment lies.
fn covering(spans: &[Span], now: Instant) -> Option<Instant> {
    let after = spans.partition_point(|(begin, _)| *begin <= now);
    let (_, end) = spans.get(after.checked_sub(1)?)?;
    (now < *end).then_some(*end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_deaf_host_hears_nothing_for_every_other_period_and_is_heard_always() {
        let mut network = Network::new(2, Latency::Uniform(Duration::ZERO), 1);
        network.flip_flop(1, (at(1000), at(5000)), SECOND);
        let hears = |network: &mut Network, ms| network.carry(0, 1, at(ms)).is_some();
        assert_eq!(
            [0, 999, 1000, 1999, 2000, 2999, 3000].map(|ms| hears(&mut network, ms)),
            [true, true, false, false, true, true, false]
        );
        assert!(network.carry(1, 0, at(1500)).is_some());
    }

    #[test]
    fn a_hogged_process_is_held_within_its_span_and_never_longer_than_said() {
        let mut network = Network::new(1, Latency::Uniform(Duration::ZERO), 1);
        network.hog(0, (at(1000), at(61_000)), SECOND * 2);
        let held = &network.conditions[0].held;
        assert!(held.len() > 40 && held[0].0 > at(1000), "{held:?}");
        assert!(held.iter().all(|(begin, end)| end.since(*begin) < SECOND * 2 && *begin < at(61_100)), "{held:?}");
        let (begin, end) = held[3];
        assert_eq!((network.held_until(0, begin), network.held_until(0, end)), (Some(end), None));
    }

    #[test]
    fn of_four_packets_in_five_nothing_is_heard() {
        let mut network = Network::new(2, Latency::Uniform(SECOND), 1);
        network.condition_mut(0).loses = Some((at(10), 800));
        assert!((0..100).all(|_| network.carry(0, 1, at(9)).is_some()));
        let passed = (0..10_000).filter(|_| network.carry(0, 1, at(10)).is_some()).count();
        assert!((1800..2200).contains(&passed), "{passed}");
        assert!((0..100).all(|_| network.carry(1, 0, at(10)).is_some()));
    }
}
