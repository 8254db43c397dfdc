//! What can go wrong, as a caller sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error with a kind to act on and a sentence to read.
///
/// The text says what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of this kind, told by this sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Kinds of errors. Each says what remains true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A connection could not be made or was lost. Nothing is known of what was under way on it.
    ConnectionFailed,
    /// No such node is known. Nothing was sent.
    PeerNotFound,
    /// No such service is exposed by a reachable node. Nothing was sent.
    ServiceNotFound,
    /// This node remembers no such incident. Nothing was changed.
    IncidentNotFound,
    /// No such shared key is known. Nothing was changed.
    KeyNotFound,
    /// This part of the mesh is too small to decide for the whole. Nothing was changed; traffic and reading go on.
    NoQuorum,
    /// The node is known, but no path leads there now. Nothing was sent; the mesh keeps looking.
    NoPath,
    /// Neither a direct dial nor a relay reached the peer: address translation stands in between.
    NatTraversalFailed,
    /// A peer could not prove who it is, or this node could not. No data was exchanged.
    AuthenticationFailed,
    /// Policy does not allow it. No data was exchanged.
    Denied,
    /// It took too long. Whether the other side acted is unknown.
    TimedOut,
    /// The caller's input cannot be right. Nothing was changed.
    InvalidInput,
    /// A configuration file or key is wrong. Nothing was started.
    Configuration,
    /// Keys, certificates, tokens or membership are missing or unusable. Nothing was changed.
    Identity,
    /// The store cannot be used: damaged, locked or full. What was acknowledged before is still there. What was asked for
    /// may be done in memory alone: then the text says so, and it is kept once the store can be written again.
    Storage,
    /// A limit is reached. What exists is untouched.
    OverLimit,
    /// The other node sheds load and takes on nothing new now; what it has accepted goes on. Nothing was sent: ask another
    /// one, or later.
    Overloaded,
    /// The node is not running or is shutting down.
    NotRunning,
    /// The operating system refused: port in use, permission, missing file.
    System,
    /// A defect of the program.
    Internal,
}

impl ErrorKind {
    /// The command line's exit code: 3 when denied, 2 for what the caller can mend in the call, otherwise 1.
    pub const fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Denied => 3,
            ErrorKind::InvalidInput => 2,
            _ => 1,
        }
    }
}
