//! Many calls of a store at once, no more than a few, on threads of their own: a call over a network mostly waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use lifeboat_core::Failure;

use crate::watch::Watch;

/// At most so many calls at once: enough to hide the way to a store, few enough for its limits.
const CALLS: usize = 8;

/// Does the work for each item; ends with the first failure.
pub(crate) fn each<T: Sync>(
    watch: &Watch,
    items: &[T],
    work: impl Fn(usize, &T) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let noted = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || -> Result<(), Failure> {
        loop {
            watch.go_on()?;
            if noted().is_some() {
                return Ok(());
            }
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(()) };
            work(index, item)?;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..CALLS.min(items.len()) {
            scope.spawn(|| {
                if let Err(failure) = run() {
                    noted().get_or_insert(failure);
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
