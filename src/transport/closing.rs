//! Why connections end: the codes that both sides read the reason from, and its text.

use quinn::{Connection, ConnectionError, VarInt};

use crate::security::explain;

/// Why a node closes a connection. The other side learns the code only; text from the wire is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closing {
    /// There is nothing more to do.
    #[error("done")]
    Done,
    /// The node stops.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// Another connection between the two is the one that both keep.
    #[error("another link between the two nodes is kept")]
    Duplicate,
    /// A newer connection took its place.
    #[error("a newer link took its place")]
    Replaced,
    /// The node does not accept this neighbor.
    #[error("not accepted as a neighbor")]
    NotAccepted,
    /// A limit is reached.
    #[error("a limit is reached")]
    Full,
    /// The other side did not keep to the protocol.
    #[error("the protocol was violated")]
    Violation,
    /// An actor decided so.
    #[error("closed by decision")]
    Decided,
    /// The other side asked to part.
    #[error("the two nodes have parted")]
    Parted,
}

impl Closing {
    const ALL: [Closing; 9] = [
        Closing::Done,
        Closing::ShuttingDown,
        Closing::Duplicate,
        Closing::Replaced,
        Closing::NotAccepted,
        Closing::Full,
        Closing::Violation,
        Closing::Decided,
        Closing::Parted,
    ];

    /// The application's error code: 0 to 8. Those from 0x100 on belong to refused certificates.
    pub(super) const fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Closes `connection` for this reason.
    pub(super) fn close(self, connection: &Connection) {
        connection.close(self.code(), b"");
    }

    /// Whether the peer closed `connection` because it keeps, or will keep, another one.
    pub(super) fn is_for_successor(connection: &Connection) -> bool {
        matches!(Closing::by_peer(connection), Some(Closing::Duplicate | Closing::Replaced))
    }

    /// Whether the peer closed `connection` because it was asked to part.
    pub(super) fn is_parted(connection: &Connection) -> bool {
        Closing::by_peer(connection) == Some(Closing::Parted)
    }

    /// Why the peer closed `connection`; `None` if it did not, or gives no reason that is known.
    fn by_peer(connection: &Connection) -> Option<Self> {
        match connection.close_reason()? {
            ConnectionError::ApplicationClosed(close) => Closing::from_code(close.error_code),
            _ => None,
        }
    }

    fn from_code(code: VarInt) -> Option<Self> {
        Closing::ALL.into_iter().find(|closing| closing.code() == code)
    }
}

/// The end of a connection in words.
pub(super) fn told(error: &ConnectionError) -> String {
    if let Some(refused) = explain(error) {
        return refused.to_string();
    }
    match error {
        ConnectionError::ApplicationClosed(close) => match Closing::from_code(close.error_code) {
            Some(closing) => format!("closed by the peer: {closing}"),
            None => "closed by the peer".to_owned(),
        },
        ConnectionError::ConnectionClosed(close)
            if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
        {
            "the peer is too busy to answer".to_owned()
        }
        ConnectionError::ConnectionClosed(_) => "the peer reported a transport error".to_owned(),
        ConnectionError::TimedOut => "no answer in time".to_owned(),
        ConnectionError::Reset => "the peer was restarted and knows nothing of the connection".to_owned(),
        ConnectionError::LocallyClosed => "closed by this node".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_its_code() {
        for closing in Closing::ALL {
            assert_eq!(Closing::from_code(closing.code()), Some(closing));
        }
        assert_eq!(Closing::from_code(VarInt::from_u32(0x100)), None);
    }

    #[test]
    fn a_reset_is_told_as_a_restart() {
        assert!(told(&ConnectionError::Reset).contains("restarted"));
    }
}
