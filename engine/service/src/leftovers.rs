//! What drills left behind is removed without anybody asking. A run cleans up at its end and tries again for some minutes; what
//! failed then may work an hour later. So it is tried here again, later and later and in the end once a day, and people are told
//! when something is still there after its time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::RunId;
use lifeboat_core::notify::About;
use lifeboat_core::plan::Mode;
use lifeboat_core::state::{RunState, RunStatus, Summary};
use lifeboat_notify::Message;
use lifeboat_runtime::Verb;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::metrics::Gauge;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(2);
/// The longest time between two tries, in milliseconds: a day.
const LONGEST_MS: u64 = 86_400_000;
/// What is older is left to people, in milliseconds: 30 days. Each try is written down, and a log is not to grow for ever.
const GIVEN_UP_MS: u64 = 30 * 86_400_000;

/// What is known of leftovers beside what is stored: nothing that a restart may not forget.
struct Sweep {
    app: Arc<App>,
    /// Before these times it is not tried again.
    rests: BTreeMap<RunId, u64>,
    told: BTreeSet<RunId>,
}

/// Begins to remove what is due.
pub(crate) fn begin(app: &Arc<App>) -> JoinHandle<()> {
    let mut sweep = Sweep { app: Arc::clone(app), rests: BTreeMap::new(), told: BTreeSet::new() };
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = sweep.round().await {
                tracing::error!("what drills left cannot be looked at: {error}");
            }
        }
    })
}

/// Whether something of a drill that has ended may still be there.
fn is_left(summary: &Summary) -> bool {
    summary.mode == Mode::Drill && summary.status.is_final() && summary.left > 0
}

/// Whether its time is over.
fn is_overdue(summary: &Summary, now: u64) -> bool {
    summary.left_until.is_some_and(|until| until < now)
}

/// Whether it is time to try again. A try is made when the run is twice as old as at the last one, and at least `every_ms` after it,
/// but no later than a day. What a person took over by hand is theirs until its time is over.
fn is_due(summary: &Summary, now: u64, every_ms: u64) -> bool {
    let age = summary.updated_at.saturating_sub(summary.created_at);
    let wait = age.min(LONGEST_MS).max(every_ms);
    let by_hand = summary.status == RunStatus::Abandoned && !is_overdue(summary, now);
    let given_up = now.saturating_sub(summary.created_at) > GIVEN_UP_MS;
    !by_hand && !given_up && now.saturating_sub(summary.updated_at) >= wait
}

/// Whether any of it can be removed by somebody who is no person.
fn can_be_removed(state: &RunState) -> bool {
    let open = state.steps().filter_map(|(_, now)| now.ledger.as_deref()).filter(|entry| !entry.is_removed());
    open.flat_map(|entry| &entry.resources).any(|resource| resource.removable)
}

impl Sweep {
    async fn round(&mut self) -> Result<(), Error> {
        let now = self.app.now();
        let left = self.app.runs.look(|rows| {
            let left = rows.iter().filter(|(_, row)| is_left(&row.summary));
            left.map(|(run, row)| (run.clone(), row.summary.clone())).collect::<BTreeMap<_, _>>()
        });
        let left = left.await?;
        self.rests.retain(|run, _| left.contains_key(run));
        self.told.retain(|run| left.contains_key(run));
        for (run, summary) in left {
            if self.app.is_stopping() {
                return Ok(());
            }
            if is_overdue(&summary, now) && !self.told.contains(&run) {
                self.tell(&run, &summary, now).await?;
                self.told.insert(run.clone());
            }
            let rests = self.rests.get(&run).is_some_and(|until| *until > now);
            if rests || !is_due(&summary, now, self.app.settings.leftovers_ms) {
                continue;
            }
            // A run that cannot be taken up does not keep the others from being cleaned.
            let again = match self.remove(&run).await {
                Ok(true) => self.app.settings.leftovers_ms,
                Ok(false) => LONGEST_MS,
                Err(error) => {
                    tracing::warn!(%run, "what it left cannot be removed now: {error}");
                    self.app.settings.leftovers_ms
                }
            };
            self.rests.insert(run, now.saturating_add(again));
        }
        Ok(())
    }

    /// Lets the run remove what it left. False: nobody but a person can.
    async fn remove(&self, run: &RunId) -> Result<bool, Error> {
        let turn = self.app.runs.turn(run).await;
        let state = turn.load().await?.state;
        // Somebody may have come first.
        if !is_left(&Summary::of(&state)) || !can_be_removed(&state) {
            return Ok(false);
        }
        let (left, all) = lifeboat_core::ledger::left(&state);
        let why = format!("{left} of {all} things of the drill are left");
        tracing::info!(%run, left, "removing what it left");
        turn.say(Verb::Cleanup, Said { by: "the service".to_owned(), why }).await?;
        Ok(true)
    }

    /// Tells that something stayed too long. Told again after a restart, where the outbox has forgotten it.
    async fn tell(&self, run: &RunId, summary: &Summary, now: u64) -> Result<(), Error> {
        let (name, left) = (&summary.runbook, summary.left);
        let until = summary.left_until.map(lifeboat_notify::rfc3339).unwrap_or_default();
        let title = format!("[drill] {name}: what the drill made is still there");
        let text = format!(
            "{left} of the things that run {run} made may still be there, and were to be gone by {until}. The service tries to \
             remove them, in the end once a day; what it cannot remove is told with the reason."
        );
        let message = Message {
            id: format!("{run}/left"),
            run: run.0.clone(),
            runbook: name.clone(),
            mode: summary.mode.as_str().to_owned(),
            commands: vec![format!("lifeboat ledger {run}"), format!("lifeboat cleanup {run}")],
            ..Message::new(About::DrillFailed, now, &title, &text)
        };
        self.app.dispatcher.tell(&format!("{run}/left"), &message, &[], &|_| None).await
    }
}

/// What is left of drills that have ended: all, and what stayed too long.
pub(crate) fn gauges<'a>(summaries: impl Iterator<Item = &'a Summary>, now: u64) -> [Gauge<'static>; 2] {
    let (mut all, mut overdue) = (0_u32, 0_u32);
    for summary in summaries.filter(|summary| is_left(summary)) {
        let left = u32::try_from(summary.left).unwrap_or(u32::MAX);
        all = all.saturating_add(left);
        if is_overdue(summary, now) {
            overdue = overdue.saturating_add(left);
        }
    }
    let one = |count: u32| vec![(String::new(), f64::from(count))];
    [
        Gauge {
            name: "lifeboat_leftovers",
            help: "Things that drills made and that may still be there after their end.",
            values: one(all),
        },
        Gauge {
            name: "lifeboat_leftovers_overdue",
            help: "Those of runs of which something was to be gone by now.",
            values: one(overdue),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn ended(status: RunStatus, created_at: u64, updated_at: u64) -> Summary {
        Summary {
            runbook: "recover".to_owned(),
            mode: Mode::Drill,
            status,
            complete: 1,
            steps: 1,
            created_at,
            updated_at,
            finished_at: Some(updated_at),
            left: 2,
            left_until: Some(created_at + 24 * 60 * MINUTE),
            continues: None,
            declared_at: None,
            continued_as: None,
        }
    }

    #[test]
    fn it_is_tried_later_and_later_and_in_the_end_once_a_day() {
        let mut tries = Vec::new();
        let mut drill = ended(RunStatus::Succeeded, MINUTE, 3 * MINUTE);
        for now in (3..50_000).map(|minute| minute * MINUTE) {
            if is_due(&drill, now, 10 * MINUTE) {
                tries.push(now / MINUTE);
                drill.updated_at = now;
            }
        }
        assert_eq!(tries[..9], [13, 25, 49, 97, 193, 385, 769, 1_537, 2_977], "minutes");
        assert!(tries.windows(2).skip(8).all(|pair| pair[1] - pair[0] == 1_440), "then each day: {tries:?}");
        assert_eq!(tries.last().map(|last| last / 1_440), Some(29), "and for 30 days");
    }

    #[test]
    fn what_a_person_took_over_is_theirs_until_its_time_is_over() {
        let drill = ended(RunStatus::Abandoned, 0, MINUTE);
        let until = 24 * 60 * MINUTE;
        assert!(!is_due(&drill, until, MINUTE) && is_due(&drill, until + 1, MINUTE));
        assert!(is_due(&ended(RunStatus::Failed, 0, MINUTE), 2 * MINUTE, MINUTE));
        assert!(!is_overdue(&drill, until) && is_overdue(&drill, until + 1));
    }

    #[test]
    fn only_drills_that_ended_leave_something() {
        let drill = ended(RunStatus::Cancelled, 0, MINUTE);
        assert!(is_left(&drill));
        for other in [
            Summary { mode: Mode::Failover, ..drill.clone() },
            Summary { status: RunStatus::Cleaning, ..drill.clone() },
            Summary { left: 0, ..drill.clone() },
        ] {
            assert!(!is_left(&other), "{other:?}");
        }
        let late = gauges([&drill, &ended(RunStatus::Failed, u64::MAX / 2, u64::MAX / 2)].into_iter(), u64::MAX / 2);
        assert_eq!(late.map(|gauge| gauge.values[0].1), [4.0, 2.0]);
    }
}
