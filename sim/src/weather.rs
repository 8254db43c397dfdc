//! What a network does to every packet: latency, loss, copies, reordering, and how wide its wires are.

use std::fmt;
use std::time::Duration;

use prunella_core::rng::Rng;

/// The weather of a world, the same for all of its wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// How far apart the nodes are.
    pub reach: Reach,
    /// How the latency of one wire varies from packet to packet.
    pub spread: Spread,
    /// Datagrams lost on each hop, in thousandths. A stream sends again, later.
    pub loss_permille: u16,
    /// Datagrams that arrive twice, in thousandths.
    pub duplicate_permille: u16,
    /// Datagrams that others overtake, in thousandths.
    pub reorder_permille: u16,
    /// How much each direction of a wire carries; `None`: as much as is sent.
    pub bytes_per_second: Option<u64>,
}

/// How far apart the nodes of a world are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Within a rack: 50 to 500 microseconds.
    Rack,
    /// Between racks and towns: 0.2 to 8 milliseconds.
    Town,
    /// Between continents: 10 to 60 milliseconds.
    World,
}

/// How the latency of one wire varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Not at all.
    Constant,
    /// Evenly, by a tenth to both sides.
    Uniform,
    /// Mostly little, seldom much: one packet in ten takes up to twice, one in a hundred up to five times as long.
    LongTail,
}

/// The latency of one wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    base: Duration,
    spread: Spread,
}

impl Weather {
    /// Nothing happens to any packet but that it takes its time.
    pub const CALM: Weather = Weather {
        reach: Reach::Town,
        spread: Spread::Uniform,
        loss_permille: 0,
        duplicate_permille: 0,
        reorder_permille: 0,
        bytes_per_second: None,
    };

    /// Draws a weather. Each nuisance is left out of half of all worlds, so that none always hides the others.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut permille = |max: usize| if rng.below(2) == 0 { 0 } else { 1 + rng.below(max) as u16 };
        let (loss_permille, duplicate_permille, reorder_permille) = (permille(40), permille(30), permille(100));
        Self {
            reach: [Reach::Rack, Reach::Town, Reach::World][rng.below(3)],
            spread: [Spread::Constant, Spread::Uniform, Spread::LongTail][rng.below(3)],
            loss_permille,
            duplicate_permille,
            reorder_permille,
            bytes_per_second: [None, None, None, Some(1_000_000), Some(250_000)][rng.below(5)],
        }
    }
}

impl Reach {
    /// Draws the latency of one wire.
    pub(crate) fn draw(self, spread: Spread, rng: &mut Rng) -> Latency {
        let (least, most) = match self {
            Reach::Rack => (50, 500),
            Reach::Town => (200, 8_000),
            Reach::World => (10_000, 60_000),
        };
        Latency { base: Duration::from_micros(least + rng.below((most - least) as usize) as u64), spread }
    }
}

impl Latency {
    /// So long, give or take what the spread says.
    pub(crate) fn new(base: Duration, spread: Spread) -> Self {
        Self { base, spread }
    }

    /// How long one packet takes.
    pub(crate) fn sample(self, rng: &mut Rng) -> Duration {
        match self.spread {
            Spread::Constant => self.base,
            Spread::Uniform => rng.jitter(self.base, 10),
            Spread::LongTail => {
                let percent = match rng.below(100) {
                    0 => 200 + rng.below(300),
                    1..10 => 110 + rng.below(90),
                    _ => 95 + rng.below(15),
                };
                self.base * percent as u32 / 100
            }
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = match self.reach {
            Reach::Rack => "rack",
            Reach::Town => "town",
            Reach::World => "world",
        };
        let spread = match self.spread {
            Spread::Constant => "constant",
            Spread::Uniform => "uniform",
            Spread::LongTail => "long tail",
        };
        write!(f, "{reach} {spread}")?;
        let parts = [("loss", self.loss_permille), ("twice", self.duplicate_permille), ("late", self.reorder_permille)];
        for (name, permille) in parts.into_iter().filter(|(_, permille)| *permille > 0) {
            write!(f, " {name} {permille}‰")?;
        }
        self.bytes_per_second.map_or(Ok(()), |rate| write!(f, " {} kB/s", rate / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_stay_within_what_their_spread_allows() {
        let mut rng = Rng::from_seed(1);
        for (spread, least, most) in
            [(Spread::Constant, 100, 100), (Spread::Uniform, 90, 110), (Spread::LongTail, 95, 500)]
        {
            let latency = Latency { base: Duration::from_millis(100), spread };
            let samples: Vec<u128> = (0..10_000).map(|_| latency.sample(&mut rng).as_millis()).collect();
            assert!(samples.iter().all(|ms| (least..=most).contains(ms)), "{spread:?}");
            let late = samples.iter().filter(|ms| **ms >= 200).count();
            assert_eq!(late > 0, spread == Spread::LongTail, "{late}");
        }
    }

    #[test]
    fn every_nuisance_is_missing_from_some_worlds_and_present_in_others() {
        let mut rng = Rng::from_seed(1);
        let drawn: Vec<Weather> = (0..200).map(|_| Weather::draw(&mut rng)).collect();
        for nuisance in
            [|w: &Weather| w.loss_permille, |w: &Weather| w.duplicate_permille, |w: &Weather| w.reorder_permille]
        {
            let missing = drawn.iter().filter(|weather| nuisance(weather) == 0).count();
            assert!((60..140).contains(&missing), "{missing}");
        }
    }
}
