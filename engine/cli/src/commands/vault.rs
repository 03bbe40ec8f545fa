//! `vault`: looking after a vault as a whole. What changes it is shown first as a plan with a fingerprint, and is done only
//! as it was shown.

use std::sync::Arc;

use lifeboat_core::ports::{AttemptSink, BoxFuture};
use lifeboat_core::{Error, Failure};
use lifeboat_vault::{
    DamagedSnapshot, Fate, ForgetPlan, Group, LockInfo, PackFate, PrunePlan, RepairPlan, Upkeep, VaultReport,
};
use serde::Serialize;

use crate::args_vault::{Depth, VaultArgs, VaultCommand};
use crate::clock::utc;
use crate::commands::snapshots::place;
use crate::exit::Exit;
use crate::looking::of_vault;
use crate::screen::{Ink, Screen, put, put_json};
use crate::view::duration::bytes;
use crate::world::World;

/// So many packs are listed for people; `--json` has all.
const LISTED: usize = 20;

/// A plan, and whether it was carried out.
#[derive(Serialize)]
struct Shown<'a, T: Serialize> {
    applied: bool,
    #[serde(flatten)]
    plan: &'a T,
}

/// Says what the vault says while it works.
struct Speaker(Screen);

impl AttemptSink for Speaker {
    fn progress(&self, _: u64, _: Option<u64>, _: &str, _: &str) {}
    fn log(&self, level: &str, message: &str) {
        self.0.say(&format!("{level}: {message}"));
    }
    fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// Carries out a command about a vault.
///
/// # Errors
/// What the vault, the runbook or the operator file has against it.
pub async fn vault(world: &World, command: VaultCommand) -> Result<Exit, Error> {
    let (VaultCommand::Forget { at, .. }
    | VaultCommand::Prune { at, .. }
    | VaultCommand::Check { at, .. }
    | VaultCommand::Repair { at, .. }
    | VaultCommand::Unlock { at }) = &command;
    let VaultArgs { vault, runbook, mode } = at;
    let Some((store, password)) = place(world, vault, runbook, mode).await? else { return Ok(Exit::Refused) };
    let name = vault.clone();
    let upkeep = Upkeep::open(store, password).await.map_err(|failure| of_vault(failure, &name))?;
    carry_out(&world.screen, &upkeep, command).await.map_err(|ended| match ended {
        Ended::Failed(failure) => of_vault(failure, &name),
        Ended::Told(error) => error,
    })
}

/// Why a command ends early.
enum Ended {
    Failed(Failure),
    Told(Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

async fn carry_out(screen: &Screen, upkeep: &Upkeep, command: VaultCommand) -> Result<Exit, Ended> {
    let sink: Arc<dyn AttemptSink> = Arc::new(Speaker(*screen));
    match command {
        VaultCommand::Forget { keep, apply, .. } => {
            let applied = apply.is_some();
            let plan = match apply {
                Some(fingerprint) => upkeep.forget(keep.rules(), fingerprint).await?,
                None => upkeep.forget_plan(keep.rules(), sink).await?,
            };
            show(screen, applied, &plan, forget_lines)
        }
        VaultCommand::Prune { max_unused, apply, .. } => {
            let applied = apply.is_some();
            let plan = match apply {
                Some(fingerprint) => upkeep.prune(max_unused, fingerprint, sink).await?,
                None => upkeep.prune_plan(max_unused, sink).await?,
            };
            show(screen, applied, &plan, prune_lines)
        }
        VaultCommand::Repair { depth, apply, .. } => {
            let (applied, deep) = (apply.is_some(), depth == Depth::Data);
            let plan = match apply {
                Some(fingerprint) => upkeep.repair(deep, fingerprint, sink).await?,
                None => upkeep.repair_plan(deep, sink).await?,
            };
            show(screen, applied, &plan, repair_lines)
        }
        VaultCommand::Check { depth, .. } => {
            let deep = depth == Depth::Data;
            let report = upkeep.check(deep, sink).await?;
            if screen.json {
                put_json(&report)?;
            } else {
                check_lines(screen, &report, deep).iter().for_each(|line| put(line));
            }
            Ok(if report.problems.is_empty() && report.damaged.is_empty() { Exit::Success } else { Exit::RunFailed })
        }
        VaultCommand::Unlock { .. } => {
            let locks = upkeep.unlock().await?;
            if screen.json {
                put_json(&locks)?;
            } else if locks.is_empty() {
                screen.say("the vault has no locks");
            } else {
                locks.iter().for_each(|lock| put(&lock_line(screen, lock)));
            }
            Ok(Exit::Success)
        }
    }
}

/// A plan on the screen, and how to carry it out. `lines` gives its fingerprint where there is something to do.
fn show<T: Serialize>(
    screen: &Screen,
    applied: bool,
    plan: &T,
    lines: impl Fn(&Screen, &T) -> (Vec<String>, Option<String>),
) -> Result<Exit, Ended> {
    if screen.json {
        put_json(&Shown { applied, plan })?;
        return Ok(Exit::Success);
    }
    let (lines, todo) = lines(screen, plan);
    lines.iter().for_each(|line| put(line));
    match todo {
        None => screen.say("nothing to do"),
        Some(_) if applied => screen.say("done"),
        Some(fingerprint) => {
            screen.say("nothing was changed; to do exactly this, give the same command with");
            screen.say(&format!("  --apply {fingerprint}"));
        }
    }
    Ok(Exit::Success)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A list that is cut after some lines.
fn listed<T>(items: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(LISTED).map(line).collect();
    if items.len() > LISTED {
        lines.push(format!("  and {} more (--json lists all)", items.len() - LISTED));
    }
    lines
}

fn group_line(group: &Group) -> String {
    let mut parts = vec!["snapshots".to_owned()];
    parts.extend(group.host.as_ref().map(|host| format!("of host {host}")));
    parts.extend(group.paths.as_ref().map(|paths| format!("of {}", paths.join(", "))));
    parts.extend(group.tags.as_ref().map(|tags| format!("with tags [{}]", tags.join(", "))));
    parts.extend(group.label.as_ref().map(|label| format!("with label '{label}'")));
    parts.join(" ")
}

fn forget_lines(screen: &Screen, plan: &ForgetPlan) -> (Vec<String>, Option<String>) {
    let mut lines = Vec::new();
    for group in &plan.groups {
        lines.push(screen.out(Ink::Bold, &group_line(group)));
        let mut rows: Vec<(&Fate, bool)> = group.keep.iter().map(|fate| (fate, true)).collect();
        rows.extend(group.remove.iter().map(|fate| (fate, false)));
        rows.sort_by_key(|(fate, _)| std::cmp::Reverse(fate.time_ms));
        for (fate, keep) in rows {
            let (verb, why) = if keep { ("keep  ", fate.reasons.join(", ")) } else { ("remove", String::new()) };
            let ink = if keep { Ink::Green } else { Ink::Red };
            let row = format!(
                "  {} {}  {} UTC  {}  {why}",
                screen.out(ink, verb),
                short(&fate.id),
                utc(fate.time_ms),
                fate.label
            );
            lines.push(row.trim_end().to_owned());
        }
    }
    let gone = plan.removed().count();
    let all: usize = plan.groups.iter().map(|group| group.keep.len() + group.remove.len()).sum();
    lines.push(format!("{gone} of {all} snapshots go"));
    if let Some(freed) = plan.bytes_freed_by_prune {
        lines.push(format!("a prune after it frees {}", bytes(freed)));
    }
    (lines, (gone > 0).then(|| plan.fingerprint.clone()))
}

fn pack_line(verb: &str) -> impl Fn(&PackFate) -> String {
    move |pack| format!("  {verb} {}  {:>10}  {}", short(&pack.id), bytes(pack.bytes), pack.why)
}

fn prune_lines(_: &Screen, plan: &PrunePlan) -> (Vec<String>, Option<String>) {
    let mut lines = listed(&plan.delete, pack_line("delete "));
    lines.extend(listed(&plan.rewrite, |pack| {
        let (all, kept) = (bytes(pack.bytes), bytes(pack.bytes_kept));
        format!("  rewrite {}  {all:>10}  {kept} of it is needed", short(&pack.id))
    }));
    let (gone, fresh) = (plan.delete.len(), plan.rewrite.len());
    lines.push(format!("{} snapshots stay whole; {gone} packs go, {fresh} are rewritten", plan.snapshots));
    lines.push(format!(
        "{} of {} come free; {} stay unused",
        bytes(plan.bytes_freed),
        bytes(plan.bytes_before),
        bytes(plan.bytes_unused)
    ));
    (lines, (!plan.is_empty()).then(|| plan.fingerprint.clone()))
}

fn damaged_line(snapshot: &DamagedSnapshot) -> String {
    let fate = if snapshot.mendable { "whole after a repair" } else { "lost" };
    let id = short(&snapshot.id);
    format!("  snapshot {id}  {} UTC  {}  {fate}: {}", utc(snapshot.time_ms), snapshot.label, snapshot.why)
}

fn repair_lines(_: &Screen, plan: &RepairPlan) -> (Vec<String>, Option<String>) {
    let mut lines = listed(&plan.index_add, pack_line("index "));
    lines.extend(listed(&plan.index_drop, pack_line("forget")));
    lines.extend(listed(&plan.rewrite, |pack| {
        format!("  save   {}  {} of {}", short(&pack.id), bytes(pack.bytes_kept), bytes(pack.bytes))
    }));
    lines.extend(listed(&plan.set_aside, |file| format!("  set aside {}: {}", file.key, file.why)));
    lines.extend(plan.mended.iter().chain(&plan.lost).map(damaged_line));
    if !plan.set_aside.is_empty() {
        lines.push("what is set aside is kept in the vault's store below removed/".to_owned());
    }
    lines.push(format!("{} snapshots become whole, {} are lost", plan.mended.len(), plan.lost.len()));
    (lines, (!plan.is_empty()).then(|| plan.fingerprint.clone()))
}

fn check_lines(screen: &Screen, report: &VaultReport, deep: bool) -> Vec<String> {
    let mut lines = listed(&report.problems, |problem| format!("  {} {problem}", screen.out(Ink::Red, "BAD")));
    lines.extend(report.damaged.iter().map(damaged_line));
    lines.extend(listed(&report.notes, |note| format!("  note: {note}")));
    let (packs, all) = (report.packs, bytes(report.bytes));
    let read = if deep { format!("{} read and hashed", bytes(report.bytes_read)) } else { "no data read".to_owned() };
    lines.push(format!("{} snapshots, {packs} packs, {all}; {read}", report.snapshots));
    if report.problems.is_empty() && report.damaged.is_empty() {
        lines.push(if deep {
            "no damage was found".to_owned()
        } else {
            "no damage was found in the structure: index, trees and sizes; --depth data reads and hashes all".to_owned()
        });
    } else {
        lines.push("'lifeboat vault repair' shows what can be mended".to_owned());
    }
    lines
}

fn lock_line(screen: &Screen, lock: &LockInfo) -> String {
    let id = short(&lock.id);
    if lock.host.is_empty() {
        return format!(
            "  {} {id}  it cannot be read; it keeps nobody out of Lifeboat",
            screen.out(Ink::Yellow, "kept   ")
        );
    }
    let kind = if lock.exclusive { "exclusive" } else { "shared" };
    let whose = format!("{}@{} process {} since {}, {kind}", lock.user, lock.host, lock.pid, lock.time);
    match &lock.stale {
        Some(why) => format!("  {} {id}  {whose}: {why}", screen.out(Ink::Green, "removed")),
        None => format!("  {} {id}  {whose}: its process may be alive", screen.out(Ink::Yellow, "kept   ")),
    }
}

#[cfg(test)]
mod tests;
