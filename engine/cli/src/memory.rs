//! How the allocator is set up for what this program moves: packs of 16 MiB, made and sent by many threads.
//!
//! The allocator of glibc takes large blocks from the system one by one at first, but gives that up after it saw the first one
//! freed; from then on freed packs stay in its pools, some in each thread's own. A snapshot of 1.5 GB into a bucket held
//! 392 MiB at its peak; with these two limits fixed 280 MiB, in the same time. Smaller limits take less memory and a third more
//! time: each chunk of a file would be mapped anew.

/// Blocks from that size on are the system's own, and are given back when they are freed. Packs are; chunks of files, of at most
/// 8 MiB, are not.
const OWN: libc::c_int = 12 * 1024 * 1024;
/// So much free memory at the end of a pool is kept for the next chunk.
const KEPT: libc::c_int = 64 * 1024 * 1024;

/// Sets the limits. It has to be called before there are other threads. Where the allocator is another one, nothing is done.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes two numbers, and no other thread is there to allocate meanwhile.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
