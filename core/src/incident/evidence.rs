//! What was seen: typed values, so that plans and people can use them, with one stable sentence for each.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::membership::Votes;
use crate::pathfinder::SwitchCause;
use crate::{PeerId, Rejected};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Evidence {
    /// An earlier self saw it, and nobody has said more since.
    Adopted,
    /// The probes of a link do not return.
    Silence {
        /// For how long.
        silent: Duration,
        /// Lost probes, in thousandths.
        loss_permille: u16,
    },
    /// The connection of a link ended.
    ConnectionEnded {
        /// Lost probes, in thousandths.
        loss_permille: u16,
    },
    /// More is lost than before.
    Loss {
        /// Lost since the change, in thousandths.
        permille: u16,
        /// Of how many.
        of: u64,
    },
    /// It takes longer than before.
    Slower {
        /// How long it takes.
        now: Duration,
        /// How long it took.
        usual: Duration,
    },
    /// Frames come, probes do not return.
    OneWay {
        /// Frames heard while no probe returned.
        heard: u64,
        /// Since when no probe returned.
        unanswered: Duration,
    },
    /// Probes return, and what is sent is not acknowledged.
    Unacknowledged {
        /// Packets sent in the window.
        sent: u64,
        /// Those that were lost of them; all, if nothing was acknowledged.
        lost: u64,
        /// The window.
        within: Duration,
    },
    /// Traffic moved.
    Switched {
        /// Why.
        why: SwitchCause,
        /// The relays of the path that was left.
        from: Vec<PeerId>,
        /// The relays of the path that is used now.
        to: Vec<PeerId>,
        /// For how long the path that was left had been silent; zero if it is gone.
        silent: Duration,
    },
    /// Traffic moved again and again.
    Churn {
        /// How often.
        switches: usize,
        /// In which time.
        within: Duration,
    },
    /// No path's probes return.
    NoPath,
    /// How many links are up, and how many should be.
    Links {
        /// Up.
        up: usize,
        /// Wanted.
        wanted: usize,
    },
    /// One neighbor costs more than a node that is none is expected to.
    Farther {
        /// The neighbor.
        far: PeerId,
        /// What its link costs, in microseconds of expected delivery.
        far_us: u64,
        /// The other node.
        near: PeerId,
        /// What a link to it is expected to cost at most.
        near_us: u64,
    },
    /// Something failed, in its own words.
    Failed {
        /// The words.
        reason: String,
    },
    /// Nothing is handled while messages wait.
    Standstill {
        /// Messages that wait.
        waiting: u64,
        /// For how long nothing was handled.
        unmoved: Duration,
    },
    /// More waits than can be handled soon.
    Backlog {
        /// Messages that wait.
        waiting: u64,
        /// Those that were handled in the window.
        handled: u64,
        /// The window.
        within: Duration,
    },
    /// More and more is used.
    Growth {
        /// Of what.
        of: Quantity,
        /// At the beginning of the window.
        from: u64,
        /// Now.
        to: u64,
        /// The window.
        within: Duration,
    },
    /// Own wakes come late.
    Lateness {
        /// How late the middle one of the window was.
        median: Duration,
        /// The window.
        within: Duration,
    },
    /// A ramp will reach its limit.
    Ramp {
        /// The value now.
        now: Duration,
        /// The limit that it must not pass.
        limit: Duration,
        /// When it does, at this rate.
        reached_in: Duration,
    },
    /// The wall clock moved other than time did.
    Jump {
        /// By how much, in milliseconds; negative: back.
        by_ms: i64,
    },
    /// Frames were turned away.
    Refused {
        /// The most frequent reason.
        reason: Rejected,
        /// How many.
        count: u64,
        /// In which time.
        within: Duration,
    },
    /// What a node did, seen by this node or proven to it.
    Distrusted {
        /// How far it is believed, in thousandths.
        score_permille: u16,
        /// The names of its faults.
        faults: Vec<String>,
    },
    /// What a node's neighbors have said of it.
    Outvoted(Votes),
    /// Time is running out.
    Expiry {
        /// How much is left.
        left: Duration,
    },
    /// A learned detector finds it unusual.
    Unusual {
        /// The detector's name.
        by: String,
        /// How unusual, in thousandths.
        score_permille: u16,
    },
    /// Others have seen of this node's ledger what it does not have.
    SetBack {
        /// How many entries it had.
        found: u64,
        /// How many others have seen.
        witnessed: u64,
    },
    /// Heads of another node's ledger do not fit together.
    Heads {
        /// What the fault is called, and the heads.
        told: String,
    },
    /// Other incidents have this in common.
    Explains {
        /// How many of them do.
        hits: usize,
        /// How many could.
        of: usize,
    },
}

impl Evidence {
    /// For how long it had been wrong already when it was noticed, as far as what was seen tells: the time since the last
    /// sign that all was well. `None` where nothing tells, or where noticing takes no time.
    pub fn detected_after(&self) -> Option<Duration> {
        let after = match self {
            Evidence::Silence { silent, .. } | Evidence::Switched { silent, .. } => *silent,
            Evidence::OneWay { unanswered, .. } => *unanswered,
            Evidence::Standstill { unmoved, .. } => *unmoved,
            Evidence::Unacknowledged { within, .. }
            | Evidence::Churn { within, .. }
            | Evidence::Backlog { within, .. }
            | Evidence::Growth { within, .. }
            | Evidence::Lateness { within, .. }
            | Evidence::Refused { within, .. } => *within,
            Evidence::Adopted
            | Evidence::ConnectionEnded { .. }
            | Evidence::Loss { .. }
            | Evidence::Slower { .. }
            | Evidence::NoPath
            | Evidence::Links { .. }
            | Evidence::Farther { .. }
            | Evidence::Failed { .. }
            | Evidence::Ramp { .. }
            | Evidence::Jump { .. }
            | Evidence::Distrusted { .. }
            | Evidence::Outvoted(_)
            | Evidence::Expiry { .. }
            | Evidence::Unusual { .. }
            | Evidence::SetBack { .. }
            | Evidence::Heads { .. }
            | Evidence::Explains { .. } => return None,
        };
        Some(after).filter(|after| !after.is_zero())
    }
}

/// Something finite that a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quantity {
    /// Resident memory, in bytes.
    Memory,
    /// Open file descriptors.
    Descriptors,
}

impl Quantity {
    /// The quantity's name.
    pub const fn name(self) -> &'static str {
        match self {
            Quantity::Memory => "memory",
            Quantity::Descriptors => "descriptors",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Adopted => f.write_str("seen before the monitor was restarted"),
            Evidence::Silence { silent, loss_permille } => {
                write!(f, "no probe has returned for {}; loss {loss_permille}‰", ms(*silent))
            }
            Evidence::ConnectionEnded { loss_permille } => write!(f, "the connection ended; loss {loss_permille}‰"),
            Evidence::Loss { permille, of } => write!(f, "{permille}‰ of {of} probes are lost"),
            Evidence::Slower { now, usual } => write!(f, "takes {}, used to take {}", ms(*now), ms(*usual)),
            Evidence::OneWay { heard, unanswered } => {
                write!(f, "{heard} frames heard, no probe answered for {}", ms(*unanswered))
            }
            Evidence::Unacknowledged { sent, lost, within } => {
                write!(f, "probes return, {lost} of {sent} packets lost within {}", ms(*within))
            }
            Evidence::Switched { why, from, to, silent } => {
                let why = format!("{why:?}").to_lowercase();
                write!(f, "{why}: from {} to {}", Relays(from), Relays(to))?;
                if silent.is_zero() { Ok(()) } else { write!(f, ", silent for {}", ms(*silent)) }
            }
            Evidence::Churn { switches, within } => write!(f, "{switches} switches within {}", ms(*within)),
            Evidence::NoPath => f.write_str("no path's probes return"),
            Evidence::Links { up, wanted } => write!(f, "{up} of {wanted} links are up"),
            Evidence::Farther { far, far_us, near, near_us } => {
                let (far_ms, near_ms) = (ms(Duration::from_micros(*far_us)), ms(Duration::from_micros(*near_us)));
                write!(f, "the link to {} costs {far_ms}, one to {} about {near_ms}", far.short(), near.short())
            }
            Evidence::Failed { reason } => f.write_str(reason),
            Evidence::Standstill { waiting, unmoved } => {
                write!(f, "{waiting} messages wait, none handled for {}", ms(*unmoved))
            }
            Evidence::Backlog { waiting, handled, within } => {
                write!(f, "{waiting} messages wait, {handled} handled within {}", ms(*within))
            }
            Evidence::Growth { of, from, to, within } => {
                write!(f, "{} grew from {from} to {to} within {}", of.name(), ms(*within))
            }
            Evidence::Lateness { median, within } => {
                write!(f, "woken {} late in the median of {}", ms(*median), ms(*within))
            }
            Evidence::Ramp { now, limit, reached_in } => {
                write!(f, "{} now, {} in {} at this rate", ms(*now), ms(*limit), ms(*reached_in))
            }
            Evidence::Jump { by_ms } => write!(f, "the wall clock jumped by {by_ms} ms"),
            Evidence::Refused { reason, count, within } => {
                write!(f, "{count} frames within {} {}", ms(*within), reason.name())
            }
            Evidence::Distrusted { score_permille, faults } => {
                write!(f, "believed to {score_permille}‰: {}", faults.join(", "))
            }
            Evidence::Outvoted(Votes { against, of }) => {
                write!(f, "{against} of the {of} that were its neighbors believe it no more")
            }
            Evidence::Expiry { left } => write!(f, "expires in {} s", left.as_secs()),
            Evidence::Unusual { by, score_permille } => write!(f, "{by} finds it unusual, {score_permille}‰"),
            Evidence::SetBack { found, witnessed } => {
                write!(f, "others have seen {witnessed} entries that are not these {found}")
            }
            Evidence::Heads { told } => f.write_str(told),
            Evidence::Explains { hits, of } => write!(f, "{hits} of {of} things that depend on it are in trouble"),
        }
    }
}

/// The relays of a path, in short.
struct Relays<'a>(&'a [PeerId]);

impl fmt::Display for Relays<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("direct");
        }
        for (i, relay) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { "," } else { "" }, relay.short())?;
        }
        Ok(())
    }
}

/// Milliseconds, with microseconds only where they matter.
fn ms(duration: Duration) -> String {
    let us = duration.as_micros();
    if us < 10_000 { format!("{}.{:03} ms", us / 1000, us % 1000) } else { format!("{} ms", us / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_reads_the_same_every_time() {
        let told = |evidence: Evidence| evidence.to_string();
        let relay = PeerId::from_public_key([1; 32]);
        let silent = Duration::from_millis(124);
        let switched = Evidence::Switched { why: SwitchCause::Late, from: vec![], to: vec![relay, relay], silent };
        assert_eq!(told(switched), format!("late: from direct to {0},{0}, silent for 124 ms", relay.short()));
        let silence = Evidence::Silence { silent, loss_permille: 7 };
        assert_eq!(told(silence), "no probe has returned for 124 ms; loss 7‰");
        let slower = Evidence::Slower { now: Duration::from_millis(80), usual: Duration::from_micros(1250) };
        assert_eq!(told(slower), "takes 80 ms, used to take 1.250 ms");
        let growth = Evidence::Growth { of: Quantity::Descriptors, from: 20, to: 90, within: Duration::from_secs(4) };
        assert_eq!(told(growth), "descriptors grew from 20 to 90 within 4000 ms");
    }
}
