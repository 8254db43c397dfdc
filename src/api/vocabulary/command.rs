//! Which command a request is, and the reader of requests that come from other nodes.

use std::time::Duration;

use prunella_core::Rejected;
use prunella_core::limits::{REMOTE_OWN_TIME_MAX, REMOTE_REQUEST_BYTES_MAX};

use super::Request;
use crate::api::harmless;
use crate::policy::Command;

/// Why a line is no request that a node performs for another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotFromAfar {
    /// By which name it is counted.
    pub rejected: Rejected,
    /// What is wrong, for whoever sent it.
    pub reason: String,
}

impl Request {
    /// The command that it is: what rules name.
    pub fn command(&self) -> Command {
        match self {
            Request::Status => Command::Status,
            Request::Vitals => Command::Vitals,
            Request::Peers { .. } => Command::Peers,
            Request::Members { .. } => Command::Members,
            Request::Reputation { .. } => Command::Reputation,
            Request::Links => Command::Links,
            Request::Gossip => Command::Gossip,
            Request::Records { .. } => Command::Records,
            Request::Record { .. } => Command::Record,
            Request::Store => Command::Store,
            Request::Tun => Command::Tun,
            Request::Kernel => Command::Kernel,
            Request::Journal => Command::Journal,
            Request::Regions { .. } => Command::Regions,
            Request::Configuration => Command::Config,
            Request::Configure { .. } => Command::ConfigSet,
            Request::Log => Command::Log,
            Request::LogSet { .. } => Command::LogSet,
            Request::Topology { .. } => Command::Topology,
            Request::Events { .. } => Command::Events,
            Request::Paths { .. } => Command::Paths,
            Request::Certificates => Command::Cert,
            Request::Smoke { .. } => Command::CertSmoke,
            Request::RotateCertificate => Command::CertRotate,
            Request::Revoke { .. } => Command::CertRevoke,
            Request::Tell { .. } => Command::Tell,
            Request::Reinstate { .. } => Command::CertReinstate,
            Request::Actors => Command::Actors,
            Request::Actor { .. } => Command::Actor,
            Request::Tap { .. } => Command::Tap,
            Request::RestartActor { .. } => Command::Restart,
            Request::SuspendActor { .. } => Command::Suspend,
            Request::ResumeActor { .. } => Command::Resume,
            Request::Services { .. } => Command::Services,
            Request::Incidents => Command::Incidents,
            Request::Incident { .. } => Command::Incident,
            Request::Ping { .. } => Command::Ping,
            Request::Trace { .. } => Command::Trace,
            Request::Expose { .. } => Command::Expose,
            Request::Unexpose { .. } => Command::Unexpose,
            Request::Forward { .. } => Command::Forward,
            Request::Unforward { .. } => Command::Unforward,
            Request::SharedSet { .. } => Command::SharedSet,
            Request::SharedRemove { .. } => Command::SharedRemove,
            Request::SharedGet { .. } => Command::SharedGet,
            Request::SharedList { .. } => Command::SharedList,
            Request::Policy => Command::Policy,
            Request::PolicyReload => Command::PolicyReload,
            Request::PolicySet { .. } => Command::PolicySet,
            Request::PolicyExplain(_) => Command::PolicyExplain,
            Request::KillActor { .. } => Command::Kill,
            Request::Chaos(_) => Command::Chaos,
            Request::Ledger { .. } => Command::Ledger,
            Request::LedgerLines { .. } => Command::LedgerExport,
            Request::LedgerVerify => Command::LedgerVerify,
            Request::LedgerProve { .. } => Command::LedgerProve,
            Request::Connect { .. } => Command::Connect,
            Request::Shutdown => Command::Down,
        }
    }

    /// Reads a request that came from another node, on a stream that was let in for `opened_for`, or in a shell (`None`).
    /// Whether the policy allows it is another question.
    ///
    /// # Errors
    /// [`NotFromAfar`]: it is too long, no request, another one than the stream was opened for, or never done from afar.
    pub fn from_afar(line: &[u8], opened_for: Option<Command>) -> Result<Self, NotFromAfar> {
        let not = |rejected, reason| NotFromAfar { rejected, reason };
        if line.len() > REMOTE_REQUEST_BYTES_MAX {
            let reason = format!("a request from afar has at most {REMOTE_REQUEST_BYTES_MAX} bytes");
            return Err(not(Rejected::OverLimit, reason));
        }
        let request: Request = serde_json::from_slice(line).map_err(|error| {
            not(Rejected::Malformed, format!("the request is not understood: {}", harmless(&error.to_string())))
        })?;
        let command = request.command();
        command.from_afar().map_err(|reason| not(Rejected::Unauthorized, reason))?;
        match opened_for {
            Some(named) if named != command => {
                let reason = format!("the stream was opened for the command {named}, and the request is {command}");
                Err(not(Rejected::Unauthorized, reason))
            }
            _ => Ok(request),
        }
    }

    /// How long it asks the node to take, if it is performed for another one.
    pub(in crate::api) fn own_time(&self) -> Duration {
        match self {
            Request::Ping { timeout_ms: own, .. } | Request::Events { wait_ms: own, .. } => {
                Duration::from_millis(*own).min(REMOTE_OWN_TIME_MAX)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(request: &Request) -> Vec<u8> {
        serde_json::to_vec(request).unwrap()
    }

    #[test]
    fn only_what_was_asked_for_is_read_and_never_what_is_not_done_from_afar() {
        let status = line(&Request::Status);
        assert_eq!(Request::from_afar(&status, Some(Command::Status)), Ok(Request::Status));
        assert_eq!(Request::from_afar(&status, None), Ok(Request::Status));
        let down = line(&Request::Shutdown);
        let why = Request::from_afar(&down, Some(Command::Status)).unwrap_err();
        assert_eq!(why.rejected, Rejected::Unauthorized);
        assert_eq!(why.reason, "the stream was opened for the command status, and the request is down");
        let third = Request::Connect { node: "c".to_owned(), shell: false };
        for never in [Request::Chaos(crate::api::chaos::Order::Clear), third] {
            for opened_for in [None, Some(Command::Status), Some(never.command())] {
                let why = Request::from_afar(&line(&never), opened_for).unwrap_err();
                assert!(why.rejected == Rejected::Unauthorized && why.reason.contains("never done from afar"), "{why}");
            }
        }
    }

    #[test]
    fn what_is_no_request_is_rejected_by_name() {
        for (bytes, rejected) in [
            (b"{\"request\":\"dance\"}".to_vec(), Rejected::Malformed),
            (vec![0xff; 9], Rejected::Malformed),
            (Vec::new(), Rejected::Malformed),
            (vec![b'['; REMOTE_REQUEST_BYTES_MAX], Rejected::Malformed),
            (vec![b' '; REMOTE_REQUEST_BYTES_MAX + 1], Rejected::OverLimit),
        ] {
            let why = Request::from_afar(&bytes, None).unwrap_err();
            assert_eq!(why.rejected, rejected, "{why}");
            assert_eq!(why.reason.lines().count(), 1, "{why}");
        }
    }

    /// A name that a person reads in the ledger begins with the command that rules name.
    #[test]
    fn every_command_that_changes_something_is_a_deed_and_no_question_is() {
        use crate::policy::CommandKind;
        let requests = [
            Request::Status,
            Request::RotateCertificate,
            Request::PolicyReload,
            Request::Shutdown,
            Request::LedgerVerify,
            Request::SharedRemove { key: "a".to_owned() },
            Request::Unexpose { name: "a".to_owned() },
            Request::Tell { statement: "00".to_owned() },
            Request::Trace { destination: "a".to_owned() },
            Request::RestartActor { actor: "gossip".to_owned() },
            Request::SuspendActor { actor: "gossip".to_owned(), seconds: 1 },
            Request::ResumeActor { actor: "gossip".to_owned() },
            Request::SharedList { after: None },
        ];
        for request in requests {
            let reads = request.command().from_afar() == Ok(CommandKind::Read);
            assert_eq!(request.deed().is_none(), reads, "{request:?}");
        }
    }
}
