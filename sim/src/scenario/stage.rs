//! Playing a script: the world that it describes, and everything in it at its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::limits::CONTROL_RATE_PER_SECOND;
use prunella_core::rng::Rng;
use prunella_core::wiring::Route;
use prunella_core::{Instant, gossip};

use super::tale::{Names, Tale};
use super::{Deed, Scenario, Story};
use crate::config::Config;
use crate::event::Event;
use crate::lie::Liar;
use crate::mix::Mix;
use crate::network::Network;
use crate::traffic::Pair;
use crate::weather::{Latency, Spread, Weather};
use crate::world::World;

/// What is to be done at a moment.
#[derive(Clone, Copy, Debug)]
enum Cue {
    Begin {
        act: usize,
    },
    /// A long lie goes on.
    GoOn {
        act: usize,
    },
    End {
        act: usize,
    },
}

impl Scenario {
    /// Plays the script, and tells what came of it.
    pub fn play(&self) -> Story {
        let mut world = self.world();
        let mut tale = Tale::new(Names::new(&self.nodes, &world), &self.topics, ZERO);
        world.take_news();
        world.run_until(ZERO);
        tale.pass_over(world.take_news());
        let formed = world.unhealed();
        if formed.is_empty() {
            let traffic: Vec<String> =
                self.traffic.iter().map(|(from, to)| way(&world, *from, *to, &tale.names)).collect();
            tale.note(ZERO, format!("{} nodes are one mesh; {}", self.nodes.len(), asked(&traffic)));
        }
        formed.iter().for_each(|wrong| tale.note(ZERO, format!("the mesh has not formed: {wrong}")));
        world.queue.push(ZERO, Event::Requests);
        let mut lasting: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, cue) in self.cues() {
            world.run_until(ZERO + at);
            tale.hear(world.take_news());
            self.perform(cue, &mut world, &mut lasting, &mut tale);
        }
        world.run_until(ZERO + self.end);
        tale.hear(world.take_news());
        tale.end(&world)
    }

    /// Everything that is to be done, in order; what happens at one moment in the order of the script.
    fn cues(&self) -> Vec<(Duration, Cue)> {
        let mut cues = Vec::new();
        for (number, act) in self.acts.iter().enumerate() {
            for time in 0..act.times {
                let begins = act.at + act.every * time;
                cues.push((begins, Cue::Begin { act: number }));
                let Some(lasts) = act.lasts else { continue };
                cues.push((begins + lasts, Cue::End { act: number }));
                if matches!(act.deed, Deed::Flood { .. }) {
                    let rounds = lasts.as_millis() / FLOOD_EVERY.as_millis();
                    cues.extend(
                        (1..rounds as u32).map(|round| (begins + FLOOD_EVERY * round, Cue::GoOn { act: number })),
                    );
                }
            }
        }
        cues.retain(|(at, _)| *at < self.end);
        cues.sort_by_key(|(at, _)| *at);
        cues
    }

    fn perform(&self, cue: Cue, world: &mut World, lasting: &mut BTreeMap<usize, usize>, tale: &mut Tale) {
        let now = world.now;
        match cue {
            Cue::Begin { act } => {
                tale.note(now, self.acts[act].words.clone());
                match &self.acts[act].deed {
                    Deed::Fault(fault) => {
                        lasting.insert(act, world.inject(fault.clone()));
                    }
                    Deed::Write { node, key, value } => {
                        world.tell_clock(*node);
                        let input = gossip::Input::SetShared { key: key.clone(), value: value.clone(), ticket: 1 };
                        world.tell(*node, Route::Gossip(input));
                    }
                    Deed::Equivocate { node } => world.equivocate(*node),
                    Deed::Flood { from, to } => world.flood(*from, *to, FLOOD_MESSAGES),
                }
            }
            Cue::GoOn { act } => {
                if let Deed::Flood { from, to } = self.acts[act].deed {
                    world.flood(from, to, FLOOD_MESSAGES);
                }
            }
            Cue::End { act } => {
                tale.note(now, format!("{} is over", self.acts[act].words));
                if let Some(fault) = lasting.remove(&act) {
                    world.heal(fault);
                }
            }
        }
        tale.hear(world.take_news());
    }

    /// The world that the script describes, before anything has happened.
    fn world(&self) -> World {
        let config = Config {
            nodes: self.nodes.len(),
            weather: Weather::CALM,
            mix: Mix::NOTHING,
            wanted: 0,
            churn: false,
            ..Config::default()
        };
        let mut world = World::new(self.seed, config);
        let mut rng = Rng::from_seed(self.seed);
        let latency = |takes| Latency::new(takes, Spread::Uniform);
        let wires = self.wires.iter().map(|(a, b, takes)| ((*a, *b), latency(*takes))).collect();
        world.network = Network::wired(Rng::from_seed(rng.next_u64()), wires, Weather::CALM);
        for (from, to) in &self.traffic {
            world.want(*from, *to);
            world.pairs.push(Pair::new(*from, *to));
        }
        let liars: BTreeSet<usize> = self.acts.iter().filter_map(|act| act.deed.liar()).collect();
        world.liars = liars.into_iter().map(|host| Liar::new(host, Rng::from_seed(rng.next_u64()))).collect();
        world
    }
}

impl Deed {
    /// Who lies by it.
    fn liar(&self) -> Option<usize> {
        match self {
            Deed::Equivocate { node } | Deed::Flood { from: node, .. } => Some(*node),
            Deed::Fault(_) | Deed::Write { .. } => None,
        }
    }
}

fn asked(traffic: &[String]) -> String {
    if traffic.is_empty() { "nobody asks anybody".to_owned() } else { format!("requests go {}", traffic.join(", ")) }
}

fn way(world: &World, from: usize, to: usize, names: &Names) -> String {
    match world.walk(from, to) {
        Some(crate::Walk::Arrives(hops)) => names.way(&hops),
        _ => format!("nowhere from {} to {}", names.of(from), names.of(to)),
    }
}

/// When a story begins: the mesh has formed, and links without traffic are at rest.
const ZERO: Instant = Instant::from_millis(10_000);
/// How often a flood surges, and how many messages it brings each time: twice as many as anybody may send.
const FLOOD_EVERY: Duration = Duration::from_millis(100);
const FLOOD_MESSAGES: usize = 2 * CONTROL_RATE_PER_SECOND as usize / 10;
