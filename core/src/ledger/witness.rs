//! A witness: remembers what other ledgers were, and notices when they are something else.
//!
//! Of each ledger it holds the newest head that is proven to continue the one before it (Laurie, Langley and Kasper,
//! RFC 6962, section 5.3, call it an auditor; Crosby and Wallach, Efficient Data Structures for Tamper-Evident Logging,
//! 2009, gave it the proof). A head that is larger is not believed before its proof has come. Nobody is accused for
//! what did not come.

use std::collections::BTreeMap;
use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::head::{Head, SignedHead};
use super::proof::Consistency;
use crate::limits::LEDGERS_WITNESSED_MAX;
use crate::{PeerId, Rejected};

/// What is wrong with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub enum Fault {
    /// A later head has fewer entries.
    Truncated,
    /// A later head has other entries where there were some: as many with another root, or more whose proof fails.
    Rewritten,
    /// Two heads contradict each other, and neither is the later: there are two histories.
    Forked,
    /// A head that was true once is said again as the newest.
    Replayed,
}

/// Something is wrong with a ledger, and these heads of it show that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// The head that was known.
    pub known: SignedHead,
    /// The head that does not fit it.
    pub heard: SignedHead,
}

/// What a head is to the witness that hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing new, and nothing wrong.
    Known,
    /// The first head of this ledger: there is nothing yet that it could contradict.
    First,
    /// There are more entries: somebody is to prove that they follow what was there.
    ProofWanted {
        /// Entries that are known.
        first: u64,
        /// Entries that there are said to be.
        second: u64,
    },
    /// Something is wrong. What was known stays known.
    Found(Box<Finding>),
    /// There are too many ledgers already: nothing is remembered of this one.
    NoRoom,
}

/// The heads of other ledgers, at most [`LEDGERS_WITNESSED_MAX`].
#[derive(Debug, Default)]
pub struct Witness {
    ledgers: BTreeMap<PeerId, Seen>,
}

/// What is known of one ledger.
#[derive(Debug)]
struct Seen {
    /// The newest head that continues what was there before.
    proven: SignedHead,
    /// A larger one, of which that is not proven yet.
    claimed: Option<SignedHead>,
}

impl Witness {
    /// A witness that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest head of this ledger that continues all that were heard before.
    pub fn proven(&self, ledger: &PeerId) -> Option<&SignedHead> {
        self.ledgers.get(ledger).map(|seen| &seen.proven)
    }

    /// The newest head that was claimed and is not proven yet.
    pub fn claimed(&self, ledger: &PeerId) -> Option<&SignedHead> {
        self.ledgers.get(ledger)?.claimed.as_ref()
    }

    /// The ledgers of which a head is known, in order.
    pub fn ledgers(&self) -> impl Iterator<Item = &PeerId> {
        self.ledgers.keys()
    }

    /// Hears a head whose signature was checked and that is said to be the newest one of its ledger.
    pub fn hear(&mut self, heard: SignedHead) -> Reaction {
        let ledger = heard.head.ledger;
        let room = self.ledgers.len() < LEDGERS_WITNESSED_MAX;
        let Some(seen) = self.ledgers.get_mut(&ledger) else {
            if !room {
                return Reaction::NoRoom;
            }
            self.ledgers.insert(ledger, Seen { proven: heard, claimed: None });
            return Reaction::First;
        };
        // What is only claimed is signed all the same: nobody else can have said it.
        for known in [Some(&seen.proven), seen.claimed.as_ref()].into_iter().flatten() {
            if let Some(fault) = contradiction(&known.head, &heard.head) {
                return Reaction::Found(Box::new(Finding { fault, known: known.clone(), heard }));
            }
        }
        if heard.head.agrees_with(&seen.proven.head) {
            seen.proven = heard;
            return Reaction::Known;
        }
        let is_claimed = seen.claimed.as_ref().is_some_and(|claimed| claimed.head.agrees_with(&heard.head));
        let wanted = Reaction::ProofWanted { first: seen.proven.head.size, second: heard.head.size };
        seen.claimed = Some(heard);
        if is_claimed { Reaction::Known } else { wanted }
    }

    /// Hears the proof that was wanted: what was claimed is proven, or the ledger was rewritten.
    ///
    /// # Errors
    /// [`Rejected::Stale`] for a proof between other heads than those that wait for one: it says nothing. What a proof
    /// says that its ledger's node did not give says nothing either: the caller must know who gave it.
    pub fn prove(&mut self, ledger: &PeerId, proof: &Consistency) -> Result<Option<Box<Finding>>, Rejected> {
        let seen = self.ledgers.get_mut(ledger).ok_or(Rejected::Stale)?;
        let claimed = seen.claimed.as_ref().ok_or(Rejected::Stale)?;
        if (proof.first, proof.second) != (seen.proven.head.size, claimed.head.size) {
            return Err(Rejected::Stale);
        }
        if proof.verify(&seen.proven.head.root, &claimed.head.root).is_err() {
            let (known, heard) = (seen.proven.clone(), claimed.clone());
            // It is not waited for any more: a ledger that lies once is not asked again about the same.
            seen.claimed = None;
            return Ok(Some(Box::new(Finding { fault: Fault::Rewritten, known, heard })));
        }
        seen.proven = seen.claimed.take().expect("BUG: it was there a moment ago");
        Ok(None)
    }
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 4] = [Fault::Truncated, Fault::Rewritten, Fault::Forked, Fault::Replayed];

    /// The fault's name.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Truncated => "truncated",
            Fault::Rewritten => "rewritten",
            Fault::Forked => "forked",
            Fault::Replayed => "replayed",
        }
    }
}

impl Finding {
    /// Checks that the two heads prove the fault to anybody, whoever shows them: each is signed, and they contradict each
    /// other as the fault says.
    ///
    /// # Errors
    /// What is wrong with one of the heads; [`Rejected::Inconsistent`] if together they prove nothing. So it is for a
    /// proof that failed, which only its witness has seen fail, and for a head that was said again: each was true once.
    pub fn check(&self) -> Result<(), Rejected> {
        self.known.verify()?;
        self.heard.verify()?;
        let shown = contradiction(&self.known.head, &self.heard.head);
        let proves = self.known.head.ledger == self.heard.head.ledger
            && self.fault != Fault::Replayed
            && shown == Some(self.fault);
        if proves { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; before: {}", self.fault.name(), self.heard.head, self.known.head)
    }
}

/// What is wrong if a head is heard as the newest after another one of the same ledger, as far as the two alone tell.
fn contradiction(known: &Head, heard: &Head) -> Option<Fault> {
    let later = heard.unix_ms > known.unix_ms;
    if heard.size == known.size {
        return match (heard.agrees_with(known), later) {
            (true, _) if heard.unix_ms >= known.unix_ms => None,
            (true, _) => Some(Fault::Replayed),
            (false, true) => Some(Fault::Rewritten),
            (false, false) => Some(Fault::Forked),
        };
    }
    if heard.size < known.size {
        return Some(if later { Fault::Truncated } else { Fault::Replayed });
    }
    // More entries at an earlier time: of a ledger whose times only grow, one of the two is of another history.
    (heard.unix_ms < known.unix_ms).then_some(Fault::Forked)
}

#[cfg(test)]
mod tests;
