//! Admits hosts that show an invitation, and renews members' certificates; on nodes that hold an issuing key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::ledger::Event;
use prunella_core::wire::admission::Refusal;
use prunella_core::wire::{Admission, AdmissionReply};
use prunella_storage::{Batch, Store, StoreError, Tree};

use crate::config::Certificate;
use crate::host::Host;
use crate::security::{Credentials, Failure, Issuer, Refused, check_proof};
use crate::transport::Admitter;

/// Issues certificates for one mesh.
pub(super) struct Door {
    host: Arc<dyn Host>,
    credentials: Credentials,
    /// Where the issuing key lies, if there is one.
    dir: PathBuf,
    validity: Duration,
    /// How long a certificate may have expired that its owner returns with, in seconds.
    grace_s: u64,
    store: Arc<dyn Store>,
    /// Where the new member finds its first neighbor.
    me: (PeerId, Vec<SocketAddr>),
    /// Hears what is to be written into the ledger.
    write_down: WriteDown,
}

/// Has something written into the ledger.
pub(super) type WriteDown = Box<dyn Fn(Event) + Send + Sync>;

impl Door {
    pub(super) fn new(
        host: Arc<dyn Host>,
        (credentials, dir): (Credentials, PathBuf),
        certificates: &Certificate,
        store: Arc<dyn Store>,
        addresses: Vec<SocketAddr>,
        write_down: WriteDown,
    ) -> Self {
        let me = (credentials.peer(), addresses);
        let (validity, grace_s) = (certificates.validity(), certificates.grace().as_secs());
        Self { host, credentials, dir, validity, grace_s, store, me, write_down }
    }

    fn is_revoked(&self, public_key: &[u8; 32]) -> bool {
        self.credentials.is_revoked(&PeerId::from_public_key(*public_key))
    }

    /// This node as an issuer. An appointment may be renewed, or made, while the node runs.
    fn issuer(&self) -> Result<Issuer, Refusal> {
        match Issuer::load(&self.dir) {
            Ok(Some(issuer)) => Ok(issuer.with_certificate_life(self.validity)),
            Ok(None) => Err(Refusal::NotAnIssuer),
            Err(error) => Err(failed(&error)),
        }
    }

    fn renew(&self, member: &PeerId, now: u64) -> Result<Vec<Vec<u8>>, Refusal> {
        if self.credentials.is_revoked(member) {
            return Err(Refusal::Revoked);
        }
        self.issuer()?.renew(member, now).map_err(|error| failed(&error))
    }

    /// Who was a member until its certificate expired is one again, if it holds its key still.
    fn take_back(&self, chain: &[Vec<u8>], proof: &[u8], exporter: &[u8], now: u64) -> Result<Vec<Vec<u8>>, Refusal> {
        let member = self.credentials.check_lapsed(chain, now, self.grace_s).map_err(|refused| match refused {
            Refused::Revoked => Refusal::Revoked,
            _ => Refusal::Lapsed,
        })?;
        check_proof(&member, exporter, proof)?;
        self.renew(&member, now)
    }

    /// Who was admitted, or taken back, is written down; that a member's certificate was renewed is not.
    fn tell(&self, admission: &Admission, from: Option<PeerId>) {
        match admission {
            Admission::Join { public_key, .. } => {
                let (peer, by) = (PeerId::from_public_key(*public_key), self.me.0);
                (self.write_down)(Event::Admitted { peer, by, from: String::new() });
            }
            Admission::Return { chain, .. } => {
                let member = self.credentials.check_lapsed(chain, self.host.unix_time().as_secs(), self.grace_s);
                if let Some(peer) = from.or(member.ok()) {
                    let reason = "its certificate had expired, and it holds its key".to_owned();
                    (self.write_down)(Event::Readmitted { peer, reason });
                }
            }
            Admission::Renew => {}
        }
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

fn failed(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "a host could not be certified");
    Refusal::Failed
}

impl Admitter for Door {
    fn admit(&self, admission: Admission, from: Option<PeerId>, exporter: [u8; 32]) -> AdmissionReply {
        let now = self.host.unix_time().as_secs();
        let issued = match (&admission, from) {
            (Admission::Renew, Some(member)) => self.renew(&member, now),
            (Admission::Renew, None) => Err(Refusal::NotProven),
            (Admission::Return { chain, proof }, _) => self.take_back(chain, proof, &exporter, now),
            (Admission::Join { public_key, .. }, _) if self.is_revoked(public_key) => Err(Refusal::Revoked),
            (Admission::Join { .. }, _) => {
                let mut mark = |id: &[u8; 16], expires| self.mark_used(id, expires).map_err(Failure::from);
                self.issuer().and_then(|issuer| issuer.admit(&admission, &exporter, now, &mut mark))
            }
        };
        match issued {
            Ok(chain) => {
                self.tell(&admission, from);
                let authorities = self.credentials.authority_ders();
                AdmissionReply::Admitted { chain, authorities, neighbors: vec![self.me.clone()] }
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "a host was not admitted");
                AdmissionReply::Refused(refusal)
            }
        }
    }
}
