//! The node that performs: conversations that peers have opened and that the policy has let in.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::ledger::Event;
use prunella_core::limits::{
    REMOTE_ANSWER_TIMEOUT, REMOTE_COMMANDS_PER_SECOND, REMOTE_REQUEST_BYTES_MAX, REMOTE_REQUEST_TIMEOUT,
    REMOTE_SHELL_SILENCE_MAX,
};
use prunella_core::wire::{StreamOpen, StreamRefusal};
use prunella_core::{PeerId, Rejected};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::places::Place;
use crate::api::answers::Answers;
use crate::api::error::{Error, ErrorKind};
use crate::api::server;
use crate::api::vocabulary::{NotFromAfar, Request, Response};
use crate::policy::Command;
use crate::spans::{self, Kind};
use crate::transport::{Conversation, ConversationError, Ending, Inbound, Pass};

/// Serves every conversation that comes out of `commands`, until the node stops and whoever was heard has the answer.
pub(in crate::api) async fn serve(answers: Arc<Answers>, mut commands: mpsc::Receiver<Inbound>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = conversations.join_next() => {}
            () = answers.stopping() => break,
            inbound = commands.recv() => {
                let Some(inbound) = inbound else { return };
                let answers = Arc::clone(&answers);
                // Bounded by the streams of the sessions; whoever finds no place is told so at once.
                conversations.spawn(async move {
                    match answers.remote.place(inbound.from()) {
                        Some(place) => converse(answers, inbound, place).await,
                        None => inbound.refuse(StreamRefusal::Busy).await,
                    }
                });
            }
        }
    }
    while conversations.join_next().await.is_some() {}
}

/// A conversation at the end of the node that performs.
struct Served {
    answers: Arc<Answers>,
    /// Who commands, as its session has proven.
    from: PeerId,
    /// On behalf of whom, as it says.
    uid: u32,
    talk: Conversation,
    place: Arc<Place>,
}

/// How a conversation goes on after a request.
enum Next {
    /// The request was answered.
    Answer(Box<Response>),
    /// It is not allowed any more.
    End(Ending),
    /// Nobody listens any more.
    Left,
}

async fn converse(answers: Arc<Answers>, inbound: Inbound, place: Place) {
    let (from, opened_for, uid) = match inbound.request() {
        // The gate has let it in, so there is such a command.
        StreamOpen::Command { command, uid } => (inbound.from(), Command::find(command), *uid),
        StreamOpen::Shell { uid } => (inbound.from(), None, *uid),
        _ => return inbound.refuse(StreamRefusal::NoSuchService).await,
    };
    let is_shell = matches!(inbound.request(), StreamOpen::Shell { .. });
    let mut span = answers.shell().tracer.join(inbound.trace(), "serve", Kind::Server);
    span.text("network.peer.address", || from.to_string());
    span.text("rpc.system", || "prunella");
    span.text("rpc.method", || opened_for.map_or("shell", Command::name));
    let Some(talk) = Conversation::accept(inbound).await else { return };
    let served = Served { answers, from, uid, talk, place: Arc::new(place) };
    let work = async {
        match opened_for {
            Some(command) => served.one(command).await,
            None if is_shell => served.shell().await,
            None => {}
        }
    };
    spans::under(span.context(), work).await;
}

impl Served {
    /// Performs one command, which the gate has let in.
    async fn one(mut self, command: Command) {
        let request = match self.request(Some(command), REMOTE_REQUEST_TIMEOUT).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(response) => return self.last(&response).await,
        };
        let next = match self.too_fast() {
            Some(refused) => refused,
            None => self.perform(request, &Pass::free()).await,
        };
        match next {
            Next::Answer(response) => self.last(&response).await,
            Next::End(ending) => self.talk.abort(&ending),
            Next::Left => {}
        }
    }

    /// Performs commands line by line, each of which is judged by itself.
    async fn shell(mut self) {
        let (who, from) = (self.who(), self.origin());
        self.answers.shell().write_down_command("shell".to_owned(), who, from).await;
        loop {
            let request = match self.request(None, REMOTE_SHELL_SILENCE_MAX).await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(response) => return self.last(&response).await,
            };
            let command = request.command();
            if let Some(Next::Answer(refused)) = self.too_fast() {
                if self.say(&refused).await {
                    continue;
                }
                return;
            }
            let next = match self.answers.shell().let_command_in(self.from, Ok(command)) {
                Ok(pass) => self.perform(request, &pass).await,
                Err(rule) => {
                    let text = format!("denied by {rule}: the command {command}");
                    Next::Answer(Box::new(Response::Error { error: Error::new(ErrorKind::Denied, text) }))
                }
            };
            match next {
                Next::Answer(response) if self.say(&response).await => {}
                Next::End(ending) => return self.talk.abort(&ending),
                Next::Answer(_) | Next::Left => return,
            }
        }
    }

    /// What to answer if the peer gives more commands than it may; it may go on, more slowly.
    fn too_fast(&self) -> Option<Next> {
        if self.answers.remote.takes_command_of(self.from, self.answers.shell().clock.now()) {
            return None;
        }
        let text = format!("more than {REMOTE_COMMANDS_PER_SECOND} commands per second: the command was not done");
        Some(Next::Answer(Box::new(Response::Error { error: Error::new(ErrorKind::OverLimit, text) })))
    }

    /// The next request; `None` if there is none, or nobody to answer any more.
    ///
    /// # Errors
    /// What to say before it ends, after something that is no request, or after nothing for too long.
    async fn request(&mut self, opened_for: Option<Command>, patience: Duration) -> Result<Option<Request>, Response> {
        let read = tokio::select! {
            biased;
            read = timeout(patience, self.talk.receive(REMOTE_REQUEST_BYTES_MAX)) => read,
            () = self.answers.stopping() => return Ok(None),
        };
        let not = |rejected, reason: String| NotFromAfar { rejected, reason };
        let refused = match read {
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(line))) => match Request::from_afar(line, opened_for) {
                Ok(request) => return Ok(Some(request)),
                Err(refused) => refused,
            },
            // Whether a line is too long, the reader of requests says as well.
            Ok(Err(ConversationError::TooLong { bytes_max })) => {
                not(Rejected::OverLimit, format!("a request from afar has at most {bytes_max} bytes"))
            }
            Ok(Err(ConversationError::Ended(ending))) => {
                self.talk.abort(&ending);
                return Ok(None);
            }
            Ok(Err(_)) => return Ok(None),
            Err(_) => not(Rejected::Stale, format!("nothing was asked for {} seconds", patience.as_secs())),
        };
        tracing::debug!(peer = %self.from.short(), reason = %refused, "a request from afar was turned away");
        self.answers.remote.count_rejected(refused.rejected);
        let kind = match refused.rejected {
            Rejected::Unauthorized => ErrorKind::Denied,
            Rejected::Stale => ErrorKind::TimedOut,
            Rejected::OverLimit => ErrorKind::OverLimit,
            _ => ErrorKind::InvalidInput,
        };
        Err(Response::Error { error: Error::new(kind, refused.reason) })
    }

    /// Performs a request. A question that nobody waits for any more is dropped; what changes something goes on to its end,
    /// and keeps its place until then.
    async fn perform(&mut self, request: Request, pass: &Pass) -> Next {
        self.answers.remote.count_performed();
        let patience = REMOTE_ANSWER_TIMEOUT + request.own_time();
        let (answers, who, from) = (Arc::clone(&self.answers), self.who(), self.origin());
        let deed = request.deed();
        let changes = deed.is_some();
        let work = async move {
            if let Some(command) = deed
                && let Err(reason) = answers.shell().write_down_durably(Event::Commanded { command, who, from }).await
            {
                // Whoever is at the node may repair it without a ledger; nobody else changes what nothing would show.
                let text = format!("the command was not done, because it could not be written down: {reason}");
                return Response::Error { error: Error::new(ErrorKind::Storage, text) };
            }
            answers.answer(request).await.unwrap_or_else(|error| Response::Error { error })
        };
        let (place, span) = (Arc::clone(&self.place), spans::current());
        let work = async move {
            if !changes {
                return work.await;
            }
            let performed = tokio::spawn(async move {
                let response = spans::under(span, work).await;
                drop(place);
                response
            });
            performed.await.unwrap_or_else(|error| {
                let text = format!("the command failed, and may be done in part: {error}");
                Response::Error { error: Error::new(ErrorKind::Internal, text) }
            })
        };
        tokio::select! {
            biased;
            ending = self.talk.ended() => Next::End(ending),
            ending = pass.ended() => Next::End(ending),
            answered = timeout(patience, work) => Next::Answer(Box::new(answered.unwrap_or_else(|_| late(patience, changes)))),
            () = self.talk.left() => Next::Left,
        }
    }

    /// Says something and ends the conversation.
    async fn last(mut self, response: &Response) {
        if self.say(response).await {
            // Whoever does not read is not waited for.
            let _ = timeout(REMOTE_REQUEST_TIMEOUT, self.talk.close()).await;
        }
    }

    /// Whether it could be said.
    async fn say(&mut self, response: &Response) -> bool {
        let line = server::encode(response);
        matches!(timeout(REMOTE_REQUEST_TIMEOUT, self.talk.send(&line)).await, Ok(Ok(())))
    }

    /// Who commands, for the ledger.
    fn who(&self) -> String {
        self.from.to_string()
    }

    /// From where, for the ledger. The user is what the other node says.
    fn origin(&self) -> String {
        format!("session, reported uid {}", self.uid)
    }
}

fn late(patience: Duration, changes: bool) -> Response {
    let goes_on = if changes { "; it goes on" } else { "" };
    let text = format!("the command takes longer than {} seconds{goes_on}", patience.as_secs());
    Response::Error { error: Error::new(ErrorKind::TimedOut, text) }
}
