//! What is heard of the ledgers of others, and of this one from others.

use std::time::Duration;

use super::{Effect, Event, Finding, Instant, Keeper, Message, PeerId, SignedHead};
use crate::ledger::witness::Reaction;
use crate::ledger::{Consistency, Report};
use crate::limits::{LEDGERS_WITNESSED_MAX, NEIGHBORS_MAX};

impl Keeper {
    pub(super) fn on_head_heard(&mut self, heard: SignedHead, version: u64, now: Instant, effects: &mut Vec<Effect>) {
        let ledger = heard.head.ledger;
        if ledger == self.ledger.owner() {
            return self.on_own_head(heard, now, effects);
        }
        if self.versions.get(&ledger).is_some_and(|newest| version < *newest) {
            return;
        }
        if self.versions.len() < LEDGERS_WITNESSED_MAX || self.versions.contains_key(&ledger) {
            self.versions.insert(ledger, version);
        }
        match self.witness.hear(heard) {
            Reaction::ProofWanted { .. } => {
                self.asked.remove(&ledger);
                self.ask(ledger, now, effects);
            }
            Reaction::Found(finding) => self.tell(finding, now, effects),
            Reaction::Known | Reaction::First | Reaction::NoRoom => self.confirm(ledger, effects),
        }
    }

    /// Others have seen this head: what it covers has to be there.
    pub(super) fn on_own_head(&mut self, heard: SignedHead, now: Instant, effects: &mut Vec<Effect>) {
        if !self.is_ready() {
            if self.loaded {
                self.learn_from(&heard.head, now);
            }
            let is_larger = self.own_heard.as_ref().is_none_or(|other| other.head.size < heard.head.size);
            self.own_heard = if is_larger { Some(heard) } else { self.own_heard.take() };
            return self.settle(now, effects);
        }
        if self.rolled_back.is_some() || self.ledger.continues(&heard.head) {
            return;
        }
        let (found, witnessed) = (self.ledger.size(), heard.head.size);
        self.rolled_back = Some((found, witnessed));
        effects.push(Effect::RolledBack { found, witnessed: heard });
        self.append(Event::RolledBack { found, witnessed }, None, now, effects);
    }

    /// Asks a neighbor to prove what it claims, if it is one, and has claimed something.
    pub(super) fn ask(&mut self, ledger: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let claimed = self.witness.claimed(&ledger).map(|claimed| claimed.head.size);
        let (Some(second), Some(proven)) = (claimed, self.witness.proven(&ledger)) else { return };
        let first = proven.head.size;
        if first == 0 {
            // Everything continues nothing.
            let empty = Consistency { first, second, path: Vec::new() };
            let proven = self.witness.prove(&ledger, &empty);
            debug_assert_eq!(proven, Ok(None), "an empty ledger has the root of the empty tree");
            self.confirm(ledger, effects);
        } else if self.neighbors.contains(&ledger) {
            let times = self.asked.get(&ledger).map_or(0, |(_, times)| *times);
            if times < ASKS_MAX {
                self.asked.insert(ledger, (now + ASK_EVERY, times + 1));
                effects.push(Effect::Send { to: ledger, message: Message::Prove { first, second } });
            } else {
                // Who does not answer is not accused, and is asked again when it claims more.
                self.asked.remove(&ledger);
            }
        }
    }

    pub(super) fn on_heard(&mut self, from: PeerId, message: Message, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            Message::Prove { first, second } => {
                // With a hash that is lost the proof would fail, and look as if the ledger had been rewritten.
                let proof = self.is_known.then(|| self.ledger.tree().consistency(first, second)).flatten();
                effects.extend(proof.map(|proof| Effect::Send { to: from, message: Message::Proof(proof) }));
            }
            Message::Proof(proof) => self.on_proof(from, &proof, now, effects),
            Message::Seen(seen) => self.seen.hear(from, seen),
            Message::Fetch { ledger, first, count } => {
                self.give(from, ledger, first..first.saturating_add(count), now, effects);
            }
            Message::Entries { ledger, entries, .. } if ledger == self.ledger.owner() => {
                self.on_given_back(from, &entries, now, effects);
            }
            Message::Entries { ledger, entries, .. } if ledger == from => self.on_given(from, &entries, now, effects),
            // Of anybody else's ledger nothing is asked.
            Message::Entries { .. } => {}
        }
    }

    /// What fits no claim was overtaken by a newer one, or was never asked for.
    fn on_proof(&mut self, from: PeerId, proof: &Consistency, now: Instant, effects: &mut Vec<Effect>) {
        if !self.asked.contains_key(&from) {
            return;
        }
        if let Ok(finding) = self.witness.prove(&from, proof) {
            self.asked.remove(&from);
            match finding {
                Some(finding) => self.tell(finding, now, effects),
                None => self.confirm(from, effects),
            }
        }
    }

    fn tell(&mut self, finding: Box<Finding>, now: Instant, effects: &mut Vec<Effect>) {
        let ledger = finding.known.head.ledger;
        let key = (ledger, finding.fault);
        if self.told.len() < LEDGERS_WITNESSED_MAX && !self.told.contains_key(&key) {
            let name = finding.fault.name().to_owned();
            let evidence = format!("{}; before: {}", finding.heard.head, finding.known.head);
            self.told.insert(key, evidence.clone());
            self.append(Event::Witnessed { ledger, finding: name, evidence }, None, now, effects);
            effects.push(Effect::Found(finding));
        }
    }

    pub(super) fn on_neighbor(&mut self, peer: PeerId, is_usable: bool, now: Instant, effects: &mut Vec<Effect>) {
        if is_usable && self.neighbors.len() < NEIGHBORS_MAX {
            if self.neighbors.insert(peer) {
                self.confirm(peer, effects);
                self.ask(peer, now, effects);
                self.mending.meet(now);
            }
        } else if !is_usable {
            self.neighbors.remove(&peer);
            self.asked.remove(&peer);
            self.copying.part(&peer);
            self.mending.part(&peer);
        }
    }

    /// Tells again what is wrong still.
    pub(super) fn report(&mut self, effects: &mut Vec<Effect>) {
        let own = self.mending.how().map(|how| Report::Damaged { how });
        effects.extend(own.map(Effect::Report));
        effects.extend(self.rolled_back.map(|(found, witnessed)| Effect::Report(Report::SetBack { found, witnessed })));
        for ((ledger, fault), evidence) in &self.told {
            let report = Report::Broken { ledger: *ledger, fault: *fault, evidence: evidence.clone() };
            effects.push(Effect::Report(report));
        }
    }
}

/// When a neighbor that does not answer is asked again for a proof.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often a neighbor is asked for one proof.
pub(super) const ASKS_MAX: u32 = 3;
