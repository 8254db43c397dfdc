//! Policy at the door: asked for every stream that a peer opens. It needs no actor.

use std::sync::Weak;

use prunella_core::PeerId;
use prunella_core::wire::stream::StreamOpen;

use super::Count;
use super::streams::{Asked, Wanted};
use crate::actors::shell::Shell;
use crate::policy::{Action, Command, Request};
use crate::transport::{Gate, Pass};

/// Decides by the policy in force, and lets nobody in who is quarantined.
pub struct PolicyGate {
    /// What knows the policy and the peers.
    pub shell: Weak<Shell>,
}

impl Gate for PolicyGate {
    fn met(&self, from: PeerId, chain: &[Vec<u8>]) {
        if let Some(shell) = self.shell.upgrade() {
            shell.met(from, chain);
        }
    }

    fn decide(&self, from: PeerId, request: &StreamOpen) -> Result<Pass, String> {
        let shell = self.shell.upgrade().ok_or("the end of the node")?;
        match request {
            StreamOpen::Service { name } => shell.let_in(from, Wanted::Service(name.as_str().into())),
            StreamOpen::Message => shell.let_in(from, Wanted::Messages),
            StreamOpen::Command { command, .. } => shell.let_command_in(from, Command::find_from_afar(command)),
            StreamOpen::Shell { .. } => shell.let_in(from, Wanted::Shell),
            // What goes through the tunnel is judged flow by flow.
            StreamOpen::Network => shell.let_in(from, Wanted::Tunnel),
            StreamOpen::Ping => shell.allow(&Request { from, action: Action::Ping }).map(|()| Pass::free()),
        }
    }
}

impl Shell {
    /// Lets a stream in that stays, if policy and limits let it.
    fn let_in(&self, from: PeerId, what: Wanted) -> Result<Pass, String> {
        let asked = Asked { from, what };
        let entered = self.policing.streams.enter(asked.clone());
        let (mut watched, heard) = entered.ok_or("limit: as many streams are open as can be watched")?;
        match asked.request() {
            Some(request) => self.allow(&request)?,
            None if self.roster.quarantine.contains(&from) => return Err("quarantine".to_owned()),
            None => {}
        }
        if let Wanted::Service(service) = &asked.what {
            watched.admit(service).map_err(|exceeded| format!("limit: {exceeded}"))?;
        }
        Ok(watched.pass(heard))
    }

    /// Lets a peer give this command, if it can be given from afar at all and the policy lets it.
    ///
    /// # Errors
    /// What forbids it: a rule by its name, or the program.
    pub fn let_command_in(&self, from: PeerId, command: Result<Command, String>) -> Result<Pass, String> {
        let command = command.map_err(|reason| {
            self.policing.streams.counters.add(Count::Denied);
            format!("the program: {reason}")
        })?;
        self.let_in(from, Wanted::Command(command))
    }

    /// Whether the policy lets this be done; what forbids it is told to whoever asks.
    fn allow(&self, request: &Request<'_>) -> Result<(), String> {
        let counters = &self.policing.streams.counters;
        if self.roster.quarantine.contains(&request.from) {
            counters.add(Count::Quarantined);
            return Err("quarantine".to_owned());
        }
        let verdict = self.policing.in_force.load().engine.decide(request, self);
        if verdict.allowed {
            counters.add(Count::Allowed);
            return Ok(());
        }
        counters.add(Count::Denied);
        Err(verdict.names())
    }
}
