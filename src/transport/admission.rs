//! Joining a mesh, and renewing a certificate: one request and one reply on a connection of its own, which is good for nothing else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{Connection, Endpoint, TransportConfig};
use tokio::task::JoinSet;
use tokio::time::timeout;

use prunella_core::identity::Identity;
use prunella_core::limits::{ADMISSION_TIMEOUT, CONTROL_MESSAGE_BYTES_MAX};
use prunella_core::wire::admission::Refusal;
use prunella_core::wire::{Admission, AdmissionReply, codec};
use prunella_core::{PeerId, Rejected};

use crate::host::{Host, WallClock, unblocked};
use crate::security::postquantum::HybridKeys;
use crate::security::{
    Algorithm, Credentials, JOIN_ALPN, Member, Refused, SecurityError, Svid, Token, authenticated_member, explain,
    join_client, join_exporter, pair_fingerprints, prove, prove_both, quinn_client, server_name,
};

use super::closing::{Closing, told};
use super::framing::{FramingError, MessageReader, framed};
use super::quic::{HANDSHAKE_BUFFER_BYTES, dialing_endpoint};

/// Admissions that one node answers at once; further hosts are told that it is busy.
pub(super) const ADMISSIONS_MAX: usize = 8;

/// Answers hosts that want to join, and members that want a fresh certificate.
pub trait Admitter: Send + Sync + 'static {
    /// Answers one request. May block: it is called on a thread for that, as the use of a token must be on disk before
    /// the answer leaves.
    ///
    /// `from` is the member whose certificate the connection proved and the key that it is of, `None` for a host without one; `exporter` is the
    /// connection's [`join_exporter`].
    fn admit(&self, admission: Admission, from: Option<Member>, exporter: [u8; 32]) -> AdmissionReply;
}

/// Whom a host asks to be admitted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inviter {
    /// The node.
    pub peer: PeerId,
    /// Where it listens (UDP).
    pub addresses: Vec<SocketAddr>,
    /// The [`pair_fingerprint`](crate::security::pair_fingerprint) of its mesh's authority, without which nothing that
    /// answers would be believed.
    pub authority_fingerprint: [u8; 32],
    /// Of which algorithm the certificates of its mesh are.
    pub certificates: Algorithm,
}

/// What a host has when it was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The new node's certificate and its issuer's, DER.
    pub chain: Vec<Vec<u8>>,
    /// The authorities' certificates, DER, two of each; one pair has the token's fingerprint.
    pub authorities: Vec<Vec<u8>>,
    /// Where to find the first neighbors.
    pub neighbors: Vec<(PeerId, Vec<SocketAddr>)>,
}

/// Why a host could not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The token lists no address.
    #[error("the token names no address of its inviter; ask for a new one with `prunella invite`")]
    NoAddress,
    /// Nobody answered. The token is still good.
    #[error("the inviter cannot be reached at {tried}")]
    NotReachable {
        /// Each address, and why.
        tried: String,
    },
    /// A node of another mesh, or not the inviter, answers there. The token was not shown to it and is still good.
    #[error("the node at {address} is not the token's inviter: {reason}")]
    WrongMesh {
        /// Where.
        address: SocketAddr,
        /// What is wrong with it.
        reason: Refused,
    },
    /// A node of another mesh than the authority's, or not the one that was named, answers there. Nothing was shown to it.
    #[error("the node at {address} is not the one that was named, in the mesh of that authority: {reason}")]
    OtherInviter {
        /// Where.
        address: SocketAddr,
        /// What is wrong with it.
        reason: Refused,
    },
    /// The request could not be made.
    #[error("the request to join cannot be made: {0}")]
    Unmade(String),
    /// The inviter said no.
    #[error("refused by the inviter: {0}")]
    Refused(Refusal),
    /// The connection was lost after the request was sent. Whether the token was used is unknown.
    #[error("the inviter at {address} did not answer the request: {reason}")]
    NoReply {
        /// Where.
        address: SocketAddr,
        /// What was seen.
        reason: String,
    },
    /// What the inviter answered makes no sense.
    #[error("the inviter's answer was rejected: {0}")]
    BadReply(Rejected),
    /// This host's own network failed.
    #[error("open a UDP socket: {0}")]
    Socket(String),
}

/// Joins through the token's inviter, as `identity`, at the first of the token's addresses that answers. Where certificates
/// are of ML-DSA-65, the one of `keys`, which are the same node's, is to be certified.
///
/// # Errors
/// [`JoinError`]; each says whether the token is still good.
pub async fn join(
    host: &Arc<dyn Host>,
    token: &Token,
    identity: &Identity,
    keys: &HybridKeys,
) -> Result<Membership, JoinError> {
    if token.addresses.is_empty() {
        return Err(JoinError::NoAddress);
    }
    let Token { inviter: peer, authority_fingerprint, certificates, .. } = *token;
    let inviter = Inviter { peer, addresses: token.addresses.clone(), authority_fingerprint, certificates };
    let request = |exporter: &[u8]| {
        let (mldsa_key, proof) = certified(certificates, (identity, keys), exporter)?;
        Ok(Admission::Join { token: token.to_bytes(), public_key: identity.peer().to_bytes(), mldsa_key, proof })
    };
    be_admitted(host, &inviter, Some(token.trust_domain.as_str()), &request).await
}

/// The ML-DSA-65 key that is to be certified, or nothing, and the proof that this node holds what is certified.
fn certified(
    certificates: Algorithm,
    (identity, keys): (&Identity, &HybridKeys),
    exporter: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), SecurityError> {
    Ok(match certificates {
        Algorithm::Ed25519 => (Vec::new(), prove(identity, exporter)),
        Algorithm::MlDsa65 => (keys.verifying_key().as_bytes().to_vec(), prove_both(keys, exporter)?),
    })
}

/// Joins at a node that is known beforehand, on the word of the trust domain that has issued `svid`; as `identity`, whose
/// other keys are `keys`.
///
/// # Errors
/// [`JoinError`].
pub async fn join_as_workload(
    host: &Arc<dyn Host>,
    inviter: &Inviter,
    svid: &Svid,
    (identity, keys): (&Identity, &HybridKeys),
) -> Result<Membership, JoinError> {
    let request = |exporter: &[u8]| {
        let (mldsa_key, proof) = certified(inviter.certificates, (identity, keys), exporter)?;
        Ok(Admission::Vouched {
            svid: svid.chain().to_vec(),
            svid_proof: svid.vouch(exporter, &inviter.peer, &identity.peer())?,
            public_key: identity.peer().to_bytes(),
            mldsa_key,
            proof,
        })
    };
    be_admitted(host, inviter, None, &request).await.map_err(|error| match error {
        JoinError::WrongMesh { address, reason } => JoinError::OtherInviter { address, reason },
        error => error,
    })
}

/// What a host says, on the connection with this exporter value.
type MakeRequest<'a> = dyn Fn(&[u8]) -> Result<Admission, SecurityError> + Sync + 'a;

/// Asks the inviter, at the first of its addresses that answers.
async fn be_admitted(
    host: &Arc<dyn Host>,
    inviter: &Inviter,
    trust_domain: Option<&str>,
    request: &MakeRequest<'_>,
) -> Result<Membership, JoinError> {
    let mut reaching = JoinSet::new();
    for &address in &inviter.addresses {
        let time = Arc::new(WallClock(host.clone()));
        let named = (inviter.authority_fingerprint, inviter.certificates);
        let config = join_client(named, trust_domain, inviter.peer, time);
        let (host, peer) = (host.clone(), inviter.peer);
        reaching.spawn(async move { (address, reach(&host, peer, config, address).await) });
    }
    let mut tried = Vec::new();
    let mut wrong = None;
    while let Some(reached) = reaching.join_next().await {
        let (address, reached) = reached.expect("BUG: reaching out does not panic and is not cancelled");
        match reached? {
            Reached::Inviter(endpoint, connection) => {
                reaching.abort_all();
                let outcome = ask(&inviter.authority_fingerprint, request, address, &connection).await;
                Closing::Done.close(&connection);
                endpoint.wait_idle().await;
                return outcome;
            }
            Reached::Other(reason) => wrong = wrong.or(Some(JoinError::WrongMesh { address, reason })),
            Reached::Nobody(reason) => tried.push(format!("{address} ({reason})")),
        }
    }
    tried.sort_unstable();
    Err(wrong.unwrap_or(JoinError::NotReachable { tried: tried.join(", ") }))
}

/// Who was found at an address.
pub(super) enum Reached {
    /// The inviter, and the endpoint that has to outlast the connection.
    Inviter(Endpoint, Connection),
    /// A node that is not it.
    Other(Refused),
    /// Nobody, and why.
    Nobody(String),
}

/// Renews the certificate of a member at an issuer, also one that has expired by the time `now_unix`; returns the new
/// certificate and its issuer's, DER.
///
/// # Errors
/// [`JoinError`]; the certificate that the member has is as good as before.
pub async fn renew(
    host: &Arc<dyn Host>,
    credentials: &Credentials,
    now_unix: u64,
    (issuer, address): (PeerId, SocketAddr),
) -> Result<Vec<Vec<u8>>, JoinError> {
    let has_expired = credentials.certificate_expiry_unix() < now_unix;
    let config = if has_expired { credentials.lapsed_client() } else { credentials.client(JOIN_ALPN) };
    match reach(host, issuer, config, address).await? {
        Reached::Inviter(endpoint, connection) => {
            let reply = match ask_again(credentials, has_expired, &connection) {
                Ok(admission) => exchange(&admission, address, &connection).await,
                Err(error) => Err(JoinError::NoReply { address, reason: error.to_string() }),
            };
            Closing::Done.close(&connection);
            endpoint.wait_idle().await;
            match reply? {
                AdmissionReply::Admitted { chain, .. } => Ok(chain),
                AdmissionReply::Refused(refusal) => Err(JoinError::Refused(refusal)),
            }
        }
        Reached::Other(reason) => Err(JoinError::WrongMesh { address, reason }),
        Reached::Nobody(reason) => Err(JoinError::NotReachable { tried: format!("{address} ({reason})") }),
    }
}

/// What a member says who wants a fresh certificate: one that has expired proves nothing in the handshake, so its key
/// does so here; and one of ML-DSA-65 does not prove the key that the peer id is.
fn ask_again(
    credentials: &Credentials,
    has_expired: bool,
    connection: &Connection,
) -> Result<Admission, SecurityError> {
    let exporter = join_exporter(connection)?;
    if !has_expired {
        return Ok(Admission::Renew { proof: prove(credentials.identity(), &exporter) });
    }
    Ok(Admission::Return { chain: credentials.chain_ders(), proof: credentials.prove(&exporter)? })
}

pub(super) async fn reach(
    host: &Arc<dyn Host>,
    peer: PeerId,
    config: Arc<rustls::ClientConfig>,
    address: SocketAddr,
) -> Result<Reached, JoinError> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = dialing_endpoint(any, host).map_err(|error| JoinError::Socket(error.to_string()))?;
    let mut client = quinn_client(config);
    let mut transport = TransportConfig::default();
    transport.crypto_buffer_size(HANDSHAKE_BUFFER_BYTES);
    client.transport_config(Arc::new(transport));
    let connecting = match endpoint.connect_with(client, address, &server_name(&peer)) {
        Ok(connecting) => connecting,
        Err(error) => return Ok(Reached::Nobody(error.to_string())),
    };
    Ok(match timeout(ADMISSION_TIMEOUT / 2, connecting).await {
        Ok(Ok(connection)) => Reached::Inviter(endpoint, connection),
        Ok(Err(error)) => match explain(&error) {
            Some(refused) => Reached::Other(refused.reason),
            None => Reached::Nobody(told(&error)),
        },
        Err(_) => Reached::Nobody("no answer".to_owned()),
    })
}

async fn ask(
    authority_fingerprint: &[u8; 32],
    request: &MakeRequest<'_>,
    address: SocketAddr,
    connection: &Connection,
) -> Result<Membership, JoinError> {
    let exporter =
        join_exporter(connection).map_err(|error| JoinError::NoReply { address, reason: error.to_string() })?;
    let admission = request(&exporter).map_err(|error| JoinError::Unmade(error.to_string()))?;
    match exchange(&admission, address, connection).await? {
        AdmissionReply::Refused(refusal) => Err(JoinError::Refused(refusal)),
        AdmissionReply::Admitted { chain, authorities, neighbors } => {
            let named = pair_fingerprints(&authorities).any(|pair| pair == *authority_fingerprint);
            let membership = Membership { chain, authorities, neighbors };
            if named { Ok(membership) } else { Err(JoinError::BadReply(Rejected::Unauthorized)) }
        }
    }
}

/// One request and its reply.
async fn exchange(
    admission: &Admission,
    address: SocketAddr,
    connection: &Connection,
) -> Result<AdmissionReply, JoinError> {
    let no_reply = |reason: String| {
        let reason = connection.close_reason().map_or(reason, |error| told(&error));
        JoinError::NoReply { address, reason }
    };
    let exchange = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(|error| told(&error))?;
        send.write_all(&framed(&codec::encode_message(admission))).await.map_err(|error| error.to_string())?;
        let reply = MessageReader::new(ADMISSION_BYTES_MAX).read(&mut recv).await.map_err(|error| error.to_string())?;
        reply.ok_or_else(|| "the stream ended".to_owned())
    };
    let reply = timeout(ADMISSION_TIMEOUT, exchange).await;
    let reply = reply.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(no_reply)?;
    codec::decode_message(&reply).map_err(JoinError::BadReply)
}

/// The inviter's side: answers one request, and waits until the host has the answer.
pub(super) async fn answer(
    host: &dyn Host,
    connection: &Connection,
    admitter: Arc<dyn Admitter>,
) -> Result<(), Rejected> {
    // A host that reaches the inviter at several addresses asks at one of them only.
    let Ok((mut send, mut recv)) = connection.accept_bi().await else { return Ok(()) };
    let request = MessageReader::new(ADMISSION_BYTES_MAX).read(&mut recv).await.map_err(|error| match error {
        FramingError::OverLimit { .. } => Rejected::OverLimit,
        _ => Rejected::Malformed,
    })?;
    let admission: Admission = codec::decode_message(&request.ok_or(Rejected::Malformed)?)?;
    let exporter = join_exporter(connection).map_err(|_| Rejected::Unsigned)?;
    let from = authenticated_member(connection).ok();
    let reply = unblocked(host, move || admitter.admit(admission, from, exporter)).await;
    let reply = reply.unwrap_or(AdmissionReply::Refused(Refusal::Failed));
    let written = send.write_all(&framed(&codec::encode_message(&reply))).await;
    // Whether the host got the answer is for the host to notice: the token is used either way.
    if written.is_ok() && send.finish().is_ok() {
        let _ = send.stopped().await;
    }
    Ok(())
}

/// Longest request or reply: a token or some certificates, of which one of ML-DSA-65 has 5.7 kB, and a list of neighbors.
const ADMISSION_BYTES_MAX: usize = 48 * 1024;

const _: () = assert!(ADMISSION_BYTES_MAX < CONTROL_MESSAGE_BYTES_MAX, "what may come can be decoded");
