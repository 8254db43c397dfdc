//! The HTTP API over TLS: the server's own certificate, clients that prove themselves by one, and files that change while the
//! node runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use toml::Table;

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

/// An operator's own authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key of `name`, in PEM.
    fn certify(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn serve(&self, dir: &Path) -> CertificateDer<'static> {
        let (certificate, key) = self.certify("node.example", ExtendedKeyUsagePurpose::ServerAuth);
        // The key first: a certificate without its key is not used, and what was there before goes on.
        std::fs::write(dir.join("http.key"), key).unwrap();
        std::fs::write(dir.join("http.pem"), &certificate).unwrap();
        CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
    }
}

/// What the node answers to one request, and its certificate.
async fn ask(
    address: SocketAddr,
    authority: &Authority,
    client: Option<&(String, String)>,
    request: &str,
) -> (String, CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("node.example").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    // A client that the server does not believe is cut off.
    let _ = stream.read_to_end(&mut told).await;
    (String::from_utf8(told).unwrap(), shown)
}

const STATUS: &str = "GET /v1/status HTTP/1.1\r\nHost: node.example\r\nConnection: close\r\n\r\n";
const RELOAD: &str =
    "POST /v1/policy/reload HTTP/1.1\r\nHost: node.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

async fn served_at(node: &Node) -> SocketAddr {
    let url = until("an address of the API", PATIENCE, async || {
        node.status().await?.http.ok_or_else(|| "none yet".to_owned())
    })
    .await;
    url.strip_prefix("https://").unwrap_or_else(|| panic!("{url}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_proves_itself_by_a_certificate_and_new_files_count_at_once() {
    let config: Table = r#"[http]
listen = "127.0.0.1:0"
certificate = "http.pem"
key = "http.key"
client_authority = "clients.pem"
client_scopes = ["read"]
"#
    .parse()
    .unwrap();
    let mesh = Mesh::found(Plan { config, ..Plan::alone() }).await;
    let node = &mesh.nodes[0];
    // Without its files the node runs, and says why nothing is served.
    assert_eq!(node.status().await.unwrap().http, None);
    until("a word about the missing files", PATIENCE, async || {
        if node.log().contains("the HTTP API is not served") { Ok(()) } else { Err(node.log()) }
    })
    .await;
    let (authority, clients) = (Authority::new(), Authority::new());
    std::fs::write(node.dir.join("clients.pem"), &clients.pem).unwrap();
    let first = authority.serve(&node.dir);
    let address = served_at(node).await;

    let known = clients.certify("ops.example", ExtendedKeyUsagePurpose::ClientAuth);
    let (told, shown) = ask(address, &authority, Some(&known), STATUS).await;
    assert!(told.starts_with("HTTP/1.1 200") && shown == first, "{told}");
    let (told, _) = ask(address, &authority, Some(&known), RELOAD).await;
    assert!(told.starts_with("HTTP/1.1 403") && told.contains("needs the scope \\\"change\\\""), "{told}");
    let (told, _) = ask(address, &authority, None, STATUS).await;
    assert!(told.starts_with("HTTP/1.1 401"), "{told}");
    let foreign = authority.certify("ops.example", ExtendedKeyUsagePurpose::ClientAuth);
    let (told, _) = ask(address, &authority, Some(&foreign), STATUS).await;
    assert_eq!(told, "", "whom another authority has certified is cut off in the handshake");
    let token = node.run(&["token", "create", "ops", "--scope", "change"]).await.ok();
    let with_token = RELOAD.replace("Connection", &format!("Authorization: Bearer {}\r\nConnection", token.trim()));
    let (told, _) = ask(address, &authority, None, &with_token).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");

    let second = authority.serve(&node.dir);
    let (told, shown) = ask(address, &authority, Some(&known), STATUS).await;
    assert!(told.starts_with("HTTP/1.1 200") && shown == second && shown != first, "{told}");
    // What cannot be used is told, and what was there before goes on.
    std::fs::write(node.dir.join("http.pem"), "no certificate").unwrap();
    let (told, shown) = ask(address, &authority, Some(&known), STATUS).await;
    assert!(told.starts_with("HTTP/1.1 200") && shown == second, "{told}");
    assert!(node.log().contains("the new certificate of the HTTP API is not used"), "{}", node.log());
}
