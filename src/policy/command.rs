//! The commands by name: what each does to a node, and whether it can be given from another one at all.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A command of the control protocol, by its stable name: what rules about the action "command" name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the command line's word, which says more")]
pub enum Command {
    Status,
    /// How the node's process is.
    Vitals,
    Peers,
    Members,
    Reputation,
    Links,
    Gossip,
    Records,
    Record,
    Store,
    /// Tell what the overlay interface carries.
    Tun,
    /// Tell what is done in the kernel.
    Kernel,
    Journal,
    Regions,
    Config,
    ConfigSet,
    Log,
    LogSet,
    Topology,
    Events,
    Paths,
    Cert,
    CertSmoke,
    CertRotate,
    CertRevoke,
    CertReinstate,
    Tell,
    Actors,
    /// All that can be seen of an actor.
    Actor,
    /// Looking on what an actor is sent.
    Tap,
    Restart,
    Suspend,
    Resume,
    Services,
    Incidents,
    Incident,
    Ping,
    Trace,
    Expose,
    Unexpose,
    Forward,
    Unforward,
    SharedSet,
    SharedRemove,
    SharedGet,
    SharedList,
    Policy,
    PolicyReload,
    PolicySet,
    PolicyExplain,
    Kill,
    Chaos,
    Ledger,
    LedgerExport,
    LedgerVerify,
    LedgerProve,
    Connect,
    Down,
}

/// What a command does to the node that performs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandKind {
    /// It tells something, and leaves the node as it is.
    Read,
    /// It changes something.
    Change,
    /// It changes what others rest on, or opens the host to them: a plain rule allows it only by its name or this kind.
    Grave,
}

/// From where a command can be given.
enum Reach {
    /// From every node that the policy allows it.
    Anywhere(CommandKind),
    /// From the node's own control socket alone, whatever a policy says, for this reason.
    Here(&'static str),
}

impl Command {
    /// All of them, in their order.
    pub const ALL: [Command; 58] = [
        Command::Status,
        Command::Vitals,
        Command::Peers,
        Command::Members,
        Command::Reputation,
        Command::Links,
        Command::Gossip,
        Command::Records,
        Command::Record,
        Command::Store,
        Command::Tun,
        Command::Kernel,
        Command::Journal,
        Command::Regions,
        Command::Config,
        Command::ConfigSet,
        Command::Log,
        Command::LogSet,
        Command::Topology,
        Command::Events,
        Command::Paths,
        Command::Cert,
        Command::CertSmoke,
        Command::CertRotate,
        Command::CertRevoke,
        Command::CertReinstate,
        Command::Tell,
        Command::Actors,
        Command::Actor,
        Command::Tap,
        Command::Restart,
        Command::Suspend,
        Command::Resume,
        Command::Services,
        Command::Incidents,
        Command::Incident,
        Command::Ping,
        Command::Trace,
        Command::Expose,
        Command::Unexpose,
        Command::Forward,
        Command::Unforward,
        Command::SharedSet,
        Command::SharedRemove,
        Command::SharedGet,
        Command::SharedList,
        Command::Policy,
        Command::PolicyReload,
        Command::PolicySet,
        Command::PolicyExplain,
        Command::Kill,
        Command::Chaos,
        Command::Ledger,
        Command::LedgerExport,
        Command::LedgerVerify,
        Command::LedgerProve,
        Command::Connect,
        Command::Down,
    ];

    /// Its name and its reach: the one table of what can be done from afar.
    const fn entry(self) -> (&'static str, Reach) {
        use CommandKind::{Change, Grave, Read};
        use Reach::{Anywhere, Here};
        match self {
            Command::Status => ("status", Anywhere(Read)),
            Command::Vitals => ("vitals", Anywhere(Read)),
            Command::Peers => ("peers", Anywhere(Read)),
            Command::Members => ("members", Anywhere(Read)),
            Command::Reputation => ("reputation", Anywhere(Read)),
            Command::Links => ("links", Anywhere(Read)),
            Command::Gossip => ("gossip", Anywhere(Read)),
            Command::Records => ("records", Anywhere(Read)),
            Command::Record => ("record", Anywhere(Read)),
            Command::Store => ("store", Anywhere(Read)),
            Command::Tun => ("tun", Anywhere(Read)),
            Command::Kernel => ("kernel", Anywhere(Read)),
            Command::Journal => ("journal", Anywhere(Read)),
            Command::Regions => ("regions", Anywhere(Read)),
            Command::Config => ("config", Anywhere(Read)),
            Command::ConfigSet => ("config-set", Anywhere(Change)),
            Command::Log => ("log", Anywhere(Read)),
            // What a node logs of others may be more than they would like to be told.
            Command::LogSet => ("log-set", Anywhere(Change)),
            Command::Topology => ("topology", Anywhere(Read)),
            Command::Events => ("events", Anywhere(Read)),
            Command::Paths => ("paths", Anywhere(Read)),
            Command::Cert => ("cert", Anywhere(Read)),
            Command::CertSmoke => ("cert-smoke", Anywhere(Read)),
            Command::CertRotate => ("cert-rotate", Anywhere(Change)),
            // What they say is signed with that node's issuing key, and counts in the whole mesh.
            Command::CertRevoke => ("cert-revoke", Anywhere(Grave)),
            Command::CertReinstate => ("cert-reinstate", Anywhere(Grave)),
            // A statement proves itself, whoever brings it.
            Command::Tell => ("tell", Anywhere(Change)),
            Command::Actors => ("actors", Anywhere(Read)),
            Command::Actor => ("actor", Anywhere(Read)),
            // It shows what others have said, and costs the actor something.
            Command::Tap => ("trace-actor", Anywhere(Change)),
            // What an actor does for others stops meanwhile. Both are bounded, and neither loses what is kept.
            Command::Restart => ("restart", Anywhere(Grave)),
            Command::Suspend => ("suspend", Anywhere(Grave)),
            Command::Resume => ("resume", Anywhere(Change)),
            Command::Services => ("services", Anywhere(Read)),
            Command::Incidents => ("incidents", Anywhere(Read)),
            Command::Incident => ("incident", Anywhere(Read)),
            Command::Ping => ("ping", Anywhere(Read)),
            Command::Trace => ("trace", Anywhere(Read)),
            // They make ways into the host and out of it.
            Command::Expose => ("expose", Anywhere(Grave)),
            Command::Forward => ("forward", Anywhere(Grave)),
            Command::Unexpose => ("unexpose", Anywhere(Change)),
            Command::Unforward => ("unforward", Anywhere(Change)),
            Command::SharedSet => ("shared-set", Anywhere(Change)),
            Command::SharedRemove => ("shared-remove", Anywhere(Change)),
            Command::SharedGet => ("shared-get", Anywhere(Read)),
            Command::SharedList => ("shared-list", Anywhere(Read)),
            Command::Policy => ("policy", Anywhere(Read)),
            Command::PolicyReload => ("policy-reload", Anywhere(Change)),
            Command::PolicySet => ("policy-set", Here("whoever may give it could allow himself everything else")),
            Command::PolicyExplain => ("policy-explain", Anywhere(Read)),
            Command::Kill => ("kill", Here("who breaks a node on purpose must be at it")),
            Command::Chaos => ("chaos", Here("who breaks a node on purpose must be at it")),
            Command::Ledger => ("ledger", Anywhere(Read)),
            Command::LedgerExport => ("ledger-export", Anywhere(Read)),
            Command::LedgerVerify => ("ledger-verify", Anywhere(Read)),
            Command::LedgerProve => ("ledger-prove", Anywhere(Read)),
            Command::Connect => ("connect", Here("a conversation is with a node, and never through it with a third")),
            Command::Down => ("down", Anywhere(Grave)),
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// The command of this name.
    pub fn find(name: &str) -> Option<Self> {
        Command::ALL.into_iter().find(|command| command.name() == name)
    }

    /// What it does, if it can be given from afar.
    ///
    /// # Errors
    /// A sentence that says why it cannot, whatever a policy says.
    pub fn from_afar(self) -> Result<CommandKind, String> {
        match self.entry().1 {
            Reach::Anywhere(kind) => Ok(kind),
            Reach::Here(reason) => Err(format!("the command {self} is never done from afar: {reason}")),
        }
    }

    /// The command of this name, if it can be given from afar.
    ///
    /// # Errors
    /// A sentence that says that there is none, or why it cannot be.
    pub fn find_from_afar(name: &str) -> Result<Self, String> {
        let unknown = || format!("there is no command {name:?}; `prunella policy explain --help` lists them");
        let command = Command::find(name).ok_or_else(unknown)?;
        command.from_afar().map(|_| command)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl CommandKind {
    /// Its name in files and in the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            CommandKind::Read => "read",
            CommandKind::Change => "change",
            CommandKind::Grave => "grave",
        }
    }

    /// Fits "to command what ...".
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            CommandKind::Read => "reads",
            CommandKind::Change => "changes",
            CommandKind::Grave => "is grave",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prunella_core::wire::stream::is_command_name;

    use super::*;

    #[test]
    fn every_command_has_a_name_of_its_own_that_goes_on_the_wire() {
        let names: BTreeSet<&str> = Command::ALL.iter().map(|command| command.name()).collect();
        assert_eq!(names.len(), Command::ALL.len());
        assert!(names.iter().all(|name| is_command_name(name)), "{names:?}");
        assert!(Command::ALL.iter().all(|command| Command::find(command.name()) == Some(*command)));
    }

    #[test]
    fn what_breaks_a_node_or_could_allow_itself_more_is_never_done_from_afar() {
        let here: Vec<&str> =
            Command::ALL.iter().filter(|command| command.from_afar().is_err()).map(|command| command.name()).collect();
        assert_eq!(here, ["policy-set", "kill", "chaos", "connect"]);
        let refused = Command::find_from_afar("chaos").unwrap_err();
        assert_eq!(refused, "the command chaos is never done from afar: who breaks a node on purpose must be at it");
        assert!(Command::find_from_afar("dance").unwrap_err().starts_with("there is no command \"dance\""));
    }
}
