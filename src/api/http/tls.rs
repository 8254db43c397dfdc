//! TLS with the operator's own certificate, and clients that prove themselves by one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::api::file_state::FileState;
use crate::config::Http;

/// The files that TLS is made of, read again when one of them has changed.
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<PathBuf>,
    made: Mutex<Option<(Vec<FileState>, TlsAcceptor)>>,
}

impl Tls {
    pub(super) fn of(config: &Http) -> Self {
        let clients = Some(config.client_authority.clone()).filter(|path| !path.as_os_str().is_empty());
        Self { certificate: config.certificate.clone(), key: config.key.clone(), clients, made: Mutex::default() }
    }

    /// What accepts connections now. While changed files cannot be used, what was made of the earlier ones goes on.
    ///
    /// # Errors
    /// What is wrong with the files, if nothing could be made of any yet.
    pub(super) fn current(&self) -> Result<TlsAcceptor, String> {
        let files = [Some(&self.certificate), Some(&self.key), self.clients.as_ref()];
        let seen: Vec<FileState> = files.into_iter().flatten().map(|file| FileState::of(file)).collect();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *made {
            Some((of, acceptor)) if *of == seen => return Ok(acceptor.clone()),
            Some((of, acceptor)) => match self.make() {
                Ok(new) => (*of, *acceptor) = (seen, new),
                Err(reason) => {
                    *of = seen;
                    tracing::warn!(reason, "the new certificate of the HTTP API is not used");
                }
            },
            none => *none = Some((seen, self.make()?)),
        }
        Ok(made.as_ref().expect("BUG: it was made").1.clone())
    }

    fn make(&self) -> Result<TlsAcceptor, String> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| format!("{}: no private key in PEM: {error}", self.key.display()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
                }
                // Whoever has none may show a token instead.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| format!("{}: {error}", file.display()))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| format!("{} and {}: {error}", self.certificate.display(), self.key.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// By which name a client that has shown a certificate goes: the first name in it, or else its fingerprint.
pub(super) fn client(stream: &TlsStream<TcpStream>) -> Option<Arc<str>> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates()?.first()?;
    let names = EndEntityCert::try_from(certificate).ok();
    let name = names.as_ref().and_then(|cert| cert.valid_uri_names().chain(cert.valid_dns_names()).next());
    let fingerprint = || HEXLOWER.encode(&blake3::hash(certificate).as_bytes()[..8]);
    Some(name.map_or_else(|| fingerprint().into(), Arc::from))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: no certificates in PEM: {error}", file.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(&"there is none")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(&error)),
    }
}
