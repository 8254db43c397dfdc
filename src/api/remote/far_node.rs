//! The node whose user commands: what answers a control connection's requests in the place of another node.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::{
    CONTROL_LINE_BYTES_MAX, REMOTE_ANSWER_TIMEOUT, REMOTE_REQUEST_BYTES_MAX, REMOTE_REQUEST_TIMEOUT,
};
use prunella_core::wire::{StreamOpen, StreamRefusal};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::places::Remote;
use crate::actors::shell::Shell;
use crate::api::answers::{Answers, session_error};
use crate::api::error::{Error, ErrorKind};
use crate::api::harmless;
use crate::api::line;
use crate::api::server::{Answer, Caller, Handler, User};
use crate::api::traced::{describe, note_error};
use crate::api::vocabulary::{Request, Response};
use crate::spans::{self, Kind};
use crate::transport::{Conversation, ConversationError, SessionError, Sessions};

/// Another node, as the user of this one sees it.
pub(in crate::api) struct FarNode {
    shell: Arc<Shell>,
    sessions: Sessions,
    remote: Remote,
    peer: PeerId,
    /// Its name for people.
    name: String,
    user: User,
    /// The conversation of a shell; without one every request has its own.
    conversation: Option<Mutex<Option<Conversation>>>,
}

impl FarNode {
    /// The node that `text` means. With `shell`, that node has opened a shell when this returns; without, nothing was sent.
    ///
    /// # Errors
    /// [`ErrorKind::PeerNotFound`]; [`ErrorKind::InvalidInput`] for this node itself; for a shell, why it could not be opened.
    pub(in crate::api) async fn connect(answers: &Answers, text: &str, shell: bool, user: User) -> Result<Self, Error> {
        let peer = answers.find(text)?;
        if peer == answers.shell().credentials.peer() {
            let text = format!("{text} is this node itself: its own control socket answers, without --node");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let mut far = Self {
            name: answers.shell().known.name(&peer),
            shell: Arc::clone(answers.shell()),
            sessions: answers.sessions().clone(),
            remote: answers.remote.clone(),
            peer,
            user,
            conversation: None,
        };
        if shell {
            far.conversation = Some(Mutex::new(Some(far.open_shell().await?)));
        }
        Ok(far)
    }

    /// Asks the other node.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if its policy does not allow it or nobody may do it from afar; otherwise why it could not be
    /// asked, or what became of the answer: the text says whether something may have been done. What the other node
    /// answers with, an error included, is no error here.
    pub(in crate::api) async fn ask(&self, request: &Request) -> Result<Response, Error> {
        let mut span = self.shell.tracer.request("request", Kind::Server);
        describe(&mut span, request);
        let asked = spans::under(span.context(), self.ask_now(request)).await;
        asked.inspect(|response| note_error(&mut span, response)).inspect_err(|error| span.fail(error))
    }

    async fn ask_now(&self, request: &Request) -> Result<Response, Error> {
        let command = request.command();
        // The other node says the same, a round trip later.
        command.from_afar().map_err(|reason| Error::new(ErrorKind::Denied, reason))?;
        let line = line::encode(request).filter(|line| line.len() <= REMOTE_REQUEST_BYTES_MAX);
        let line = line.ok_or_else(|| {
            let text = format!("a request to another node has at most {REMOTE_REQUEST_BYTES_MAX} bytes");
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        let Some(conversation) = &self.conversation else {
            let opening = StreamOpen::Command { command: command.name().to_owned(), uid: self.user.uid };
            let mut talk = self.open(&opening, &format!("the command {command}")).await?;
            return self.exchange(&mut talk, request, &line).await;
        };
        let mut place = conversation.lock().await;
        // Taken, so that whoever gives up waiting leaves nothing behind that could be taken for the next answer. A shell that
        // has ended was told; the next request opens another, if that is allowed.
        let mut talk = match place.take() {
            Some(talk) => talk,
            None => self.open_shell().await?,
        };
        if let Some(unasked) = talk.unasked().await {
            return Err(self.shell_ended(talk, unasked).await);
        }
        let answered = self.exchange(&mut talk, request, &line).await;
        if answered.is_ok() {
            *place = Some(talk);
        }
        answered
    }

    async fn open(&self, opening: &StreamOpen, what: &str) -> Result<Conversation, Error> {
        Conversation::open(&self.sessions, self.peer, opening).await.map_err(|error| match error {
            SessionError::Refused(StreamRefusal::Denied { rule }) => {
                let text = format!("{} does not allow this node {what}: denied by {rule}", self.name);
                Error::new(ErrorKind::Denied, text)
            }
            SessionError::Refused(StreamRefusal::Busy) => {
                let text = format!("{} serves as many conversations as it may; nothing was sent, try again", self.name);
                Error::new(ErrorKind::OverLimit, text)
            }
            error => {
                let error = session_error(&self.name, error);
                Error::new(error.kind(), format!("{error}; nothing was sent"))
            }
        })
    }

    /// Sends the request, once it is written down here that it is sent, and waits for the answer.
    async fn exchange(&self, talk: &mut Conversation, request: &Request, line: &[u8]) -> Result<Response, Error> {
        let deed = request.deed();
        if let Some(deed) = &deed {
            self.write_down(deed).await;
        }
        let patience = REMOTE_ANSWER_TIMEOUT + request.own_time() + REMOTE_REQUEST_TIMEOUT;
        let answered = timeout(patience, async {
            // Whoever refuses says why before it ends, so a failed write does not keep us from reading.
            let sent = talk.send(line).await;
            self.remote.count_asked();
            match talk.receive(CONTROL_LINE_BYTES_MAX).await {
                Ok(Some(answer)) => Ok(serde_json::from_slice(answer)),
                Ok(None) => Err(sent.err().unwrap_or(ConversationError::Lost { reason: "it hung up".to_owned() })),
                Err(error) => Err(error),
            }
        });
        let name = &self.name;
        let (kind, what) = match answered.await {
            Ok(Ok(Ok(response))) => return Ok(response),
            Ok(Ok(Err(error))) => {
                let error = harmless(&error.to_string());
                (ErrorKind::Internal, format!("the answer of {name} is not understood: {error}"))
            }
            Ok(Err(ConversationError::Ended(ending))) => (ErrorKind::Denied, format!("{name} has ended it: {ending}")),
            Ok(Err(error)) => (ErrorKind::ConnectionFailed, format!("{name} was lost before it has answered: {error}")),
            Err(_) => (ErrorKind::TimedOut, format!("{name} has not answered within {} seconds", patience.as_secs())),
        };
        Err(Error::new(kind, format!("{what}; {}", self.remains(deed.is_some()))))
    }

    /// What is known of a request that was sent and not answered.
    fn remains(&self, is_deed: bool) -> String {
        match is_deed {
            true => format!("the command may have been done: the ledger of {} says", self.name),
            false => "nothing was to be changed".to_owned(),
        }
    }

    /// Opens a shell there, and writes down that this was done.
    async fn open_shell(&self) -> Result<Conversation, Error> {
        let talk = self.open(&StreamOpen::Shell { uid: self.user.uid }, "a shell").await?;
        self.write_down("shell").await;
        Ok(talk)
    }

    /// The other node has ended the shell while nothing was asked: why.
    async fn shell_ended(&self, mut talk: Conversation, unasked: Result<(), ConversationError>) -> Error {
        let said = match unasked {
            Ok(()) => timeout(SAID_PATIENCE, talk.receive(CONTROL_LINE_BYTES_MAX)).await,
            Err(error) => Ok(Err(error)),
        };
        let (kind, why) = match said {
            Ok(Ok(Some(line))) => match serde_json::from_slice(line) {
                Ok(Response::Error { error }) => (error.kind(), error.to_string()),
                _ => (ErrorKind::Internal, "it has said something unasked".to_owned()),
            },
            Ok(Err(ConversationError::Ended(ending))) => (ErrorKind::Denied, ending.to_string()),
            Ok(Err(error)) => (ErrorKind::ConnectionFailed, error.to_string()),
            Ok(Ok(None)) | Err(_) => (ErrorKind::ConnectionFailed, "it hung up".to_owned()),
        };
        Error::new(kind, format!("{} has ended the shell: {why}; nothing was sent", self.name))
    }

    /// Writes down that a command is sent, and to whom.
    async fn write_down(&self, deed: &str) {
        let command = format!("--node {} {deed}", self.peer);
        self.shell.write_down_command(command, self.user.who(), self.user.from()).await;
    }
}

impl Handler for FarNode {
    fn handle(&self, request: Request, _: Caller) -> Answer<'_> {
        Box::pin(async move { self.ask(&request).await.unwrap_or_else(|error| Response::Error { error }) })
    }
}

/// How long a node that has said something may take to say all of it.
const SAID_PATIENCE: Duration = Duration::from_secs(1);
