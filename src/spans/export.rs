//! From the queue to the collector, in batches. Whoever begins spans never waits for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prunella_core::limits::{SPANS_EXPORT_TIMEOUT, SPANS_FAREWELL, SPANS_PER_EXPORT_MAX};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Counts, GATHERED_FOR, Shared, TracerSetup};

/// Why spans cannot be exported, whether or not the collector is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot export traces to {endpoint}: {reason}")]
pub struct NotExportable {
    /// The collector.
    pub endpoint: String,
    /// What is wrong.
    pub reason: String,
}

/// What exports spans.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
    finish: watch::Sender<bool>,
}

impl Exporter {
    pub(super) fn start(client: SpanExporter, queued: mpsc::Receiver<SpanData>, shared: &Arc<Shared>) -> Self {
        let (finish, finishing) = watch::channel(false);
        let exporting = Exporting { client, queued, finishing, shared: Arc::downgrade(shared) };
        Self { task: tokio::spawn(exporting.run()), finish }
    }

    /// Exports what waits, and ends: after [`SPANS_FAREWELL`] in any case.
    pub async fn finish(mut self) {
        self.finish.send_replace(true);
        if timeout(SPANS_FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// The client of the collector that the setup names.
pub(super) fn client(setup: &TracerSetup) -> Result<SpanExporter, NotExportable> {
    let endpoint = setup.endpoint.clone();
    let built =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint.clone()).with_timeout(SPANS_EXPORT_TIMEOUT).build();
    let mut client = built.map_err(|error| NotExportable { endpoint, reason: error.to_string() })?;
    let about = [
        ("service.instance.id", setup.peer.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("prunella.node.name", setup.name.clone()),
    ];
    let about = about.into_iter().filter(|(_, value)| !value.is_empty());
    let resource = Resource::builder_empty()
        .with_service_name("prunella")
        .with_attributes(about.map(|(key, value)| opentelemetry::KeyValue::new(key, value)))
        .build();
    client.set_resource(&resource);
    Ok(client)
}

struct Exporting {
    client: SpanExporter,
    queued: mpsc::Receiver<SpanData>,
    finishing: watch::Receiver<bool>,
    shared: Weak<Shared>,
}

impl Exporting {
    /// Ends when nobody can begin spans any more, or when it is to finish and nothing is left.
    async fn run(mut self) {
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                _ = self.queued.recv_many(&mut batch, SPANS_PER_EXPORT_MAX) => {}
                _ = self.finishing.wait_for(|finishing| *finishing) => self.queued.close(),
            }
            if !self.queued.is_closed() && batch.len() < SPANS_PER_EXPORT_MAX {
                tokio::select! {
                    () = sleep(GATHERED_FOR) => {}
                    _ = self.finishing.wait_for(|finishing| *finishing) => self.queued.close(),
                }
            }
            while batch.len() < SPANS_PER_EXPORT_MAX
                && let Ok(span) = self.queued.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.export(batch).await;
        }
    }

    async fn export(&self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        // The client keeps the same time; it is a promise of somebody else's.
        let exported = timeout(2 * SPANS_EXPORT_TIMEOUT, self.client.export(batch)).await;
        let Some(shared) = self.shared.upgrade() else { return };
        let counts = &shared.counts;
        match exported.map_err(|_| "it does not answer".to_owned()).and_then(|done| done.map_err(|e| e.to_string())) {
            Ok(()) => {
                counts.exported.fetch_add(spans, Ordering::Relaxed);
                counts.works(&shared.endpoint);
            }
            Err(reason) => {
                counts.failed.fetch_add(spans, Ordering::Relaxed);
                counts.fails(&shared.endpoint, reason);
            }
        }
    }
}

impl Counts {
    /// An operator wants to know that nothing arrives, but not again with every batch.
    fn fails(&self, endpoint: &str, reason: String) {
        let before = self.failure.lock().unwrap_or_else(PoisonError::into_inner).replace(reason.clone());
        if before.is_none() {
            tracing::warn!(endpoint, reason, "traces cannot be exported; spans are dropped until they can");
        }
    }

    fn works(&self, endpoint: &str) {
        if self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!(endpoint, "traces are exported again");
        }
    }
}
