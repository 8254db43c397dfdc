//! What the node answers about its ledger.

use std::sync::Arc;

use prunella_core::PeerId;
use prunella_core::ledger::{EventKind, Fault, SignedHead};
use prunella_core::limits::CONTROL_LINE_BYTES_MAX;
use ractor::ActorRef;

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::{Error, ErrorKind};
use super::ledger;
use super::vocabulary::{
    CopiedLedger, LedgerFinding, LedgerGlance, LedgerInfo, LedgerLine, LedgerProblem, LedgerProofInfo, LedgerReport,
    Response, WatchedLedger,
};
use crate::host::unblocked;
use crate::messages::{LedgerMsg, LedgerQuery, LedgerState, Mail};

impl Answers {
    pub(super) async fn ledger(&self, last: usize, kind: Option<EventKind>) -> Result<Response, Error> {
        let state = self.ledger_state().await?;
        let shell = self.shell();
        let health = shell.ledger.health();
        let (table, size) = (Arc::clone(&shell.ledger), state.head.size);
        let newest = move || {
            let mut room = LINES_BYTES_MAX;
            let readable = (0..size).rev().filter_map(|index| table.entry(index).ok());
            let mut entries: Vec<_> = readable
                .filter(|entry| kind.is_none_or(|kind| entry.kind == kind))
                .take(last.min(LINES_MAX))
                .take_while(|entry| take_room(&mut room, entry))
                .collect();
            entries.reverse();
            entries
        };
        let entries = unblocked(&*shell.host, newest).await.map_err(|error| internal(&error))?;
        let finding = |(peer, fault): (PeerId, Fault)| LedgerFinding {
            peer,
            name: shell.known.name(&peer),
            fault: fault.name().to_owned(),
        };
        let watching = |head: SignedHead| WatchedLedger { name: shell.known.name(&head.head.ledger), head };
        let copied = |(peer, until)| CopiedLedger { peer, name: shell.known.name(&peer), until };
        Ok(Response::Ledger(LedgerInfo {
            head: state.head,
            ready: state.is_ready,
            waiting: state.waiting,
            refused: health.refused,
            rolled_back: state.is_rolled_back,
            trouble: health.trouble,
            findings: state.found.into_iter().map(finding).collect(),
            watching: state.watched.len(),
            watched: state.watched.into_iter().take(WATCHED_MAX).map(watching).collect(),
            damaged: state.damaged,
            repaired: state.repaired,
            others_given: state.others_given,
            copies: state.copies.into_iter().take(WATCHED_MAX).map(copied).collect(),
            entries,
        }))
    }

    /// The ledger for a glance at the node; whoever is being restarted has nothing to say.
    pub(super) async fn ledger_glance(&self) -> LedgerGlance {
        let trouble = self.shell().ledger.health().trouble;
        match self.ledger_state().await {
            Ok(state) => LedgerGlance { entries: Some(state.head.size), trouble },
            Err(_) => LedgerGlance { entries: None, trouble },
        }
    }

    /// Places of the ledger from a number on, as many as fit an answer.
    pub(super) async fn ledger_lines(&self, from: u64) -> Result<Response, Error> {
        let size = self.ledger_state().await?.head.size;
        let table = Arc::clone(&self.shell().ledger);
        let read = move || {
            let mut room = LINES_BYTES_MAX;
            let line = |index| match table.entry(index) {
                Ok(entry) => LedgerLine::Entry(Box::new(entry)),
                Err(damaged) => LedgerLine::Damaged { index, damaged },
            };
            (from..size).take(LINES_MAX).map(line).take_while(|line| take_room(&mut room, line)).collect()
        };
        let lines = unblocked(&*self.shell().host, read).await.map_err(|error| internal(&error))?;
        Ok(Response::LedgerLines { lines, entries: size })
    }

    /// Walks the files, and compares with what the role holds.
    pub(super) async fn verify_ledger(&self) -> Result<Response, Error> {
        let state = self.ledger_state().await?;
        let place = self.shell().ledger.place().to_owned();
        let walk = move || ledger::verify(&place, &mut |_, _| {});
        let mut report: LedgerReport =
            unblocked(&*self.shell().host, walk).await.map_err(|error| internal(&error))??;
        let mut problem = |reason: String| report.problems.push(LedgerProblem { index: None, reason });
        // What was appended meanwhile does not count: a file of the same length must have the same root.
        let is_other =
            |head: &prunella_core::ledger::Head| head.size == state.head.size && head.root != state.head.root;
        if report.head.as_ref().is_some_and(is_other) {
            problem(
                "the files are not what this node has read and written: they were changed while it runs".to_owned(),
            );
        }
        if report.entries < state.head.size {
            let (files, held) = (report.entries, state.head.size);
            problem(format!("the files have {files} entries, and this node has written {held}"));
        }
        if report.head.is_some_and(|head| head.ledger != self.shell().credentials.peer()) {
            problem("the ledger is another node's".to_owned());
        }
        if state.is_rolled_back {
            problem("others have seen of this ledger what it does not have: it was set back".to_owned());
        }
        if !state.is_ready {
            problem("nothing can be written: what the next entry follows is not known".to_owned());
        }
        Ok(Response::LedgerVerified(report))
    }

    /// Everything that proves an entry to somebody who has nothing else.
    pub(super) async fn prove_entry(&self, index: u64) -> Result<Response, Error> {
        let size = self.ledger_state().await?.head.size;
        if index >= size {
            let text = format!("the ledger has {size} entries, and none with the number {index}");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let actor = self.ledger_actor()?;
        let asked = actor.call(|reply| Mail::Query(LedgerQuery::Proof { index, reply }), Some(CALL_PATIENCE)).await;
        let proof = answered(asked, "ledger")?.ok_or_else(|| {
            let text = "no head that covers the entry was signed yet: a node signs none in its first five seconds, and one \
                        in two seconds then; try again";
            Error::new(ErrorKind::NotRunning, text)
        })?;
        let table = Arc::clone(&self.shell().ledger);
        let read =
            unblocked(&*self.shell().host, move || table.entry(index)).await.map_err(|error| internal(&error))?;
        let entry = read.map_err(|reason| Error::new(ErrorKind::Storage, reason))?;
        Ok(Response::LedgerProof(Box::new(LedgerProofInfo {
            entry,
            inclusion: proof.inclusion,
            head: proof.head,
            seen: proof.seen,
        })))
    }

    async fn ledger_state(&self) -> Result<LedgerState, Error> {
        let actor = self.ledger_actor()?;
        let asked = actor.call(|reply| Mail::Query(LedgerQuery::State(reply)), Some(CALL_PATIENCE)).await;
        answered(asked, "ledger")
    }

    fn ledger_actor(&self) -> Result<ActorRef<LedgerMsg>, Error> {
        self.shell().directory.ledger().ok_or_else(|| away("ledger"))
    }
}

/// Whether there is room for one more line in an answer; then it is taken.
fn take_room(room: &mut usize, line: &impl serde::Serialize) -> bool {
    let bytes = serde_json::to_vec(line).expect("BUG: every response has a JSON form").len() + 1;
    let fits = bytes <= *room;
    *room = room.saturating_sub(bytes);
    fits
}

fn internal(error: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the ledger could not be read: {error}"))
}

/// Ledgers of others that are told, at most.
const WATCHED_MAX: usize = 100;
/// Entries told at once, at most.
const LINES_MAX: usize = 1000;
/// Bytes of JSON that entries may have in an answer, with room for the rest of it.
const LINES_BYTES_MAX: usize = CONTROL_LINE_BYTES_MAX / 2;
