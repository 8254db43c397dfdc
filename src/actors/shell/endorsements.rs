//! The second signature of what matters for trust, in a mesh whose certificates are of ML-DSA-65.

use prunella_core::record::{Digest, Matter};
use prunella_core::wiring::Route;
use prunella_core::{PeerId, Rejected, gossip};

use super::Shell;
use crate::security::Algorithm;

impl Shell {
    /// Whether what matters counts only with a second signature in this mesh.
    pub(super) fn endorses(&self) -> bool {
        self.credentials.algorithm() == Algorithm::MlDsa65
    }

    /// Signs what this node says, for gossip to tell.
    pub(super) fn endorse(&self, matter: Matter, digest: Digest) {
        match self.credentials.endorse(matter, digest) {
            Ok(endorsement) => {
                let input = gossip::Input::SetEndorsement { matter, digest, endorsement };
                self.directory.deliver(Route::Gossip(input));
            }
            Err(error) => tracing::error!(%error, matter = matter.key(), "this node's own word could not be endorsed"),
        }
    }

    /// Has everything that this node says endorsed anew: the certificate behind it is another issuer's.
    pub fn endorse_anew(&self) {
        if self.endorses() {
            self.directory.deliver(Route::Gossip(gossip::Input::EndorsementsRequired));
        }
    }

    /// Checks what another node tells as its second signature.
    pub(super) fn hear_endorsement(&self, origin: PeerId, matter: Matter, endorsement: &[u8]) {
        if !self.endorses() || origin == self.credentials.peer() {
            return;
        }
        match self.credentials.check_endorsement(origin, endorsement) {
            Ok((signed, digest)) if signed == matter => {
                self.directory.deliver(Route::Gossip(gossip::Input::Endorsed { origin, matter, digest }));
            }
            Ok(_) => self.reject(Rejected::Inconsistent),
            Err(reason) => {
                self.reject(Rejected::Unauthorized);
                tracing::warn!(peer = %origin.short(), matter = matter.key(), %reason, "a node's endorsement is none");
            }
        }
    }
}
