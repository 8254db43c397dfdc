//! Tokens of the HTTP API: each has a name, scopes and mostly an end. A node keeps their digests only.
//!
//! They lie in a file of the node's directory, so that they are made without a running node; a running one reads the file
//! again when it has changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use prunella_core::limits::HTTP_TOKENS_MAX;
use serde::{Deserialize, Serialize};

use super::file_state::FileState;
use super::{Error, ErrorKind, harmless};
pub use crate::config::Scope;
use crate::config::is_node_name;

/// A token as the node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its name, unique at the node.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was made, in seconds since the Unix epoch.
    pub created_unix: u64,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires_unix: Option<u64>,
    /// BLAKE3 of the token, in hexadecimal digits. A token has 256 random bits: its digest tells nothing.
    pub digest: String,
}

/// Makes a token and returns it; it is never shown again.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a name that is taken or none, or no scopes; [`ErrorKind::OverLimit`]; and
/// [`ErrorKind::System`] if the file cannot be read or written.
pub fn create(
    dir: &Path,
    name: &str,
    scopes: &[Scope],
    life: Option<Duration>,
    now_unix: u64,
) -> Result<String, Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
    let mut tokens = list(dir)?;
    tokens.retain(|token| token.expires_unix.is_none_or(|end| end > now_unix));
    if !is_node_name(name) {
        return invalid(format!("{name:?} is no name for a token: letters, digits, `.`, `-` and `_`"));
    }
    if tokens.iter().any(|token| token.name == name) {
        return invalid(format!("there is a token {name} already; `prunella token revoke {name}` ends it"));
    }
    if scopes.is_empty() {
        return invalid("a token without a scope allows nothing".to_owned());
    }
    if tokens.len() >= HTTP_TOKENS_MAX {
        let text = format!("there are {HTTP_TOKENS_MAX} tokens already; `prunella token revoke NAME` ends one");
        return Err(Error::new(ErrorKind::OverLimit, text));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::new(ErrorKind::System, format!("the system gives no random bytes: {error}")))?;
    let token = format!("{PREFIX}{}", BASE32_NOPAD.encode(&secret).to_lowercase());
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    tokens.push(TokenInfo {
        name: name.to_owned(),
        scopes,
        created_unix: now_unix,
        expires_unix: life.map(|life| now_unix.saturating_add(life.as_secs())),
        digest: digest(&token),
    });
    write(dir, &tokens)?;
    Ok(token)
}

/// Every token of the node in `dir`, ended ones included until the next one is made.
///
/// # Errors
/// [`ErrorKind::System`] if the file cannot be read, or is not one of tokens.
pub fn list(dir: &Path) -> Result<Vec<TokenInfo>, Error> {
    let path = dir.join(FILE_NAME);
    let broken =
        |why: String| Error::new(ErrorKind::System, format!("cannot read the tokens in {}: {why}", path.display()));
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| broken(harmless(&error.to_string()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Ends a token.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if there is none of that name, otherwise as [`list`].
pub fn revoke(dir: &Path, name: &str) -> Result<(), Error> {
    let mut tokens = list(dir)?;
    let before = tokens.len();
    tokens.retain(|token| token.name != name);
    if tokens.len() == before {
        let text = format!("there is no token {name:?}; `prunella token list` shows them");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    write(dir, &tokens)
}

fn write(dir: &Path, tokens: &[TokenInfo]) -> Result<(), Error> {
    let (path, partial) = (dir.join(FILE_NAME), dir.join(format!("{FILE_NAME}.partial")));
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(tokens).expect("BUG: every token has a JSON form"))?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| Error::new(ErrorKind::System, format!("cannot write {}: {error}", path.display())))
}

fn digest(token: &str) -> String {
    HEXLOWER.encode(blake3::hash(token.as_bytes()).as_bytes())
}

/// The tokens that count at a running node.
#[derive(Debug)]
pub(super) struct Tokens {
    dir: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    seen: FileState,
    tokens: Arc<[TokenInfo]>,
}

impl Tokens {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), read: Mutex::default() }
    }

    /// The token as the node knows it, if it knows it and it has not ended.
    pub(super) fn find(&self, token: &str, now_unix: u64) -> Option<TokenInfo> {
        // Digests are compared: how long that takes tells nothing of a token.
        let digest = digest(token);
        let tokens = self.current();
        let found = tokens.iter().find(|known| known.digest == digest)?;
        found.expires_unix.is_none_or(|end| end > now_unix).then(|| found.clone())
    }

    /// What the file says now. One that cannot be read allows nothing.
    fn current(&self) -> Arc<[TokenInfo]> {
        let seen = FileState::of(&self.dir.join(FILE_NAME));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.seen != seen {
            read.tokens = list(&self.dir).map(Arc::from).unwrap_or_else(|error| {
                tracing::warn!(%error, "no token counts");
                Arc::default()
            });
            read.seen = seen;
        }
        Arc::clone(&read.tokens)
    }
}

/// The file of tokens in a node's directory.
const FILE_NAME: &str = "tokens.json";
/// What every token begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "prunella_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_until_it_ends_or_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::of(dir.path());
        let ops = create(dir.path(), "ops", &[Scope::Change, Scope::Read], Some(Duration::from_secs(60)), 100).unwrap();
        assert!(ops.starts_with(PREFIX) && ops.len() == PREFIX.len() + 52, "{ops}");
        let found = tokens.find(&ops, 159).unwrap();
        assert_eq!((found.name.as_str(), &found.scopes[..]), ("ops", &[Scope::Read, Scope::Change][..]));
        assert_eq!(tokens.find(&ops, 160), None);
        assert_eq!(tokens.find("prunella_guess", 100), None);
        let ever = create(dir.path(), "ever", &[Scope::Read], None, 100).unwrap();
        assert!(tokens.find(&ever, u64::MAX).is_some());
        revoke(dir.path(), "ever").unwrap();
        assert_eq!(tokens.find(&ever, 100), None);
        assert!(!fs::read_to_string(dir.path().join(FILE_NAME)).unwrap().contains(&ops));
    }

    #[test]
    fn what_is_no_token_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "ops", &[Scope::Read], None, 0).unwrap();
        let refused = |name: &str, scopes: &[Scope]| create(dir.path(), name, scopes, None, 0).unwrap_err().kind();
        assert_eq!(refused("ops", &[Scope::Read]), ErrorKind::InvalidInput);
        assert_eq!(refused("two words", &[Scope::Read]), ErrorKind::InvalidInput);
        assert_eq!(refused("none", &[]), ErrorKind::InvalidInput);
        assert_eq!(revoke(dir.path(), "other").unwrap_err().kind(), ErrorKind::InvalidInput);
        fs::write(dir.path().join(FILE_NAME), "not tokens").unwrap();
        assert_eq!(list(dir.path()).unwrap_err().kind(), ErrorKind::System);
        assert_eq!(Tokens::of(dir.path()).find("anything", 0), None);
    }
}
