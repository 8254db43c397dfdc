//! Founding a mesh, inviting to it, joining it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use prunella_core::PeerId;

use super::error::{Error, ErrorKind};

/// How a mesh is founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// The first node's name for people.
    pub name: Option<String>,
    /// The mesh's trust domain.
    pub trust_domain: String,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Founds a mesh whose first node lives in `dir`.
///
/// # Errors
///
/// Always, so far.
pub fn init(_dir: &Path, _options: InitOptions) -> Result<Founded, Error> {
    Err(absent())
}

/// Makes an invitation to the mesh of the node in `dir`.
///
/// # Errors
///
/// Always, so far.
pub fn invite(_dir: &Path, _options: InviteOptions) -> Result<String, Error> {
    Err(absent())
}

/// Joins a mesh with a node that will live in `dir`.
///
/// # Errors
///
/// Always, so far.
pub async fn join(_dir: &Path, _options: JoinOptions) -> Result<Joined, Error> {
    Err(absent())
}

fn absent() -> Error {
    Error::new(ErrorKind::Internal, "this part of the program is not there yet")
}
