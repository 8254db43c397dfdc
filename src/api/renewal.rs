//! Keeps the node's certificate fresh: renewed at half of its life, with jitter, without touching any connection.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;

use super::error::Error;
use crate::actors::shell::Shell;
use crate::host::{Host, unblocked};
use crate::security::{self, Credentials, Issuer};
use crate::transport;

/// Renews the certificate again and again, for as long as the node runs; at once when somebody wants it renewed.
pub(super) async fn keep_certified(dir: PathBuf, shell: Arc<Shell>) {
    let mut pause = Duration::ZERO;
    loop {
        // The wall clock may be set, and a machine that sleeps does not count the time: so it is asked again.
        let wait = wait(&shell).min(LOOK_EVERY).max(pause);
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    pause = Duration::ZERO;
                    look_whether_it_issues(&dir, &shell);
                    continue;
                }
                () = shell.trust_changed.notified() => {
                    keep_what_was_said(&dir, &shell).await;
                    look_whether_it_issues(&dir, &shell);
                    continue;
                }
                () = shell.renewal_wanted.notified() => {}
            }
        }
        let ended = renew(&dir, &shell).await;
        shell.tallies.renewals.note(ended.is_ok(), shell.host.unix_time().as_secs());
        let _before = shell.renewal_ended.send_replace(ended.clone());
        match ended {
            Ok(()) => {
                let expires_unix = shell.credentials.certificate_expiry_unix();
                tracing::info!(expires_unix, "the certificate was renewed");
                // An issuer may grant less than this node's configuration expects: that must not become a storm.
                pause = RENEWALS_APART;
            }
            Err(reason) => {
                let expires_unix = shell.credentials.certificate_expiry_unix();
                tracing::warn!(expires_unix, reason, "the certificate could not be renewed; trying again soon");
                // Without a valid one the node has no link.
                let has_expired = expires_unix < shell.host.unix_time().as_secs();
                pause = if has_expired { RETURN_EVERY } else { RETRY_EVERY };
            }
        }
    }
}

/// Until half of the certificate's life is left, less up to a tenth of it, so that nodes do not all ask at once.
fn wait(shell: &Shell) -> Duration {
    let life = shell.config.certificate.validity();
    let left = Duration::from_secs(
        shell.credentials.certificate_expiry_unix().saturating_sub(shell.host.unix_time().as_secs()),
    );
    let jitter = life.mul_f64(f64::from(shell.credentials.peer().to_bytes()[0]) / 255.0 / 10.0);
    left.saturating_sub(life / 2 - jitter)
}

/// Looks whether this node holds an issuing key by now; if so, it says what must be said again.
fn look_whether_it_issues(dir: &Path, shell: &Shell) {
    let issuer = Issuer::load(dir).ok().flatten();
    shell.set_issues(issuer.is_some());
    if let Some(issuer) = issuer {
        shell.say_again(issuer.key());
    }
}

/// Writes down what the authorities have said, so that a restarted node does not forget it.
async fn keep_what_was_said(dir: &Path, shell: &Shell) {
    let (dir, credentials) = (dir.to_path_buf(), shell.credentials.clone());
    let stored = unblocked(&*shell.host, move || security::store(&dir, &credentials)).await;
    match stored {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "what the authority said is not on disk; trying again soon");
            shell.trust_changed.notify_one();
            tokio::time::sleep(STORE_AGAIN).await;
        }
        Err(error) => tracing::error!(%error, "what the authority said is not on disk"),
    }
}

/// An issuer whose certificate has expired, after a long time off, certifies itself anew before it does anything else.
/// Others ask an issuer as soon as they run.
///
/// # Errors
/// [`ErrorKind::Identity`](super::error::ErrorKind::Identity) if what the directory holds cannot be used.
pub(super) fn certify_at_start(
    host: &dyn Host,
    dir: &Path,
    credentials: &Credentials,
    validity: Duration,
) -> Result<(), Error> {
    let now = host.unix_time().as_secs();
    if credentials.certificate_expiry_unix() > now {
        return Ok(());
    }
    let Some(issuer) = Issuer::load(dir)? else { return Ok(()) };
    credentials.replace_certificate(issuer.with_certificate_life(validity).renew(credentials.member(), now)?)?;
    Ok(security::store(dir, credentials)?)
}

async fn renew(dir: &Path, shell: &Shell) -> Result<(), String> {
    let now = shell.host.unix_time().as_secs();
    let chain = match Issuer::load(dir).map_err(|error| error.to_string())? {
        Some(issuer) => issuer
            .with_certificate_life(shell.config.certificate.validity())
            .renew(shell.credentials.member(), now)
            .map_err(|error| error.to_string())?,
        None => ask_an_issuer(shell, now).await?,
    };
    let issuer = |chain: &[Vec<u8>]| chain.get(1).cloned();
    let is_another = issuer(&chain) != issuer(&shell.credentials.chain_ders());
    shell.credentials.replace_certificate(chain).map_err(|error| error.to_string())?;
    if is_another {
        // Newcomers may not trust whoever stood behind the one before.
        shell.endorse_anew();
    }
    // If it is not written, the next renewal does it; and a node that starts with the older one asks again.
    security::store(dir, &shell.credentials).map_err(|error| error.to_string())
}

/// Asks the nodes that may be issuers, one after another: first those that this node was told of when it joined.
async fn ask_an_issuer(shell: &Shell, now: u64) -> Result<Vec<Vec<u8>>, String> {
    let me = shell.credentials.peer();
    let mut asked: Vec<(PeerId, SocketAddr)> = Vec::new();
    for bootstrap in &shell.config.bootstrap {
        if let Ok(addresses) = tokio::net::lookup_host((bootstrap.host.as_str(), bootstrap.port)).await {
            asked.extend(addresses.map(|address| (bootstrap.peer, address)));
        }
    }
    for (peer, node) in shell.known.nodes() {
        asked.extend(node.addresses.into_iter().map(|address| (peer, address)));
    }
    asked.retain(|(peer, _)| *peer != me);
    asked.dedup();
    let mut last = "no other node is known".to_owned();
    for (peer, address) in asked.into_iter().take(ASKED_MAX) {
        match transport::renew(&shell.host, &shell.credentials, now, (peer, address)).await {
            Ok(chain) => return Ok(chain),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// How long to wait after what was said could not be written.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How often the wall clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long to wait after a failure.
const RETRY_EVERY: Duration = Duration::from_secs(30);
/// How long to wait after a failure when the certificate has expired.
const RETURN_EVERY: Duration = Duration::from_secs(5);
/// Least time between two renewals.
const RENEWALS_APART: Duration = Duration::from_secs(60);
/// Most addresses asked in one round.
const ASKED_MAX: usize = 32;
