//! Plain QUIC that carries TCP connections, as a service of Prunella does: what is left when there is no mesh.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clap::Args;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime};
use rustix::net::sockopt;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the far end is told.
#[derive(Args, Debug)]
pub(crate) struct ServerArguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// A directory with `certificate.pem` and `key.pem`
    #[arg(long)]
    keys: PathBuf,
}

/// What the near end is told.
#[derive(Args, Debug)]
pub(crate) struct ClientArguments {
    /// Where the far end listens
    #[arg(long)]
    to: SocketAddr,
    /// A directory with `certificate.pem`
    #[arg(long)]
    keys: PathBuf,
    /// Ports of the loopback address to listen at, and to connect to at the far end
    #[arg(long, required = true)]
    port: Vec<u16>,
}

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Makes the keys that both ends need.
pub(crate) fn make_keys(dir: &Path) -> std::io::Result<()> {
    let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).map_err(std::io::Error::other)?;
    std::fs::write(dir.join(CERTIFICATE), made.cert.pem())?;
    std::fs::write(dir.join(KEY), made.signing_key.serialize_pem())
}

/// Accepts connections for ever.
#[tokio::main]
pub(crate) async fn serve(arguments: &ServerArguments) -> Outcome {
    let chain = vec![CertificateDer::from_pem_file(arguments.keys.join(CERTIFICATE))?];
    let config = ServerConfig::with_single_cert(chain, PrivateKeyDer::from_pem_file(arguments.keys.join(KEY))?)?;
    let endpoint = endpoint(arguments.listen, Some(config))?;
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            // Whoever dialed notices what goes wrong.
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(answer(send, receive));
            }
        });
    }
    Ok(())
}

async fn answer(send: SendStream, mut receive: RecvStream) -> Outcome {
    let mut port = [0; 2];
    receive.read_exact(&mut port).await?;
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, u16::from_be_bytes(port))).await?;
    join(tcp, send, receive).await
}

/// Carries connections until the far end is gone.
#[tokio::main]
pub(crate) async fn carry(arguments: &ClientArguments) -> Outcome {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(arguments.keys.join(CERTIFICATE))?)?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut endpoint = endpoint(any, None)?;
    endpoint.set_default_client_config(ClientConfig::with_root_certificates(Arc::new(roots))?);
    let connection = endpoint.connect(arguments.to, SERVER_NAME)?.await?;
    for &port in &arguments.port {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let connection = connection.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(open(connection.clone(), port, tcp));
            }
        });
    }
    Err(connection.closed().await.into())
}

async fn open(connection: Connection, port: u16, tcp: TcpStream) -> Outcome {
    let (mut send, receive) = connection.open_bi().await?;
    send.write_all(&port.to_be_bytes()).await?;
    join(tcp, send, receive).await
}

async fn join(tcp: TcpStream, send: SendStream, receive: RecvStream) -> Outcome {
    tcp.set_nodelay(true)?;
    let (reader, writer) = tcp.into_split();
    tokio::try_join!(outward(reader, send), inward(receive, writer)).map(drop)
}

async fn outward(mut reader: OwnedReadHalf, mut send: SendStream) -> Outcome {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while reader.read_buf(&mut buffer).await? > 0 {
        let chunk: Bytes = buffer.split().freeze();
        send.write_chunk(chunk).await?;
        buffer.reserve(CHUNK);
    }
    Ok(send.finish()?)
}

async fn inward(mut receive: RecvStream, mut writer: OwnedWriteHalf) -> Outcome {
    while let Some(chunk) = receive.read_chunk(CHUNK, true).await? {
        writer.write_all(&chunk.bytes).await?;
    }
    Ok(writer.shutdown().await?)
}

fn endpoint(listen: SocketAddr, server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind(listen)?;
    // The same buffers that Prunella's datapath asks for.
    let sized = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES)
        .and_then(|()| sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER_BYTES));
    if sized.is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
        sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
    }
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
}

const SERVER_NAME: &str = "plain.quic";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const CHUNK: usize = 65_536;
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
