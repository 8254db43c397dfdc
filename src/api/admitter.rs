//! Admits hosts that show an invitation, and renews members' certificates; on nodes that hold the authority's key.

use std::net::SocketAddr;
use std::sync::Arc;

use prunella_core::PeerId;
use prunella_core::wire::admission::Refusal;
use prunella_core::wire::{Admission, AdmissionReply};
use prunella_storage::{Batch, Store, StoreError, Tree};

use crate::host::Host;
use crate::security::{Failure, Issuer};
use crate::transport::Admitter;

/// Issues certificates for one mesh.
pub(super) struct Door {
    host: Arc<dyn Host>,
    issuer: Issuer,
    store: Arc<dyn Store>,
    /// Where the new member finds its first neighbor.
    me: (PeerId, Vec<SocketAddr>),
}

impl Door {
    pub(super) fn new(
        host: Arc<dyn Host>,
        issuer: Issuer,
        store: Arc<dyn Store>,
        me: (PeerId, Vec<SocketAddr>),
    ) -> Self {
        Self { host, issuer, store, me }
    }

    /// Remembers that a token was used, durably, before anybody is told; false if it was used before.
    fn mark_used(&self, id: &[u8; 16], expires_unix: u64) -> Result<bool, StoreError> {
        if self.store.get(Tree::UsedTokens, id)?.is_some() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.put(Tree::UsedTokens, *id, expires_unix.to_be_bytes());
        self.store.apply(&batch)?;
        self.store.flush()?;
        Ok(true)
    }

    /// Forgets used tokens that have expired: they are refused for that alone.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read or written.
    pub(super) fn forget_expired(store: &dyn Store, now: u64) -> Result<(), StoreError> {
        for (id, expires) in store.scan(Tree::UsedTokens)? {
            let expires = expires.try_into().map_or(0, u64::from_be_bytes);
            if expires <= now {
                let mut batch = Batch::new();
                batch.delete(Tree::UsedTokens, id);
                store.apply(&batch)?;
            }
        }
        Ok(())
    }
}

impl Admitter for Door {
    fn admit(&self, admission: Admission, from: Option<PeerId>, exporter: [u8; 32]) -> AdmissionReply {
        let now = self.host.unix_time().as_secs();
        let issued = match (&admission, from) {
            (Admission::Renew, Some(member)) => self.issuer.renew(&member, now).map_err(|error| {
                tracing::error!(%error, "a certificate could not be renewed");
                Refusal::Failed
            }),
            (Admission::Renew, None) => Err(Refusal::NotProven),
            (Admission::Join { .. }, _) => {
                let mut mark = |id: &[u8; 16], expires| self.mark_used(id, expires).map_err(Failure::from);
                self.issuer.admit(&admission, &exporter, now, &mut mark)
            }
        };
        match issued {
            Ok(certificate) => {
                let authority = self.issuer.authority_der().to_vec();
                AdmissionReply::Admitted { certificate, authority, neighbors: vec![self.me.clone()] }
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "a host was not admitted");
                AdmissionReply::Refused(refusal)
            }
        }
    }
}
