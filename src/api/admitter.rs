//! Admits hosts that show an invitation or a workload's SVID, and renews members' certificates; on nodes that hold an
//! issuing key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::ledger::Event;
use prunella_core::wire::admission::Refusal;
use prunella_core::wire::{Admission, AdmissionReply};
use prunella_storage::{Batch, Store, StoreError, Tree};

use crate::actors::shell::Shell;
use crate::config::Certificate;
use crate::host::Host;
use crate::security::{
    Credentials, Failure, Federation, Issuer, Member, NodeKey, Refused, WorkloadId, check_proof, check_vouched,
};
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
    /// On whose word hosts may be admitted.
    federation: Arc<Federation>,
    /// The node: its policy is asked, and what matters for trust is written into its ledger.
    shell: Weak<Shell>,
}

/// A certificate with its issuer's, DER, and what is to be written down about it.
type Issued = (Vec<Vec<u8>>, Option<Event>);

impl Door {
    pub(super) fn new(
        shell: &Arc<Shell>,
        dir: PathBuf,
        certificates: &Certificate,
        store: Arc<dyn Store>,
        federation: Arc<Federation>,
    ) -> Self {
        let credentials = shell.credentials.clone();
        let me = (credentials.peer(), shell.advertised.clone());
        let (validity, grace_s) = (certificates.validity(), certificates.grace().as_secs());
        let (host, shell) = (shell.host.clone(), Arc::downgrade(shell));
        Self { host, credentials, dir, validity, grace_s, store, me, federation, shell }
    }

    /// This node as an issuer. An appointment may be renewed, or made, while the node runs.
    fn issuer(&self) -> Result<Issuer, Refusal> {
        match Issuer::load(&self.dir) {
            Ok(Some(issuer)) => Ok(issuer.with_certificate_life(self.validity)),
            Ok(None) => Err(Refusal::NotAnIssuer),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Whoever came as a workload stays for as long as policy lets that workload join.
    fn renew(&self, member: Member, now: u64) -> Result<Vec<Vec<u8>>, Refusal> {
        let peer = member.node.peer;
        if self.credentials.is_revoked(&peer) {
            return Err(Refusal::Revoked);
        }
        member.workload.as_ref().map_or(Ok(()), |workload| self.ask_policy(&peer, workload))?;
        self.issuer()?.renew(member, now).map_err(|error| failed(&error))
    }

    /// Who was a member until its certificate expired is one again, if it holds its key still.
    fn take_back(&self, chain: &[Vec<u8>], proof: &[u8], exporter: &[u8], now: u64) -> Result<Issued, Refusal> {
        let refusal = |refused| match refused {
            Refused::Revoked => Refusal::Revoked,
            Refused::WrongAlgorithm => Refusal::WrongAlgorithm,
            _ => Refusal::Lapsed,
        };
        self.credentials.check_lapsed(chain, now, self.grace_s).map_err(refusal)?;
        let member = chain.first().ok_or(Refusal::Lapsed).and_then(|der| Member::of(der).map_err(refusal))?;
        check_proof(&member.node, exporter, proof)?;
        let peer = member.node.peer;
        let issued = self.renew(member, now)?;
        let reason = "its certificate had expired, and it holds its key".to_owned();
        Ok((issued, Some(Event::Readmitted { peer, reason })))
    }

    /// Admits a host with a token.
    fn invited(&self, admission: &Admission, peer: PeerId, exporter: &[u8], now: u64) -> Result<Issued, Refusal> {
        if self.credentials.is_revoked(&peer) {
            return Err(Refusal::Revoked);
        }
        let mut mark = |id: &[u8; 16], expires| self.mark_used(id, expires).map_err(Failure::from);
        let chain = self.issuer()?.admit(admission, exporter, now, &mut mark)?;
        Ok((chain, Some(Event::Admitted { peer, by: self.me.0, from: String::new() })))
    }

    /// Admits a host on the word of a trust domain that vouches for the workload on it, if policy lets that workload in.
    fn vouched(&self, shown: &Shown<'_>, exporter: &[u8], now: u64) -> Result<Issued, Refusal> {
        let Shown { node: NodeKey { peer, .. }, .. } = shown;
        let workload = self.federation.check(shown.svid, now)?;
        check_vouched(&shown.svid[0], shown.svid_proof, exporter, (&self.me.0, peer))?;
        check_proof(&shown.node, exporter, shown.proof)?;
        if self.credentials.is_revoked(peer) {
            return Err(Refusal::Revoked);
        }
        self.ask_policy(peer, &workload)?;
        let issuer = self.issuer()?;
        if issuer.key().algorithm() != shown.node.algorithm() {
            return Err(Refusal::WrongAlgorithm);
        }
        let from = workload.to_string();
        let member = Member { node: shown.node.clone(), workload: Some(workload) };
        let chain = issuer.renew(member, now).map_err(|error| failed(&error))?;
        tracing::info!(%peer, workload = from, "a workload was admitted");
        Ok((chain, Some(Event::Admitted { peer: *peer, by: self.me.0, from })))
    }

    fn ask_policy(&self, peer: &PeerId, workload: &WorkloadId) -> Result<(), Refusal> {
        let shell = self.shell.upgrade().ok_or(Refusal::Failed)?;
        shell.may_join(*peer, workload).map_err(|verdict| {
            tracing::warn!(%workload, peer = %peer.short(), verdict, "policy does not let a workload join");
            Refusal::NotAllowed
        })
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

/// What a host shows that joins as a workload.
struct Shown<'a> {
    svid: &'a [Vec<u8>],
    svid_proof: &'a [u8],
    node: NodeKey,
    proof: &'a [u8],
}

impl Admitter for Door {
    fn admit(&self, admission: Admission, from: Option<Member>, exporter: [u8; 32]) -> AdmissionReply {
        let now = self.host.unix_time().as_secs();
        let issued = match (&admission, from) {
            // The connection proves the key that the certificate is of, which is to be certified again. That it was is
            // not written down.
            (Admission::Renew { proof }, Some(member)) => check_proof(&member.node.peer.into(), &exporter, proof)
                .and_then(|()| self.renew(member, now))
                .map(|chain| (chain, None)),
            (Admission::Renew { .. }, None) => Err(Refusal::NotProven),
            (Admission::Return { chain, proof }, _) => self.take_back(chain, proof, &exporter, now),
            (Admission::Join { public_key, .. }, _) => {
                self.invited(&admission, PeerId::from_public_key(*public_key), &exporter, now)
            }
            (Admission::Vouched { svid, svid_proof, public_key, mldsa_key, proof }, _) => {
                NodeKey::shown(*public_key, mldsa_key).and_then(|node| {
                    let shown = Shown { svid, svid_proof, node, proof };
                    self.vouched(&shown, &exporter, now)
                })
            }
        };
        let shell = self.shell.upgrade();
        match issued {
            Ok((chain, event)) => {
                if let (Some(shell), Some(event)) = (shell, event) {
                    shell.write_down(event);
                }
                let authorities = self.credentials.authority_ders();
                AdmissionReply::Admitted { chain, authorities, neighbors: vec![self.me.clone()] }
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "a host was not admitted");
                if let Some(shell) = shell {
                    shell.policing.count_refusal(refusal);
                }
                AdmissionReply::Refused(refusal)
            }
        }
    }
}
