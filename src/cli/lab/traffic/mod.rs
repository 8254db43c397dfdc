//! The lab's traffic: servers at the destination's side, clients at the source's side, and what became of each message.
//!
//! It uses what every user has: TCP connections to an exposed service, through a forward.

mod bulk;
mod file_server;
mod gap;
mod http;
mod losses;
mod requests;
mod task;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;

use self::bulk::Bulk;
pub(super) use self::bulk::Sent;
pub(super) use self::http::Counts;
use self::http::{Expected, Http};
#[cfg(test)]
pub(super) use self::losses::Why;
pub(super) use self::losses::{Loss, LossJson};
use self::requests::Requests;
pub(super) use self::requests::Summary;
pub(super) use self::task::Task;
use super::arguments::Service;
use super::draw::Draw;
use super::processes::system;
use crate::api::{Error, ErrorKind};

/// The names under which the traffic's services are exposed: echo, bulk and HTTP.
pub(super) const SERVICES: [&str; 3] = ["lab-echo", "lab-bulk", "lab-http"];

/// The servers of the traffic; dropping them ends them.
#[derive(Debug)]
pub(super) struct Servers {
    targets: [String; 3],
    expected: Expected,
    _tasks: Vec<Task>,
}

impl Servers {
    /// Starts the echo server, the bulk sink and, unless the user has an HTTP service, the file server.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if they cannot listen; [`ErrorKind::ConnectionFailed`] if the user's service does not answer.
    pub(super) async fn start(seed: u64, service: Option<&Service>) -> Result<Self, Error> {
        let (echo, echo_at) = listen().await?;
        let (sink, sink_at) = listen().await?;
        let mut tasks = vec![Task::start(requests::echo(echo)), Task::start(bulk::sink(sink))];
        let (http_at, expected) = match service {
            Some(service) => (service.clone(), learn(service).await?),
            None => {
                let (listener, at) = listen().await?;
                let files = Arc::new(file_server::seeded_files(seed));
                tasks.push(Task::start(file_server::serve(listener, files.clone())));
                (Service::at(at.to_string()), Expected::Files(files))
            }
        };
        let [echo_at, sink_at] = [echo_at, sink_at].map(|at| Service::at(at.to_string()).target());
        Ok(Self { targets: [echo_at, sink_at, http_at.target()], expected, _tasks: tasks })
    }

    /// What to expose: `tcp://HOST:PORT` for each of [`SERVICES`].
    pub(super) fn targets(&self) -> &[String; 3] {
        &self.targets
    }
}

async fn listen() -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error| system("listen for the lab's traffic", &error))
}

async fn learn(service: &Service) -> Result<Expected, Error> {
    let failed = |why: String| {
        let text =
            format!("failed to reach {} directly: {why}; it must answer HTTP before the lab starts", service.target());
        Error::new(ErrorKind::ConnectionFailed, text)
    };
    let address = service.resolve().map_err(|error| failed(error.to_string()))?;
    Expected::learn(address, service.authority()).await.map_err(failed)
}

/// The traffic under way: requests and HTTP from its start on, a bulk stream for each window.
#[derive(Debug)]
pub(super) struct Traffic {
    requests: Requests,
    http: Http,
    bulk_at: SocketAddr,
    bulk_mbit: u32,
    seed: u64,
    started: Instant,
    windows: u64,
}

impl Traffic {
    /// Starts it towards the forwards' addresses, in the order of [`SERVICES`].
    pub(super) fn start(forwards: [SocketAddr; 3], servers: &Servers, seed: u64, bulk_mbit: u32) -> Self {
        let [echo_at, bulk_at, http_at] = forwards;
        let http = Http::start(http_at, servers.expected.clone());
        let requests = Requests::start(echo_at, seed);
        Self { requests, http, bulk_at, bulk_mbit, seed, started: Instant::now(), windows: 0 }
    }

    /// Begins to measure, with a new bulk stream.
    pub(super) fn open_window(&mut self) -> Window {
        self.windows += 1;
        let content = Draw::new(self.seed, &format!("bulk {}", self.windows));
        Window { start: Instant::now(), bulk: Bulk::start(self.bulk_at, content, self.bulk_mbit) }
    }

    /// Ends the measurement, once the fate of everything in it is known.
    pub(super) async fn close_window(&self, window: Window) -> Measured {
        let end = Instant::now();
        let bulk = window.bulk.finish().await;
        Measured { requests: self.requests.window(window.start, end).await, bulk }
    }

    /// Ends the traffic; what became of all requests and GETs.
    pub(super) async fn finish(self) -> Finished {
        let http = self.http.finish().await;
        let end = Instant::now();
        let requests = self.requests.window(self.started, end).await;
        Finished { requests, http, losses: self.requests.losses(self.started, end) }
    }

    /// How long it has flowed.
    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A measurement that has begun.
#[derive(Debug)]
pub(super) struct Window {
    start: Instant,
    bulk: Bulk,
}

/// What became of all traffic.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Of the requests.
    pub(super) requests: Summary,
    /// Of the GETs.
    pub(super) http: Counts,
    /// The requests that were not answered in time, and why.
    pub(super) losses: Vec<Loss>,
}

/// What became of the traffic of a window.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The requests sent in it.
    pub(super) requests: Summary,
    /// Its bulk stream.
    pub(super) bulk: Sent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_mesh_and_without_faults_nothing_is_lost() {
        let servers = Servers::start(7, None).await.unwrap();
        let forwards = servers.targets().clone().map(|target| target["tcp://".len()..].parse().unwrap());
        let mut traffic = Traffic::start(forwards, &servers, 7, 50);
        let window = traffic.open_window();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let measured = traffic.close_window(window).await;
        let Finished { requests, http, losses } = traffic.finish().await;

        assert_eq!(measured.bulk.damage, None);
        assert!(measured.bulk.bytes > 0);
        assert!(measured.requests.answered > 10, "{measured:?}");
        assert!(measured.requests.gap < Duration::from_millis(250), "{measured:?}");
        assert_eq!((requests.lost(), http.unaccounted(), http.failed), (0, 0, 0), "{requests:?} {http:?}");
        assert!(http.ok >= 2, "{http:?}");
        assert_eq!(losses, []);
    }

    #[tokio::test]
    async fn a_service_of_the_users_that_does_not_answer_is_an_error_before_the_lab_starts() {
        let (listener, address) = listen().await.unwrap();
        drop(listener);
        let error = Servers::start(7, Some(&Service::at(address.to_string()))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionFailed);
    }
}
