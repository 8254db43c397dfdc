//! A port that lives on a thread in a namespace.

#![allow(dead_code, unreachable_pub, reason = "the tests and the benchmark each use a part of it")]

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use prunella::datapath::{Attached, KernelError, Port};
use prunella_core::PeerId;
use quinn_udp::RecvMeta;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::namespaces::enter;

type Job = Box<dyn FnOnce(&Arc<Port>) + Send>;

/// A running port. It ends, and takes its program with it, when the value is dropped.
pub struct Relay {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a port in a namespace; with interfaces, in the kernel as well.
    pub fn start(namespace: &str, address: SocketAddr) -> Self {
        let (jobs, asked) = mpsc::unbounded_channel();
        let namespace = namespace.to_owned();
        let thread = thread::spawn(move || {
            enter(&namespace);
            Builder::new_current_thread().enable_all().build().unwrap().block_on(live(address, asked));
        });
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Attaches the kernel's program.
    pub fn attach(&self, interfaces: &[&str]) -> Result<Attached, KernelError> {
        let interfaces: Vec<String> = interfaces.iter().map(|&name| name.to_owned()).collect();
        self.with(move |port| port.attach_kernel(&interfaces))
    }

    /// Does something with the port, on its thread, and waits for nothing.
    pub fn begin(&self, work: impl FnOnce(&Arc<Port>) + Send + 'static) {
        self.jobs.as_ref().unwrap().send(Box::new(work)).unwrap_or_else(|_| panic!("the relay has ended"));
    }

    /// Does something with the port, on its thread.
    pub fn with<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Port>) -> T + Send + 'static) -> T {
        let (done, outcome) = oneshot::channel();
        let job: Job = Box::new(move |port| assert!(done.send(work(port)).is_ok()));
        self.jobs.as_ref().unwrap().send(job).unwrap_or_else(|_| panic!("the relay has ended"));
        outcome.blocking_recv().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the relay failed");
    }
}

/// Reads the port's socket, as the session endpoint does, and does what is asked, until nobody can ask any more.
async fn live(address: SocketAddr, mut asked: mpsc::UnboundedReceiver<Job>) {
    let (port, _events) = Port::bind(address, PeerId::from_public_key([200; 32])).unwrap();
    let socket = port.mesh_socket();
    let mut memory = vec![vec![0; 65_536]; 32];
    loop {
        let mut metas = [RecvMeta::default(); 32];
        let mut buffers: Vec<_> = memory.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        tokio::select! {
            biased;
            job = asked.recv() => match job {
                Some(job) => job(&port),
                None => return,
            },
            received = poll_fn(|cx| socket.poll_recv(cx, &mut buffers, &mut metas)) => drop(received.unwrap()),
        }
    }
}
