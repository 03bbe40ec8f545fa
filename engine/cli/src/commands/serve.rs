//! `serve`: the service, until it is told to stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_core::grants::Operator;
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::plugin::Catalog;
use lifeboat_core::ports::{BoxFuture, Store};
use lifeboat_core::{Error, limits};
use lifeboat_readiness::Row;
use lifeboat_runbook::operator::Intake;
use lifeboat_runbook::{Diagnostic, Runbook, Trigger, check_with, compile_with};
use lifeboat_runtime::{Engine, EngineParts};
use lifeboat_secrets::{OperatorSecrets, Secrets};
use lifeboat_service::alerts::{Hook, HookKey, HookSecrets, Hooks};
use lifeboat_service::{
    AlertTrigger, Asked, Compiled, Diagnosis, InputView, Looked, Measured, Metrics, Parts, Refused, ScheduleRule,
    Server, SnapshotView, Workshop,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::args_service::ServeArgs;
use crate::clock::{SystemClock, SystemRng};
use crate::commands::plan::name_people;
use crate::exit::Exit;
use crate::files::{self, Disk};
use crate::looking::{Eyes, Sight};
use crate::screen::Ink;
use crate::supervisor::Supervisor;
use crate::view::plural;
use crate::world::World;

const VERSION: &str = concat!("lifeboat ", env!("CARGO_PKG_VERSION"));

/// The compiler with the plugins and the operator's file as they were at the start.
struct Bench {
    catalog: Catalog,
    operator: Operator,
    intake: Intake,
    eyes: Eyes,
}

/// The secrets of hooks.
struct Keys(OperatorSecrets);

impl HookSecrets for Keys {
    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        Ok(self.0.get(name)?.expose().to_vec())
    }
}

/// The hooks of the operator's file.
fn hooks(intake: &Intake, operator: &Operator) -> Hooks {
    let hook = |hook: &lifeboat_runbook::operator::Hook| Hook {
        source: hook.source.clone(),
        key: hook.secret.clone().map(|secret| HookKey { secret, scheme: hook.scheme, window_ms: hook.window_ms }),
    };
    let all = intake.hooks.iter().map(|(name, found)| (name.clone(), hook(found))).collect();
    Hooks::new(all, Arc::new(Keys(OperatorSecrets::new(operator))))
}

fn told(found: &Diagnostic) -> Diagnosis {
    let value = serde_json::to_value(found).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_else(|_| Diagnosis {
        code: found.code.to_owned(),
        severity: "error".to_owned(),
        message: found.message.clone(),
        file: found.file.clone(),
        line: 0,
        column: 0,
        help: None,
    })
}

fn unread(file: &Path, error: Error) -> Diagnosis {
    Diagnosis {
        code: error.code.to_string(),
        severity: "error".to_owned(),
        message: error.context.iter().fold(error.message, |text, (_, value)| format!("{text}: {value}")),
        file: file.display().to_string(),
        line: 1,
        column: 1,
        help: error.hint,
    }
}

impl Bench {
    /// What starts a runbook by itself: by the clock, and by alerts as far as the operator lets them.
    fn starts(&self, runbook: &Runbook) -> (Vec<ScheduleRule>, Vec<AlertTrigger>) {
        let (mut schedules, mut alerts) = (Vec::new(), Vec::new());
        let automatic = self.intake.automatic(&runbook.name);
        for trigger in &runbook.triggers {
            match trigger {
                // What has no rule was told as a mistake.
                Trigger::Schedule(found) => schedules.extend(found.rule(&runbook.name).ok().map(|rule| ScheduleRule {
                    runbook: runbook.name.clone(),
                    mode: found.mode,
                    spec: found.spec.clone(),
                    rule,
                })),
                Trigger::Alert(found) => alerts.push(AlertTrigger {
                    trigger: found.trigger(&runbook.name, automatic.past_no_return),
                    allowed: automatic.start,
                    verified: automatic.verified,
                }),
            }
        }
        (schedules, alerts)
    }
}

impl Workshop for Bench {
    fn look(&self, file: &Path) -> Looked {
        let source = match files::read_source(file) {
            Ok(source) => source,
            Err(error) => return Looked { diagnostics: vec![unread(file, error)], ..Looked::default() },
        };
        let checked = check_with(&source, &Disk, &self.catalog);
        let diagnostics = checked.diagnostics.iter().map(told).collect();
        let files = checked.files.iter().map(PathBuf::from).collect();
        let Some(runbook) = checked.runbook else { return Looked { diagnostics, files, ..Looked::default() } };
        let input = |input: &lifeboat_runbook::Input| InputView {
            name: input.name.text.clone(),
            kind: input.kind.as_str().to_owned(),
            required: input.required,
        };
        let (schedules, alerts) = self.starts(&runbook);
        Looked {
            description: runbook.description.clone(),
            modes: runbook.modes().into_iter().collect(),
            inputs: runbook.inputs.iter().map(input).collect(),
            objectives: runbook.objectives,
            name: Some(runbook.name),
            diagnostics,
            files,
            schedules,
            alerts,
        }
    }

    fn compile(&self, file: &Path, mode: Mode, inputs: &BTreeMap<String, String>) -> Result<Compiled, Refused> {
        let source = files::read_source(file).map_err(Refused::Error)?;
        let made = compile_with(&source, &Disk, &self.catalog, mode, inputs);
        let mut made = made.map_err(|found| Refused::Mistakes(found.iter().map(told).collect()))?;
        name_people(&mut made.plan, &self.operator).map_err(Refused::Error)?;
        let warnings = made.warnings.iter().map(told).collect();
        Ok(Compiled { plan: made.plan, text: made.text, warnings, verification: made.verification })
    }

    fn readiness(&self, asked: Asked) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move {
            let Asked { plan, verification, past, site_lost, limit } = &asked;
            let (verification, site_lost, limit) = (*verification, site_lost.as_deref(), Some(*limit));
            self.eyes.look(&Sight { plan, verification, past, site_lost, limit }).await
        })
    }

    fn snapshots(&self, plan: Plan, vault: String) -> BoxFuture<'_, Result<Vec<SnapshotView>, Error>> {
        Box::pin(async move { self.eyes.snapshots(&plan, &vault).await })
    }

    fn plugins(&self) -> Vec<Value> {
        let known = self.catalog.values();
        known.map(|known| json!({ "digest": known.digest, "description": known.description })).collect()
    }

    fn people(&self) -> Vec<String> {
        let all: std::collections::BTreeSet<&String> = self.operator.roles.values().flatten().collect();
        all.into_iter().cloned().collect()
    }

    fn roles_of(&self, person: &str) -> Option<Vec<String>> {
        self.operator.roles_of(person)
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from its start.
pub async fn serve(world: &World, args: ServeArgs) -> Result<Exit, Error> {
    let (host, operator) = world.host()?;
    let mut settings = operator.service.clone().unwrap_or_default();
    settings.listen = args.listen.unwrap_or(settings.listen);
    settings
        .runbooks
        .extend(args.runbooks.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())));
    settings.safe()?;
    let intake = world.intake()?;
    let (store, _) = world.store(&operator)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let metrics = Arc::new(Metrics::new());
    let courier = World::courier(&operator)?;
    let parallel = operator.max_parallel.unwrap_or(limits::PARALLEL_GLOBAL_DEFAULT);
    let engine = Engine::new(EngineParts {
        store: Arc::new(Measured::new(Arc::clone(&store), Arc::clone(&metrics))),
        executor: World::executor(&host, &courier),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        max_parallel: usize::try_from(parallel).unwrap_or(usize::MAX),
        version: VERSION.to_owned(),
    });
    let tls = settings.tls.is_some();
    let grace_s = settings.grace_ms / 1_000;
    let server = Server::start(Parts {
        engine,
        store,
        clock: Arc::new(SystemClock),
        hooks: hooks(&intake, &operator),
        workshop: Arc::new(Bench {
            catalog: host.catalog(),
            eyes: Eyes::new(host, operator.clone()),
            operator,
            intake,
        }),
        metrics,
        settings,
        courier,
        rng: Arc::new(SystemRng),
        folder: world.data.clone(),
        version: VERSION.to_owned(),
    })
    .await?;
    greet(world, &server, tls);
    let supervisor = Supervisor::new();
    supervisor.say(&format!("READY=1\nSTATUS=serving on {}", server.address()));
    stay(&server, &supervisor).await?;
    tracing::info!("stopping");
    // What is under way may take its time; systemd is told how much of it there is.
    supervisor.say(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", (grace_s + 30) * 1_000_000));
    world
        .screen
        .say(&format!("stopping: what is under way has {grace_s} s to come to its end; a second Ctrl-C cuts it off"));
    let left = tokio::select! {
        left = server.stop() => left,
        again = told_to_stop() => {
            again?;
            world.screen.say("cut off; what was under way is asked about at the next start");
            std::process::exit(130);
        }
    };
    if left > 0 {
        let runs = plural(u64::try_from(left).unwrap_or(u64::MAX), "run");
        world.screen.say(&format!("{runs} had attempts under way; they are asked about at the next start"));
    }
    world.screen.say("stopped; nothing is lost");
    tracing::info!(left, "stopped");
    Ok(Exit::Success)
}

/// Until somebody wants the service to stop. A supervisor with a watchdog hears that it is well for as long as its store answers.
async fn stay(server: &Server, supervisor: &Supervisor) -> Result<(), Error> {
    let Some(every) = supervisor.watchdog() else { return told_to_stop().await };
    let told = told_to_stop();
    tokio::pin!(told);
    loop {
        tokio::select! {
            told = &mut told => return told,
            () = tokio::time::sleep(every) => {
                if server.is_well().await {
                    supervisor.say("WATCHDOG=1");
                }
            }
        }
    }
}

fn greet(world: &World, server: &Server, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let address = world.screen.err(Ink::Bold, &format!("{scheme}://{}", server.address()));
    world.screen.say(&format!("serving on {address}; stop it with Ctrl-C"));
    let (good, refused) = server.runbooks();
    tracing::info!(address = %server.address(), tls, good, refused, "serving");
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    world.screen.say(&format!("{}, {} refused (GET /v1/runbooks tells why)", plural(count(good), "runbook"), refused));
    let (up, bad) = server.taken_up();
    if up > 0 {
        world.screen.say(&format!("{} taken up again", plural(count(up), "run")));
    }
    if bad > 0 {
        let word = world.screen.err(Ink::Yellow, "note");
        world.screen.say(&format!("{word}: {} cannot go on; 'lifeboat doctor' tells more", plural(count(bad), "run")));
    }
}

/// Ready when a person or the system wants the service to stop.
async fn told_to_stop() -> Result<(), Error> {
    let deaf = |cause: std::io::Error| Error::new("LB0904", "the system gives no signals").with("cause", cause);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told.map_err(deaf),
        _ = terminate.recv() => Ok(()),
    }
}
