//! `restore from= into=`: brings a snapshot back into a folder.
//!
//! The restored tree is byte for byte that of the snapshot: no marker is left in it. So a probe cannot tell a finished
//! restore from one that was cut off, and need not: restoring again leaves every good file as it is.

use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults;

use crate::Settings;

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// A snapshot's id, a unique beginning of one, or `latest`.
    snapshot: String,
    /// Whether files that are there already are replaced by those of the snapshot. Without it, the folder has to be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overwrite: Option<bool>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The full id of the snapshot that was restored.
    snapshot: String,
    /// Files in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
    /// When the snapshot was taken: milliseconds since the Unix epoch.
    time_ms: u64,
}

/// The step.
pub struct Restore;

impl Step for Restore {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Restore;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Restores a snapshot into a folder";
    const CAPABILITIES: &'static [Capability] = &[Capability::Dir, Capability::Vault];
    const PROBES: bool = true;
    const CLEANS: bool = true;
    const IRREVERSIBLE_WITH: &'static [&'static str] = &["overwrite"];

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let vault = ctx.vault("from", false)?;
        let into = ctx.dir("into")?;
        // A later snapshot may come between two attempts, and half of each would be restored: `latest` is settled once.
        let snapshot = match ctx.checkpoint::<String>()? {
            Some(id) => id,
            None => {
                let id = vault.find(&args.snapshot)?.id;
                if args.overwrite != Some(true) {
                    must_be_empty(ctx, &into)?;
                }
                host::checkpoint(&id)?;
                id
            }
        };
        let time_ms = vault.find(&snapshot)?.time_ms;
        let report = vault.restore(&snapshot, &into)?;
        Ok(Outputs { snapshot, files: report.files, bytes: report.bytes, time_ms })
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let settings = ctx.settings("into")?;
        let vault = ctx.name("from")?;
        Ok(vec![format!("restore the snapshot {} from the vault {vault} into {}", args.snapshot, settings.root)])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let mut findings = vaults::snapshot_is_there(ctx, &args.snapshot)?;
        let root = ctx.settings("into")?.root;
        match ctx.dir("into").and_then(|dir| dir.list(".")) {
            Ok(entries) if entries.is_empty() => findings.push(good(format!("{root} is there, and empty"))),
            Ok(entries) if args.overwrite == Some(true) => findings.push(good(format!(
                "{root} is there, with {} entries: files of the snapshot's names are replaced",
                entries.len()
            ))),
            Ok(entries) => findings.push(bad(format!(
                "{root} has {} entries; a restore without overwrite=#true needs an empty folder",
                entries.len()
            ))),
            Err(error) if error.is_not_found() => {
                findings.push(good(format!("{root} is not there yet, and is made by the restore")));
            }
            Err(error) => findings.push(finding::<()>(&format!("{root} can be reached"), Err(error))),
        }
        Ok(findings)
    }

    fn probe(_: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        Ok(Probe::DidNotHappen)
    }

    fn cleanup(ctx: &Context<Settings>, args: Args, _: Option<Outputs>) -> Result<(), Stop> {
        // The checkpoint comes before the first file, and after the look whether the folder is empty.
        if ctx.checkpoint::<String>()?.is_none() {
            return Ok(());
        }
        if args.overwrite == Some(true) {
            let message = "it was restored over what was there, and nobody can tell the two apart";
            let hint = "give the drill a folder of its own, with {{run.id}} in its root; empty this one by hand";
            return Err(Error::permanent(message).hint(hint).into());
        }
        match ctx.dir("into") {
            Ok(into) => Ok(into.remove_dir_all(".")?),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is in the way of a restore is somebody's data. A restore that was cut off goes on from its checkpoint, and does not come here.
fn must_be_empty(ctx: &Context<Settings>, into: &Directory) -> Result<(), Error> {
    let there = into.list(".")?.len();
    if there == 0 {
        return Ok(());
    }
    let root = ctx.settings("into")?.root;
    Err(Error::permanent(format!("{root} has {there} entries, and a restore would replace what it finds there")).hint(
        "restore into an empty folder, or move away what is there; overwrite=#true replaces files of the same names",
    ))
}
