//! The first message on every stream of a session, and its answer: what the stream is for, and whether it may be.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::limits::COMMAND_NAME_BYTES_MAX;
use crate::record::is_service_name;
use crate::wire::codec;
use crate::{Rejected, TraceContext};

/// Longest opening or reply, in bytes, without its four-byte length prefix.
pub const STREAM_HEADER_BYTES_MAX: usize = 1024;
/// Longest reason in a refusal, in bytes; what is longer is cut.
pub const STREAM_REASON_BYTES_MAX: usize = 512;

/// What is sent on a stream before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Opening {
    /// What the opener wants of the stream.
    pub purpose: StreamOpen,
    /// The span within which it does, if that is told: so the receiver's spans belong to the same trace.
    pub trace: Option<TraceContext>,
}

/// What the opener wants of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum StreamOpen {
    /// To be carried to a service that the receiver exposes.
    Service {
        /// The service's name.
        name: String,
    },
    /// To carry messages between the two nodes' users.
    Message,
    /// Only to see the answer come back; the stream ends with it.
    Ping,
    /// To give the receiver one command: a line of the control protocol, which must be this command, and one that answers.
    Command {
        /// The command's name.
        command: String,
        /// The user who gives it, as the opener says: no proof of anything.
        uid: u32,
    },
    /// To exchange IP packets: the stream holds their tunnel, and begins with a [`TunnelHello`] from each end.
    Network,
    /// To give the receiver commands, line by line, for as long as it lets them.
    Shell {
        /// The user who gives them, as the opener says: no proof of anything.
        uid: u32,
    },
}

/// The answer to an [`Opening`]; what follows it belongs to the stream's purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum StreamReply {
    /// Go ahead.
    Accept,
    /// Not this stream.
    Refuse(StreamRefusal),
}

/// Why a stream is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, thiserror::Error)]
pub enum StreamRefusal {
    /// The receiver's policy does not allow it.
    #[error("denied by {rule}")]
    Denied {
        /// The rule that decided.
        rule: String,
    },
    /// The receiver exposes no service of that name.
    #[error("no such service")]
    NoSuchService,
    /// The service is exposed, but what stands behind it did not answer.
    #[error("the service's target failed: {reason}")]
    TargetFailed {
        /// What the receiver saw.
        reason: String,
    },
    /// The receiver has as many streams as it can serve.
    #[error("busy")]
    Busy,
    /// The receiver did not understand the opening.
    #[error("the opening was rejected: {reason}")]
    Rejected {
        /// The name of the [`Rejected`] reason.
        reason: String,
    },
}

/// What each end says first on a stream that was opened for [`StreamOpen::Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct TunnelHello {
    /// The number that the other end is to write on packets to this one.
    pub key: u16,
}

impl TunnelHello {
    /// Encodes it, with its version byte.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_message(self)
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`], [`Rejected::UnknownVersion`] or [`Rejected::Malformed`] for its form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        decode_bounded(bytes)
    }
}

impl Opening {
    /// Encodes the opening, with its version byte.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_message(self)
    }

    /// Decodes and checks an opening.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`], [`Rejected::UnknownVersion`] or [`Rejected::Malformed`] for its form, the latter also
    /// for something that cannot be a service's or a command's name, and for a context that names no trace.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        let Self { purpose, trace } = decode_bounded(bytes)?;
        match &purpose {
            StreamOpen::Service { name } if !is_service_name(name) => Err(Rejected::Malformed),
            StreamOpen::Command { command, .. } if !is_command_name(command) => Err(Rejected::Malformed),
            _ => Ok(Self { purpose, trace: trace.map(TraceContext::checked).transpose()? }),
        }
    }
}

impl StreamReply {
    /// Encodes the reply, with its version byte. A long reason is cut, so that the reply fits its limit.
    pub fn encode(&self) -> Vec<u8> {
        let mut reply = self.clone();
        if let StreamReply::Refuse(
            StreamRefusal::Denied { rule: reason }
            | StreamRefusal::TargetFailed { reason }
            | StreamRefusal::Rejected { reason },
        ) = &mut reply
        {
            reason.truncate(reason.floor_char_boundary(STREAM_REASON_BYTES_MAX));
        }
        codec::encode_message(&reply)
    }

    /// Decodes a reply.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`], [`Rejected::UnknownVersion`] or [`Rejected::Malformed`] for its form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        decode_bounded(bytes)
    }
}

/// Whether a command may be called so: a-z and the hyphen, 1 to `limits::COMMAND_NAME_BYTES_MAX` bytes.
pub fn is_command_name(name: &str) -> bool {
    (1..=COMMAND_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

fn decode_bounded<T: Decode<()>>(bytes: &[u8]) -> Result<T, Rejected> {
    if bytes.len() > STREAM_HEADER_BYTES_MAX {
        return Err(Rejected::OverLimit);
    }
    codec::decode_message(bytes)
}

const _: () = assert!(STREAM_REASON_BYTES_MAX + 16 <= STREAM_HEADER_BYTES_MAX, "a refusal fits its limit");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open() -> impl Strategy<Value = Opening> {
        let trace = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>())
            .prop_map(|(trace, span, sampled)| TraceContext { trace, span, sampled })
            .prop_filter("named", |context| context.checked().is_ok());
        (purpose(), proptest::option::of(trace)).prop_map(|(purpose, trace)| Opening { purpose, trace })
    }

    fn plain(purpose: StreamOpen) -> Opening {
        Opening { purpose, trace: None }
    }

    fn purpose() -> impl Strategy<Value = StreamOpen> {
        prop_oneof![
            "[a-z0-9-]{1,63}".prop_map(|name| StreamOpen::Service { name }),
            Just(StreamOpen::Message),
            Just(StreamOpen::Ping),
            ("[a-z-]{1,32}", any::<u32>()).prop_map(|(command, uid)| StreamOpen::Command { command, uid }),
            any::<u32>().prop_map(|uid| StreamOpen::Shell { uid }),
            Just(StreamOpen::Network),
        ]
    }

    fn refusal() -> impl Strategy<Value = StreamRefusal> {
        prop_oneof![
            "[a-z ]{0,200}".prop_map(|rule| StreamRefusal::Denied { rule }),
            Just(StreamRefusal::NoSuchService),
            "[a-z ]{0,200}".prop_map(|reason| StreamRefusal::TargetFailed { reason }),
            Just(StreamRefusal::Busy),
            "[a-z ]{0,200}".prop_map(|reason| StreamRefusal::Rejected { reason }),
        ]
    }

    proptest! {
        #[test]
        fn every_opening_survives_the_wire(open in open()) {
            prop_assert_eq!(Opening::decode(&open.encode()), Ok(open));
        }

        #[test]
        fn every_reply_survives_the_wire(refusal in refusal()) {
            let reply = StreamReply::Refuse(refusal);
            prop_assert_eq!(StreamReply::decode(&reply.encode()), Ok(reply));
        }

        #[test]
        fn garbage_is_rejected_or_decodes_but_never_panics(bytes: Vec<u8>) {
            let _ = Opening::decode(&bytes);
            let _ = StreamReply::decode(&bytes);
            let _ = TunnelHello::decode(&bytes);
        }
    }

    #[test]
    fn acceptance_survives_the_wire() {
        assert_eq!(StreamReply::decode(&StreamReply::Accept.encode()), Ok(StreamReply::Accept));
    }

    #[test]
    fn a_name_that_no_service_can_have_is_malformed() {
        for name in ["", "Web", "a/b", &"x".repeat(64)] {
            let bytes = plain(StreamOpen::Service { name: name.to_owned() }).encode();
            assert_eq!(Opening::decode(&bytes), Err(Rejected::Malformed), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_no_command_can_have_is_malformed() {
        for name in ["", "Status", "a/b", "a b", &"x".repeat(33)] {
            let bytes = plain(StreamOpen::Command { command: name.to_owned(), uid: 0 }).encode();
            assert_eq!(Opening::decode(&bytes), Err(Rejected::Malformed), "{name:?}");
        }
    }

    #[test]
    fn a_context_that_names_no_trace_is_malformed() {
        let context = TraceContext { trace: [7; 16], span: [7; 8], sampled: true };
        for bad in [TraceContext { trace: [0; 16], ..context }, TraceContext { span: [0; 8], ..context }] {
            let bytes = Opening { purpose: StreamOpen::Ping, trace: Some(bad) }.encode();
            assert_eq!(Opening::decode(&bytes), Err(Rejected::Malformed), "{bad}");
        }
    }

    #[test]
    fn an_overlong_opening_is_over_the_limit() {
        let bytes = plain(StreamOpen::Service { name: "x".repeat(2000) }).encode();
        assert_eq!(Opening::decode(&bytes), Err(Rejected::OverLimit));
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let reply = StreamReply::Refuse(StreamRefusal::TargetFailed { reason: "ä".repeat(3000) });
        let StreamReply::Refuse(StreamRefusal::TargetFailed { reason }) =
            StreamReply::decode(&reply.encode()).expect("it fits")
        else {
            panic!("another reply")
        };
        assert_eq!(reason, "ä".repeat(STREAM_REASON_BYTES_MAX / 2));
    }
}
