//! What goes wrong: faults, how they are drawn, how they begin and end.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use prunella_core::Instant;

use crate::event::Event;
use crate::world::World;

/// Something that goes wrong with the network or with a node. Nodes are named by their place on the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes between two nodes.
    Cut {
        /// One end.
        a: usize,
        /// The other end.
        b: usize,
    },
    /// Nothing passes from one node to another; the other direction works.
    CutOneWay {
        /// Who is not heard.
        from: usize,
        /// Who hears nothing.
        to: usize,
    },
    /// A node's process is held still; what arrives meanwhile waits.
    Pause {
        /// Which node.
        node: usize,
    },
    /// A node's process is killed, and started again from its disk when the fault ends.
    Kill {
        /// Which node.
        node: usize,
    },
    /// Nothing passes between these nodes and all others.
    Partition {
        /// One side.
        side: BTreeSet<usize>,
    },
}

/// A fault that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// Which.
    pub fault: Fault,
    /// When it began.
    pub began: Instant,
    /// When it ended; `None` while it lasts.
    pub ended: Option<Instant>,
    /// The longest silence between two answers that ended after this fault began and before the next one did, of
    /// pairs of nodes between which a way existed all the time.
    pub longest_gap: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Cut { a, b } => write!(f, "cut {a}-{b}"),
            Fault::CutOneWay { from, to } => write!(f, "cut {from}->{to}"),
            Fault::Pause { node } => write!(f, "pause {node}"),
            Fault::Kill { node } => write!(f, "kill {node}"),
            Fault::Partition { side } => {
                let side: Vec<String> = side.iter().map(usize::to_string).collect();
                write!(f, "partition {}", side.join(","))
            }
        }
    }
}

impl World {
    /// Begins a fault and returns its number, with which [`World::heal`] ends it.
    pub fn inject(&mut self, fault: Fault) -> usize {
        self.trace.note(format_args!("{} fault {fault}", self.now));
        self.for_wires_of(&fault, |world, from, to| world.network.cut(from, to));
        match &fault {
            Fault::Pause { node } => self.hosts[*node].paused += 1,
            Fault::Kill { node } => {
                self.hosts[*node].kill();
                self.check_routes();
            }
            _ => {}
        }
        self.faults.push(FaultReport { fault, began: self.now, ended: None, longest_gap: Duration::ZERO });
        self.judge_reachability();
        self.faults.len() - 1
    }

    /// Ends a fault, if it lasts.
    pub fn heal(&mut self, fault: usize) {
        let Some(report) = self.faults.get_mut(fault).filter(|report| report.ended.is_none()) else { return };
        report.ended = Some(self.now);
        let fault = report.fault.clone();
        self.trace.note(format_args!("{} healed {fault}", self.now));
        self.for_wires_of(&fault, |world, from, to| world.network.mend(from, to));
        match fault {
            Fault::Pause { node } => self.resume(node),
            Fault::Kill { node } => self.boot(node),
            _ => {}
        }
        self.judge_reachability();
    }

    /// Ends every fault that lasts.
    pub fn heal_all(&mut self) {
        for fault in 0..self.faults.len() {
            self.heal(fault);
        }
    }

    /// Draws a fault, begins it, and decides when it ends and when the next one is drawn.
    pub(crate) fn on_fault_due(&mut self) {
        if self.now >= self.stormy_until {
            return;
        }
        self.queue.push(self.now + self.rng.jitter(FAULT_EVERY, 60), Event::FaultDue);
        if let Some(fault) = self.draw_fault() {
            let lasts = FAULT_MIN + Duration::from_millis(self.rng.below(FAULT_SPREAD_MS) as u64);
            let fault = self.inject(fault);
            self.queue.push(self.now + lasts, Event::Heal { fault });
        }
    }

    /// A fault that makes sense now; `None` if the node drawn is in trouble already.
    fn draw_fault(&mut self) -> Option<Fault> {
        let wires = self.network.wires();
        let (a, b) = *self.rng.pick(&wires)?;
        let node = self.rng.below(self.hosts.len());
        let well = self.hosts[node].is_running();
        match self.rng.below(10) {
            0..3 => Some(Fault::Cut { a, b }),
            3..5 => Some(if self.rng.below(2) == 0 {
                Fault::CutOneWay { from: a, to: b }
            } else {
                Fault::CutOneWay { from: b, to: a }
            }),
            5..6 => well.then_some(Fault::Pause { node }),
            6..9 => well.then_some(Fault::Kill { node }),
            _ => {
                let length = 1 + self.rng.below(self.hosts.len() / 2);
                Some(Fault::Partition { side: (node..node + length).map(|i| i % self.hosts.len()).collect() })
            }
        }
    }

    fn for_wires_of(&mut self, fault: &Fault, act: impl Fn(&mut World, usize, usize)) {
        match fault {
            Fault::CutOneWay { from, to } => act(self, *from, *to),
            Fault::Cut { a, b } => {
                act(self, *a, *b);
                act(self, *b, *a);
            }
            Fault::Partition { side } => {
                for (a, b) in self.network.wires() {
                    if side.contains(&a) != side.contains(&b) {
                        act(self, a, b);
                        act(self, b, a);
                    }
                }
            }
            Fault::Pause { .. } | Fault::Kill { .. } => {}
        }
    }
}

/// Time between two faults, on average.
const FAULT_EVERY: Duration = Duration::from_millis(2500);
/// The shortest fault.
const FAULT_MIN: Duration = Duration::from_millis(200);
/// How much longer a fault may last, in milliseconds.
const FAULT_SPREAD_MS: usize = 5000;
