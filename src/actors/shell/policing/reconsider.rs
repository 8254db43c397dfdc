//! Verdicts are taken again when what they rest on has changed: relays at once, open streams in portions.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::RECONSIDERED_AT_ONCE_MAX;

use super::standing::AGES_TOLD_EVERY;
use super::streams::{Asked, Wanted};
use crate::actors::shell::Shell;
use crate::policy::{Action, Request};

/// Judges again whenever something has changed, for as long as the node runs, and offers what the mesh is told.
pub async fn keep_judging(shell: Arc<Shell>) {
    let policing = &shell.policing;
    loop {
        tokio::select! {
            biased;
            () = policing.told.notified() => {
                shell.offer_what_was_set();
                continue;
            }
            () = policing.standing.changed.notified() => {}
            // Certificates grow older without anybody doing anything.
            () = tokio::time::sleep(AGES_TOLD_EVERY) => {}
        }
        shell.judge_relays();
        if let Some(overlay) = shell.port.overlay() {
            overlay.judge_anew();
            shell.networks.changed();
        }
        shell.judge_streams().await;
        // However often something changes, others have their turn.
        tokio::time::sleep(BREATH).await;
    }
}

impl Shell {
    /// The mesh was told another policy, which is compiled and offered soon.
    pub(in crate::actors::shell) fn policy_was_set(&self) {
        self.policing.told.notify_one();
    }

    /// Lets neighbors use this node as a relay, or not, as the policy says.
    pub(super) fn judge_relays(&self) {
        for link in self.links().snapshot() {
            self.port.set_may_relay(link.link, self.may_relay(&link.peer));
        }
    }

    /// Whether a neighbor that has presented this chain may use this node as a relay, by the policy in force.
    pub fn relays_for(&self, neighbor: &PeerId, chain: &[Vec<u8>]) -> bool {
        self.met(*neighbor, chain);
        self.may_relay(neighbor)
    }

    fn may_relay(&self, neighbor: &PeerId) -> bool {
        let request = Request { from: *neighbor, action: Action::Relay };
        self.policing.in_force.load().engine.decide(&request, self).allowed
    }

    /// Ends the streams that are not allowed any more. A change that comes meanwhile has them judged once more.
    async fn judge_streams(&self) {
        let (policing, since) = (&self.policing, self.policing.standing.take_changed_at());
        let asked: Vec<(Asked, Vec<u64>)> = policing.streams.asked().into_iter().collect();
        let (mut ended, mut first) = (0, None);
        for portion in asked.chunks(RECONSIDERED_AT_ONCE_MAX) {
            for (asked, ids) in portion {
                let Some(reason) = self.denied(asked) else { continue };
                ended += policing.streams.end(ids, &reason);
                first.get_or_insert((asked.from, reason));
            }
            tokio::task::yield_now().await;
        }
        if let Some((peer, reason)) = first.filter(|_| ended > 0) {
            let took_us = since.map(|since| self.clock.now().since(since).as_micros() as u64);
            tracing::info!(streams = ended, peer = %peer.short(), %reason, took_us, "streams were ended: denied by now");
        }
    }

    /// Why this may not be done any more.
    fn denied(&self, asked: &Asked) -> Option<Arc<str>> {
        if self.roster.quarantine.contains(&asked.from) {
            return Some("quarantine".into());
        }
        let in_force = self.policing.in_force.load();
        let denied = in_force.engine.reconsider([asked.request()?], self).pop();
        if let Some((_, verdict)) = denied {
            return Some(verdict.reason.as_str().into());
        }
        let is_listed = in_force.limits.peers.as_ref().is_none_or(|peers| peers.contains(&asked.from));
        let unlisted = matches!(asked.what, Wanted::Service(_)) && !is_listed;
        unlisted.then(|| "limit: it is not among the peers that may connect".into())
    }
}

/// The shortest time between two rounds.
const BREATH: Duration = Duration::from_millis(10);
