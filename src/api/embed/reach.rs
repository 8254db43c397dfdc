//! Waiting for a way to a peer, and telling why there is none.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::wire::StreamRefusal;
use tokio::time::timeout;

use crate::actors::shell::Shell;
use crate::api::answers::session_error;
use crate::api::error::{Error, ErrorKind};
use crate::spans::{self, Kind};
use crate::transport::{MessageChannel, SessionError, Sessions};

/// Opens a channel to `peer`, once there is a path.
///
/// # Errors
/// As [`MeshNode::connect`](super::MeshNode::connect).
pub(super) async fn open(shell: &Shell, sessions: &Sessions, peer: PeerId) -> Result<MessageChannel, Error> {
    if peer == shell.credentials.peer() {
        return Err(Error::new(ErrorKind::InvalidInput, "a node does not connect to itself"));
    }
    if !is_known(shell, &peer) {
        return Err(unreachable(shell, &peer));
    }
    path_to(shell, peer, PATH_PATIENCE).await?;
    let name = shell.known.name(&peer);
    let mut span = shell.tracer.request("connect", Kind::Internal);
    let opened = spans::under(span.context(), MessageChannel::open(sessions, peer)).await;
    opened.inspect_err(|error| span.fail_as(error.name(), error)).map_err(|error| match error {
        SessionError::Refused(StreamRefusal::NoSuchService) => {
            let text = format!("{name}: nothing receives messages there; its program must set `on_connection`");
            Error::new(ErrorKind::ServiceNotFound, text)
        }
        error => session_error(&name, error),
    })
}

/// Waits until there is a path to `peer`.
///
/// # Errors
/// Why there is none: [`ErrorKind::PeerNotFound`], [`ErrorKind::NatTraversalFailed`] or [`ErrorKind::NoPath`].
pub(super) async fn path_to(shell: &Shell, peer: PeerId, patience: Duration) -> Result<(), Error> {
    // Each try waits for some seconds by itself and asks the pathfinder anew, which may have been restarted meanwhile.
    let search = async { while shell.route_to(peer).await.is_err() {} };
    timeout(patience, search).await.map_err(|_| unreachable(shell, &peer))
}

fn is_known(shell: &Shell, peer: &PeerId) -> bool {
    shell.known.nodes().contains_key(peer) || shell.roster.all().contains(peer)
}

fn unreachable(shell: &Shell, peer: &PeerId) -> Error {
    let name = shell.known.name(peer);
    if !is_known(shell, peer) {
        let text = format!("no node {peer} is known; `MeshNode::wait_for_peer` waits until one is");
        return Error::new(ErrorKind::PeerNotFound, text);
    }
    match shell.known.nodes().get(peer) {
        Some(node) if is_behind_translation(&node.addresses, &shell.advertised) => {
            let text = format!("{name}: it has no address that can be dialed from here, and no relay leads to it");
            Error::new(ErrorKind::NatTraversalFailed, text)
        }
        _ => Error::new(ErrorKind::NoPath, format!("no path to {name} is known; the mesh keeps looking")),
    }
}

/// Whether nobody in our place can dial any of `theirs`: it advertises nothing, or only what has a meaning in a private
/// network, in which this node is not.
fn is_behind_translation(theirs: &[SocketAddr], ours: &[SocketAddr]) -> bool {
    let private = |address: &SocketAddr| is_private(address.ip());
    theirs.is_empty() || (theirs.iter().all(private) && !ours.is_empty() && !ours.iter().any(private))
}

/// Loopback, link-local and private addresses (RFC 1918, RFC 4193), and carriers' shared ones (RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// How long a connection waits for a path; a repair of the mesh takes less.
const PATH_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translation_stands_between_when_no_address_can_be_dialed_from_here() {
        let of = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let (home, abroad) = (of(&["192.168.1.2:4600", "[fd00::1]:4600"]), of(&["203.0.113.5:4600"]));
        assert!(is_behind_translation(&home, &abroad));
        assert!(is_behind_translation(&of(&["100.64.3.1:4600"]), &abroad));
        assert!(is_behind_translation(&[], &home), "it advertises nothing");
        assert!(!is_behind_translation(&home, &home), "perhaps the same private network");
        assert!(!is_behind_translation(&abroad, &home) && !is_behind_translation(&abroad, &abroad));
        assert!(!is_behind_translation(&home, &[]), "this node does not know where it is");
    }
}
