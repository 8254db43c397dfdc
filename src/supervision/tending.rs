//! Work of the node itself that is no actor: it goes on for as long as the node runs, whatever it trips over.

use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};

/// Runs what `work` makes, and makes it again when it panics; ends with it, or when the handle is aborted. What it knew is
/// lost with a panic: it has to find all of it in the node.
pub fn tend<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    mut work: impl FnMut() -> F + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Ends what it holds when it is dropped.
        let mut tasks = JoinSet::new();
        loop {
            tasks.spawn(work());
            let Some(Err(failure)) = tasks.join_next().await else { return };
            // It says what the panic said.
            tracing::error!(name, %failure, "a task of this node has failed; it begins anew");
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Between a panic and the next attempt: one that comes at once again fills no log.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_fails_is_begun_anew_until_it_is_done() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&times);
        let began = tokio::time::Instant::now();
        let tended = tend("work", move || {
            let time = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert_eq!(time, 2, "not yet") }
        });
        tended.await.unwrap();
        assert_eq!((times.load(Ordering::Relaxed), began.elapsed()), (3, 2 * PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn who_aborts_it_ends_the_work() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let tended = tend("work", move || {
            let inside = Arc::clone(&inside);
            async move {
                std::future::pending::<()>().await;
                drop(inside);
            }
        });
        tokio::task::yield_now().await;
        tended.abort();
        assert!(tended.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
