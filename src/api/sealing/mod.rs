//! Sealing files for a node, and opening them: for what lies on a disk or is stored on the way.
//!
//! No node need run for it: a recipient is known by its public key, one line of text that `prunella key export` prints.

mod destination;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use destination::Destination;
use prunella_core::PeerId;
use serde::Serialize;

use super::error::{Error, ErrorKind};
use crate::security::postquantum::{self, HybridError, HybridKeys, HybridPublicKey};
use crate::security::sealed::{self, SealError};

/// The public keys of a node: for whom something is sealed, or who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(HybridPublicKey);

impl PublicKey {
    /// Whose keys they are.
    pub fn peer(&self) -> PeerId {
        self.0.peer()
    }

    /// Reads the keys from a file of one line.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if it cannot be read, [`ErrorKind::InvalidInput`] if it holds no public key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                Err(Error::new(ErrorKind::System, format!("cannot read {}: {error}", path.display())))
            }
            _ => text.parse().map_err(|error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|error: HybridError| Error::new(ErrorKind::InvalidInput, error.to_string()))
    }
}

/// The keys of a node that lives on this host.
#[derive(Debug)]
pub struct NodeKeys(HybridKeys);

impl NodeKeys {
    /// The keys of the node in `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] if there are none, or they cannot be used.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        postquantum::load(dir).map(Self).map_err(Error::from)
    }

    /// What others need to know.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().clone())
    }
}

/// What was sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealReport {
    /// How many bytes, before sealing or after opening.
    pub bytes: u64,
    /// For whom it is sealed.
    pub recipient: PeerId,
    /// Who signed it; none: nobody.
    pub sender: Option<PeerId>,
    /// Where it was written; none: standard output.
    pub output: Option<PathBuf>,
}

/// Between which files something is sealed or opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// What is read; none: standard input.
    pub input: Option<PathBuf>,
    /// What is written, whole or not at all, and in the place of what is there; none: standard output.
    pub output: Option<PathBuf>,
}

/// Seals a stream for `to`, signed by `from` if there is a sender. `progress` is told how many bytes are sealed.
///
/// # Errors
/// [`ErrorKind::System`] if input or output fail. What was written by then does not open.
pub fn seal(
    input: &mut dyn Read,
    output: &mut dyn Write,
    to: &PublicKey,
    from: Option<&NodeKeys>,
    progress: &mut dyn FnMut(u64),
) -> Result<SealReport, Error> {
    let bytes = sealed::seal(input, output, &to.0, from.map(|keys| &keys.0), progress)?;
    let sender = from.map(|keys| keys.0.public_key().peer());
    Ok(SealReport { bytes, recipient: to.peer(), sender, output: None })
}

/// Opens a stream that is sealed for `keys`, and, if `from` is asked for, signed by exactly these keys. `progress` is told how
/// many bytes came out.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is not sealed data of this version, [`ErrorKind::Identity`] if it is sealed for
/// somebody else, [`ErrorKind::AuthenticationFailed`] if it is damaged, cut off or not the sender's, [`ErrorKind::System`]
/// if input or output fail. What was written by then must not be used.
pub fn open(
    input: &mut dyn Read,
    output: &mut dyn Write,
    keys: &NodeKeys,
    from: Option<&PublicKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<SealReport, Error> {
    let opened = sealed::open(input, output, &keys.0, from.map(|key| &key.0), progress)?;
    let sender = opened.sender.map(|key| key.peer());
    Ok(SealReport { bytes: opened.bytes, recipient: keys.0.public_key().peer(), sender, output: None })
}

/// As [`seal`], between files.
///
/// # Errors
/// As [`seal`].
pub fn seal_file(
    files: Files,
    to: &PublicKey,
    from: Option<&NodeKeys>,
    progress: &mut dyn FnMut(u64),
) -> Result<SealReport, Error> {
    let mut input = input(files.input.as_deref())?;
    let mut output = match &files.output {
        Some(path) => Destination::file(path, SEALED_MODE)?,
        // Whoever reads a part of it can tell that it is one.
        None => Destination::Stream(Box::new(io::stdout().lock())),
    };
    let report = seal(&mut *input, &mut output, to, from, progress)?;
    output.finish()?;
    Ok(SealReport { output: files.output, ..report })
}

/// As [`open`], between files. Nothing is written unless all of it is good: not even to standard output, for which it waits
/// in a file without a name.
///
/// # Errors
/// As [`open`].
pub fn open_file(
    files: Files,
    keys: &NodeKeys,
    from: Option<&PublicKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<SealReport, Error> {
    let mut input = input(files.input.as_deref())?;
    let mut output = match &files.output {
        Some(path) => Destination::file(path, OPENED_MODE)?,
        None => Destination::held_back(Box::new(io::stdout().lock()))?,
    };
    let report = open(&mut *input, &mut output, keys, from, progress)?;
    output.finish()?;
    Ok(SealReport { output: files.output, ..report })
}

/// For whom data is sealed and whether it is signed, as its first bytes say; whether that is true shows when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFor {
    /// The fingerprint of the recipient's public keys.
    pub recipient: [u8; 32],
    /// Whether a sender signed it.
    pub signed: bool,
}

/// Reads the header of sealed data, for whoever passes it on. Any bytes may come; what follows the header is not looked at.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is not sealed data of this version, [`ErrorKind::AuthenticationFailed`] if it ends
/// within the header.
pub fn describe(sealed: &[u8]) -> Result<SealedFor, Error> {
    let header = sealed::Header::decode(sealed)?;
    Ok(SealedFor { recipient: header.recipient, signed: header.signed })
}

fn input(path: Option<&Path>) -> Result<Box<dyn Read>, Error> {
    let Some(path) = path else { return Ok(Box::new(io::stdin().lock())) };
    let failed = |error| Error::new(ErrorKind::System, format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    Ok(Box::new(file))
}

impl From<HybridError> for Error {
    fn from(error: HybridError) -> Self {
        Error::new(ErrorKind::Identity, error.to_string())
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        let kind = match &error {
            SealError::NotSealed | SealError::Version { .. } | SealError::TooLong => ErrorKind::InvalidInput,
            SealError::OtherRecipient | SealError::Keys(_) => ErrorKind::Identity,
            SealError::Read(_) | SealError::Write(_) => ErrorKind::System,
            _ => ErrorKind::AuthenticationFailed,
        };
        Error::new(kind, error.to_string())
    }
}

/// More than a file with a public key has.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Sealed data is for anybody to carry.
const SEALED_MODE: u32 = 0o644;
/// What was sealed is its recipient's alone.
const OPENED_MODE: u32 = 0o600;
