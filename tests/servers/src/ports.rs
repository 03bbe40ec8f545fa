//! Free ports.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below what the kernel gives to outgoing connections: a port that is free now is not taken by one of them before the
/// server has it, or while the server is down.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// So many ports of the loopback address that nobody listens on.
///
/// # Errors
/// There are not so many.
pub fn free(count: usize) -> Result<Vec<u16>, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Processes that begin at once begin at different places.
    let offset = (now.subsec_nanos() ^ std::process::id().wrapping_mul(7919)) % u32::from(COUNT);
    let mut found = Vec::new();
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from((offset + step) % u32::from(COUNT)).unwrap_or(0);
        if is_free(port) && !found.contains(&port) {
            found.push(port);
        }
        if found.len() == count {
            return Ok(found);
        }
    }
    Err(format!("there are no {count} free ports between {FIRST} and {}", FIRST + COUNT))
}

/// Whether nobody listens there.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
