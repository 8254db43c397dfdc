//! Policy at the overlay interface: asked for the first packet of every flow that another node begins. It needs no actor.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use prunella_core::limits::FLOWS_TOLD_MAX;
use prunella_core::overlay::{Flow, Protocol};
use prunella_core::{Instant, PeerId};
use tokio::sync::mpsc;

use super::{Count, lock};
use crate::actors::shell::Shell;
use crate::datapath::{Overlay, Unjudged};
use crate::policy::{Action, Request};

/// A flow that another node began, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedFlow {
    /// Who began it.
    pub from: PeerId,
    /// Who talks to whom.
    pub flow: Flow,
    /// Whether it may go on.
    pub allowed: bool,
    /// The rules that led to it, or that there is none.
    pub reason: String,
    /// When it was decided.
    pub at: Instant,
}

/// The flows that were judged last.
#[derive(Debug, Default)]
pub(super) struct JudgedFlows(Mutex<VecDeque<JudgedFlow>>);

impl JudgedFlows {
    fn note(&self, judged: JudgedFlow) {
        let mut all = lock(&self.0);
        all.retain(|known| known.flow != judged.flow);
        if all.len() >= FLOWS_TOLD_MAX {
            all.pop_front();
        }
        all.push_back(judged);
    }

    fn newest_first(&self) -> Vec<JudgedFlow> {
        lock(&self.0).iter().rev().cloned().collect()
    }
}

/// Judges flows for as long as there are any to come.
pub async fn keep_judging_flows(shell: Arc<Shell>, overlay: Arc<Overlay>, mut unjudged: mpsc::Receiver<Unjudged>) {
    while let Some(first) = unjudged.recv().await {
        let known = overlay.verdict(&shell.port, &first);
        let allowed = known.unwrap_or_else(|| shell.judge_flow(&first));
        overlay.judged(&shell.port, &first, allowed);
    }
}

impl Shell {
    /// The flows that other nodes began and that were judged last, the newest first.
    pub fn judged_flows(&self) -> Vec<JudgedFlow> {
        self.policing.flows.newest_first()
    }

    fn judge_flow(&self, first: &Unjudged) -> bool {
        let (from, flow) = (first.from, first.packet.flow);
        let is_here = flow.destination.0 == IpAddr::V6(self.credentials.peer().tag().address());
        let name = if is_here { name_of(&flow) } else { format!("{}@{}", name_of(&flow), flow.destination.0) };
        let is_to_door = is_here && flow.protocol == Protocol::TCP;
        let service = is_to_door.then(|| self.doors.service_at(flow.destination.1)).flatten();
        let action = match &service {
            _ if is_here && first.packet.is_echo_request => Action::Ping,
            // Its door asks again, and has limits.
            Some(service) => Action::Connect { service },
            None => Action::Flow { to: &name },
        };
        let (allowed, reason) = self.flow_verdict(&Request { from, action });
        if !allowed {
            tracing::info!(peer = %from.short(), flow = name, %reason, "a flow was denied");
        }
        self.policing.flows.note(JudgedFlow { from, flow, allowed, reason, at: self.clock.now() });
        allowed
    }

    fn flow_verdict(&self, request: &Request<'_>) -> (bool, String) {
        let counters = &self.policing.streams.counters;
        if self.roster.quarantine.contains(&request.from) {
            counters.add(Count::Quarantined);
            return (false, "quarantine".to_owned());
        }
        let verdict = self.policing.in_force.load().engine.decide(request, self);
        counters.add(if verdict.allowed { Count::Allowed } else { Count::Denied });
        (verdict.allowed, verdict.names())
    }
}

/// What policies call a flow: its protocol, and the port that it is to.
fn name_of(flow: &Flow) -> String {
    match flow.protocol {
        protocol @ (Protocol::TCP | Protocol::UDP) => format!("{protocol}/{}", flow.destination.1),
        protocol => protocol.to_string(),
    }
}
