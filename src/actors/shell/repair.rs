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
            Step::RestartActor { actor } => self.directory.fail(actor, None),
            Step::RotateCertificate => {
                self.renewal_wanted.notify_one();
                true
            }
            Step::RebuildStore => {
                self.rebuild_wanted.set(incident);
                self.directory.nudge_writer(true);
                true
            }
            Step::ShedLoad => self.shed(true),
            Step::TakeLoad => self.shed(false),
            _ => false,
        };
        if !done {
            let reason = "this node does not offer it".to_owned();
            self.directory.deliver(Route::Executor(executor::Input::StepRefused { incident, step, reason }));
        }
    }

    /// Takes on less from now on, or everything again.
    fn shed(&self, sheds: bool) -> bool {
        if self.sheds.swap(sheds, Ordering::Relaxed) != sheds {
            tracing::warn!(sheds, "this node takes on {}", if sheds { "less" } else { "everything again" });
        }
        self.directory.deliver(Route::Gossip(gossip::Input::LoadChanged { sheds }));
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::LoadChanged { sheds }));
        true
    }

    /// An executor that begins knows nothing of what an earlier one would have taken back: it is taken back now.
    pub(super) fn take_back(&self) {
        if self.sheds.load(Ordering::Relaxed) {
            self.shed(false);
        }
    }
}
