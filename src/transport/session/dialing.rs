//! How a session is dialed, and what its failure means.

use quinn::{Connection, Endpoint};

use prunella_core::PeerId;

use crate::datapath::SessionName;
use crate::security::{Refused, authenticated_peer, explain, server_name};
use crate::transport::closing::told;

use super::endpoint::RouteHook;
use super::error::SessionError;

/// Dials one session with a peer; whoever answers is the peer.
pub(super) async fn dial(
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    route: RouteHook,
    (peer, name): (PeerId, SessionName),
) -> Result<Connection, SessionError> {
    route(peer).await.map_err(|reason| SessionError::NoRoute { reason })?;
    let connecting = endpoint.connect_with(client, name.address(), &server_name(&peer));
    let connecting = connecting.map_err(|error| match error {
        quinn::ConnectError::EndpointStopping => SessionError::NotRunning,
        error => SessionError::Lost { reason: error.to_string() },
    })?;
    let connection = connecting.await.map_err(|error| failed(&error))?;
    match authenticated_peer(&connection) {
        Ok(proven) if proven == peer && comes_from(&connection, peer) => Ok(connection),
        _ => {
            Refused::NotDialed.close(&connection);
            Err(SessionError::Authentication { reason: "another node answers in the peer's place".to_owned() })
        }
    }
}

/// Why a stream on `connection` failed: often the connection tells more.
pub(super) fn lost(connection: &Connection, reason: String) -> SessionError {
    connection.close_reason().map_or(SessionError::Lost { reason }, |error| failed(&error))
}

fn failed(error: &quinn::ConnectionError) -> SessionError {
    match (explain(error), error) {
        (Some(refused), _) => SessionError::Authentication { reason: refused.to_string() },
        (None, quinn::ConnectionError::TimedOut) => SessionError::TimedOut,
        (None, quinn::ConnectionError::LocallyClosed) => SessionError::NotRunning,
        (None, quinn::ConnectionError::ConnectionClosed(close))
            if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
        {
            SessionError::Overloaded
        }
        (None, error) => SessionError::Lost { reason: told(error) },
    }
}

/// Whether the connection's synthetic address is one of `peer`.
pub(super) fn comes_from(connection: &Connection, peer: PeerId) -> bool {
    SessionName::of(connection.remote_address()).is_some_and(|name| name.peer == peer.tag())
}
