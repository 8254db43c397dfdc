//! What plans want done that only the shell can do.

use std::sync::atomic::Ordering;

use prunella_core::incident::Step;
use prunella_core::wiring::Route;
use prunella_core::{executor, gossip, pathfinder};

use super::Shell;

impl Shell {
    /// Does what a plan wants, or says at once that it cannot.
    pub(super) fn repair(&self, incident: u64, step: Step) {
        let done = match &step {
            Step::RestartActor { actor } => {
                self.directory.fail(actor, None).then_some(()).ok_or_else(|| no_actor(actor))
            }
            Step::RotateCertificate => {
                self.renewal_wanted.notify_one();
                Ok(())
            }
            Step::RebuildStore => {
                self.rebuild_wanted.set(incident);
                self.directory.nudge_writer(true);
                Ok(())
            }
            Step::Rejoin => self.rejoin(),
            Step::ShedLoad => self.shed(true),
            Step::TakeLoad => self.shed(false),
            Step::Quarantine { peer } => self.quarantine(*peer, Some(&format!("by a plan for incident {incident}"))),
            Step::Readmit { peer } => {
                self.readmit(*peer, &format!("by a plan for incident {incident}"));
                Ok(())
            }
            _ => Err("this node does not offer it".to_owned()),
        };
        if let Err(reason) = done {
            self.directory.deliver(Route::Executor(executor::Input::StepRefused { incident, step, reason }));
        }
    }

    /// Takes on less from now on, or everything again.
    fn shed(&self, sheds: bool) -> Result<(), String> {
        if self.sheds.swap(sheds, Ordering::Relaxed) != sheds {
            tracing::warn!(sheds, "this node takes on {}", if sheds { "less" } else { "everything again" });
        }
        self.directory.deliver(Route::Gossip(gossip::Input::LoadChanged { sheds }));
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::LoadChanged { sheds }));
        Ok(())
    }

    /// An executor that begins knows nothing of what an earlier one would have taken back: it is taken back now.
    pub(super) fn take_back(&self) {
        if self.sheds.load(Ordering::Relaxed) {
            let _ = self.shed(false);
        }
    }
}

fn no_actor(actor: &str) -> String {
    format!("no actor {actor} runs")
}
