//! What is asked: who wants to do what at this node.

use std::fmt;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;

/// A question to the policy: may this node do that here?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request<'a> {
    /// Who asks, as the handshake proved.
    pub from: PeerId,
    /// What it wants to do.
    pub action: Action<'a>,
}

/// What somebody wants to do at this node, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action<'a> {
    /// Have frames passed on.
    Relay,
    /// Be answered end to end.
    Ping,
    /// Connect to a service.
    Connect {
        /// Its name.
        service: &'a str,
    },
    /// Send messages to the program in which the node is embedded, or to an agent at it.
    Message {
        /// The agent's name; `None`: the program.
        agent: Option<&'a str>,
    },
    /// Open a shell on this node.
    Shell,
    /// Run a command on this node.
    Command {
        /// Which.
        command: Command,
    },
    /// Be admitted to the mesh by this node.
    Admit,
}

/// The name of an action, without what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// See [`Action::Relay`].
    Relay,
    /// See [`Action::Ping`].
    Ping,
    /// See [`Action::Connect`].
    Connect,
    /// See [`Action::Message`].
    Message,
    /// See [`Action::Shell`].
    Shell,
    /// See [`Action::Command`].
    Command,
    /// See [`Action::Admit`].
    Admit,
}

impl<'a> Action<'a> {
    /// Its name.
    pub const fn name(&self) -> ActionName {
        match self {
            Action::Relay => ActionName::Relay,
            Action::Ping => ActionName::Ping,
            Action::Connect { .. } => ActionName::Connect,
            Action::Message { .. } => ActionName::Message,
            Action::Shell => ActionName::Shell,
            Action::Command { .. } => ActionName::Command,
            Action::Admit => ActionName::Admit,
        }
    }

    /// The service, agent or command that it is about.
    pub const fn about(&self) -> Option<&'a str> {
        match *self {
            Action::Connect { service } => Some(service),
            Action::Message { agent } => agent,
            Action::Command { command } => Some(command.name()),
            Action::Relay | Action::Ping | Action::Shell | Action::Admit => None,
        }
    }
}

impl ActionName {
    /// All of them, in their order.
    pub const ALL: [ActionName; 7] = [
        ActionName::Relay,
        ActionName::Ping,
        ActionName::Connect,
        ActionName::Message,
        ActionName::Shell,
        ActionName::Command,
        ActionName::Admit,
    ];

    /// Its name in files, in the schema and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            ActionName::Relay => "relay",
            ActionName::Ping => "ping",
            ActionName::Connect => "connect",
            ActionName::Message => "message",
            ActionName::Shell => "shell",
            ActionName::Command => "command",
            ActionName::Admit => "admit",
        }
    }

    /// The action of this name on what is given.
    ///
    /// # Errors
    /// A sentence that says what is missing or does not belong to this action.
    pub fn on<'a>(self, about: About<'a>) -> Result<Action<'a>, String> {
        let action = match (self, about) {
            (ActionName::Connect, About { service: Some(service), agent: None, command: None }) => {
                Action::Connect { service }
            }
            (ActionName::Connect, _) => return Err("the action \"connect\" needs a service, and only that".to_owned()),
            (ActionName::Command, About { service: None, agent: None, command: Some(command) }) => {
                Action::Command { command: Command::find_from_afar(command)? }
            }
            (ActionName::Command, _) => return Err("the action \"command\" needs a command, and only that".to_owned()),
            (ActionName::Message, About { service: None, agent, command: None }) => Action::Message { agent },
            (ActionName::Message, _) => return Err("the action \"message\" is about an agent or nothing".to_owned()),
            (_, About { service: None, agent: None, command: None }) => match self {
                ActionName::Relay => Action::Relay,
                ActionName::Ping => Action::Ping,
                ActionName::Shell => Action::Shell,
                _ => Action::Admit,
            },
            _ => return Err(format!("the action \"{self}\" is about this node, and nothing more")),
        };
        Ok(action)
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an action may be about; at most one of them fits an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// The name of a service.
    pub service: Option<&'a str>,
    /// The name of an agent.
    pub agent: Option<&'a str>,
    /// The name of a command.
    pub command: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_takes_what_it_is_about_and_nothing_else() {
        let web = About { service: Some("web"), ..About::default() };
        let status = About { command: Some("status"), ..About::default() };
        assert_eq!(ActionName::Connect.on(web), Ok(Action::Connect { service: "web" }));
        assert_eq!(ActionName::Command.on(status), Ok(Action::Command { command: Command::Status }));
        assert_eq!(ActionName::Message.on(About::default()), Ok(Action::Message { agent: None }));
        for command in ["dance", "chaos", "policy-set"] {
            assert!(ActionName::Command.on(About { command: Some(command), ..About::default() }).is_err(), "{command}");
        }
        for name in ActionName::ALL {
            let plain = name.on(About::default());
            let needs = matches!(name, ActionName::Connect | ActionName::Command);
            assert_eq!(plain.is_err(), needs, "{name}");
            assert!(plain.is_err() || plain.unwrap().name() == name, "{name}");
            assert!(name.on(About { service: Some("a"), agent: Some("b"), command: Some("c") }).is_err(), "{name}");
        }
    }
}
