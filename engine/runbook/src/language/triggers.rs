//! The table of what starts a run by itself.

use super::{Field, Node, node};

/// What starts a run: first by the clock, then by an alert.
pub(super) const ON: [Field; 15] = [
    ("mode", "word", "The mode of the run: `drill` for a schedule, `failover` for an alert, if it is left out."),
    ("name", "name", "Of a schedule: its name; `schedule` if it is left out. No two of a runbook have the same."),
    (
        "cron",
        "string, required",
        "Of a schedule: second, minute, hour, day of month, month, weekday, and a year if you like.",
    ),
    (
        "zone",
        "string",
        "Of a schedule: an IANA time zone; `UTC` if it is left out. A time that the clock leaves out is due at the change, one that comes twice is due once; a schedule of every hour goes by elapsed time.",
    ),
    (
        "jitter",
        "duration",
        "Of a schedule: how far its runs are put off at most. How far follows from its name, always the same.",
    ),
    (
        "overlap",
        "`skip` or `queue`",
        "Of a schedule: what happens where the run before has not ended; `skip` if it is left out. One waits at most.",
    ),
    (
        "missed",
        "`skip` or `run-once`",
        "Of a schedule: what happens with runs that were due while no service was there; `skip` if it is left out. They are shown in any case.",
    ),
    ("blackout", "node", "Of a schedule: when nothing is started; see `blackout`."),
    ("source", "strings, required", "Of an alert: the hooks that may send it, as the operator's file names them."),
    ("hold", "duration", "Of an alert: how long it has to last before a run starts."),
    (
        "match",
        "label and value, or matchers",
        "Of an alert, at least one: `match \"LABEL\" \"VALUE\"`, or the language of Alertmanager: `match #\"severity=\"critical\", region=~\"eu-.*\"\"#`.",
    ),
    (
        "group",
        "labels",
        "Of an alert: the labels that make an incident, over all sources. Without it: the group that the source makes.",
    ),
    ("agree", "node: number, probes", "Of an alert: how many probes have to say the same; see `agree`."),
    ("budget", "node: number", "Of an alert: how many automatic runs there may be; see `budget`."),
    (
        "past-no-return",
        "boolean",
        "Of an alert: whether the run may go past its point of no return by itself, if `automatic` of the operator's file allows it, too.",
    ),
];

/// Nodes inside of `on`.
pub(super) const TRIGGERS: [Node; 3] = [
    node(
        "blackout",
        "blackout from=\"12-20\" to=\"01-03\" reason=\"year-end freeze\"",
        "When a schedule starts nothing, on the clock of its zone: `from` and `to` are both times of day (`22:00`, over midnight where it has to be), days of any year (`12-20`), dates (`2026-12-20`), or dates with times (`2026-12-20 08:00`). A day or a date that ends it is in it; a time is not.",
        &[
            ("from", "string", "Its begin."),
            ("to", "string", "Its end."),
            (
                "days",
                "string",
                "The weekdays on which it begins, as `Mon-Fri,Sun`; with times of day, or alone for whole days.",
            ),
            ("reason", "string", "Why, for those who ask what did not run."),
        ],
    ),
    node(
        "agree",
        "agree 2 \"eu\" \"us\" \"ap\" label=\"probe\"",
        "How many independent probes have to say that it is down, and which ones count; any, if none is named.",
        &[
            ("label", "string", "The label of an alert that names its probe. Without it, each source is one."),
            ("within", "duration", "How long the word of a probe counts; `1h` if it is left out."),
        ],
    ),
    node(
        "budget",
        "budget 3 within=\"24h\"",
        "How many automatic runs of the runbook there may be in that time; 3 a day if it is left out, 0 for none. Past that a person is called.",
        &[("within", "duration", "In which time.")],
    ),
];
