//! A collector that speaks OTLP over gRPC, for tests: it keeps what it is sent, refuses it, or never answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// How a collector takes spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes them.
    Takes,
    /// It never answers.
    Hangs,
}

/// A span, and who told it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// `service.instance.id` of whoever told it.
    pub(crate) node: String,
    /// `service.name` of whoever told it.
    pub(crate) service: String,
    pub(crate) span: Span,
}

impl Heard {
    /// An attribute as text.
    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }

    pub(crate) fn lasted(&self) -> Duration {
        Duration::from_nanos(self.span.end_time_unix_nano - self.span.start_time_unix_nano)
    }
}

/// A collector that runs in this process until it is dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), manner).await
    }

    pub(crate) async fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Heard>>>::default());
        let service = TraceServiceServer::new(Receiver { heard: Arc::clone(&heard), manner });
        let task = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            tonic::transport::Server::builder().serve_with_incoming(service, incoming).await.unwrap();
        });
        Self { address, heard, task }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was taken so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Receiver {
    heard: Arc<Mutex<Vec<Heard>>>,
    manner: Manner,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.manner == Manner::Hangs {
            std::future::pending::<()>().await;
        }
        for told in request.into_inner().resource_spans {
            let about = told.resource.unwrap_or_default().attributes;
            let known = |key| text(&about, key).unwrap_or_default();
            let (node, service) = (known("service.instance.id"), known("service.name"));
            let spans = told.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let heard = spans.map(|span| Heard { node: node.clone(), service: service.clone(), span });
            self.heard.lock().unwrap().extend(heard);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}
