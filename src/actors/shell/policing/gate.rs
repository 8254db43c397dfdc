//! Policy at the door: asked for every stream that a peer opens. It needs no actor.

use std::sync::Weak;

use prunella_core::PeerId;
use prunella_core::wire::stream::StreamOpen;

use super::Count;
use super::streams::Asked;
use crate::actors::shell::Shell;
use crate::policy::{Action, Request};
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
            StreamOpen::Service { name } => shell.let_in(Asked { from, service: Some(name.as_str().into()) }),
            StreamOpen::Message => shell.let_in(Asked { from, service: None }),
            StreamOpen::Ping => shell.allow(&Request { from, action: Action::Ping }).map(|()| Pass::free()),
        }
    }
}

impl Shell {
    /// Lets a stream in that stays, if policy and limits let it.
    fn let_in(&self, asked: Asked) -> Result<Pass, String> {
        let entered = self.policing.streams.enter(asked.clone());
        let (mut watched, heard) = entered.ok_or("limit: as many streams are open as can be watched")?;
        self.allow(&asked.request())?;
        if let Some(service) = &asked.service {
            watched.admit(service).map_err(|exceeded| format!("limit: {exceeded}"))?;
        }
        Ok(watched.pass(heard))
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
            return Ok(());
        }
        counters.add(Count::Denied);
        Err(verdict.names())
    }
}
