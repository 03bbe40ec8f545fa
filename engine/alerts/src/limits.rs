//! Every limit of alerts, by name, with its reason. A limit that is met is a refusal with a code, and never a crash.

/// Bytes of one body. Alertmanager's largest groups with long annotations take some hundred kilobytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Depth of nesting of a body. What is known nests six deep, and readers of JSON are recursive.
pub const BODY_DEPTH_MAX: usize = 32;
/// Alerts of one body. Alertmanager's `max_alerts` cuts larger groups, and says by how many.
pub const ALERTS_PER_BODY_MAX: usize = 1_000;
/// Labels, or annotations, of one alert. Prometheus itself advises a dozen.
pub const LABELS_PER_ALERT_MAX: usize = 64;
/// Bytes of the name of a label.
pub const LABEL_NAME_BYTES_MAX: usize = 256;
/// Bytes of the value of a label or annotation, of a group, of a fingerprint. Longer annotations are cut; longer others refused, since
/// what tells one incident from another must not be cut.
pub const TEXT_BYTES_MAX: usize = 2 * 1024;
/// Bytes of one text of matchers.
pub const MATCHERS_BYTES_MAX: usize = 4 * 1024;
/// Matchers of one trigger.
pub const MATCHERS_MAX: usize = 32;
/// Bytes of one compiled regular expression. `regex` is linear in time; this bounds its memory.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Pointers of one mapping, of each kind.
pub const POINTERS_MAX: usize = 64;
/// How far the time of a signature may be from now, where the operator says nothing: five minutes.
pub const REPLAY_WINDOW_MS: u64 = 5 * 60 * 1_000;
/// The widest window that may be said: an hour. Each signature is remembered for as long.
pub const REPLAY_WINDOW_MAX_MS: u64 = 60 * 60 * 1_000;
/// Signatures that are remembered at once. At 32 bytes each this is a few megabytes; when it is full, nothing signed is taken.
pub const SIGNATURES_MAX: usize = 100_000;
/// Incidents that are not closed. So many at once are one disaster and no thousand: a person has to look.
pub const INCIDENTS_OPEN_MAX: usize = 1_000;
/// Closed incidents that are remembered, so that a repeat of their alerts starts nothing.
pub const INCIDENTS_CLOSED_MAX: usize = 4_000;
/// Alerts of one incident that are told apart. More are one number; such an incident ends when its source says so of the group.
pub const ALERTS_PER_INCIDENT_MAX: usize = 128;
/// Bytes of the labels of an incident that are kept: those of its first alert.
pub const LABELS_KEPT_BYTES_MAX: usize = 4 * 1024;
/// Runbooks whose automatic runs are counted.
pub const BUDGETS_MAX: usize = 4_000;
/// Automatic runs in [`BUDGET_WINDOW_MS`], where the runbook says nothing.
pub const BUDGET_DEFAULT: u32 = 3;
/// The window of the budget, where the runbook says nothing: a day.
pub const BUDGET_WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;
/// The most runs that a budget may allow: each is remembered for as long as its window.
pub const BUDGET_MAX: u32 = 100;
/// How long a word of a probe counts, where the runbook says nothing: an hour.
pub const AGREE_WINDOW_MS: u64 = 60 * 60 * 1_000;
/// Probes that are told apart in one incident.
pub const PROBES_MAX: usize = 32;
/// An incident without a run of which nothing was heard for as long is over: a week. Alertmanager repeats every four hours.
pub const QUIET_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
