//! What earlier runs say, read once for each state of a run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_readiness::{Lesson, Past, worth_reading};
use tokio::sync::Mutex;

use crate::app::App;

/// Lessons that are held. What is not needed for the look that comes next goes when there are more.
const HELD_MAX: usize = 5_000;

/// Lessons of runs, each with the number of the last event that it takes in.
#[derive(Default)]
pub(super) struct Lessons(Mutex<HashMap<RunId, (u64, Arc<Lesson>)>>);

impl Lessons {
    /// What earlier runs say, for a look at that runbook.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn of(&self, app: &App, runbook: &str) -> Result<Past, Error> {
        let wanted = app.runs.look(|rows| {
            let all = rows.iter().map(|(run, row)| (run, Some(&row.summary)));
            let wanted = worth_reading(all, runbook).into_iter();
            wanted.filter_map(|run| Some((rows.get(&run)?.seq, run))).collect::<Vec<_>>()
        });
        let wanted = wanted.await?;
        let mut held = self.0.lock().await;
        if held.len() > HELD_MAX {
            let needed: HashSet<&RunId> = wanted.iter().map(|(_, run)| run).collect();
            held.retain(|run, _| needed.contains(run));
        }
        let mut past = Past::default();
        for (seq, run) in wanted {
            let lesson = match held.get(&run) {
                Some((then, lesson)) if *then == seq => Arc::clone(lesson),
                _ => {
                    // A run whose log cannot be read says nothing; what is wrong with it, the list of runs tells.
                    let lesson = Arc::new(read(app, &run).await.unwrap_or_default());
                    held.insert(run, (seq, Arc::clone(&lesson)));
                    lesson
                }
            };
            past.learn(&lesson, runbook);
        }
        Ok(past)
    }
}

async fn read(app: &App, run: &RunId) -> Result<Lesson, Error> {
    Lesson::of_stored(&app.runs.events(run, 0).await?)
}
