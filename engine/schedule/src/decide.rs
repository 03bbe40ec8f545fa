//! What follows from a schedule, from what was seen of it, and from the time: pure, so that it can be asked again after a crash.

use serde::{Deserialize, Serialize};

use crate::limits::{LATE_MS, MISSED_COUNTED_MAX};
use crate::rule::{Missed, Overlap, Rule};

/// What is known of a schedule between two looks at it. A small document: it holds at most one run that begins and one that
/// waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What the times follow from, as it was at the last look.
    digest: String,
    /// All times up to this one were decided on. Milliseconds since the Unix epoch; it never goes back.
    seen_ms: u64,
    /// A run that was decided on, and of which nobody has said that it is there.
    starting: Option<Start>,
    /// A due time that waits for the end of the run before.
    waiting_ms: Option<u64>,
}

impl State {
    /// Of a schedule that is seen for the first time: what was due before is not its matter.
    pub fn new(rule: &Rule, now_ms: u64) -> Self {
        Self { digest: rule.digest().to_owned(), seen_ms: now_ms, starting: None, waiting_ms: None }
    }

    /// The run of that due time is in the store, or can never be: it is not asked for again.
    pub fn settled(&mut self, due_ms: u64) {
        if self.starting.as_ref().is_some_and(|start| start.due_ms == due_ms) {
            self.starting = None;
        }
    }

    /// All times up to this one were decided on. Milliseconds since the Unix epoch.
    pub const fn seen_ms(&self) -> u64 {
        self.seen_ms
    }

    /// The due time that waits for the end of the run before.
    pub const fn waiting_ms(&self) -> Option<u64> {
        self.waiting_ms
    }
}

/// A run that a schedule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// When it was due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// How it came to be.
    pub cause: Cause,
    /// The same for the same schedule and due time, whoever asks and how often: there is one run of one key.
    pub key: String,
}

/// How a run came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It was its time.
    Due,
    /// It has waited for the end of the run before.
    Waited,
    /// It makes up for those that were missed.
    Missed,
}

/// Why a due time starts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Skip {
    /// It is a blackout.
    Blackout {
        /// Which, in the words of the runbook.
        reason: String,
    },
    /// The run before has not ended, and the schedule says `overlap="skip"`.
    Running {
        /// Its name.
        run: String,
    },
    /// One waits already.
    Waiting {
        /// The due time of that one.
        #[serde(rename = "waiting_ms")]
        due_ms: u64,
    },
}

/// What was decided on a due time. Every due time is in exactly one decision, and the service records them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// Start a run. It is told again at every look until [`State::settled`].
    Fire(Start),
    /// It waits for the end of the run before.
    Wait {
        /// When it was due.
        due_ms: u64,
    },
    /// It starts nothing.
    Skipped {
        /// When it was due.
        due_ms: u64,
        /// Why.
        #[serde(flatten)]
        skip: Skip,
    },
    /// No service was there when these were due.
    Missed {
        /// The first of them, in milliseconds since the Unix epoch.
        first_ms: u64,
        /// The last of them.
        last_ms: u64,
        /// How many, without those in a blackout.
        count: u32,
        /// There were more than were counted.
        more: bool,
        /// How many of them were in a blackout.
        blackout: u32,
        /// The due time of the run that makes up for them, where there is one.
        made_up_ms: Option<u64>,
    },
    /// The schedule is another one than at the last look: what was due in between by the old one is not known.
    Changed {
        /// When that was seen.
        at_ms: u64,
    },
}

/// Decides on all that became due since the last look. `running` is the run of this schedule that has not ended.
///
/// The new state and the decisions belong together: both are stored at once, and only then is anything started. The time may
/// stand still or go back: nothing is decided twice.
pub fn decide(rule: &Rule, state: &State, now_ms: u64, running: Option<&str>) -> (State, Vec<Decision>) {
    let mut round = Round { rule, state: state.clone(), now_ms, running, decisions: Vec::new() };
    if round.state.digest != rule.digest() {
        round.decisions.push(Decision::Changed { at_ms: now_ms });
        rule.digest().clone_into(&mut round.state.digest);
        round.state.seen_ms = round.state.seen_ms.max(now_ms);
        round.state.waiting_ms = None;
    }
    if let Some(start) = &round.state.starting {
        round.decisions.push(Decision::Fire(start.clone()));
    }
    if let Some(due_ms) = round.state.waiting_ms
        && !round.busy()
    {
        round.state.waiting_ms = None;
        round.begin(due_ms, Cause::Waited);
    }
    if now_ms > round.state.seen_ms {
        round.due();
    }
    (round.state, round.decisions)
}

struct Round<'a> {
    rule: &'a Rule,
    state: State,
    now_ms: u64,
    running: Option<&'a str>,
    decisions: Vec<Decision>,
}

impl Round<'_> {
    fn busy(&self) -> bool {
        self.running.is_some() || self.state.starting.is_some()
    }

    fn due(&mut self) {
        let seen = self.state.seen_ms;
        let late = self.now_ms.saturating_sub(LATE_MS).max(seen);
        let on_time = self.between(late, self.now_ms);
        let makes_up = on_time.iter().copied().find(|due| self.rule.blackout_at(*due).is_none());
        self.missed(seen, late, makes_up);
        for due_ms in on_time {
            match self.rule.blackout_at(due_ms) {
                Some(reason) => {
                    let skip = Skip::Blackout { reason: reason.to_owned() };
                    self.decisions.push(Decision::Skipped { due_ms, skip });
                }
                None => self.arrive(due_ms, Cause::Due),
            }
        }
        self.state.seen_ms = self.now_ms;
    }

    /// Due times after the first and up to the second instant: at most one a second.
    fn between(&self, after_ms: u64, until_ms: u64) -> Vec<u64> {
        let next = |at: &u64| self.rule.next_after(*at).filter(|due| *due <= until_ms);
        std::iter::successors(next(&after_ms), next).collect()
    }

    fn missed(&mut self, after_ms: u64, until_ms: u64, makes_up: Option<u64>) {
        let Some(first_ms) = self.rule.next_after(after_ms).filter(|due| *due <= until_ms) else { return };
        let (mut count, mut blackout, mut last_ms, mut counted) = (0_u32, 0_u32, first_ms, 0_u32);
        let mut at = Some(first_ms);
        while let Some(due) = at.filter(|due| *due <= until_ms && counted < MISSED_COUNTED_MAX) {
            counted += 1;
            if self.rule.blackout_at(due).is_some() {
                blackout += 1;
            } else {
                count += 1;
            }
            last_ms = due;
            at = self.rule.next_after(due);
        }
        let more = at.is_some_and(|due| due <= until_ms);
        if more {
            last_ms = self.rule.last_until(until_ms).unwrap_or(last_ms);
        }
        // What was left out by a blackout alone is made up for by nothing.
        let made_up_ms =
            (self.rule.missed == Missed::RunOnce && (count > 0 || more)).then(|| makes_up.unwrap_or(last_ms));
        self.decisions.push(Decision::Missed { first_ms, last_ms, count, more, blackout, made_up_ms });
        if made_up_ms.is_some() && makes_up.is_none() {
            self.arrive(last_ms, Cause::Missed);
        }
    }

    fn arrive(&mut self, due_ms: u64, cause: Cause) {
        if !self.busy() {
            return self.begin(due_ms, cause);
        }
        let skip = match (self.rule.overlap, self.state.waiting_ms) {
            (Overlap::Queue, None) => {
                self.state.waiting_ms = Some(due_ms);
                return self.decisions.push(Decision::Wait { due_ms });
            }
            (Overlap::Queue, Some(due_ms)) => Skip::Waiting { due_ms },
            (Overlap::Skip, _) => {
                let starting = || self.state.starting.as_ref().map(|start| start.key.clone()).unwrap_or_default();
                Skip::Running { run: self.running.map_or_else(starting, str::to_owned) }
            }
        };
        self.decisions.push(Decision::Skipped { due_ms, skip });
    }

    fn begin(&mut self, due_ms: u64, cause: Cause) {
        // What is late may come into a blackout that its own time was not in.
        if let Some(reason) = self.rule.blackout_at(self.now_ms).filter(|_| cause != Cause::Due) {
            let skip = Skip::Blackout { reason: reason.to_owned() };
            return self.decisions.push(Decision::Skipped { due_ms, skip });
        }
        let start = Start { due_ms, cause, key: format!("{}@{due_ms}", self.rule.name()) };
        self.state.starting = Some(start.clone());
        self.decisions.push(Decision::Fire(start));
    }
}
