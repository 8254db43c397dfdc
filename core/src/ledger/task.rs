//! What the shell does for the ledger, and what of it the other roles are told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::Entry;
use super::event::Event;
use super::head::SignedHead;
use super::role::{Copied, Effect, Input};
use super::witness::Finding;
use super::{Broken, Report};
use crate::wire::Control;
use crate::wiring::{Command, Route, Wire};
use crate::{PeerId, gossip, monitor, peer};

/// What the shell does for the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Task {
    /// Another role than this one saw what is to be written down; comes back as [`Input::Append`].
    WriteDown(Event),
    /// Append these entries to the log, together; comes back as [`Input::Stored`] or [`Input::StoreFailed`].
    Write {
        /// The entries.
        entries: Vec<Entry>,
        /// What is durable with them.
        tickets: Vec<u64>,
    },
    /// Tell that a ledger of another node is not what it was.
    TellFound(Box<Finding>),
    /// Tell that others have seen what this node's ledger does not have.
    TellRolledBack {
        /// How many entries there are.
        found: u64,
        /// The head that others have seen.
        witnessed: SignedHead,
    },
    /// Tell that entries of this node's ledger are not what was written.
    TellDamaged {
        /// Their numbers.
        entries: Vec<u64>,
        /// What did not fit, if it was more than a damaged entry.
        broken: Option<Broken>,
    },
    /// Tell that an event was not written down.
    TellRefused {
        /// What.
        event: Event,
        /// Its ticket, if the shell told it.
        ticket: Option<u64>,
    },
    /// Send a neighbor entries, this node's own or copies of the neighbor's: as many from `first` on as can be read, follow
    /// each other and fit. Nothing comes back.
    Give {
        /// Whom.
        to: PeerId,
        /// Of whose ledger.
        ledger: PeerId,
        /// The number of the first.
        first: u64,
        /// How many at most.
        count: u64,
    },
    /// Keep copies of these entries of another node's ledger, durably; comes back as [`Input::Copied`] or
    /// [`Input::CopyFailed`].
    Copy {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Forget all copies of a ledger.
    DropCopies {
        /// Whose.
        ledger: PeerId,
    },
    /// Put these entries back in their damaged places; comes back as [`Input::Mended`].
    Mend {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Tell that damaged entries are as they were again.
    TellRepaired {
        /// Their numbers.
        entries: Vec<u64>,
        /// With whose help.
        by: PeerId,
        /// How many are damaged still.
        left: usize,
    },
    /// Tell that a neighbor gave something else than what stood in this ledger.
    TellOtherGiven {
        /// Who.
        by: PeerId,
        /// What it was said to be.
        index: u64,
    },
}

/// What a keeper that starts finds in the shell's tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adopted {
    /// What the log holds, in order, `None` for what is damaged; `None` altogether if it cannot be read yet.
    pub entries: Option<Vec<Option<Entry>>>,
    /// What waits to be written down, by ticket.
    pub waiting: BTreeMap<u64, Event>,
    /// What there is of copies of other ledgers.
    pub copies: Vec<Copied>,
}

impl Adopted {
    /// What the role hears first.
    pub fn first(self, unix_ms: u64) -> Vec<Input> {
        let mut first = vec![Input::Clock { unix_ms }];
        first.extend(self.copies.into_iter().map(Input::Copied));
        first.extend(self.entries.map(|entries| Input::Loaded { entries }));
        first.extend(self.waiting.into_iter().map(|(ticket, event)| Input::Append { event, ticket }));
        first
    }
}

impl Wire for Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        let task = match self {
            Effect::Write { entries, tickets } => Task::Write { entries, tickets },
            Effect::Publish(head) => return routes.push(Route::Gossip(gossip::Input::SetLedgerHead(head))),
            Effect::Send { to, message } => {
                let control = Control::Ledger(message);
                return routes.push(Route::Shell(Command::SendControl { to, control }));
            }
            Effect::Found(finding) => {
                let (ledger, fault) = (finding.known.head.ledger, finding.fault);
                routes.push(Route::Gossip(gossip::Input::LedgerFault { ledger, fault }));
                report(routes, Report::Broken { ledger, fault, evidence: finding.to_string() });
                Task::TellFound(finding)
            }
            Effect::RolledBack { found, witnessed } => {
                report(routes, Report::SetBack { found, witnessed: witnessed.head.size });
                Task::TellRolledBack { found, witnessed }
            }
            Effect::Damaged { entries, broken } => {
                report(routes, Report::damaged(&entries, broken));
                Task::TellDamaged { entries, broken }
            }
            Effect::Refused { event, ticket } => Task::TellRefused { event, ticket },
            Effect::Give { to, ledger, first, count } => Task::Give { to, ledger, first, count },
            Effect::Copy { entries } => Task::Copy { entries },
            Effect::DropCopies { ledger } => Task::DropCopies { ledger },
            Effect::Mend { entries } => Task::Mend { entries },
            Effect::Repaired { entries, by, left, is_sound } => {
                if is_sound {
                    report(routes, Report::Sound);
                }
                Task::TellRepaired { entries, by, left }
            }
            Effect::OtherGiven { by, index } => Task::TellOtherGiven { by, index },
            Effect::Report(standing) => return report(routes, standing),
            Effect::ResyncWanted => {
                routes.push(Route::Peers(peer::Input::ReportRequested));
                return routes.push(Route::Gossip(gossip::Input::ResyncRequested));
            }
        };
        routes.push(Route::Shell(Command::Ledger(task)));
    }
}

fn report(routes: &mut Vec<Route>, report: Report) {
    routes.push(Route::Monitor(monitor::Input::LedgerReported(report)));
}
