//! Looks that nobody asked for: at every good runbook in all its modes but drill, at the start, each interval, and when the runbook
//! has changed. One after the other, so that they never take more than one place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::plan::Mode;
use lifeboat_core::service::ReadinessLooks;
use lifeboat_readiness::Row;
use tokio::task::JoinHandle;

use super::kept::{Kept, key, news};
use crate::app::App;
use crate::http;
use crate::library::RunbookView;
use crate::problem::Problem;

/// How often it is looked whether a look is due.
const TICK: Duration = Duration::from_secs(1);

/// When a runbook was looked at, and as what.
type Seen = BTreeMap<String, (u64, u64)>;

/// Begins to look, where the operator wants that.
pub(crate) fn begin(app: &Arc<App>) -> Option<JoinHandle<()>> {
    let wish = app.settings.readiness.clone()?;
    let app = Arc::clone(app);
    Some(tokio::spawn(async move {
        for (book, _) in app.library.good() {
            for mode in modes(&book) {
                if let Err(error) = before(&app, &book.name, mode).await {
                    tracing::error!(runbook = book.name, "the last look at it cannot be read: {error}");
                }
            }
        }
        let mut seen = Seen::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            round(&app, &wish, &mut seen).await;
        }
    }))
}

fn modes(book: &RunbookView) -> impl Iterator<Item = Mode> + '_ {
    book.modes.iter().copied().filter(|mode| *mode != Mode::Drill)
}

/// Looks at what is due.
async fn round(app: &Arc<App>, wish: &ReadinessLooks, seen: &mut Seen) {
    let all = app.library.good();
    let names: BTreeSet<(String, &'static str)> =
        all.iter().flat_map(|(book, _)| modes(book).map(|mode| (book.name.clone(), mode.as_str()))).collect();
    app.looks.last().retain(|name, _| names.contains(name));
    seen.retain(|name, _| all.iter().any(|(book, _)| book.name == *name));
    for (book, number) in all {
        let now = app.now();
        let is_due = seen.get(&book.name).is_none_or(|(then, at)| {
            // A clock that was set back is no reason to wait for it.
            *then != number || now.saturating_sub(*at) >= wish.every_ms || now < *at
        });
        if !is_due {
            continue;
        }
        match visit(app, wish, &book).await {
            Ok(true) => drop(seen.insert(book.name, (number, now))),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(runbook = book.name, "its readiness cannot be looked at: {error}");
                seen.insert(book.name, (number, now));
            }
        }
    }
}

/// Looks at a runbook in all its modes, and tells people where it turned. False: some look could not be taken now.
///
/// # Errors
/// The store's.
async fn visit(app: &Arc<App>, wish: &ReadinessLooks, book: &RunbookView) -> Result<bool, Error> {
    let (mut done, mut turned) = (true, Vec::new());
    for mode in modes(book) {
        match look_at(app, wish, book, mode).await? {
            Some(kept) => turned.extend(Some(kept).filter(Kept::is_news)),
            None => done = false,
        }
    }
    if let Some((matter, message)) = news(&turned, &book.file) {
        // Kept before it is told: after a crash in between it is told under the same name, and so once.
        app.dispatcher.tell(&matter, &message, &[], &|_| None).await?;
        for kept in turned {
            keep(app, &Kept { told: true, ..kept }).await?;
        }
    }
    Ok(done)
}

/// What was kept of the last look.
async fn before(app: &App, runbook: &str, mode: Mode) -> Result<Option<Kept>, Error> {
    let name = (runbook.to_owned(), mode.as_str());
    if let Some(kept) = app.looks.last().get(&name) {
        return Ok(Some(kept.clone()));
    }
    let found: Option<(u64, Kept)> = app.looks.documents.read(&key(runbook, mode)).await?;
    let kept = found.map(|(_, kept)| kept);
    if let Some(kept) = &kept {
        app.looks.last().insert(name, kept.clone());
    }
    Ok(kept)
}

async fn keep(app: &App, kept: &Kept) -> Result<(), Error> {
    app.looks.documents.set(&key(&kept.look.runbook, kept.look.mode), kept).await?;
    app.looks.last().insert((kept.look.runbook.clone(), kept.look.mode.as_str()), kept.clone());
    Ok(())
}

/// Looks at a runbook in a mode, and keeps what was found. `None`: it could not be looked at now.
///
/// # Errors
/// The store's.
async fn look_at(app: &Arc<App>, wish: &ReadinessLooks, book: &RunbookView, mode: Mode) -> Result<Option<Kept>, Error> {
    let before = before(app, &book.name, mode).await?;
    let Some(rows) = rows(app, wish, book, mode).await else { return Ok(None) };
    // What is being stopped fails in its own way, which is no finding.
    if app.is_stopping() {
        return Ok(None);
    }
    let kept = Kept::after(before.as_ref(), &book.name, mode, rows, app.now());
    keep(app, &kept).await?;
    if before.is_none_or(|before| before.look.ready != kept.look.ready) {
        let (ready, problems) = (kept.look.ready, kept.look.problems);
        tracing::info!(runbook = book.name, mode = mode.as_str(), ready, problems, "looked at readiness");
    }
    Ok(Some(kept))
}

/// What a look finds; `None`: it cannot be taken now.
async fn rows(app: &Arc<App>, wish: &ReadinessLooks, book: &RunbookView, mode: Mode) -> Option<Vec<Row>> {
    let mut inputs = BTreeMap::new();
    let mut missing = Vec::new();
    for input in book.inputs.iter().filter(|input| input.required) {
        match wish.inputs.get(&input.name) {
            Some(value) => drop(inputs.insert(input.name.clone(), value.clone())),
            None => missing.push(without(&input.name)),
        }
    }
    if !missing.is_empty() {
        return Some(missing);
    }
    let compiled = match http::compile(app, &book.name, mode, &inputs).await {
        Ok(compiled) => compiled,
        Err(problem) => return refused(problem),
    };
    match super::look(app, compiled, None).await {
        Ok(found) => Some(found.rows),
        Err(error) if error.code.0 == "LB1202" => None,
        Err(error) => Some(vec![Row::bad("readiness", error)]),
    }
}

fn without(input: &str) -> Row {
    let message = "the runbook requires it, and nobody gives a value where nobody asks for a look";
    let hint = format!(
        "write readiness every=\"…\" {{ input \"{input}\" \"VALUE\" }} in the operator's file, or give it a default"
    );
    Row::bad(format!("input {input}"), Error::new("LB1200", message).hint(hint))
}

/// A runbook that makes no plan is not ready. One that was just taken away or renamed is no runbook any more.
fn refused(problem: Problem) -> Option<Vec<Row>> {
    if matches!(problem.code.as_str(), "LB1056" | "LB1057") {
        return None;
    }
    let first = problem.diagnostics.iter().find(|found| found.is_error());
    let first = first.map(|found| format!(": {}: {}", found.code, found.message));
    let mut error = problem.clone().error();
    error.message.push_str(&first.unwrap_or_default());
    Some(vec![Row::bad("plan", error)])
}
