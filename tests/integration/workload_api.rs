//! An agent as SPIRE has one: the SPIFFE Workload API over a Unix socket, and trust domains with P-256 authorities.
//!
//! The messages and the two calls are those of the specification (SPIFFE Workload API, appendix A), written by hand; no code
//! is shared with the side that is tested.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A SPIFFE trust domain: an authority that issues SVIDs.
pub(crate) struct Domain {
    pub(crate) name: String,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate, DER.
    pub(crate) authority: Vec<u8>,
}

/// An X.509-SVID and its key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issued {
    pub(crate) id: String,
    /// DER.
    pub(crate) svid: Vec<u8>,
    /// PKCS#8, DER.
    pub(crate) key: Vec<u8>,
    /// The certificate of the authority that issued it, DER.
    pub(crate) authority: Vec<u8>,
}

impl Domain {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(HOUR);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![uri(&format!("spiffe://{name}"))];
        let authority = params.self_signed(&key).unwrap().der().to_vec();
        Self { name: name.to_owned(), issuer: Issuer::new(params, key), authority }
    }

    /// An SVID of the workload at this path, which ends in an hour.
    pub(crate) fn issue(&self, path: &str) -> Issued {
        self.issue_until(path, HOUR)
    }

    /// An SVID that ends so many seconds from now.
    pub(crate) fn issue_until(&self, path: &str, ends_in_s: i64) -> Issued {
        let key = KeyPair::generate().unwrap();
        let id = format!("spiffe://{}/{path}", self.name);
        let mut params = params(ends_in_s);
        params.subject_alt_names = vec![uri(&id)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let svid = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Issued { id, svid, key: key.serialize_der(), authority: self.authority.clone() }
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

fn params(ends_in_s: i64) -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let moment = |unix| OffsetDateTime::from_unix_timestamp(unix).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    (params.not_before, params.not_after) = (moment(now - HOUR), moment(now + ends_in_s));
    params
}

const HOUR: i64 = 3600;

/// What an agent gives whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `None`: the workload is not registered.
    pub(crate) svid: Option<Issued>,
    /// Authorities, DER, one after another, by trust domain.
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
}

impl Given {
    /// These trust domains' bundles.
    pub(crate) fn bundles(of: &[&Domain]) -> Self {
        let bundles = of.iter().map(|domain| (format!("spiffe://{}", domain.name), domain.authority.clone())).collect();
        Self { svid: None, bundles }
    }

    pub(crate) fn with_svid(self, svid: Issued) -> Self {
        Self { svid: Some(svid), ..self }
    }
}

/// An agent that runs in this process. Its streams go on with each change of what it gives.
pub(crate) struct Agent {
    dir: TempDir,
    given: watch::Sender<Given>,
    /// Open streams end when this is dropped.
    is_here: Option<watch::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Agent {
    pub(crate) fn start(given: Given) -> Self {
        let (given, _) = watch::channel(given);
        let mut agent = Self { dir: tempfile::tempdir().unwrap(), given, is_here: None, serving: None };
        agent.come_back();
        agent
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    /// As configurations name it.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) fn give(&self, given: Given) {
        self.given.send_replace(given);
    }

    /// Nobody is at its socket any more, and its streams end.
    pub(crate) fn go_away(&mut self) {
        fs::remove_file(self.socket()).unwrap();
        self.serving.take().unwrap().abort();
        self.is_here = None;
    }

    pub(crate) fn come_back(&mut self) {
        let incoming = UnixListenerStream::new(UnixListener::bind(self.socket()).unwrap());
        let (is_here, stays) = watch::channel(());
        let calls = Calls { given: self.given.clone(), stays };
        self.is_here = Some(is_here);
        self.serving = Some(tokio::spawn(async move {
            tonic::transport::Server::builder().serve_with_incoming(calls, incoming).await.unwrap();
        }));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

// --- The service -----------------------------------------------------------------------------------------------------

#[derive(Clone)]
struct Calls {
    given: watch::Sender<Given>,
    stays: watch::Receiver<()>,
}

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let calls = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/SpiffeWorkloadAPI/FetchX509SVID" => {
                    Grpc::new(ProstCodec::default()).server_streaming(calls.stream(svids), request).await
                }
                "/SpiffeWorkloadAPI/FetchX509Bundles" => {
                    Grpc::new(ProstCodec::default()).server_streaming(calls.stream(bundles), request).await
                }
                _ => Status::unimplemented("no such call").into_http(),
            })
        })
    }
}

impl Calls {
    fn stream<T>(self, answer: fn(&Given) -> Result<T, Status>) -> Streaming<T> {
        Streaming { calls: self, answer }
    }
}

/// A call that is answered anew with each change.
struct Streaming<T> {
    calls: Calls,
    answer: fn(&Given) -> Result<T, Status>,
}

impl<T: Send + 'static> ServerStreamingService<Nothing> for Streaming<T> {
    type Response = T;
    type ResponseStream = ReceiverStream<Result<T, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Nothing>) -> Self::Future {
        // SPIFFE Workload Endpoint, section 5: whoever was made to ask by somebody else does not send it.
        if request.metadata().get("workload.spiffe.io").is_none_or(|value| value != "true") {
            return std::future::ready(Err(Status::invalid_argument("security header missing from request")));
        }
        let (sender, receiver) = mpsc::channel(1);
        let (mut given, mut stays, answer) = (self.calls.given.subscribe(), self.calls.stays.clone(), self.answer);
        tokio::spawn(async move {
            loop {
                let answered = answer(&given.borrow_and_update());
                let is_over = answered.is_err();
                if sender.send(answered).await.is_err() || is_over {
                    return;
                }
                tokio::select! {
                    changed = given.changed() => if changed.is_err() { return },
                    _ = stays.changed() => return,
                }
            }
        });
        std::future::ready(Ok(Response::new(ReceiverStream::new(receiver))))
    }
}

fn svids(given: &Given) -> Result<SvidResponse, Status> {
    let Some(Issued { id, svid, key, authority: bundle }) = given.svid.clone() else {
        return Err(Status::permission_denied("no identity issued"));
    };
    let own = id.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut federated = given.bundles.clone();
    federated.remove(&own);
    Ok(SvidResponse { svids: vec![SvidMessage { id, svid, key, bundle, hint: String::new() }], crl: vec![], federated })
}

fn bundles(given: &Given) -> Result<BundlesResponse, Status> {
    Ok(BundlesResponse { crl: vec![], bundles: given.bundles.clone() })
}

// --- Its messages ----------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct SvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<SvidMessage>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    crl: Vec<Vec<u8>>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    federated: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct SvidMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bytes = "vec", tag = "2")]
    svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
    #[prost(string, tag = "5")]
    hint: String,
}

#[derive(Clone, PartialEq, Message)]
struct BundlesResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    crl: Vec<Vec<u8>>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    bundles: BTreeMap<String, Vec<u8>>,
}
