//! What surfaces bear: the control socket, commands of other nodes, HTTP, and whoever follows events.

use std::time::Duration;

use super::STATEMENT_BYTES_MAX;

/// Most control-socket connections at once.
pub const CONTROL_CLIENTS_MAX: usize = 64;
/// Longest line on the control socket, in bytes.
pub const CONTROL_LINE_BYTES_MAX: usize = 256 * 1024;
/// Most pages of one list that whoever asks a node puts together. The longest list is that of records, of which some two
/// hundred fit a page at least.
pub const PAGES_MAX: usize = 256;
/// Newest events that a node keeps for those who follow them.
pub const EVENTS_KEPT: usize = 4096;
/// Most events in one answer.
pub const EVENTS_PER_ANSWER_MAX: usize = 256;
/// Longest time to send the head of an HTTP request, or to shake hands before it.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that a follower of events may leave an event unread.
pub const HTTP_STREAM_PATIENCE: Duration = Duration::from_secs(10);
/// Longest time that a request for events waits for one.
pub const EVENTS_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest text in an event, in bytes; longer ones are cut.
pub const EVENT_TEXT_BYTES_MAX: usize = 256;
/// Most HTTP connections that a node serves at once; further ones are closed.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// Most event streams over WebSockets that a node serves at once; further ones are refused as busy.
pub const HTTP_STREAMS_MAX: usize = 32;
/// Longest body of an HTTP request, in bytes.
pub const HTTP_BODY_BYTES_MAX: usize = 256 * 1024;
/// Longest head of an HTTP request, in bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// HTTP requests that a caller may make a second, with twice as much burst.
pub const HTTP_REQUESTS_PER_SECOND: u32 = 50;
/// Most callers whose HTTP requests are counted at once.
pub const HTTP_CALLERS_MAX: usize = 1024;
/// Most tokens of the HTTP API.
pub const HTTP_TOKENS_MAX: usize = 256;
/// Most remote conversations that a node serves at once, in all; beyond it further ones are refused as busy.
pub const REMOTE_CONVERSATIONS_MAX: usize = 64;
/// Most of them that one peer may have, whatever it may be allowed.
pub const REMOTE_CONVERSATIONS_PER_PEER_MAX: usize = 8;
/// Most commands per second, and at once, that one peer may give, whatever it may be allowed; a few people with shells, and
/// scripts that wait for their answers, give fewer.
pub const REMOTE_COMMANDS_PER_SECOND: u32 = 50;
/// Most peers whose commands are counted at once: each of them was let in by a rule.
pub const REMOTE_COMMANDERS_MAX: usize = 1024;
/// Longest request of a remote conversation, in bytes; an answer may be as long as a line on the control socket.
pub const REMOTE_REQUEST_BYTES_MAX: usize = 40 * 1024;
/// How long whoever was let in with a command may take to send its request.
pub const REMOTE_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a remote command may take to be answered, beyond the time that it asks for itself.
pub const REMOTE_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most time that a remote command may ask for itself.
pub const REMOTE_OWN_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a remote shell may be silent before it ends.
pub const REMOTE_SHELL_SILENCE_MAX: Duration = Duration::from_secs(600);

const _: () = assert!(STATEMENT_BYTES_MAX * 2 + 1024 < REMOTE_REQUEST_BYTES_MAX, "a statement can be told from afar");
const _: () = assert!(REMOTE_REQUEST_BYTES_MAX < CONTROL_LINE_BYTES_MAX, "what is sent on was read whole");
const _: () = assert!(REMOTE_CONVERSATIONS_PER_PEER_MAX * 4 < REMOTE_CONVERSATIONS_MAX, "no peer takes all places");

/// Most spans that wait to be exported; further ones are dropped and counted.
pub const SPANS_QUEUED_MAX: usize = 4096;
/// Most spans in one message to the collector.
pub const SPANS_PER_EXPORT_MAX: usize = 512;
/// Longest time that one message to the collector may take, with all that is tried again.
pub const SPANS_EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that a node that stops waits for the collector to take the last of its spans.
pub const SPANS_FAREWELL: Duration = Duration::from_secs(1);
/// Most attributes of a span; further ones are left out and counted in it.
pub const SPAN_ATTRIBUTES_MAX: usize = 32;
/// Longest text in a span, in bytes; longer ones are cut.
pub const SPAN_TEXT_BYTES_MAX: usize = 256;
/// Traces of others that a node joins a second, with as much burst: what it says in them is decided elsewhere, and must not
/// cost more than this.
pub const TRACES_JOINED_PER_SECOND: u32 = 100;
