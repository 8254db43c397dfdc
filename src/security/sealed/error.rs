//! What can go wrong when data is sealed or opened.

use std::io;

use prunella_core::PeerId;

use crate::security::postquantum::HybridError;

/// Why data could not be sealed or opened. After any of them, what was written must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The input could not be read.
    #[error("cannot read the input: {0}")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Write(#[source] io::Error),
    /// It does not begin as sealed data does.
    #[error("this is not sealed data")]
    NotSealed,
    /// It was sealed by a program that writes another version of the format.
    #[error("the sealed data is of version {found}; this program reads version 1")]
    Version {
        /// Which version.
        found: u8,
    },
    /// The header holds what no header may hold.
    #[error("the header of the sealed data is malformed")]
    Malformed,
    /// The end is missing.
    #[error("the sealed data is cut off")]
    Truncated,
    /// A part of it was changed, or put in another place.
    #[error("the sealed data is damaged (in its chunk {chunk})")]
    Damaged {
        /// Which chunk, from 1.
        chunk: u64,
    },
    /// It was sealed for somebody else.
    #[error("the data was sealed for another node, or for other keys of this one")]
    OtherRecipient,
    /// A sender was asked for, and nobody signed.
    #[error("the sealed data is not signed, so nobody can tell who sealed it")]
    NotSigned,
    /// Somebody else signed than was asked for.
    #[error("the data was sealed by {peer}, not by the sender that was asked for")]
    OtherSender {
        /// Who signed.
        peer: PeerId,
    },
    /// The signatures do not fit, or the sender's key is none.
    #[error("the sender's signature is no good: {0}")]
    Forged(#[source] HybridError),
    /// There is more than one key may seal.
    #[error("the input is too long to be sealed in one piece")]
    TooLong,
    /// Keys could not be used.
    #[error(transparent)]
    Keys(#[from] HybridError),
}
