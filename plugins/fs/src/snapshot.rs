//! `snapshot of= into=`: all that is below a folder, into a vault.
//!
//! The snapshot carries the key of the step as a tag. By that tag a probe finds it, and a second attempt finds the work
//! of the first one instead of making another snapshot.

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;

use crate::{Settings, finding};

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// The label: a snapshot is incremental on the newest one of its label. Without it: that of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// More tags for the snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The id of the snapshot: 64 hexadecimal digits.
    snapshot: String,
    /// Files in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
    /// Bytes that it added to the vault, before compression.
    bytes_added: u64,
    /// When it was taken: milliseconds since the Unix epoch.
    time_ms: u64,
}

impl From<SnapshotInfo> for Outputs {
    fn from(info: SnapshotInfo) -> Self {
        Self {
            snapshot: info.id,
            files: info.files,
            bytes: info.bytes,
            bytes_added: info.bytes_added,
            time_ms: info.time_ms,
        }
    }
}

/// The newest snapshot with that tag.
pub fn tagged(vault: &Repository, tag: &str) -> Result<Option<SnapshotInfo>, Error> {
    Ok(vault.snapshots(Some(tag))?.pop())
}

fn label(ctx: &Context<Settings>, args: &Args) -> Result<String, Error> {
    match (&args.label, ctx.settings("of")?.label) {
        (Some(label), _) => Ok(label.clone()),
        (None, Some(label)) => Ok(label),
        (None, None) => Ok(ctx.name("of")?.to_owned()),
    }
}

/// Takes what the step put into the vault out of it again. Its bytes go with the next prune.
pub fn forget(ctx: &Context<Settings>) -> Result<(), Stop> {
    let vault = match ctx.vault("into", false) {
        Ok(vault) => vault,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for info in vault.snapshots(Some(&ctx.key_tag()))? {
        vault.forget(&info.id)?;
    }
    Ok(())
}

/// The step.
pub struct Snapshot;

impl Step for Snapshot {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Snapshot;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Takes a snapshot of a folder into a vault";
    const CAPABILITIES: &'static [Capability] = &[Capability::Dir, Capability::Vault];
    const PROBES: bool = true;
    const CLEANS: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let label = label(ctx, &args)?;
        let source = ctx.dir("of")?;
        let vault = ctx.vault("into", true)?;
        if ctx.attempt() > 1
            && let Some(info) = tagged(&vault, &ctx.key_tag())?
        {
            return Ok(info.into());
        }
        let mut tags = vec![ctx.key_tag(), ctx.run_tag()];
        tags.extend(args.tags);
        // An error may come after the snapshot was written: only what the tag says counts.
        match vault.snapshot(&source, &label, &tags) {
            Ok(info) => Ok(info.into()),
            Err(error) => match tagged(&vault, &ctx.key_tag()) {
                Ok(Some(info)) => Ok(info.into()),
                Ok(None) => Err(error.into()),
                // The vault itself is gone, and with it all that was in it.
                Err(second) if second.is_not_found() => Err(error.into()),
                Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
            },
        }
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let settings = ctx.settings("of")?;
        Ok(vec![format!(
            "take a snapshot of {} into the vault {} with the label '{}'",
            settings.root,
            ctx.name("into")?,
            label(ctx, &args)?
        )])
    }

    fn readiness(ctx: &Context<Settings>, _: Args) -> Result<Vec<Finding>, Error> {
        let root = ctx.settings("of")?.root;
        let mut findings = vec![finding(&format!("{root} can be read"), ctx.dir("of").and_then(|dir| dir.list(".")))];
        let vault = ctx.name("into")?.to_owned();
        findings.push(match ctx.vault("into", false) {
            Ok(repository) => finding(&format!("the vault {vault} opens"), repository.snapshots(None)),
            Err(error) if error.is_not_found() => good(format!("the vault {vault} will be made at first use")),
            Err(error) => bad(format!("the vault {vault} opens: {}", error.message)),
        });
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        let vault = match ctx.vault("into", false) {
            Ok(vault) => vault,
            Err(error) if error.is_not_found() => return Ok(Probe::DidNotHappen),
            Err(error) => return Err(error),
        };
        Ok(match tagged(&vault, &ctx.key_tag())? {
            Some(info) => Probe::Happened(info.into()),
            None => Probe::DidNotHappen,
        })
    }
    fn cleanup(ctx: &Context<Settings>, _: Args, _: Option<Outputs>) -> Result<(), Stop> {
        forget(ctx)
    }
}
