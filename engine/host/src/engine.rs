//! The wasmtime engine: its settings, its allocator, and the clock that interrupts guests.

use std::time::Duration;

use lifeboat_core::Error;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::HostOptions;

/// Core instances, tables and memories that one component takes: `wit-component` adds a shim and a fix-up module.
const PARTS_PER_COMPONENT: u32 = 6;
/// Stack of one guest. A guest that recurses for ever meets it as a trap.
const STACK_BYTES: usize = 1024 * 1024;
/// Stack of one guest and of the host functions it calls.
const ASYNC_STACK_BYTES: usize = 2 * 1024 * 1024;
/// What stays mapped of a guest's memory and tables after its call, wiped by the host itself. Else the kernel takes the pages away and gives
/// them back at each call, and interrupts the other processors for it: that was more than half of what a guest cost.
const MEMORY_KEPT_BYTES: usize = 512 * 1024;
const TABLE_KEPT_BYTES: usize = 64 * 1024;

fn config(options: &HostOptions, pooling: bool) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);
    config.async_stack_size(ASYNC_STACK_BYTES);
    if pooling {
        let parts = options.max_instances.saturating_mul(PARTS_PER_COMPONENT);
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(options.max_instances);
        pool.total_core_instances(parts);
        pool.total_memories(options.max_instances.saturating_mul(2));
        pool.total_tables(parts);
        pool.total_stacks(options.max_instances);
        pool.max_memory_size(options.guest_memory_bytes);
        pool.linear_memory_keep_resident(MEMORY_KEPT_BYTES);
        pool.table_keep_resident(TABLE_KEPT_BYTES);
        pool.pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    } else {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    }
    config
}

/// Makes the engine. Where the address space does not suffice for the pool, guests are allocated one by one, which
/// costs some 30 us a call.
pub fn build(options: &HostOptions) -> Result<Engine, Error> {
    match Engine::new(&config(options, true)) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(%error, "no pool for guests; they are allocated one by one");
            Engine::new(&config(options, false)).map_err(|error| {
                Error::new("LB0709", "the plugin engine can't start on this machine")
                    .hint("more address space may help: see `ulimit -v`")
                    .with("cause", error)
            })
        }
    }
}

/// Starts the thread that moves the epoch on. It ends soon after the engine is gone.
pub fn start_ticker(engine: &Engine, tick: Duration) -> Result<(), Error> {
    let weak = engine.weak();
    let run = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(tick);
        }
    };
    std::thread::Builder::new().name("lifeboat-epoch".into()).spawn(run).map(|_| ()).map_err(|error| {
        Error::new("LB0709", "the thread that interrupts plugins can't start")
            .hint("the limit of threads may be reached: see `ulimit -u`")
            .with("cause", error)
    })
}
