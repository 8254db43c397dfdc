//! Bugs on purpose: what a test plants to see that the simulator finds it.
//!
//! Without the feature `planted-bugs`, [`is`] is a constant and nothing of this is compiled into the checks that ask it.
//! Only the simulator's own tests turn the feature on.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlantedBug {
    /// Signatures of records are not checked.
    SignatureUnchecked,
    /// Versions of records are not compared: whatever comes last is held.
    VersionUncompared,
    /// A suspicion never runs out: nobody is ever removed for having been accused for long enough.
    SuspicionUnending,
    /// What a neighbor gives back of a ledger is not compared with the hash of what stood there.
    CopyUnchecked,
}

impl PlantedBug {
    /// Every bug.
    pub const ALL: [PlantedBug; 4] = [
        PlantedBug::SignatureUnchecked,
        PlantedBug::VersionUncompared,
        PlantedBug::SuspicionUnending,
        PlantedBug::CopyUnchecked,
    ];
}

#[cfg(feature = "planted-bugs")]
mod soil {
    use std::cell::Cell;

    use super::PlantedBug;

    thread_local! {
        static PLANTED: Cell<Option<PlantedBug>> = const { Cell::new(None) };
    }

    /// Keeps a bug planted on this thread until it is dropped.
    #[derive(Debug)]
    #[must_use = "the bug is pulled out again when this is dropped"]
    pub struct Planted(());

    /// Plants a bug on this thread; one at a time.
    pub fn plant(bug: PlantedBug) -> Planted {
        PLANTED.set(Some(bug));
        Planted(())
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Whether a bug is planted on this thread.
    pub fn is(bug: PlantedBug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use soil::{Planted, is, plant};

/// Whether a bug is planted: never.
#[cfg(not(feature = "planted-bugs"))]
pub const fn is(_: PlantedBug) -> bool {
    false
}
