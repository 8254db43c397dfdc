//! Founding a mesh, inviting to it, joining it.

use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use prunella_core::PeerId;
use prunella_core::limits::ADDRESSES_MAX;
use prunella_core::wire::admission::Refusal;

use super::configuration::{MeshConfig, load};
use super::error::{Error, ErrorKind};
use crate::config::{Bootstrap, FILE_NAME, NotABootstrap};
use crate::host::{Host, Machine};
pub use crate::security::Algorithm;
use crate::security::{self, Credentials, Issuer, SecurityError, Token};
use crate::transport::{self, Membership};

/// How a mesh is founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// The first node's name for people.
    pub name: Option<String>,
    /// The mesh's trust domain.
    pub trust_domain: String,
    /// Of which algorithm the certificates of its nodes are, for as long as the mesh lives.
    pub certificates: Algorithm,
    /// Where the node listens (UDP).
    pub listen: Option<SocketAddr>,
    /// What other nodes are told to dial.
    pub advertise: Vec<SocketAddr>,
}

/// A mesh that was founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The first node.
    pub peer: PeerId,
    /// The mesh's trust domain.
    pub trust_domain: String,
}

/// How somebody is invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteOptions {
    /// How long the invitation is good.
    pub life: Duration,
    /// Where the new node finds this one; empty for what the configuration advertises.
    pub addresses: Vec<SocketAddr>,
}

/// How a mesh is joined.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// The invitation.
    pub token: String,
    /// The new node's name for people.
    pub name: Option<String>,
    /// Where the node listens (UDP).
    pub listen: Option<SocketAddr>,
    /// What other nodes are told to dial.
    pub advertise: Vec<SocketAddr>,
}

/// How a mesh is joined without a token: on the word of the SPIFFE trust domain that has issued this workload's SVID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadJoinOptions {
    /// The Workload API that gives the SVID, `unix:/PATH`.
    pub workload_api: String,
    /// The mesh's authority: the fingerprint of its certificate, 64 hexadecimal digits, or a PEM file that holds it.
    pub authority: String,
    /// The issuer to join through, `PEERID@HOST:PORT`.
    pub inviter: String,
    /// Of which algorithm the mesh's certificates are; a token would tell.
    pub certificates: Algorithm,
    /// The new node's name for people.
    pub name: Option<String>,
    /// Where the node listens (UDP).
    pub listen: Option<SocketAddr>,
    /// What other nodes are told to dial.
    pub advertise: Vec<SocketAddr>,
}

/// Without the invitation: whoever has it joins.
impl fmt::Debug for JoinOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("JoinOptions");
        shown.field("name", &self.name).field("listen", &self.listen).field("advertise", &self.advertise);
        shown.finish_non_exhaustive()
    }
}

/// A mesh that was joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The new node.
    pub peer: PeerId,
    /// The mesh's trust domain.
    pub trust_domain: String,
    /// Who admitted it.
    pub inviter: PeerId,
}

/// Founds a mesh whose first node lives in `dir`: its keys, its authority, its certificate and its configuration.
///
/// # Errors
/// [`ErrorKind::Identity`] if a node lives there already, [`ErrorKind::System`] if the directory cannot be written. What
/// was there before stays as it was.
pub fn init(dir: &Path, options: InitOptions) -> Result<Founded, Error> {
    init_on(&Machine, dir, options)
}

pub(super) fn init_on(host: &dyn Host, dir: &Path, options: InitOptions) -> Result<Founded, Error> {
    make_directory(dir)?;
    let validity = MeshConfig::default().certificate.validity();
    let credentials =
        security::found(dir, (&options.trust_domain, options.certificates), validity, host.unix_time().as_secs())?;
    security::postquantum::ensure(dir)?;
    let written =
        Written { name: options.name, listen: options.listen, advertise: options.advertise, bootstrap: vec![] };
    written.write(dir)?;
    Ok(Founded { peer: credentials.peer(), trust_domain: options.trust_domain })
}

/// Makes an invitation to the mesh of the node in `dir`, which must hold the authority's key. The node need not run, but
/// it must when the invitation is used.
///
/// # Errors
/// [`ErrorKind::Identity`] if this node cannot issue, [`ErrorKind::InvalidInput`] if nobody could find it.
pub fn invite(dir: &Path, options: InviteOptions) -> Result<String, Error> {
    invite_on(&Machine, dir, options)
}

pub(super) fn invite_on(host: &dyn Host, dir: &Path, options: InviteOptions) -> Result<String, Error> {
    let credentials = Credentials::load(dir)?;
    let issuer = Issuer::load(dir)?.ok_or_else(|| {
        let text = format!("{} holds no issuing key; invite from the node that founded the mesh", dir.display());
        Error::new(ErrorKind::Identity, text)
    })?;
    let mut addresses = options.addresses;
    if addresses.is_empty() {
        addresses = advertised(&load(dir, None)?);
    }
    if addresses.is_empty() {
        let text = "nobody could find this node: give `--address HOST:PORT`, or `advertise` in config.toml";
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let token = issuer.invite(addresses, credentials.peer(), options.life, host.unix_time().as_secs())?;
    Ok(token.to_string())
}

/// Joins a mesh with a node that will live in `dir`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is no token, [`ErrorKind::ConnectionFailed`] if the inviter cannot be reached,
/// [`ErrorKind::AuthenticationFailed`] if it refuses or is another mesh's.
pub async fn join(dir: &Path, options: JoinOptions) -> Result<Joined, Error> {
    join_on(&Machine::shared(), dir, options).await
}

pub(super) async fn join_on(host: &Arc<dyn Host>, dir: &Path, options: JoinOptions) -> Result<Joined, Error> {
    let token: Token = options
        .token
        .trim()
        .parse()
        .map_err(|error: security::NotAToken| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    make_directory(dir)?;
    let identity = security::create_identity(dir)?;
    let keys = security::postquantum::ensure(dir)?;
    let membership = transport::join(host, &token, &identity, &keys).await.map_err(join_error)?;
    let written =
        Written { name: options.name, listen: options.listen, advertise: options.advertise, bootstrap: vec![] };
    let trust_domain = enter(dir, (&token.authority_fingerprint, token.certificates), &membership, written)?;
    Ok(Joined { peer: identity.peer(), trust_domain, inviter: token.inviter })
}

/// Joins a mesh with a node that will live in `dir`, on the word of this workload's trust domain. Which mesh, the caller
/// must know: nothing is believed because it answers first.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the inviter or the authority are none, [`ErrorKind::Identity`] if the Workload API gives no
/// SVID, [`ErrorKind::ConnectionFailed`] if the inviter cannot be reached, [`ErrorKind::AuthenticationFailed`] if it refuses
/// or is another mesh's, [`ErrorKind::Denied`] if its policy does not let this workload in.
pub async fn join_as_workload(dir: &Path, options: WorkloadJoinOptions) -> Result<Joined, Error> {
    let WorkloadJoinOptions { workload_api, authority, inviter, certificates, name, listen, advertise } = options;
    let invalid = |text: String| Error::new(ErrorKind::InvalidInput, text);
    let inviter: Bootstrap = inviter.trim().parse().map_err(|error: NotABootstrap| invalid(error.to_string()))?;
    let authority_fingerprint = authority_named(&authority)?;
    let addresses = tokio::net::lookup_host((inviter.host.as_str(), inviter.port)).await;
    let addresses: Vec<SocketAddr> = addresses
        .map_err(|error| {
            Error::new(ErrorKind::ConnectionFailed, format!("{} does not resolve: {error}", inviter.host))
        })?
        .take(ADDRESSES_MAX)
        .collect();
    let svid = transport::fetch_svid(&workload_api)
        .await
        .map_err(|error| Error::new(ErrorKind::Identity, error.to_string()))?;
    make_directory(dir)?;
    let identity = security::create_identity(dir)?;
    let keys = security::postquantum::ensure(dir)?;
    let inviter = transport::Inviter { peer: inviter.peer, addresses, authority_fingerprint, certificates };
    let joining = transport::join_as_workload(&Machine::shared(), &inviter, &svid, (&identity, &keys)).await;
    let written = Written { name, listen, advertise, bootstrap: vec![] };
    let trust_domain = enter(dir, (&authority_fingerprint, certificates), &joining.map_err(join_error)?, written)?;
    Ok(Joined { peer: identity.peer(), trust_domain, inviter: inviter.peer })
}

/// The fingerprint of an authority that is named by it, or by a file that holds its two certificates.
fn authority_named(text: &str) -> Result<[u8; 32], Error> {
    let invalid = |text: String| Error::new(ErrorKind::InvalidInput, text);
    let text = text.trim();
    if let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(text.as_bytes())
        && let Ok(fingerprint) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(fingerprint);
    }
    let certificates = security::read_bundle(Path::new(text)).map_err(|error| {
        invalid(format!(
            "{text:?} is neither a fingerprint of 64 hexadecimal digits nor a file with certificates: {error}"
        ))
    })?;
    match certificates.get(..2) {
        Some(pair) => Ok(security::pair_fingerprint(pair)),
        None => Err(invalid(format!("{text:?} holds one certificate; an authority has two"))),
    }
}

/// Writes down what a join brought; returns the mesh's trust domain.
fn enter(
    dir: &Path,
    (authority, certificates): (&[u8; 32], Algorithm),
    membership: &Membership,
    written: Written,
) -> Result<String, Error> {
    let Membership { chain, authorities, .. } = membership;
    let credentials = security::accept_membership(dir, (authority, certificates), chain, authorities)?;
    security::postquantum::ensure(dir)?;
    let neighbors = membership.neighbors.iter();
    let bootstrap = neighbors
        .flat_map(|(peer, addresses)| addresses.iter().map(move |address| format!("{peer}@{address}")))
        .collect();
    Written { bootstrap, ..written }.write(dir)?;
    Ok(credentials.trust_domain())
}

/// What other nodes are told to dial: what the configuration says, or else where the node listens, if that is an address
/// that others could use.
pub(super) fn advertised(config: &MeshConfig) -> Vec<SocketAddr> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    let listen = config.listen;
    if listen.port() == 0 {
        return Vec::new();
    }
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    // Connecting a UDP socket sends nothing: it only asks the system which address it would use towards the others.
    let towards = config.bootstrap.iter().filter_map(|b| b.host.parse::<IpAddr>().ok()).find(|ip| !ip.is_loopback());
    let towards = towards.unwrap_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let local = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((towards, 9)).and_then(|()| socket.local_addr()));
    local.map(|address| vec![SocketAddr::new(address.ip(), listen.port())]).unwrap_or_default()
}

/// What `init` and `join` write into a new node's configuration.
struct Written {
    name: Option<String>,
    listen: Option<SocketAddr>,
    advertise: Vec<SocketAddr>,
    bootstrap: Vec<String>,
}

impl Written {
    /// Writes the configuration and the first policy, unless they are there.
    fn write(self, dir: &Path) -> Result<(), Error> {
        let mut table = toml::Table::new();
        if let Some(name) = self.name {
            table.insert("name".to_owned(), name.into());
        }
        if let Some(listen) = self.listen {
            table.insert("listen".to_owned(), listen.to_string().into());
        }
        let texts =
            |addresses: &[SocketAddr]| addresses.iter().map(|a| a.to_string().into()).collect::<Vec<toml::Value>>();
        if !self.advertise.is_empty() {
            table.insert("advertise".to_owned(), texts(&self.advertise).into());
        }
        if !self.bootstrap.is_empty() {
            table.insert("bootstrap".to_owned(), self.bootstrap.into());
        }
        let head = "# This node's configuration; every key and its default: `config/default.toml` in the source.\n";
        let file = dir.join(FILE_NAME);
        if file.exists() {
            add_bootstrap(&file, &table)?;
        } else {
            create(&file, &format!("{head}{table}"))?;
        }
        create(&dir.join(MeshConfig::default().policy.file), INITIAL_POLICY)
    }
}

/// A configuration that was written before the join stays as it is, but the node must know whom to dial first. Keys of
/// the whole file stand before its first table, so the line goes on top.
fn add_bootstrap(file: &Path, table: &toml::Table) -> Result<(), Error> {
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::System, format!("cannot write {}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(failed)?;
    let has = text.parse::<toml::Table>().is_ok_and(|there| there.contains_key("bootstrap"));
    match table.get("bootstrap") {
        Some(bootstrap) if !has => fs::write(file, format!("bootstrap = {bootstrap}\n{text}")).map_err(failed),
        _ => Ok(()),
    }
}

/// Creates a file with this text; what is there already stays.
fn create(path: &Path, text: &str) -> Result<(), Error> {
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Error::new(ErrorKind::System, format!("cannot write {}: {error}", path.display()))),
    }
}

fn make_directory(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        let text = format!("cannot create {}: {error}; give another place with --dir", dir.display());
        Error::new(ErrorKind::System, text)
    })
}

fn join_error(error: transport::JoinError) -> Error {
    let kind = match error {
        transport::JoinError::NotReachable { .. } | transport::JoinError::NoAddress => ErrorKind::ConnectionFailed,
        transport::JoinError::Refused(Refusal::NotAllowed) => ErrorKind::Denied,
        _ => ErrorKind::AuthenticationFailed,
    };
    Error::new(kind, error.to_string())
}

impl From<SecurityError> for Error {
    fn from(error: SecurityError) -> Self {
        Error::new(ErrorKind::Identity, error.to_string())
    }
}

const INITIAL_POLICY: &str = include_str!("../../config/policy.initial.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_there_gains_the_bootstrap_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE_NAME);
        fs::write(&file, "name = \"mine\" # kept\n[chaos]\nallow = true\n").unwrap();
        let peer = PeerId::from_public_key([1; 32]);
        let bootstrap = vec![format!("{peer}@127.0.0.1:4600")];
        let written = Written { name: Some("other".into()), listen: None, advertise: vec![], bootstrap };
        written.write(dir.path()).unwrap();
        let config = load(dir.path(), None).unwrap();
        assert_eq!((config.name.as_str(), config.chaos.allow, config.bootstrap.len()), ("mine", true, 1));
        assert!(fs::read_to_string(&file).unwrap().contains("# kept"));
    }
}
