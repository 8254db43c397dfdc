//! On whose word a node, as an issuer, may admit hosts: bundles in files, and those that the Workload API gives.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::error::{Error, ErrorKind};
use crate::config;
use crate::security::{Federation, NotATrustDomain, read_bundle};
use crate::supervision::tending::tend;
use crate::transport::follow_bundles;

/// What the configuration names. A bundle that cannot be used now is told, and keeps nobody from starting the node: it is
/// read again when it is needed.
///
/// # Errors
/// [`ErrorKind::Configuration`] if a trust domain's name is none.
pub(super) fn of(config: &config::Federation) -> Result<Arc<Federation>, Error> {
    let mut files = Vec::new();
    for bundle in &config.bundles {
        let domain = bundle.trust_domain.parse().map_err(|error: NotATrustDomain| {
            Error::new(ErrorKind::Configuration, format!("federation.bundles: {}: {error}", bundle.trust_domain))
        })?;
        if let Err(error) = read_bundle(&bundle.file) {
            tracing::error!(%domain, %error, "nobody can join on this trust domain's word yet");
        }
        files.push((domain, bundle.file.clone()));
    }
    Ok(Arc::new(Federation::new(files)))
}

/// Keeps up with the Workload API, if the configuration names one, until it is aborted.
pub(super) fn follow(config: &config::Federation, federation: Arc<Federation>) -> JoinHandle<()> {
    let endpoint = config.workload_api.clone();
    tend("bundles", move || {
        let (endpoint, federation) = (endpoint.clone(), Arc::clone(&federation));
        async move {
            if !endpoint.is_empty() {
                follow_bundles(endpoint, federation).await;
            }
        }
    })
}
