//! What is told of recovery: how long the last one of each runbook took, what was asked for, and how old the last drill is.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;
use lifeboat_core::state::RunStatus;

use crate::app::App;
use crate::metrics::{Gauge, quoted};
use crate::runs::Row;

/// Runbooks that are told of. More are a mistake of names, and would be as many series.
const RUNBOOKS_MAX: usize = 300;

/// A count as a measure.
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// The last run that succeeded: how long it took, and when it ended.
type Last<'a> = BTreeMap<(&'a str, &'static str), (u64, u64)>;

/// What is looked up of the runs that ended well, and of the library. Nothing of it is lost by a restart.
pub(super) fn gauges(app: &App, rows: &BTreeMap<RunId, Row>) -> Vec<Gauge<'static>> {
    let mut last: Last<'_> = BTreeMap::new();
    for row in rows.values() {
        let run = &row.summary;
        let (RunStatus::Succeeded, Some(ended)) = (run.status, run.finished_at) else { continue };
        let entry = last.entry((run.runbook.as_str(), run.mode.as_str())).or_default();
        if ended >= entry.1 {
            *entry = (ended.saturating_sub(run.declared_at.unwrap_or(run.created_at)), ended);
        }
    }
    let all = app.library.all();
    let good = || all.iter().filter(|book| book.good).take(RUNBOOKS_MAX);
    let mut objectives = Vec::new();
    for book in good() {
        let asked = book.objectives;
        for (name, ms) in [("rto", asked.rto_ms), ("rpo", asked.rpo_ms), ("mtpd", asked.mtpd_ms)] {
            let labels = format!("{{runbook=\"{}\",objective=\"{name}\"}}", quoted(&book.name));
            objectives.extend(ms.map(|ms| (labels, seconds(ms))));
        }
    }
    let drilled = good().filter(|book| book.modes.contains(&Mode::Drill)).map(|book| book.name.as_str());
    let drilled: BTreeSet<&str> = drilled.collect();
    let now = app.now();
    let ages = drilled.into_iter().map(|name| {
        let age = last.get(&(name, Mode::Drill.as_str())).map(|(_, ended)| seconds(now.saturating_sub(*ended)));
        (format!("{{runbook=\"{}\"}}", quoted(name)), age.unwrap_or(f64::INFINITY))
    });
    let ages = ages.collect();
    let labelled = |of: fn(&(u64, u64)) -> u64| {
        let labels = |(runbook, mode): &(&str, &str)| format!("{{runbook=\"{}\",mode=\"{mode}\"}}", quoted(runbook));
        last.iter().take(RUNBOOKS_MAX).map(|(key, value)| (labels(key), seconds(of(value)))).collect::<Vec<_>>()
    };
    vec![
        Gauge {
            name: "lifeboat_objective_seconds",
            help: "What runbooks were asked to keep: rto, rpo, mtpd.",
            values: objectives,
        },
        Gauge {
            name: "lifeboat_recovery_seconds",
            help: "How long the last run that succeeded took, from its making to its end; with that of a run that it went on with.",
            values: labelled(|(took, _)| *took),
        },
        Gauge {
            name: "lifeboat_last_success_timestamp_seconds",
            help: "When the last run that succeeded ended.",
            values: labelled(|(_, ended)| *ended),
        },
        Gauge {
            name: "lifeboat_drill_age_seconds",
            help: "How long ago the last drill that succeeded ended; infinite where there was none.",
            values: ages,
        },
    ]
}
