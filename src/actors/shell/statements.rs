//! What the authority of the mesh says, and what this node does about it.

use prunella_core::wiring::Route;
use prunella_core::{PeerId, Rejected, gossip};

use super::Shell;
use crate::security::{IssuingKey, Older, Refused, Said, SecurityError, Statement};

/// What hearing a statement has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It holds from now on.
    News,
    /// It was known, or something later is.
    Known,
    /// It is a policy that is older than the one that is known.
    Older(Older),
}

impl Shell {
    /// Takes in what somebody hands on. What is no news changes nothing.
    ///
    /// # Errors
    /// Why it proves nothing; then nothing has changed.
    pub fn hear_statement(&self, bytes: &[u8]) -> Result<Heard, Refused> {
        if let Some(said) = self.credentials.hear(bytes, self.host.unix_time().as_secs())? {
            self.obey(&said);
            return Ok(Heard::News);
        }
        Ok(self.credentials.older_policy(bytes).map_or(Heard::Known, Heard::Older))
    }

    /// Has an issuer say something to the whole mesh, later than all that holds about the same; whether it holds now.
    ///
    /// # Errors
    /// Outside: that no serial number could be drawn. Inside: why this node does not believe that issuer.
    pub fn say(&self, issuer: &IssuingKey, statement: Statement) -> Result<Result<bool, Refused>, SecurityError> {
        let subject = statement.subject();
        let known = self.credentials.said().into_iter().find(|said| said.statement.subject() == subject);
        // A second thought within the same second must still count.
        let now = self.host.unix_time().as_secs().max(known.map_or(0, |known| known.at_unix + 1));
        let said = issuer.say(statement, now)?.to_bytes();
        Ok(self.hear_statement(&said).map(|_| self.credentials.holds(&said)))
    }

    /// Has an issuer say again what an authority that has retired had said, or an issuer of its: who is revoked, and by which
    /// policy. To newcomers, who do not trust that authority, the old statement proves nothing.
    pub fn say_again(&self, issuer: &IssuingKey) {
        for said in self.credentials.unproven() {
            if !matches!(said.statement, Statement::Revoked { .. } | Statement::PolicySet { .. }) {
                continue;
            }
            let subject = said.statement.subject();
            match self.say(issuer, said.statement) {
                Ok(Ok(_)) => tracing::info!(?subject, "said again what an authority had said that has retired"),
                // Its appointment ended with the authority that has retired: another issuer says it.
                Ok(Err(reason)) => tracing::debug!(%reason, "this issuer can say nothing again"),
                Err(error) => tracing::warn!(%error, "this issuer can say nothing again"),
            }
        }
    }

    /// Takes in what another node hands on: that it proves nothing is that node's fault.
    pub(super) fn overhear_statement(&self, bytes: &[u8]) {
        match self.hear_statement(bytes) {
            Ok(Heard::News | Heard::Known) => {}
            Ok(Heard::Older(older)) => {
                self.reject(Rejected::Stale);
                tracing::debug!(%older, "somebody handed on a policy that does not hold any more");
            }
            Err(reason) => {
                self.reject(Rejected::Unauthorized);
                tracing::warn!(%reason, "somebody handed on a statement that does not prove itself");
            }
        }
    }

    /// Isolates whom the authority had revoked before this node started, before anybody is dialed.
    pub fn keep_out_the_revoked(&self) {
        for said in self.credentials.said() {
            if let Statement::Revoked { peer, .. } = said.statement
                && let Err(reason) = self.quarantine(peer, None)
            {
                tracing::error!(peer = %peer.short(), reason, "a revoked node could not be isolated");
            }
        }
    }

    /// Does what a statement says: it counts already in handshakes.
    fn obey(&self, said: &Said) {
        self.write_down_statement(said);
        self.trust_changed.notify_one();
        self.hand_on(said);
        match &said.statement {
            Statement::Revoked { peer, reason } if *peer == self.credentials.peer() => {
                tracing::error!(reason, "this node was revoked: nobody deals with it any more");
            }
            Statement::Revoked { peer, reason } => {
                tracing::warn!(peer = %peer.short(), name = self.known.name(peer), reason, "a node was revoked");
                self.expel(*peer, true);
                if let Err(reason) = self.quarantine(*peer, Some("it was revoked")) {
                    tracing::error!(peer = %peer.short(), reason, "the revoked node could not be isolated");
                }
            }
            Statement::Reinstated { peer } => {
                tracing::info!(peer = %peer.short(), name = self.known.name(peer), "a node was reinstated");
                self.expel(*peer, false);
                self.readmit(*peer, "it was reinstated");
            }
            Statement::Dismissed { issuer } => tracing::warn!(issuer = %issuer.short(), "an issuer was dismissed"),
            Statement::Succeeded { .. } => {
                tracing::info!("another authority takes the place of the one before; both are trusted");
            }
            Statement::Retired { .. } => tracing::info!("an authority has retired"),
            Statement::PolicySet { version, name, .. } => {
                tracing::info!(version, name, "a policy was set for the whole mesh");
                self.policy_was_set();
            }
        }
    }

    /// Tells a gossip role that begins what it has to know: whether words need endorsements, who was expelled, and, from an
    /// issuer, what to hand on.
    pub(super) fn told_to_gossip(&self) -> Vec<gossip::Input> {
        let said = self.credentials.said();
        let expelled = said.iter().filter_map(|said| match said.statement {
            Statement::Revoked { peer, .. } => Some(gossip::Input::Expelled { peer, expelled: true }),
            _ => None,
        });
        let handed_on = said.iter().filter(|_| self.issues()).map(handed_on);
        let endorsed = self.endorses().then_some(gossip::Input::EndorsementsRequired);
        endorsed.into_iter().chain(expelled).chain(handed_on).collect()
    }

    pub(super) fn hand_on_everything(&self) {
        self.credentials.said().iter().for_each(|said| self.hand_on(said));
    }

    /// An issuer hands on everything that it hears, so that newcomers hear it as long as there is one.
    fn hand_on(&self, said: &Said) {
        if self.issues() {
            self.directory.deliver(Route::Gossip(handed_on(said)));
        }
    }

    fn expel(&self, peer: PeerId, expelled: bool) {
        self.directory.deliver(Route::Gossip(gossip::Input::Expelled { peer, expelled }));
    }
}

fn handed_on(said: &Said) -> gossip::Input {
    gossip::Input::SetStatement { subject: said.statement.subject(), statement: said.to_bytes() }
}
