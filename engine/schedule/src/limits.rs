//! Every limit of schedules, by name, with its reason.

/// Bytes of a cron text. The longest sensible one lists some dozen minutes.
pub const CRON_BYTES_MAX: usize = 256;
/// The longest jitter: a day. What is spread wider is another schedule.
pub const JITTER_MAX_MS: u64 = 24 * 60 * 60 * 1_000;
/// Blackouts of one schedule. Each is looked at for each time that is due.
pub const BLACKOUTS_MAX: usize = 64;
/// A due time that is this old when it is first seen was missed; until then the service was only busy.
pub const LATE_MS: u64 = 60 * 1_000;
/// Missed times that are counted one by one. A schedule of every second misses as many in three hours, and more digits tell
/// nobody more.
pub const MISSED_COUNTED_MAX: u32 = 10_000;
/// How far back the last missed time is looked for: a leap day may be eight years away.
pub(crate) const BACK_S: i64 = 9 * 366 * 86_400;
/// No time after the year 2100 is looked for: `cron` knows no later one.
pub(crate) const LAST_S: i64 = 4_133_980_800;
/// How many times `next` tells at most.
pub const NEXT_MAX: usize = 1_000;
