//! What the samples say, with how sure it is and what it rests on.

use lifeboat_core::StepId;
use lifeboat_core::plan::Plan;
use lifeboat_core::state::RunState;
use serde::Serialize;

use super::Question;
use super::model::{Model, Node, Start};
use super::tally::Tally;
use crate::history::History;

/// 95 % of a normal distribution are within so many standard deviations.
const SURE: f64 = 1.959_964;

/// Where the time of a step is known from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "known-from", rename_all = "kebab-case")]
pub enum Basis {
    /// A person has said so in the question.
    Told,
    /// The amount of data and the rate in the question.
    Rate,
    /// Earlier attempts that were done.
    History {
        /// How many.
        attempts: usize,
    },
    /// Earlier attempts that were done, scaled to the amount of data.
    PerByte {
        /// How many.
        attempts: usize,
    },
    /// The plan's own estimate. How much times vary around it is assumed.
    Declared,
    /// It is a timer.
    Timer,
    /// Nothing is known: it counts as no time.
    Unknown,
    /// It is complete in the run.
    Complete,
}

/// A probability that was counted, and the bounds within which it lies with 95 % confidence (Wilson's score interval).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The best guess.
    pub value: f64,
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

impl Estimate {
    /// The share `value` of `count` independent trials; nothing is known of it without any.
    fn of(value: f64, count: f64) -> Self {
        if count <= 0.0 {
            return Self { value, low: 0.0, high: 1.0 };
        }
        let square = SURE * SURE;
        let middle = (value + square / (2.0 * count)) / (1.0 + square / count);
        let half =
            SURE / (1.0 + square / count) * (value * (1.0 - value) / count + square / (4.0 * count * count)).sqrt();
        // Rounding must not leave the value outside of its own bounds.
        Self { value, low: (middle - half).clamp(0.0, value), high: (middle + half).clamp(value, 1.0) }
    }
}

/// A quantile of times, and the bounds that the simulation's own error leaves with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantile {
    /// In milliseconds.
    pub ms: u64,
    /// At least.
    pub low_ms: u64,
    /// At most.
    pub high_ms: u64,
}

/// The objective, and what the samples say of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// The recovery time objective.
    pub rto_ms: u64,
    /// What is left of it; 0 when nothing is.
    pub left_ms: u64,
    /// The probability that the run succeeds within it, and the simulation's own error. Where a step's time is not known, it
    /// is at most this.
    pub meets: Estimate,
}

/// What a forecast rests on that nobody has measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// Nothing is known of how long these take; they count as no time, so all times are lower bounds.
    TimesUnknown {
        /// Which.
        steps: Vec<StepId>,
    },
    /// The times of these are estimates of the plan; they are assumed to vary so that one in twenty takes twice as long.
    SpreadAssumed {
        /// Which.
        steps: Vec<StepId>,
    },
    /// Nobody has counted how often these fail; they never do in a sample.
    FailuresUnknown {
        /// Which.
        steps: Vec<StepId>,
    },
    /// These have conditions of which nobody has counted how often they hold; they are taken to be needed.
    ConditionsAssumed {
        /// Which.
        steps: Vec<StepId>,
    },
    /// The run needs locks, and how long earlier runs waited for theirs is not known; they are taken to be free.
    LocksAssumed,
    /// Nothing goes on before a person has said what becomes of these; the forecast begins as if that were now.
    NeedsPerson {
        /// Which; none where the run is paused.
        steps: Vec<StepId>,
    },
}

/// One step in a forecast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepForecast {
    /// Which.
    pub step: StepId,
    /// What its time is known from.
    #[serde(flatten)]
    pub basis: Basis,
    /// What one attempt usually takes, in milliseconds; `None` where that is not known, or it is complete.
    pub typical_ms: Option<u64>,
    /// How often it was on the chain of steps that decided when the run was over: 1 is always.
    pub criticality: f64,
    /// How much of the time of an average run it stands for, of 1.
    pub share: f64,
    /// How often it was the first step that failed for good.
    pub fails_run: f64,
    /// The probability that one attempt fails, where it was counted.
    pub attempt_fails: Option<f64>,
}

/// What a run will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// How many samples were drawn.
    pub samples: u32,
    /// How many earlier runs it is from.
    pub earlier_runs: u32,
    /// How many of them were drills.
    pub drills: u32,
    /// What has passed already: before the run, and of it.
    pub passed_ms: u64,
    /// Half of the runs that succeed are faster; `None` when no sample succeeded, or nothing at all is known of any time.
    pub p50: Option<Quantile>,
    /// 95 of 100 are faster.
    pub p95: Option<Quantile>,
    /// 99 of 100 are faster.
    pub p99: Option<Quantile>,
    /// Whether all times are lower bounds, because a step's time is not known.
    pub lower_bound: bool,
    /// The probability to succeed without a person's help. Its bounds are those that so few earlier runs leave.
    pub success: Estimate,
    /// The objective, where there is one.
    pub objective: Option<Objective>,
    /// The time of an average run that goes into waiting for locks, of 1.
    pub locks_share: f64,
    /// The steps, in the order of the source.
    pub steps: Vec<StepForecast>,
    /// What it rests on that nobody has measured.
    pub notes: Vec<Note>,
}

impl Forecast {
    /// Whether the objective is met with that probability. `None` without an objective, and where it could be met but a step's
    /// time is not known.
    pub fn meets(&self, probability: f64) -> Option<bool> {
        let met = self.objective?.meets.value >= probability;
        if met && self.lower_bound { None } else { Some(met) }
    }

    /// The step that stands for most of the time; `None` where none takes any.
    pub fn dominant(&self) -> Option<&StepForecast> {
        self.steps.iter().filter(|step| step.share > 0.0).max_by(|a, b| a.share.total_cmp(&b.share))
    }
}

/// All that an answer is made of.
pub(super) struct Answer<'a> {
    pub plan: &'a Plan,
    pub history: &'a History,
    pub asked: &'a Question,
    pub live: Option<(&'a RunState, u64)>,
    pub model: &'a Model,
    pub tally: &'a Tally,
}

impl Answer<'_> {
    pub(super) fn forecast(&self) -> Forecast {
        let (tally, model) = (self.tally, self.model);
        let open = || model.nodes.iter().filter(|node| node.start != Start::Complete);
        let unknown = open().any(|node| node.basis == Basis::Unknown);
        // A sum over nothing is no time: 0 s would be a promise.
        let nothing = open().count() > 0 && open().all(|node| node.basis == Basis::Unknown);
        let quantile = |share| if nothing { None } else { self.quantile(share) };
        let succeeded = tally.times.len() as f64 / f64::from(self.asked.samples);
        let (steps, locks_share) = self.steps();
        Forecast {
            samples: self.asked.samples,
            earlier_runs: self.history.runs,
            drills: self.history.drills,
            passed_ms: (model.passed * 1e3).round() as u64,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            lower_bound: unknown,
            success: Estimate::of(succeeded, f64::from(self.history.runs)),
            objective: self.objective(),
            locks_share,
            steps,
            notes: self.notes(),
        }
    }

    /// A quantile; its bounds are the order statistics that a binomial number of samples below it leaves.
    fn quantile(&self, share: f64) -> Option<Quantile> {
        let times = &self.tally.times;
        let count = times.len() as f64;
        let half = SURE * (count * share * (1.0 - share)).sqrt();
        let at = |rank: f64| {
            let place = rank.clamp(0.0, (count - 1.0).max(0.0)) as usize;
            times.get(place).map(|time| ((time + self.model.passed) * 1e3).round() as u64)
        };
        let rank = (count * share).ceil() - 1.0;
        Some(Quantile { ms: at(rank)?, low_ms: at((rank - half).floor())?, high_ms: at((rank + half).ceil())? })
    }

    fn objective(&self) -> Option<Objective> {
        let told = self.asked.rto.map(crate::quantity::Seconds::ms);
        let rto_ms = told.or(self.plan.objectives.rto_ms)?;
        let passed = (self.model.passed * 1e3).round() as u64;
        let limit = rto_ms as f64 / 1e3 - self.model.passed;
        // Times are drawn to the last digit of a float; the objective is in milliseconds.
        let within = self.tally.times.partition_point(|time| *time <= limit + 5e-4);
        let samples = f64::from(self.asked.samples);
        let meets = Estimate::of(within as f64 / samples, samples);
        Some(Objective { rto_ms, left_ms: rto_ms.saturating_sub(passed), meets })
    }

    /// The steps, and the share of time that goes into waiting for locks.
    fn steps(&self) -> (Vec<StepForecast>, f64) {
        let tally = self.tally;
        let succeeded = tally.times.len() as f64;
        let whole = (tally.spent.iter().sum::<u128>() + tally.waited) as f64;
        let of = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let nodes = self.plan.steps.iter().zip(&self.model.nodes);
        let counts = tally.critical.iter().zip(&tally.spent).zip(&tally.failed);
        let steps = nodes.zip(counts).map(|((step, node), ((critical, spent), failed))| StepForecast {
            step: step.id.clone(),
            basis: node.basis.clone(),
            typical_ms: (!matches!(node.basis, Basis::Unknown | Basis::Complete))
                .then(|| (node.span.typical() * 1e3).round() as u64),
            criticality: of(f64::from(*critical), succeeded),
            share: of(*spent as f64, whole),
            fails_run: f64::from(*failed) / f64::from(self.asked.samples),
            attempt_fails: (node.attempts > 0).then_some(node.fails + node.fails_for_good),
        });
        (steps.collect(), of(tally.waited as f64, whole))
    }

    /// The open steps for which that holds.
    fn which(&self, holds: impl Fn(&lifeboat_core::plan::Step, &Node) -> bool) -> Vec<StepId> {
        let nodes = self.plan.steps.iter().zip(&self.model.nodes);
        let open = nodes.filter(|(_, node)| node.start != Start::Complete);
        open.filter(|(step, node)| holds(step, node)).map(|(step, _)| step.id.clone()).collect()
    }

    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let paused = self.live.is_some_and(|(state, _)| state.paused.is_some());
        let steps = self.which(|_, node| node.needs_person);
        if paused || !steps.is_empty() {
            notes.push(Note::NeedsPerson { steps });
        }
        let mut note = |steps: Vec<StepId>, make: fn(Vec<StepId>) -> Note| {
            if !steps.is_empty() {
                notes.push(make(steps));
            }
        };
        note(self.which(|_, node| node.basis == Basis::Unknown), |steps| Note::TimesUnknown { steps });
        note(self.which(|_, node| node.basis == Basis::Declared), |steps| Note::SpreadAssumed { steps });
        let uncounted = |step: &lifeboat_core::plan::Step, node: &Node| step.kind.by_plugin() && node.attempts == 0;
        note(self.which(uncounted), |steps| Note::FailuresUnknown { steps });
        let known = |step: &lifeboat_core::plan::Step| {
            self.history.of(step).is_some_and(|known| known.needed + known.not_needed > 0)
        };
        note(self.which(|step, _| !step.when.is_empty() && !known(step)), |steps| Note::ConditionsAssumed { steps });
        if self.model.wants_locks && self.model.lock_waits.is_empty() {
            notes.push(Note::LocksAssumed);
        }
        notes
    }
}
