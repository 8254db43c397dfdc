//! What is asked: who wants to do what at this node.

use std::fmt;
use std::net::IpAddr;

use prunella_core::PeerId;
use prunella_core::overlay::Prefix;
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
    /// Send IP packets to this node, or to networks behind it.
    Flow {
        /// Of which protocol, to which port of it, and where: see [`flow_name`].
        to: &'a str,
    },
    /// Have packets for a network sent to it, and be believed when it passes on packets from there.
    Route {
        /// Which, as [`Prefix`] writes it.
        prefix: &'a str,
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
    /// See [`Action::Flow`].
    Flow,
    /// See [`Action::Route`].
    Route,
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
            Action::Flow { .. } => ActionName::Flow,
            Action::Route { .. } => ActionName::Route,
            Action::Admit => ActionName::Admit,
        }
    }

    /// The service, agent, command, flow or network that it is about.
    pub const fn about(&self) -> Option<&'a str> {
        match *self {
            Action::Connect { service } => Some(service),
            Action::Message { agent } => agent,
            Action::Command { command } => Some(command.name()),
            Action::Flow { to } => Some(to),
            Action::Route { prefix } => Some(prefix),
            Action::Relay | Action::Ping | Action::Shell | Action::Admit => None,
        }
    }
}

impl ActionName {
    /// All of them, in their order.
    pub const ALL: [ActionName; 9] = [
        ActionName::Relay,
        ActionName::Ping,
        ActionName::Connect,
        ActionName::Message,
        ActionName::Shell,
        ActionName::Command,
        ActionName::Flow,
        ActionName::Route,
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
            ActionName::Flow => "flow",
            ActionName::Route => "route",
            ActionName::Admit => "admit",
        }
    }

    /// The action of this name on what is given.
    ///
    /// # Errors
    /// A sentence that says what is missing or does not belong to this action.
    pub fn on<'a>(self, about: About<'a>) -> Result<Action<'a>, String> {
        let only = |one: Option<&'a str>, what: &str| {
            let missing = || format!("the action \"{self}\" needs {what}, and only that");
            one.filter(|_| about.count() == 1).ok_or_else(missing)
        };
        let action = match self {
            ActionName::Connect => Action::Connect { service: only(about.service, "a service")? },
            ActionName::Flow => {
                let to = only(about.flow, "a flow such as \"tcp/22\"")?;
                check_flow_name(to)?;
                if flow_name(to).is_none_or(|flow| !flow.is_of_one_address()) {
                    return Err(format!("{to:?} is more than one flow: ask for one, such as \"tcp/22@fd00:20::5\""));
                }
                Action::Flow { to }
            }
            ActionName::Route => {
                let prefix = only(about.route, "a network such as \"fd00:20::/64\"")?;
                check_prefix(prefix)?;
                Action::Route { prefix }
            }
            ActionName::Command => {
                Action::Command { command: Command::find_from_afar(only(about.command, "a command")?)? }
            }
            ActionName::Message if about.count() == usize::from(about.agent.is_some()) => {
                Action::Message { agent: about.agent }
            }
            ActionName::Message => return Err("the action \"message\" is about an agent or nothing".to_owned()),
            _ if about.count() > 0 => {
                return Err(format!("the action \"{self}\" is about this node, and nothing more"));
            }
            ActionName::Relay => Action::Relay,
            ActionName::Ping => Action::Ping,
            ActionName::Shell => Action::Shell,
            ActionName::Admit => Action::Admit,
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
    /// The name of a flow.
    pub flow: Option<&'a str>,
    /// A network.
    pub route: Option<&'a str>,
}

impl About<'_> {
    fn count(&self) -> usize {
        [self.service, self.agent, self.command, self.flow, self.route].into_iter().flatten().count()
    }
}

/// What the name of a flow means: `tcp/22`, `udp/53`, or a protocol alone; behind an `@` where it goes if that is not the
/// node itself, an address or a network: `tcp/22@fd00:20::5`, `any@10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowName<'a> {
    /// `tcp`, `udp`, `icmp`, or `protocol-` with a number; `any` only with somewhere to go.
    pub protocol: &'a str,
    /// The port; only TCP and UDP have some.
    pub port: Option<u16>,
    /// Where it goes, behind the node; `None`: to the node itself.
    pub beyond: Option<Prefix>,
}

impl FlowName<'_> {
    /// Whether it is a flow as there are some, and not several.
    fn is_of_one_address(&self) -> bool {
        let one = |prefix: Prefix| Prefix::host(prefix.address()) == Ok(prefix);
        self.protocol != ANY && self.beyond.is_none_or(one)
    }
}

/// What a flow's name means; `None` if it is no such name.
pub fn flow_name(name: &str) -> Option<FlowName<'_>> {
    let (name, beyond) = match name.split_once('@') {
        Some((name, to)) => {
            let host = || to.parse::<IpAddr>().ok().and_then(|address| Prefix::host(address).ok());
            (name, Some(to.parse().ok().or_else(host)?))
        }
        None => (name, None),
    };
    let (protocol, port) = match name.split_once('/') {
        Some((protocol, port)) => {
            (protocol, Some(port.parse().ok().filter(|parsed: &u16| parsed.to_string() == port)?))
        }
        None => (name, None),
    };
    let is_numbered = || protocol.strip_prefix("protocol-").is_some_and(|number| number.parse::<u8>().is_ok());
    let has_no_ports = || protocol == "icmp" || is_numbered() || (protocol == ANY && beyond.is_some());
    let is_known = matches!(protocol, "tcp" | "udp") || (port.is_none() && has_no_ports());
    is_known.then_some(FlowName { protocol, port, beyond })
}

/// Whether this can be a flow's name.
///
/// # Errors
/// A sentence that says what one looks like.
pub(super) fn check_flow_name(name: &str) -> Result<(), String> {
    let reason = || {
        format!(
            "{name:?} is no flow: write \"tcp/22\", \"udp\", \"icmp\" or \"protocol-132\", or of a network behind this node \
             \"tcp/22@fd00:20::/64\" or \"any@10.20.0.0/16\""
        )
    };
    flow_name(name).map(drop).ok_or_else(reason)
}

/// Whether this is a network.
///
/// # Errors
/// A sentence that says what one looks like.
pub(super) fn check_prefix(text: &str) -> Result<(), String> {
    text.parse::<Prefix>().map(drop).map_err(|error| format!("{text:?} {error}"))
}

/// What stands for all protocols.
pub(super) const ANY: &str = "any";

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
        for (name, is_one) in [
            ("tcp/22", true),
            ("udp", true),
            ("icmp", true),
            ("protocol-132", true),
            ("tcp/022", false),
            ("tcp/65536", false),
            ("icmp/8", false),
            ("sctp", false),
            ("tcp/22@fd00:20::5", true),
            ("icmp@10.20.0.5", true),
            ("udp@10.20.0.5/32", true),
            ("tcp/22@10.20.0.0/16", false),
            ("any@10.20.0.5", false),
            ("tcp/22@", false),
            ("tcp@::ffff:10.20.0.5", false),
            ("", false),
        ] {
            let action = ActionName::Flow.on(About { flow: Some(name), ..About::default() });
            assert_eq!(action.is_ok(), is_one, "{name}");
        }
        for (rule, is_one) in [
            ("any@10.20.0.0/16", true),
            ("tcp@::/0", true),
            ("any", false),
            ("any/5@::/0", false),
            ("tcp@fd00::1/8", false),
        ] {
            assert_eq!(check_flow_name(rule).is_ok(), is_one, "{rule}");
        }
        for (prefix, is_one) in [("fd00:20::/64", true), ("10.20.0.0/16", true), ("10.20.0.1/16", false), ("x", false)]
        {
            let action = ActionName::Route.on(About { route: Some(prefix), ..About::default() });
            assert_eq!(action.is_ok(), is_one, "{prefix}");
        }
        for command in ["dance", "chaos", "policy-set"] {
            assert!(ActionName::Command.on(About { command: Some(command), ..About::default() }).is_err(), "{command}");
        }
        for name in ActionName::ALL {
            let plain = name.on(About::default());
            let needs =
                matches!(name, ActionName::Connect | ActionName::Command | ActionName::Flow | ActionName::Route);
            assert_eq!(plain.is_err(), needs, "{name}");
            assert!(plain.is_err() || plain.unwrap().name() == name, "{name}");
            let three = About { service: Some("a"), agent: Some("b"), command: Some("c"), ..About::default() };
            assert!(name.on(three).is_err(), "{name}");
        }
    }
}
