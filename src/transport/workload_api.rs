//! The SPIFFE Workload API: what an agent on this machine gives a workload, over a Unix socket.
//!
//! The one module that knows the crate `spiffe`. A host that joins asks once for its SVID; an issuer follows the bundles,
//! and needs no SVID for it. Whoever may ask is for the agent to decide, which looks at the process that asks.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use spiffe::{WorkloadApiClient, X509BundleSet};
use tokio::time::{sleep, timeout};

use crate::security::{Federation, SecurityError, Svid, TrustDomain};

/// Why the Workload API gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoWorkloadApi {
    /// Its socket is none, or another protocol's.
    #[error("`{endpoint}` is not the address of a Workload API: write it as unix:/PATH")]
    NotAnEndpoint {
        /// What was given.
        endpoint: String,
    },
    /// The agent cannot be reached, or knows no identity for this process.
    #[error("the Workload API at {endpoint} gives nothing: {reason}")]
    Failed {
        /// Where.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The agent does not answer.
    #[error("the Workload API at {endpoint} does not answer")]
    TimedOut {
        /// Where.
        endpoint: String,
    },
    /// What it gave is of no use here.
    #[error(transparent)]
    Unusable(#[from] SecurityError),
}

/// The SVID of this process: the first, if it has several.
///
/// # Errors
/// [`NoWorkloadApi`].
pub async fn fetch_svid(endpoint: &str) -> Result<Svid, NoWorkloadApi> {
    let fetching = async {
        let failed = |error: spiffe::WorkloadApiError| NoWorkloadApi::failed(endpoint, &error);
        let client = connect(endpoint).await?;
        let svid = client.fetch_x509_svid().await.map_err(failed)?;
        let chain = svid.cert_chain().iter().map(|certificate| certificate.as_bytes().to_vec()).collect();
        Ok(Svid::new(chain, svid.private_key().as_bytes())?)
    };
    let timed_out = |_| NoWorkloadApi::TimedOut { endpoint: endpoint.to_owned() };
    timeout(ANSWER_PATIENCE, fetching).await.map_err(timed_out)?
}

/// Keeps `federation` as the agent has it, for as long as this runs. While the agent is away, what it said last counts.
pub async fn follow_bundles(endpoint: String, federation: Arc<Federation>) {
    let mut pause = AGAIN_AFTER;
    let mut heard = 0;
    loop {
        let ended = follow(&endpoint, &federation, &mut heard).await;
        // Whoever was heard is asked again soon; whoever cannot be reached, less and less often.
        pause = if std::mem::take(&mut heard) > 0 { AGAIN_AFTER } else { (2 * pause).min(AGAIN_AFTER_MAX) };
        tracing::warn!(reason = %ended, again_in = ?pause, "the Workload API is away; the bundles that it gave last count");
        sleep(pause).await;
    }
}

/// Takes in what the agent says until it says nothing more; counts how often it did.
async fn follow(endpoint: &str, federation: &Federation, heard: &mut usize) -> NoWorkloadApi {
    let opened = timeout(ANSWER_PATIENCE, async {
        let client = connect(endpoint).await?;
        client.stream_x509_bundles().await.map_err(|error| NoWorkloadApi::failed(endpoint, &error))
    });
    let bundles = match opened.await {
        Ok(Ok(bundles)) => bundles,
        Ok(Err(error)) => return error,
        Err(_) => return NoWorkloadApi::TimedOut { endpoint: endpoint.to_owned() },
    };
    let mut bundles = pin!(bundles);
    loop {
        match poll_fn(|context| bundles.as_mut().poll_next(context)).await {
            Some(Ok(set)) => {
                *heard += 1;
                take_in(&set, federation);
            }
            Some(Err(error)) => return NoWorkloadApi::failed(endpoint, &error),
            None => return NoWorkloadApi::failed(endpoint, &"it ended the stream"),
        }
    }
}

fn take_in(set: &X509BundleSet, federation: &Federation) {
    let mut bundles: BTreeMap<TrustDomain, Vec<Vec<u8>>> = BTreeMap::new();
    for (domain, bundle) in set.iter() {
        let certificates = bundle.authorities().iter().map(|certificate| certificate.as_bytes().to_vec()).collect();
        match domain.as_str().parse() {
            Ok(domain) => drop(bundles.insert(domain, certificates)),
            Err(error) => tracing::warn!(%domain, %error, "a bundle is left out"),
        }
    }
    let left_out = federation.hear(bundles);
    left_out
        .iter()
        .for_each(|domain| tracing::warn!(%domain, "a bundle is left out: there are too many, or it is too long"));
    let known: Vec<String> = federation.known().iter().map(TrustDomain::to_string).collect();
    tracing::info!(trust_domains = known.join(" "), "the Workload API gave bundles");
}

async fn connect(endpoint: &str) -> Result<WorkloadApiClient, NoWorkloadApi> {
    if !endpoint.starts_with("unix:") {
        // Over TCP the key of an SVID would cross it in clear, and nobody would know who asks.
        return Err(NoWorkloadApi::NotAnEndpoint { endpoint: endpoint.to_owned() });
    }
    WorkloadApiClient::connect_to(endpoint).await.map_err(|error| NoWorkloadApi::failed(endpoint, &error))
}

impl NoWorkloadApi {
    fn failed(endpoint: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Failed { endpoint: endpoint.to_owned(), reason: error.to_string() }
    }
}

/// How long an agent may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before an agent is asked again, at first and at most.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
