//! `transfer from= into=`: copies a snapshot to another vault, only what is missing there.

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults;

use crate::Settings;

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// A snapshot's id, a unique beginning of one, or `latest`.
    snapshot: String,
    /// More tags for the copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The id of the copy in the other vault: 64 hexadecimal digits.
    snapshot: String,
    /// Files in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
}

impl From<SnapshotInfo> for Outputs {
    fn from(info: SnapshotInfo) -> Self {
        Self { snapshot: info.id, files: info.files, bytes: info.bytes }
    }
}

/// The step.
pub struct Transfer;

impl Step for Transfer {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Transfer;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Copies a snapshot to another vault";
    const CAPABILITIES: &'static [Capability] = &[Capability::Vault];
    const PROBES: bool = true;
    const CLEANS: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        vaults::transfer(ctx, &args.snapshot, args.tags).map(Into::into)
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, ctx.name("into")?);
        Ok(vec![format!("copy the snapshot {} from the vault {from} to the vault {into}", args.snapshot)])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let mut findings = vaults::snapshot_is_there(ctx, &args.snapshot)?;
        findings.push(vaults::opens(ctx, "into", |_| Ok(()))?);
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        vaults::probe(ctx, "into")
    }

    fn cleanup(ctx: &Context<Settings>, _: Args, _: Option<Outputs>) -> Result<(), Stop> {
        vaults::forget(ctx, "into")
    }
}
