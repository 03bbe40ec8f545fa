//! What is known of a plan's times, and what a simulation makes of it: for every view of the plan.

use std::collections::HashMap;

use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Plan, Step};
use lifeboat_forecast::plan::{Basis, Note};
use lifeboat_forecast::{Forecast, History, Question, forecast};

use super::amount::share;
use super::duration::duration;

/// Steps times samples: about a second of one processor.
const WORK_MAX: usize = 5_000_000;
/// Fewer samples than this do not tell the 95th percentile.
const SAMPLES_MIN: usize = 500;

/// What is known of a plan's times.
#[derive(Debug, Default)]
pub struct Outlook {
    /// By step: what it usually takes, where earlier runs say so.
    measured: HashMap<StepId, u64>,
    /// The simulation, where it has anything to say.
    pub simulated: Option<Forecast>,
}

/// How many samples of a plan of so many steps a person is made to wait for.
pub fn samples(steps: usize) -> u32 {
    let count = (WORK_MAX / steps.max(1)).clamp(SAMPLES_MIN, 10_000);
    u32::try_from(count).unwrap_or(10_000)
}

/// As many threads as there are processors.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Outlook {
    /// What earlier runs and the plan's own estimates say.
    pub fn of(plan: &Plan, history: &History) -> Self {
        let asked = Question { samples: samples(plan.steps.len()), threads: threads(), ..Question::default() };
        // A plan that is no graph is refused elsewhere, with words for it.
        let simulated =
            forecast(plan, history, &asked).ok().filter(|found| found.p50.is_some() || found.success.value < 1.0);
        let measured = simulated.iter().flat_map(|found| &found.steps);
        let measured = measured.filter_map(|step| Some((step.step.clone(), step.typical_ms?))).collect();
        Self { measured, simulated }
    }

    /// What a step is expected to take, in milliseconds: what it usually took, its estimate, or how long it waits.
    pub fn estimate(&self, step: &Step) -> Option<u64> {
        self.measured.get(&step.id).copied().or(step.estimate_ms).or(step.wait_ms)
    }
}

/// A forecast as a sentence: `4m 10s (P50) to 6m (P95) of 15m RTO, which 99 % of runs meet; from 3 earlier runs`.
pub fn sentence(found: &Forecast) -> String {
    format!("{}; {}", claim(found), grounds_and_gaps(found))
}

/// What is claimed.
fn claim(found: &Forecast) -> String {
    let least = if found.lower_bound { "at least " } else { "" };
    let mut text = match (found.p50, found.p95) {
        (Some(p50), Some(p95)) if duration(p50.ms) == duration(p95.ms) => format!("{least}{}", duration(p50.ms)),
        (Some(p50), Some(p95)) => format!("{least}{} (P50) to {} (P95)", duration(p50.ms), duration(p95.ms)),
        _ => "no run succeeds without help".to_owned(),
    };
    if let Some(objective) = &found.objective
        && found.p50.is_some()
    {
        text.push_str(&format!(" of {} RTO", duration(objective.rto_ms)));
        match (found.lower_bound, share(objective.meets.value)) {
            // At most all of them: that says nothing.
            (true, _) if objective.meets.value >= 1.0 => {}
            (true, met) => text.push_str(&format!(", which at most {met} of runs meet")),
            (false, met) => text.push_str(&format!(", which {met} of runs meet")),
        }
    }
    // Less than one in a thousand is not worth a word.
    if found.success.value < 0.999 && found.p50.is_some() {
        text.push_str(&format!("; {} succeed at all", share(found.success.value)));
    }
    text
}

/// What the claim rests on, and what is missing.
fn grounds_and_gaps(found: &Forecast) -> String {
    let unknown = found.steps.iter().filter(|step| step.basis == Basis::Unknown).count();
    match unknown {
        0 => grounds(found),
        _ => format!("{}; nothing is known of {unknown} of {} steps", grounds(found), found.steps.len()),
    }
}

/// What is ahead of a run under way, as it stands below its steps.
pub fn ahead(found: &Forecast) -> String {
    let mut text = format!("  forecast   {}", claim(found));
    let passed = duration(found.passed_ms);
    let over = found.objective.map_or_else(
        || format!("{passed} have passed"),
        |objective| match objective.left_ms {
            0 => format!("{passed} have passed: the objective is missed"),
            left => format!("{passed} have passed, {} of the objective are left", duration(left)),
        },
    );
    text.push_str(&format!("\n             {over}"));
    if let Some(step) = found.dominant() {
        text.push_str(&format!("; the longest part of what is ahead is {}", step.step));
    }
    text.push_str(&format!("\n             {}", grounds_and_gaps(found)));
    if found.notes.iter().any(|note| matches!(note, Note::NeedsPerson { .. })) {
        text.push_str("\n             counted from now; it waits for a person");
    }
    text
}

/// What a forecast is from.
pub fn grounds(found: &Forecast) -> String {
    let drills = match (found.earlier_runs, found.drills) {
        (_, 0) => String::new(),
        (runs, drills) if runs == drills => ", all of them drills".to_owned(),
        (_, drills) => format!(", {drills} of them drills"),
    };
    match found.earlier_runs {
        0 => "from estimates alone".to_owned(),
        1 if found.drills == 1 => "from 1 earlier run, a drill".to_owned(),
        1 => "from 1 earlier run".to_owned(),
        runs => format!("from {runs} earlier runs{drills}"),
    }
}
