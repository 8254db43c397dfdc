//! What the node answers about certificates, and what an issuer does about members.

use std::time::Duration;

use data_encoding::HEXLOWER;
use prunella_core::PeerId;

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::vocabulary::{CertificateInfo, CertificatesInfo, HandshakeInfo, Response, SmokeInfo, StatementInfo};
use crate::actors::shell::Heard;
use crate::security::{Issuer, Refused, Role, Said, Statement, Summary};
use crate::transport::{self, Handshake};

impl Answers {
    /// What this node sees of certificates.
    pub(super) fn certificates(&self) -> CertificatesInfo {
        let (shell, now) = (self.shell(), self.shell().host.unix_time().as_secs());
        let own = shell.credentials.chain_ders();
        let mut certificates = Vec::new();
        let me = shell.credentials.peer();
        certificates.extend(own.first().and_then(|der| self.certificate(Role::Node, der, Some(me), now)));
        certificates.extend(own.get(1).and_then(|der| self.certificate(Role::Issuer, der, None, now)));
        for der in shell.credentials.authority_ders() {
            certificates.extend(self.certificate(Role::Authority, &der, None, now));
        }
        for (peer, chain) in shell.links().chains() {
            certificates.extend(chain.first().and_then(|der| self.certificate(Role::Node, der, Some(peer), now)));
        }
        let statements: Vec<StatementInfo> = shell.credentials.said().iter().map(|said| self.statement(said)).collect();
        let wrong = |info: &CertificateInfo| {
            info.problem.as_ref().map(|problem| format!("{} {}: {problem}", info.role, info.name))
        };
        let mut problems: Vec<String> = certificates.iter().filter_map(wrong).collect();
        if shell.credentials.is_revoked(&me) {
            problems.push("this node is revoked".to_owned());
        }
        CertificatesInfo { certificates, statements, problems }
    }

    fn certificate(&self, role: Role, der: &[u8], peer: Option<PeerId>, now: u64) -> Option<CertificateInfo> {
        let summary = Summary::of(role, der)?;
        let problem = summary.problem(now);
        let Summary { algorithm, spiffe_id, from_unix, until_unix, fingerprint, .. } = summary;
        let name = peer.map_or_else(|| fingerprint[..10].to_owned(), |peer| self.shell().known.name(&peer));
        let role = match role {
            Role::Node => "node",
            Role::Issuer => "issuer",
            Role::Authority => "authority",
        };
        let (role, algorithm) = (role.to_owned(), algorithm.name().to_owned());
        Some(CertificateInfo { role, name, peer, algorithm, spiffe_id, from_unix, until_unix, fingerprint, problem })
    }

    /// Shakes hands with a node at the address of its link, or else at the first one that it tells.
    pub(super) async fn smoke(&self, peer: &str) -> Result<Response, Error> {
        let (peer, shell) = (self.find(peer)?, self.shell());
        let linked = shell.links().snapshot().into_iter().find(|link| link.peer == peer && link.dialed);
        let told = || shell.known.nodes().remove(&peer).and_then(|node| node.addresses.first().copied());
        let address = linked.map(|link| link.remote).or_else(told).ok_or_else(|| {
            let text = format!("no address of {} is known", shell.known.name(&peer));
            Error::new(ErrorKind::ConnectionFailed, text)
        })?;
        let seen = transport::smoke(&shell.host, &shell.credentials, peer, address).await;
        let now = shell.host.unix_time().as_secs();
        let roles = [(Role::Node, Some(peer)), (Role::Issuer, None)];
        let shown = seen.chain.iter().zip(roles);
        let certificates: Vec<_> =
            shown.filter_map(|(der, (role, peer))| self.certificate(role, der, peer, now)).collect();
        let handshake = |seen: Handshake| HandshakeInfo {
            offered: seen.offered,
            took_us: seen.outcome.as_ref().ok().map(|took| took.as_micros() as u64),
            sent_bytes: seen.bytes.0,
            received_bytes: seen.bytes.1,
            refused: seen.outcome.err(),
            ok: seen.is_right,
        };
        let handshakes: Vec<_> = seen.handshakes.into_iter().map(handshake).collect();
        let ok = handshakes.iter().all(|one| one.ok) && certificates.iter().all(|one| one.problem.is_none());
        Ok(Response::Smoke(SmokeInfo { peer, address, certificates, handshakes, ok }))
    }

    fn statement(&self, said: &Said) -> StatementInfo {
        let name = |peer: &PeerId| self.shell().known.name(peer);
        let (kind, subject, name, reason) = match &said.statement {
            Statement::Revoked { peer, reason } => ("revoked", peer.to_string(), name(peer), reason.clone()),
            Statement::Reinstated { peer } => ("reinstated", peer.to_string(), name(peer), String::new()),
            Statement::Dismissed { issuer } => ("dismissed", issuer.to_string(), String::new(), String::new()),
            Statement::Succeeded { authority } => {
                let fingerprint = HEXLOWER.encode(&crate::security::pair_fingerprint(authority));
                ("succeeded", fingerprint, String::new(), String::new())
            }
            Statement::Retired { authority } => ("retired", HEXLOWER.encode(authority), String::new(), String::new()),
            Statement::PolicySet { version, name, .. } => {
                ("policy-set", format!("version {version}"), name.clone(), String::new())
            }
        };
        StatementInfo { at_unix: said.at_unix, kind: kind.to_owned(), subject, name, reason }
    }

    /// Renews this node's certificate now, and waits until that is done.
    pub(super) async fn rotate(&self) -> Result<Response, Error> {
        let shell = self.shell();
        let mut ended = shell.renewal_ended.subscribe();
        ended.mark_unchanged();
        shell.renewal_wanted.notify_one();
        let told = tokio::time::timeout(PATIENCE, ended.changed()).await;
        told.map_err(|_| Error::new(ErrorKind::TimedOut, "no issuer has answered in time"))?
            .map_err(|_| Error::new(ErrorKind::Internal, "the node stops"))?;
        let outcome = ended.borrow().clone();
        outcome.map_err(|reason| Error::new(ErrorKind::Identity, reason))?;
        Ok(Response::Certificates(self.certificates()))
    }

    /// Hears what the authority says, from whoever holds its key.
    pub(super) fn tell(&self, statement: &str) -> Result<Response, Error> {
        let bytes = HEXLOWER.decode(statement.as_bytes());
        let bytes = bytes.map_err(|_| Error::new(ErrorKind::InvalidInput, "not hexadecimal digits"))?;
        let refused = |refused: Refused| Error::new(ErrorKind::Identity, format!("it proves nothing here: {refused}"));
        match self.shell().hear_statement(&bytes).map_err(refused)? {
            Heard::Older(older) => Err(Error::new(ErrorKind::InvalidInput, older.to_string())),
            Heard::News | Heard::Known if self.shell().credentials.holds(&bytes) => Ok(Response::Done),
            Heard::News | Heard::Known => Err(Error::new(ErrorKind::System, NOTHING_SAID)),
        }
    }

    /// Says to the whole mesh that a node is a member no more.
    pub(super) fn revoke(&self, peer: &str, reason: String) -> Result<Response, Error> {
        let peer = self.find(peer)?;
        if peer == self.shell().credentials.peer() {
            let text = "this node would revoke itself; run `revoke` on another issuer";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.state(Statement::Revoked { peer, reason })
    }

    /// Says to the whole mesh that a node that was revoked is a member again.
    pub(super) fn reinstate(&self, peer: &str) -> Result<Response, Error> {
        let revoked = |said: &Said| match said.statement {
            // Nobody knows the name of a revoked node: its own word for it was dropped.
            Statement::Revoked { peer: id, .. } if id.to_string().starts_with(peer) => Some(id),
            _ => None,
        };
        let found: Vec<PeerId> = self.shell().credentials.said().iter().filter_map(revoked).collect();
        match found[..] {
            [peer] => self.state(Statement::Reinstated { peer }),
            [] => Err(Error::new(ErrorKind::PeerNotFound, format!("no node that begins with {peer:?} is revoked"))),
            _ => Err(Error::new(ErrorKind::InvalidInput, format!("several revoked nodes begin with {peer:?}"))),
        }
    }

    /// Says something to the whole mesh, by the issuing key that this node holds.
    pub(super) fn state(&self, statement: Statement) -> Result<Response, Error> {
        let shell = self.shell();
        let issuer = Issuer::load(self.dir())?.ok_or_else(|| {
            Error::new(ErrorKind::Identity, "this node holds no issuing key; run the command on one that does")
        })?;
        let said = shell.say(issuer.key(), statement)?;
        let refused =
            |refused: Refused| Error::new(ErrorKind::Identity, format!("this issuer is believed no more: {refused}"));
        if said.map_err(refused)? { Ok(Response::Done) } else { Err(Error::new(ErrorKind::System, NOTHING_SAID)) }
    }
}

const NOTHING_SAID: &str = "nothing was said: something newer holds about the same, or as much as there may be";
const PATIENCE: Duration = Duration::from_secs(30);
