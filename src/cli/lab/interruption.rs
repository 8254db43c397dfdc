//! The signals that ask the lab to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for them from its creation on.
pub(super) struct Interruption {
    signals: [Signal; 3],
}

impl Interruption {
    /// Begins to listen.
    pub(super) fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Returns when one has come.
    pub(super) async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
