//! `snapshot of= into=`: all that is below a folder, into a vault.
//!
//! The snapshot carries the key of the step as a tag. By that tag a probe finds it, and a second attempt finds the work
//! of the first one instead of making another snapshot.

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults;

use crate::Settings;

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

fn label(ctx: &Context<Settings>, args: &Args) -> Result<String, Error> {
    match (&args.label, ctx.settings("of")?.label) {
        (Some(label), _) => Ok(label.clone()),
        (None, Some(label)) => Ok(label),
        (None, None) => Ok(ctx.name("of")?.to_owned()),
    }
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
        if let Some(info) = vaults::left(ctx, &vault)? {
            return Ok(info.into());
        }
        let result = vault.snapshot(&source, &label, &vaults::tags(ctx, args.tags));
        vaults::written(ctx, &vault, result).map(Into::into)
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
        findings.push(vaults::opens(ctx, "into", |vault| vault.snapshots(None))?);
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        vaults::probe(ctx, "into")
    }

    fn cleanup(ctx: &Context<Settings>, _: Args, _: Option<Outputs>) -> Result<(), Stop> {
        vaults::forget(ctx, "into")
    }
}
