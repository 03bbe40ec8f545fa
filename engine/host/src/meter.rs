//! Memory of one guest, summed. Wasmtime's own limits are per memory, and a guest may have several, and tables besides.

use wasmtime::ResourceLimiter;

use crate::fault::Stop;

/// Counts what a guest has, over all its memories and tables.
#[derive(Debug)]
pub struct Meter {
    used: usize,
    limit: usize,
}

impl Meter {
    /// A meter with this limit in bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    fn grow(&mut self, by: usize) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(by);
        if wanted > self.limit {
            // An error, and not `false`: the guest would only abort, and the cause would be lost.
            return Err(Stop::Memory { wanted, limit: self.limit }.into());
        }
        self.used = wanted;
        Ok(true)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current).saturating_mul(size_of::<usize>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_limit() {
        let mut meter = Meter::new(1_000);
        assert!(meter.memory_growing(0, 600, None).unwrap());
        assert!(meter.table_growing(0, 50, None).unwrap());
        let error = meter.memory_growing(600, 601, None).unwrap_err();
        assert_eq!(error.downcast_ref::<Stop>(), Some(&Stop::Memory { wanted: 1_001, limit: 1_000 }));
        assert!(meter.table_growing(50, 50, None).unwrap());
    }
}
