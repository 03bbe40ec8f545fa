//! `doctor`: looks for what is wrong, changes nothing.

use lifeboat_core::grants::Operator;
use lifeboat_core::plan::Step;
use lifeboat_core::state::{ByHand, RunState};
use lifeboat_core::{Digest, Error};
use lifeboat_host::Host;
use lifeboat_secrets::{OperatorSecrets, Secrets};
use lifeboat_store::{Finding, Options};
use serde::Serialize;

use crate::commands::evidence;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::plural;
use crate::world::World;

/// A finding as it is printed.
#[derive(Serialize)]
pub struct Row {
    /// Whether nobody has to do anything about it.
    ok: bool,
    /// All of it, for a person.
    finding: String,
    /// Its parts, where it is about the data folder.
    #[serde(flatten)]
    parts: Option<Finding>,
}

impl Row {
    fn new(ok: bool, finding: String) -> Self {
        Self { ok, finding, parts: None }
    }

    /// A finding of the store.
    pub fn of(found: &Finding) -> Self {
        Self { ok: !found.bad, finding: found.to_string(), parts: Some(found.clone()) }
    }

    /// The line or lines for a person.
    pub fn text(&self, world: &World) -> String {
        let mark = if self.ok { world.screen.out(Ink::Green, "ok ") } else { world.screen.out(Ink::Red, "BAD") };
        format!("{mark} {}", self.finding)
    }
}

/// The exit status: 1 where something is bad.
pub fn exit(rows: &[Row]) -> Exit {
    if rows.iter().all(|row| row.ok) { Exit::Success } else { Exit::RunFailed }
}

/// Looks at the operator file, the plugins and the data folder.
///
/// # Errors
/// Only what keeps it from looking at all; what it finds is its output.
pub fn doctor(world: &World) -> Result<Exit, Error> {
    let mut rows: Vec<Row> = Vec::new();
    let mut options = Ok(Options::default());
    let host = match world.host() {
        Err(error) => {
            rows.push(Row::new(false, format!("operator file and plugins: {error}")));
            None
        }
        Ok((host, operator)) => {
            let config = world.config.as_ref().map_or_else(
                || "no operator file: nothing is granted to plugins".to_owned(),
                |path| format!("operator file {} is in order", path.display()),
            );
            rows.push(Row::new(true, config));
            for (name, known) in host.catalog() {
                let pinned = if operator.pins.contains_key(&name) { "pinned" } else { "not pinned" };
                let text = format!("plugin {name} {} loads, {pinned}, {}", known.description.version, known.digest);
                rows.push(Row::new(true, text));
            }
            secrets(&operator, &mut rows);
            rows.extend(lifeboat_readiness::overlapping(&operator).into_iter().map(|(drill, production)| {
                let text = format!("LB1157: drills may change {drill}, and production's {production} is there");
                Row::new(false, text)
            }));
            options = world.store_options(&operator);
            Some(host)
        }
    };
    if world.data.exists() {
        data(world, host.as_ref(), options, &mut rows);
    } else {
        rows.push(Row::new(true, format!("data folder {}: none yet", world.data.display())));
    }
    if world.screen.json {
        put_json(&rows)?;
    } else {
        rows.iter().for_each(|row| put(&row.text(world)));
    }
    Ok(exit(&rows))
}

/// Whether each secret can be read. It is read, and not shown.
fn secrets(operator: &Operator, rows: &mut Vec<Row>) {
    let secrets = OperatorSecrets::new(operator);
    for (name, source) in secrets.sources() {
        rows.push(match secrets.get(name) {
            Ok(_) => Row::new(true, format!("secret {name} ({source}) can be read")),
            Err(error) => Row::new(false, format!("secret {name} ({source}): {error}")),
        });
    }
}

fn data(world: &World, host: Option<&Host>, options: Result<Options, Error>, rows: &mut Vec<Row>) {
    let executor = host.map(Host::executor);
    let folder = world.data.display();
    let key = options.map(|options| options.key);
    let inspected = key.clone().and_then(|key| lifeboat_store::inspect_and_read(&world.data, key.as_ref()));
    let (found, journal) = match inspected {
        Ok(both) => both,
        Err(error) => return rows.push(Row::new(false, format!("data folder {folder}: {error}"))),
    };
    let text = format!(
        "data folder {folder}: {}, {} in {}",
        plural(found.runs, "run"),
        plural(found.frames, "record"),
        plural(found.segments, "segment")
    );
    rows.push(Row::new(true, text));
    match (found.encrypted, &key) {
        (true, _) => rows.push(Row::new(true, "the journal is encrypted".to_owned())),
        (false, Ok(Some(_))) => {
            let text = "LB0617: the journal is in the clear; 'lifeboat journal encrypt' encrypts it and keeps a copy";
            rows.push(Row::new(false, text.to_owned()));
        }
        _ => {}
    }
    rows.extend(found.findings.iter().map(Row::of));
    let (mut attached, mut unready) = (Vec::new(), Vec::new());
    for state in journal.known().iter().filter_map(|run| journal.state(run).ok()) {
        attached.extend(evidence(world, &state));
        if state.result.is_none()
            && let Some(Err(error)) = executor.as_ref().map(|executor| executor.ready(&state.plan))
        {
            unready.push(missing(&state.run, &error));
        }
    }
    rows.extend(attached.into_iter().chain(unready));
}

/// A run whose plan pins a plugin that is not there.
fn missing(run: &lifeboat_core::ids::RunId, error: &Error) -> Row {
    Row::of(&Finding {
        kind: "missing-plugin",
        bad: true,
        run: Some(run.clone()),
        what: format!("it cannot go on: {}: {}", error.code, error.message),
        means: "its plan pins that plugin; none of its steps is begun and none fails, and the other runs go on"
            .to_owned(),
        remedy: error.hint.clone().unwrap_or_else(|| "bring the plugin back, then resume the run".to_owned()),
        ..Finding::default()
    })
}

/// The files that people attached to a run, where they are not what was attached.
fn evidence(world: &World, state: &RunState) -> Vec<Row> {
    let hands = |(step, now): (_, &lifeboat_core::state::StepState)| {
        let hands = now.by_hand.iter().chain(&now.attested).map(|hand| (**hand).clone());
        hands.map(move |hand| (step, hand)).collect::<Vec<(&Step, ByHand)>>()
    };
    let files = state.steps().flat_map(hands);
    let wrong = |(step, hand): (&Step, ByHand)| {
        let rows = hand.evidence.iter().filter_map(|file| {
            let path = evidence::path(&world.data, &file.digest);
            let what = match std::fs::read(&path) {
                Ok(bytes) if Digest::of(&bytes) == file.digest => return None,
                Ok(_) => "is not what was attached any more".to_owned(),
                Err(cause) => format!("cannot be read: {cause}"),
            };
            let (run, step) = (&state.run, &step.id);
            let text = format!(
                "run {run}, step '{step}': the evidence '{}' {what}\n      means nobody can show by it what was said of the step; \
                 the run goes on\n      do    bring {} back from a copy of the data folder",
                file.name,
                path.display()
            );
            Some(Row::new(false, text))
        });
        rows.collect::<Vec<_>>()
    };
    files.flat_map(wrong).collect()
}
