//! No core dumps: what is in memory stays there.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Keeps the system from writing this process's memory to a file or handing it to a program when it crashes, and other
/// processes of the same user from reading it. The limit also holds for the processes that it starts.
///
/// Both are needed: the limit alone does not keep the memory from a program that takes dumps through a pipe.
pub fn no_core_dumps() {
    // Where the system refuses it is as it was; that is told, and no reason not to recover.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(cause) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!(%cause, "core dumps could not be limited");
    }
    if let Err(cause) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%cause, "core dumps could not be switched off");
    }
}
