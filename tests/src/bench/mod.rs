//! Benchmarks: a figure stands beside its limit, measured on the same machine in the same run. A figure alone says more
//! about the machine than about the program.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

pub mod world;

/// Bytes of one write of [`fdatasync`]: about what one step appends to the journal.
pub const WRITE_BYTES: usize = 300;

/// Durations, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    /// Sorts them; there has to be at least one.
    pub fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    /// The time between each two neighbours.
    pub fn between(stamps: &[Instant]) -> Vec<Duration> {
        stamps.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// The time below which that share of them lies, in microseconds; 0.5 is the median.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        let index = ((self.0.len() as f64 * share) as usize).min(last);
        self.0[index].as_secs_f64() * 1e6
    }
}

/// The middle one of some rates or times.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the heading of the lines.
pub fn heading(text: &str) {
    println!("\n{text}");
    println!("{:<44} {:>14} | {:>14} | {:>6}", "", "figure", "limit", "ratio");
}

/// Prints one line. The ratio is the figure over the limit; `limited_by` names what the limit is.
pub fn line(what: &str, figure: f64, limit: f64, unit: &str, limited_by: &str) {
    let shown = |value: f64| {
        let digits = usize::from(value < 1_000.0);
        format!("{value:.digits$} {unit}")
    };
    println!("{what:<44} {:>14} | {:>14} | {:>6.2}   limit: {limited_by}", shown(figure), shown(limit), figure / limit);
}

/// Prints median and 99th percentile against those of the limit, in microseconds.
pub fn line_times(what: &str, figure: &Times, limit: &Times, limited_by: &str) {
    line(&format!("{what}, median"), figure.at(0.5), limit.at(0.5), "us", limited_by);
    line(&format!("{what}, p99"), figure.at(0.99), limit.at(0.99), "us", limited_by);
}

/// What this machine takes to make a small append durable: [`WRITE_BYTES`] written to a preallocated file, `fdatasync`.
pub fn fdatasync(path: &Path, count: usize) -> Vec<Duration> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
    let whole = (count * WRITE_BYTES).max(1 << 20) as u64;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, whole).unwrap();
    file.sync_all().unwrap();
    let bytes = [b'x'; WRITE_BYTES];
    let one = |place: usize| {
        let start = Instant::now();
        file.write_all_at(&bytes, (place * WRITE_BYTES) as u64).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    (0..count).map(one).collect()
}

/// Kilobytes of a line of `/proc/self/status`, as `VmHWM` or `VmRSS`.
pub fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
