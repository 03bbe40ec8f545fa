//! What flushes covered: noted for the check of the campaigns, which cut the power at exactly that point.
//!
//! Only there with the feature `mutants`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static FLUSHED: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

pub(crate) fn note(path: &Path, bytes: u64) {
    FLUSHED.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf(), bytes);
}

/// How many bytes of this segment are on the disk for sure.
pub fn flushed(path: &Path) -> u64 {
    FLUSHED.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
}
