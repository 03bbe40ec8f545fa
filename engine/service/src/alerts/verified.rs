//! Whether alerts may start a runbook, where the operator lets them only while its drills say that it works.

use std::collections::BTreeMap;

use lifeboat_core::Error;
use lifeboat_core::measure::measure;
use lifeboat_core::plan::Mode;
use lifeboat_core::verified::{Drill, may_start_by_itself, verification};
use lifeboat_readiness::drills_of;

use crate::app::App;
use crate::http;
use crate::problem::Problem;

/// Refuses a start where it is not verified now.
///
/// # Errors
/// `LB1153` it is not verified; what keeps that from being told.
pub(super) async fn may_start(app: &App, runbook: &str) -> Result<(), Error> {
    let wanted = app.library.triggers().iter().any(|known| known.verified && known.trigger.runbook == runbook);
    if !wanted {
        return Ok(());
    }
    // What a drill of it would run now.
    let now = http::compile(app, runbook, Mode::Drill, &BTreeMap::new()).await.map_err(Problem::error)?;
    let runs = app.runs.look(|rows| drills_of(rows.iter().map(|(run, row)| (run, Some(&row.summary))), runbook));
    let mut drills = Vec::new();
    for run in runs.await? {
        let loaded = app.runs.engine.load(&run).await?;
        drills.push(Drill::of(&loaded.state, &measure(&loaded.events)?));
    }
    let found = verification(now.verification, &drills, &now.plan.source, app.now());
    may_start_by_itself(runbook, wanted, &found)
}
