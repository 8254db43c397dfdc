//! What is done with the key of the mesh's authority: issuers appointed and dismissed, the authority itself replaced.
//!
//! All of it works on a node's directory, whether the node runs or not, because the key may be kept offline, on a file
//! that is there only for a moment.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use prunella_core::PeerId;

use super::client::Client;
use super::error::{Error, ErrorKind};
use super::server::SOCKET_NAME;
use super::vocabulary::{Request, Response};
use crate::security::{self, Credentials, Said, Statement, pair_fingerprint};
pub use crate::security::{NotTwins, PublicTwins};

/// An authority that a node trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedInfo {
    /// BLAKE3 over the hashes of both of its certificates, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Its last second, since the Unix epoch.
    pub until_unix: u64,
    /// Whether its key lies in the node's directory.
    pub has_key: bool,
}

/// The authorities that the node in `dir` trusts, the newest first.
///
/// # Errors
/// [`ErrorKind::Identity`] if no node lives there.
pub fn trusted(dir: &Path) -> Result<Vec<TrustedInfo>, Error> {
    let ours = security::load_authority(dir, None).ok().map(|authority| authority.certificate_ders());
    let info = |pair: &[Vec<u8>]| {
        let ends = pair.iter().filter_map(|der| security::Summary::of(security::Role::Authority, der));
        TrustedInfo {
            fingerprint: HEXLOWER.encode(&pair_fingerprint(pair)),
            until_unix: ends.map(|summary| summary.until_unix).min().unwrap_or(0),
            has_key: ours.as_deref() == Some(pair),
        }
    };
    Ok(Credentials::load(dir)?.authority_ders().chunks(2).map(info).collect())
}

/// The keys that an authority is to appoint, so that the node in `dir` can issue certificates; drawn if there are none.
///
/// # Errors
/// [`ErrorKind::Identity`] if the file cannot be used.
pub fn request(dir: &Path) -> Result<PublicTwins, Error> {
    Credentials::load(dir)?;
    Ok(security::issuing_key(dir)?)
}

/// Appoints whoever holds a pair of issuing keys; returns the appointment, PEM.
///
/// # Errors
/// [`ErrorKind::Identity`] if the authority's key is neither in `key` nor in `dir`.
pub fn appoint(dir: &Path, key: Option<&Path>, issuer: &PublicTwins) -> Result<String, Error> {
    let appointed = security::load_authority(dir, key)?.appoint(issuer, now())?;
    Ok(security::appointment_pem(&appointed))
}

/// Takes an appointment of this node's issuing key in; a node that runs issues from then on. Returns its last second,
/// since the Unix epoch.
///
/// # Errors
/// [`ErrorKind::Identity`] if it is not of this key, or by no authority that this node trusts.
pub fn accept(dir: &Path, appointment: &str) -> Result<u64, Error> {
    Ok(security::accept_appointment(dir, appointment.as_bytes(), now())?)
}

/// Tells the whole mesh that an issuer is one no more.
///
/// # Errors
/// As [`appoint`].
pub async fn dismiss(dir: &Path, key: Option<&Path>, issuer: PeerId) -> Result<(), Error> {
    let said = security::load_authority(dir, key)?.say(Statement::Dismissed { issuer }, now())?;
    tell(dir, &said).await
}

/// Has another authority take the place of the one whose key is in `key` or in `dir`, and tells the whole mesh; both are
/// trusted until the old one is retired.
///
/// # Errors
/// As [`appoint`].
pub async fn succeed(dir: &Path, key: Option<&Path>, new_key: Option<&Path>) -> Result<(), Error> {
    let said = security::succeed(dir, key, new_key, now())?;
    tell(dir, &said).await
}

/// Tells the whole mesh that an authority, named by the beginning of its fingerprint, counts no more.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is not one of several that this node trusts; otherwise as [`appoint`].
pub async fn retire(dir: &Path, key: Option<&Path>, which: &str) -> Result<(), Error> {
    let trusted = Credentials::load(dir)?.authority_ders();
    let fits = |fingerprint: &[u8; 32]| HEXLOWER.encode(fingerprint).starts_with(which);
    let found: Vec<[u8; 32]> = security::pair_fingerprints(&trusted).filter(fits).collect();
    let by = security::load_authority(dir, key)?;
    match found[..] {
        [which] if which == pair_fingerprint(&by.certificate_ders()) => {
            let text = "an authority does not retire itself: its successor does, after `authority succeed`";
            Err(Error::new(ErrorKind::InvalidInput, text))
        }
        [authority] => tell(dir, &by.say(Statement::Retired { authority }, now())?).await,
        _ => {
            let text = format!("{which:?} does not name one of the authorities; `authority show` lists them");
            Err(Error::new(ErrorKind::InvalidInput, text))
        }
    }
}

/// Has the node hear it now if it runs, and when it starts if it does not.
async fn tell(dir: &Path, said: &Said) -> Result<(), Error> {
    let mut client = Client::to(&dir.join(SOCKET_NAME));
    let request = Request::Tell { statement: HEXLOWER.encode(&said.to_bytes()) };
    match client.request(&request).await {
        Ok(Response::Error { error }) => Err(error),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionFailed => {
            let credentials = Credentials::load(dir)?;
            credentials.hear(&said.to_bytes(), now()).map_err(|refused| {
                Error::new(ErrorKind::Identity, format!("this node does not believe it: {refused}"))
            })?;
            Ok(security::store(dir, &credentials)?)
        }
        Err(error) => Err(error),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
