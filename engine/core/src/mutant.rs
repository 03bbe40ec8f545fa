//! Deliberate bugs, for the check of the checks: a campaign that does not find each of them is worth nothing.
//!
//! Only there with the feature `mutants`, which no program that is shipped has. One of them at a time, for the process.

use std::sync::atomic::{AtomicU8, Ordering};

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// The journal acknowledges before its data is on the disk.
    FlushSkipped = 1,
    /// Attempts begin before the events of their round are durable.
    ActBeforePersist = 2,
    /// The intent of an attempt is only written with its end.
    NoIntent = 3,
    /// A target lets attempts act that were overtaken.
    TokenNotChecked = 4,
    /// An outcome that nobody knows is taken for a failure.
    UnknownIsFailed = 5,
    /// What was done first is undone first.
    UndoOrderReversed = 6,
    /// A run that ends keeps its locks.
    LockNotReleased = 7,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 7] = [
        Mutant::FlushSkipped,
        Mutant::ActBeforePersist,
        Mutant::NoIntent,
        Mutant::TokenNotChecked,
        Mutant::UnknownIsFailed,
        Mutant::UndoOrderReversed,
        Mutant::LockNotReleased,
    ];
}

static ACTIVE: AtomicU8 = AtomicU8::new(0);

/// Sets the bug of this process; `None`: none.
pub fn set(mutant: Option<Mutant>) {
    ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::SeqCst);
}

/// Whether that bug is there.
pub fn is(mutant: Mutant) -> bool {
    ACTIVE.load(Ordering::SeqCst) == mutant as u8
}
