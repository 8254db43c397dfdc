//! What a process that holds keys leaves behind of its memory: nothing.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Lets this process end without a core dump, whatever happens to it; unless it is `inspectable`, no other process of the
/// same user can read its memory either (prctl(2), PR_SET_DUMPABLE). A system that refuses is told of in the log: the keys
/// are no less in use.
pub fn keep_secret(inspectable: bool) {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be forbidden");
    }
    if !inspectable && let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process's memory can be read by others of the same user");
    }
}
