//! Traffic over TCP that notices what it suffers: numbers that are echoed, and bytes that are compared.

mod bulk;
mod echo;

pub use bulk::{BulkServer, pull, push};
pub use echo::{Echo, EchoServer, Pace, Suffered};

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lab::Host;
use crate::waiting::LabError;

/// Accepts connections on a host until it is dropped, and serves each on a thread of its own.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    fn start(host: &Host, at: SocketAddr, serve: fn(TcpStream) -> io::Result<()>) -> Result<Self, LabError> {
        let bind = || TcpListener::bind(at).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = host.inside(bind)?.map_err(LabError::system(format!("listen at {at}")))?;
        listener.set_nonblocking(true).map_err(LabError::system("set up a listener"))?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let acceptor = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((tcp, _)) => drop(thread::spawn(move || {
                        // What goes wrong here is noticed by whoever waits at the other end.
                        let _ =
                            tcp.set_nonblocking(false).and_then(|()| tcp.set_nodelay(true)).and_then(|()| serve(tcp));
                    })),
                    Err(_) => thread::sleep(ACCEPT_EVERY),
                }
            }
        });
        Ok(Self { address, stop, acceptor: Some(acceptor) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            // One that has panicked has said so.
            let _ = acceptor.join();
        }
    }
}

/// Connects from a host.
fn connect(host: &Host, to: SocketAddr) -> Result<TcpStream, LabError> {
    let connected = host.inside(|| {
        let tcp = TcpStream::connect_timeout(&to, CONNECT_PATIENCE)?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    })?;
    connected.map_err(LabError::system(format!("connect to {to}")))
}

const ACCEPT_EVERY: Duration = Duration::from_millis(2);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
