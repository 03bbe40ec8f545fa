//! The way in for what starts runs without a person: schedules and alerts, or a program of one's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;

use crate::app::App;
use crate::http;
use crate::library::RunbookView;
use crate::notices;
use crate::problem::Problem;

/// How alerts start a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Whether the run waits for a person before its first step that cannot be undone.
    pub(crate) stops: bool,
    /// When the alert began: the recovery time counts from there.
    pub(crate) detected_at: Option<u64>,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    app: Arc<App>,
}

impl Door {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// The runbooks as they are now, also those that are refused.
    pub fn runbooks(&self) -> Vec<RunbookView> {
        self.app.library.all().to_vec()
    }

    /// A name for a run. Who notes it before [`Door::start`] finds out after a crash whether the run was made: [`Door::made`].
    pub fn new_run(&self) -> RunId {
        self.app.runs.engine.new_run()
    }

    /// Whether there is a run of that name.
    ///
    /// # Errors
    /// The store's.
    pub async fn made(&self, run: &RunId) -> Result<bool, Error> {
        match self.app.runs.row(run).await {
            Ok(_) => Ok(true),
            Err(error) if error.code.0 == "LB0501" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a run of that name; if it has not ended, it is carried on.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn goes_on(&self, run: &RunId) -> Result<bool, Error> {
        let row = match self.app.runs.row(run).await {
            Ok(row) => row,
            Err(error) if error.code.0 == "LB0501" => return Ok(false),
            Err(error) => return Err(error),
        };
        // A store that lost its answer may have made it, and then nobody carries it on.
        if !row.summary.status.is_final() && self.app.runs.why_stopped(run).is_none() {
            let taken = self.app.runs.turn(run).await.take_up().await;
            if let Err(error) = taken {
                tracing::error!(%run, "the run is there, and cannot go on: {error}");
            }
        }
        Ok(true)
    }

    /// Tells people that what starts runs by itself needs them: it may start nothing more, or something was missed. `key` names
    /// the matter, and is told once.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell(&self, key: &str, runbook: &str, text: &str) -> Result<(), Error> {
        notices::tell_automation(&self.app, key, runbook, text).await
    }

    /// Compiles a runbook of the library, and starts a run of it under that name. `said` is recorded as who started it.
    ///
    /// # Errors
    /// `LB1056` no such runbook, `LB1064` it is refused, with its mistakes; `LB1065` the service is being stopped; the
    /// engine's.
    pub async fn start(
        &self,
        run: RunId,
        runbook: &str,
        mode: Mode,
        inputs: &BTreeMap<String, String>,
        said: Said,
    ) -> Result<RunId, Error> {
        self.begin(run, runbook, mode, inputs, said, How::default()).await
    }

    /// As [`Door::start`]; before its first step that cannot be undone, the run waits for a person.
    ///
    /// # Errors
    /// As [`Door::start`].
    pub async fn start_stopping(
        &self,
        run: RunId,
        runbook: &str,
        mode: Mode,
        inputs: &BTreeMap<String, String>,
        said: Said,
    ) -> Result<RunId, Error> {
        self.begin(run, runbook, mode, inputs, said, How { stops: true, ..How::default() }).await
    }

    /// As [`Door::start`], in the way that alerts want it.
    ///
    /// # Errors
    /// As [`Door::start`].
    pub(crate) async fn begin(
        &self,
        run: RunId,
        runbook: &str,
        mode: Mode,
        inputs: &BTreeMap<String, String>,
        said: Said,
        how: How,
    ) -> Result<RunId, Error> {
        if self.app.is_stopping() {
            return Err(Error::new("LB1065", "the service is being stopped"));
        }
        let mut compiled = http::compile(&self.app, runbook, mode, inputs).await.map_err(Problem::error)?;
        if how.stops {
            crate::alerts::ask_before_no_return(&mut compiled.plan, self.app.workshop.people());
        }
        Ok(http::begin(&self.app, run, compiled, said, how.detected_at).await?.run)
    }
}
