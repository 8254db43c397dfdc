//! Which requests change something, and in which words a ledger has them.

use super::Request;
use crate::api::chaos;

impl Request {
    /// The command, as a person would have typed it and without what may be secret, if it changes something; `None` for a
    /// question.
    pub fn deed(&self) -> Option<String> {
        Some(match self {
            Request::RotateCertificate => "cert rotate".to_owned(),
            Request::Revoke { peer, reason } => format!("cert revoke {peer} --reason {reason:?}"),
            Request::Reinstate { peer } => format!("cert reinstate {peer}"),
            Request::Tell { statement } => format!("authority: a statement of {} bytes", statement.len() / 2),
            Request::Expose { name, target } => format!("expose {name} {target}"),
            Request::Unexpose { name } => format!("expose --remove {name}"),
            Request::Forward { name, listen } => format!("forward {name} {listen}"),
            Request::Unforward { listen } => format!("forward --remove {listen}"),
            // What it is set to is everybody's to read in the mesh, and nobody's after it was removed: not kept for ever.
            Request::SharedSet { key, value } => format!("shared set {key} ({} bytes)", value.len()),
            Request::SharedRemove { key } => format!("shared remove {key}"),
            Request::Configure { key, value } => format!("config set {key} {value}"),
            Request::LogSet { level: None, .. } => "log --reset".to_owned(),
            Request::LogSet { level: Some(level), target } => {
                format!("log {} {}", level.name(), target.as_deref().unwrap_or_default()).trim_end().to_owned()
            }
            Request::PolicyReload => "policy --reload".to_owned(),
            Request::PolicySet { name, text, .. } if name.is_empty() && text.is_empty() => "policy unset".to_owned(),
            Request::PolicySet { name, text, .. } => format!("policy set {name} ({} bytes)", text.len()),
            Request::KillActor { actor, how } => format!("kill {actor} ({how:?})").to_lowercase(),
            Request::Chaos(chaos::Order::Status) => return None,
            Request::Chaos(order) => format!("chaos {}", in_json(order)),
            Request::RestartActor { actor } => format!("restart {actor}"),
            Request::SuspendActor { actor, seconds } => format!("suspend {actor} --seconds {seconds}"),
            Request::ResumeActor { actor } => format!("resume {actor}"),
            // It changes nothing, and shows what others have said.
            Request::Tap { actor, .. } => format!("trace {actor}"),
            Request::Shutdown => "down".to_owned(),
            Request::Status
            | Request::Vitals
            | Request::Peers { .. }
            | Request::Members { .. }
            | Request::Reputation { .. }
            | Request::Links
            | Request::Gossip
            | Request::Records { .. }
            | Request::Record { .. }
            | Request::Store
            | Request::Tun
            | Request::Kernel
            | Request::Journal
            | Request::Regions { .. }
            | Request::Configuration
            | Request::Log
            | Request::Topology { .. }
            | Request::Events { .. }
            | Request::Paths { .. }
            | Request::Certificates
            | Request::Smoke { .. }
            | Request::Actors
            | Request::Actor { .. }
            | Request::Services { .. }
            | Request::Incidents
            | Request::Incident { .. }
            | Request::Ping { .. }
            | Request::Trace { .. }
            | Request::SharedGet { .. }
            | Request::SharedList { .. }
            | Request::Policy
            | Request::PolicyExplain(_)
            | Request::Ledger { .. }
            | Request::LedgerLines { .. }
            | Request::LedgerVerify
            | Request::LedgerProve { .. }
            // A question opens nothing there; whether a shell was opened, whoever opens it writes down.
            | Request::Connect { .. } => return None,
        })
    }
}

fn in_json(order: &chaos::Order) -> String {
    serde_json::to_string(order).expect("BUG: every order has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_without_what_may_be_secret_and_a_question_is_none() {
        let set = Request::SharedSet { key: "db/password".into(), value: "hunter2".into() };
        assert_eq!(set.deed().as_deref(), Some("shared set db/password (7 bytes)"));
        assert_eq!(Request::Status.deed(), None);
        assert_eq!(Request::Chaos(chaos::Order::Status).deed(), None);
        assert_eq!(Request::Chaos(chaos::Order::Clear).deed().as_deref(), Some("chaos {\"chaos\":\"clear\"}"));
    }
}
