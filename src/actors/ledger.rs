//! The LedgerActor: writes down what this node must not be able to deny later, and watches the ledgers of others.

use prunella_core::ledger::Keeper;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{LedgerMsg, LedgerProof, LedgerQuery, LedgerState};

impl Role for Keeper {
    type Query = LedgerQuery;

    fn answer(&self, query: LedgerQuery) {
        // Whoever asked may have stopped waiting.
        match query {
            LedgerQuery::State(reply) => {
                let watched = self.witness().ledgers().filter_map(|ledger| self.witness().proven(ledger));
                let _ = reply.send(LedgerState {
                    head: self.ledger().head(),
                    is_ready: self.is_ready(),
                    waiting: self.waiting(),
                    is_rolled_back: self.is_rolled_back(),
                    found: self.found().copied().collect(),
                    watched: watched.cloned().collect(),
                    damaged: self.damaged().take(DAMAGED_TOLD_MAX).collect(),
                    repaired: self.repaired(),
                    others_given: self.others_given(),
                    witnesses: self.seen(0).map_or(0, |(_, seen)| seen.len()),
                    copies: self.copies().collect(),
                });
            }
            LedgerQuery::Proof { index, reply } => {
                let proof = self.seen(index).and_then(|(head, seen)| {
                    let inclusion = self.ledger().tree().inclusion(index, head.head.size)?;
                    Some(LedgerProof { inclusion, head: head.clone(), seen })
                });
                let _ = reply.send(proof);
            }
        }
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<LedgerMsg>) {
        directory.enter(|slots| slots.ledger = Some(mailbox));
    }
}

/// Damaged entries that are told by number.
const DAMAGED_TOLD_MAX: usize = 100;
