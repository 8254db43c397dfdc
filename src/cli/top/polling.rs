//! Asks the node, again and again: each part over a connection and with a patience of its own, beside the keyboard.

use std::panic;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::model::{Heard, Part, Wanted};
use crate::api::Request;
use crate::api::client::Client;

/// Asks until it is dropped.
pub(super) struct Polling {
    wanted: watch::Sender<Wanted>,
    heard: mpsc::Receiver<Heard>,
    /// What came and was not taken yet.
    gathered: Vec<Heard>,
    askers: JoinSet<()>,
}

impl Polling {
    /// Asks the node that `client` asks for what is wanted, so often.
    pub(super) fn begin(client: &Client, interval: Duration, wanted: Wanted) -> Self {
        let (wanted, wants) = watch::channel(wanted);
        let (tell, heard) = mpsc::channel(2 * Part::ALL.len());
        let mut askers = JoinSet::new();
        for part in Part::ALL {
            let asker = Asker { part, client: client.beside(), interval, wants: wants.clone(), tell: tell.clone() };
            askers.spawn(asker.run());
        }
        Self { wanted, heard, gathered: Vec::new(), askers }
    }

    /// From now on this is wanted; what was not wanted before is asked for at once.
    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|now| {
            let differs = *now != wanted;
            *now = wanted;
            differs
        });
    }

    /// The next answers: those that come together are told together, so that all of them are drawn at once. Nothing is
    /// lost if nobody waits for it to the end.
    pub(super) async fn next(&mut self) -> Vec<Heard> {
        if self.gathered.is_empty() {
            tokio::select! {
                heard = self.heard.recv() => self.gathered.extend(heard),
                Some(ended) = self.askers.join_next() => {
                    if let Err(error) = ended && let Ok(panicked) = error.try_into_panic() {
                        panic::resume_unwind(panicked);
                    }
                }
            }
        }
        sleep(TOGETHER).await;
        while let Ok(heard) = self.heard.try_recv() {
            self.gathered.push(heard);
        }
        std::mem::take(&mut self.gathered)
    }
}

/// Asks for one part.
struct Asker {
    part: Part,
    client: Client,
    interval: Duration,
    wants: watch::Receiver<Wanted>,
    tell: mpsc::Sender<Heard>,
}

impl Asker {
    async fn run(mut self) {
        while let Ok(request) = self.wanted().await {
            let begun = Instant::now();
            // What is not wanted any more is not waited for: the connection is closed, and its answer goes nowhere.
            let answer = tokio::select! {
                answer = timeout(PATIENCE, self.client.request_all(&request)) => match answer {
                    Ok(answer) => answer.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("the node has not answered within {} s", PATIENCE.as_secs())),
                },
                () = differs(&mut self.wants, self.part, &request) => continue,
            };
            let heard = Heard { part: self.part, request: request.clone(), answer };
            if self.tell.send(heard).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep_until(begun + self.interval) => {}
                () = differs(&mut self.wants, self.part, &request) => {}
            }
        }
    }

    /// Waits until the part is wanted. An error if nothing will be any more.
    async fn wanted(&mut self) -> Result<Request, watch::error::RecvError> {
        let wanted = self.wants.wait_for(|wanted| wanted.contains_key(&self.part)).await?;
        Ok(wanted[&self.part].clone())
    }
}

/// Returns when something else than `request` is wanted of the part.
async fn differs(wants: &mut watch::Receiver<Wanted>, part: Part, request: &Request) {
    // If nobody wants anything any more, whoever asked for it finds out.
    let _ = wants.wait_for(|wanted| wanted.get(&part) != Some(request)).await;
}

/// How long the node may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long is waited for further answers after one has come.
const TOGETHER: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Response;
    use crate::api::server::{Answer, Caller, Handler, Server};

    /// Answers everything but questions about actors.
    struct Stuck;

    impl Handler for Stuck {
        fn handle(&self, request: Request, _: Caller) -> Answer<'_> {
            Box::pin(async move {
                match request {
                    Request::Actors => std::future::pending().await,
                    Request::Links => Response::Links { links: Vec::new() },
                    _ => Response::Done,
                }
            })
        }
    }

    #[tokio::test]
    async fn one_part_that_is_stuck_holds_up_no_other_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let (_stop, stopping) = watch::channel(false);
        tokio::spawn(Server::bind(&socket).await.unwrap().run(Arc::new(Stuck), stopping));
        let wanted = Wanted::from([(Part::Links, Request::Links), (Part::Actors, Request::Actors)]);
        let mut polling = Polling::begin(&Client::to(&socket), Duration::from_millis(100), wanted);
        let (mut links, mut stuck) = (0, None);
        while stuck.is_none() {
            for heard in polling.next().await {
                match (heard.part, heard.answer) {
                    (Part::Links, Ok(Response::Links { .. })) => links += 1,
                    (Part::Actors, Err(why)) => stuck = Some(why),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(links > 10, "{links}");
        assert_eq!(stuck.as_deref(), Some("the node has not answered within 5 s"));
        polling.want(Wanted::from([(Part::Detail, Request::Shutdown)]));
        while !polling.next().await.iter().any(|heard| heard.part == Part::Detail) {}
    }
}
