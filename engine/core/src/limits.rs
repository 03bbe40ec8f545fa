//! Every limit, by name, with its reason. A limit that is met is an error with a code, never a crash.

/// Steps in one plan. 10,000 is the size at which `bench plan` is measured; ten times that still fits in memory.
pub const STEPS_PER_PLAN_MAX: usize = 100_000;
/// Bytes of one runbook's text. A person reviews it; a megabyte is a mistake.
pub const RUNBOOK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Depth of nesting in a KDL document: the parser is recursive, and a file of brackets must not overflow its stack.
pub const KDL_DEPTH_MAX: usize = 64;
/// Diagnostics reported for one file. More help nobody, and an adversarial file could produce millions.
pub const DIAGNOSTICS_MAX: usize = 200;
/// Bytes of the JSON of one step's arguments after rendering.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the JSON of one step's outputs. Outputs are facts for later steps, not data: data goes to vaults.
pub const OUTPUTS_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one checkpoint. It is written to the journal each time.
pub const CHECKPOINT_BYTES_MAX: usize = 64 * 1024;
/// Depth of nesting of outputs and checkpoints. JSON readers stop at 128, and a stored event adds a few levels of its own:
/// what is deeper would be written and never read again.
pub const JSON_DEPTH_MAX: usize = 64;
/// Bytes of one event in the journal: a started run carries its plan and its runbook's text.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a message, reason or hint that comes from outside; the rest is cut, and said to be.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Attempts of one step, retries by policy and by hand together. Past this something is wrong that time does not mend.
pub const ATTEMPTS_PER_STEP_MAX: u32 = 1_000;
/// Steps of one run under way at once, where the runbook says nothing.
pub const PARALLEL_PER_RUN_DEFAULT: u32 = 8;
/// Steps of all runs under way at once, where the operator says nothing.
pub const PARALLEL_GLOBAL_DEFAULT: u32 = 64;
/// Time-out of a step, where the runbook says nothing: one hour.
pub const STEP_TIMEOUT_DEFAULT_MS: u64 = 60 * 60 * 1_000;
/// The longest duration that a runbook may name: one year.
pub const DURATION_MAX_MS: u64 = 366 * 24 * 60 * 60 * 1_000;
/// Memory of one guest, summed over its memories and tables.
pub const GUEST_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Log lines of one attempt that are kept; later ones are counted only.
pub const LOG_LINES_PER_ATTEMPT_MAX: usize = 1_000;
/// Random bytes in one call.
pub const RANDOM_BYTES_MAX: usize = 64 * 1024;
/// Steps of all plans that are at work at once, in one engine. A step and its state take 2 to 4 KiB, so this is half a
/// gigabyte; ten thousand runs of twenty steps fit in.
pub const STEPS_AT_WORK_MAX: usize = 200_000;
/// Runs that wait for room in one engine. Each is durable and takes a few hundred bytes of memory; past this, whoever makes
/// runs has lost count.
pub const RUNS_QUEUED_MAX: usize = 100_000;
/// Bytes of one file that a person attaches to a word: a log or a picture, not a copy of the data.
pub const EVIDENCE_BYTES_MAX: usize = 64 * 1024 * 1024;
