//! Within which span a task works now. What it spawns does not inherit it: whoever spawns hands it on.

use std::future::Future;

use prunella_core::TraceContext;

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// The span within which the calling task works, if any.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|current| *current).ok().flatten()
}

/// Works within a span. One that is not sampled keeps what is done from beginning a trace of its own.
pub async fn under<F: Future>(span: Option<TraceContext>, work: F) -> F::Output {
    match span {
        Some(_) => CURRENT.scope(span, work).await,
        None => work.await,
    }
}
