//! `readiness`: whether a plan could be carried out now, without doing any of it. All that is in the way is told at once, each
//! with what mends it.

mod lints;
mod probes;

pub use lints::overlapping;

use lifeboat_core::Error;
use lifeboat_core::grants::{Lost, Operator};
use lifeboat_core::plan::Plan;
use lifeboat_host::ports::Secrets;
use lifeboat_host::{Host, OperatorSecrets};
use serde::Serialize;
use serde_json::json;

use crate::args_drill::ReadinessArgs;
use crate::commands::{measure, plan};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::plural;
use crate::world::World;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Whether it is as it has to be.
    pub ok: bool,
    /// What it is about: a step, a target, a secret, a plugin.
    pub about: String,
    /// What was found.
    pub finding: String,
    /// The code of what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Row {
    fn good(about: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { ok: true, about: about.into(), finding: finding.into(), code: None, mend: None }
    }

    fn bad(about: impl Into<String>, error: Error) -> Self {
        let mend = error.hint.unwrap_or_else(|| format!("'lifeboat explain {}' tells what can be done", error.code));
        let code = Some(error.code.to_string());
        Self { ok: false, about: about.into(), finding: error.message, code, mend: Some(mend) }
    }

    fn text(&self, world: &World) -> String {
        let mark = if self.ok { world.screen.out(Ink::Green, "ok ") } else { world.screen.out(Ink::Red, "BAD") };
        let code = self.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
        let mend = self.mend.as_ref().map_or(String::new(), |mend| format!("\n      mend: {mend}"));
        format!("{mark} {}: {code}{}{mend}", self.about, self.finding)
    }
}

/// Looks, and says what it found. The exit status is 1 where something is in the way.
///
/// # Errors
/// What keeps it from looking at all: a runbook or an operator's file that cannot be read; `LB1155` no target is at that site.
pub async fn readiness(world: &World, args: &ReadinessArgs) -> Result<Exit, Error> {
    let (mut host, mut operator) = world.host()?;
    let Some(compiled) = plan::compile(world, &args.runbook, &host.catalog(), &operator)? else {
        return Ok(Exit::Refused);
    };
    let plan = &compiled.plan;
    let mut rows = Vec::new();
    if let Some(site) = &args.site_lost {
        let lost = Lost::site(plan, site);
        if lost.targets.is_empty() {
            return Err(no_site(plan, site));
        }
        rows.extend(lints::needs_lost(plan, site, &lost));
        operator.lost = lost;
        host = world.host_of(operator.clone())?;
    }
    plugins(plan, &operator, &mut rows);
    secrets(plan, &operator, &mut rows);
    lints::overlaps(plan, &operator, &mut rows);
    lints::provided_later(plan, &compiled.graph, &mut rows);
    probes::steps(&host, &operator, &compiled, &mut rows).await;
    probes::vaults(world, &host, &operator, plan, &mut rows).await;
    let verified = measure::verified(world, &plan.runbook, compiled.verification, &plan.source)?;
    let words = measure::told(&verified);
    rows.push(if verified.holds() || compiled.verification.is_none() {
        Row::good("verification", words)
    } else {
        let error = Error::new("LB1153", words).hint(format!("lifeboat drill {}", args.runbook.runbook.display()));
        Row::bad("verification", error)
    });
    show(world, plan, args, &rows)
}

fn show(world: &World, plan: &Plan, args: &ReadinessArgs, rows: &[Row]) -> Result<Exit, Error> {
    let bad = rows.iter().filter(|row| !row.ok).count();
    if world.screen.json {
        let (runbook, mode) = (&plan.runbook, plan.mode);
        put_json(
            &json!({ "runbook": runbook, "mode": mode, "site_lost": args.site_lost, "ready": bad == 0, "rows": rows }),
        )?;
    } else {
        rows.iter().for_each(|row| put(&row.text(world)));
        let lost = args.site_lost.as_ref().map_or(String::new(), |site| format!(", with site '{site}' lost"));
        let state = if bad == 0 { "ready".to_owned() } else { format!("not ready: {}", plural(bad as u64, "problem")) };
        put(&format!("{} in mode {}{lost}: {state}", plan.runbook, plan.mode.as_str()));
    }
    Ok(if bad == 0 { Exit::Success } else { Exit::RunFailed })
}

fn no_site(plan: &Plan, site: &str) -> Error {
    let mut names: Vec<&str> = plan.targets.values().filter_map(|target| target.site.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let hint = if names.is_empty() {
        "write site=\"NAME\" on the targets".to_owned()
    } else {
        format!("its targets are at: {}", names.join(", "))
    };
    Error::new("LB1155", format!("no target of the plan is at a site '{site}'")).hint(hint)
}

/// The plugins that the plan pins: the operator's own pins were held against them when they were loaded.
fn plugins(plan: &Plan, operator: &Operator, rows: &mut Vec<Row>) {
    for (name, pin) in &plan.plugins {
        let pinned = if operator.pins.contains_key(name) { "pinned by the operator" } else { "not pinned" };
        rows.push(Row::good(
            format!("plugin {name}"),
            format!("{} is there, {pinned}, {}", pin.version, pin.digest.short()),
        ));
    }
}

/// Whether each secret that the plan names can be read. It is read, and not shown.
fn secrets(plan: &Plan, operator: &Operator, rows: &mut Vec<Row>) {
    let secrets = OperatorSecrets::new(operator);
    let mut names: Vec<&String> = plan.targets.values().flat_map(|target| target.secrets.values()).collect();
    names.sort();
    names.dedup();
    for name in names {
        rows.push(match secrets.get(name) {
            Ok(_) => Row::good(format!("secret {name}"), "it can be read"),
            Err(error) => Row::bad(format!("secret {name}"), error),
        });
    }
}

/// An error that a failure of the sandbox or of a vault stands for.
fn error_of(failure: lifeboat_core::Failure, otherwise: &'static str) -> Error {
    let mut error = Error::new(otherwise, failure.message);
    if let Some(code) = failure.code {
        error.code = code;
    }
    error.hint = failure.hint;
    error
}

/// The host as it was put together for this look.
type Looked<'a> = (&'a Host, &'a Operator);
