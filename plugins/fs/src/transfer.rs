//! `transfer from= into=`: copies a snapshot to another vault, only what is missing there.

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::snapshot::{forget, tagged};
use crate::verify::snapshot_is_there;

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
        let from = ctx.vault("from", false)?;
        let into = ctx.vault("into", true)?;
        if ctx.attempt() > 1
            && let Some(info) = tagged(&into, &ctx.key_tag())?
        {
            return Ok(info.into());
        }
        let info = from.find(&args.snapshot)?;
        let mut tags = vec![ctx.key_tag(), ctx.run_tag()];
        tags.extend(args.tags);
        match from.copy_to(&info.id, &into, &tags) {
            Ok(copy) => Ok(copy.into()),
            Err(error) => match tagged(&into, &ctx.key_tag()) {
                Ok(Some(copy)) => Ok(copy.into()),
                Ok(None) => Err(error.into()),
                // The vault itself is gone, and with it all that was in it.
                Err(second) if second.is_not_found() => Err(error.into()),
                Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
            },
        }
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, ctx.name("into")?);
        Ok(vec![format!("copy the snapshot {} from the vault {from} to the vault {into}", args.snapshot)])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let mut findings = snapshot_is_there(ctx, &args.snapshot)?;
        let name = ctx.name("into")?;
        findings.push(match ctx.vault("into", false) {
            Ok(_) => good(format!("the vault {name} opens")),
            Err(error) if error.is_not_found() => good(format!("the vault {name} will be made at first use")),
            Err(error) => bad(format!("the vault {name} opens: {}", error.message)),
        });
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        let into = match ctx.vault("into", false) {
            Ok(vault) => vault,
            Err(error) if error.is_not_found() => return Ok(Probe::DidNotHappen),
            Err(error) => return Err(error),
        };
        Ok(match tagged(&into, &ctx.key_tag())? {
            Some(copy) => Probe::Happened(copy.into()),
            None => Probe::DidNotHappen,
        })
    }
    fn cleanup(ctx: &Context<Settings>, _: Args, _: Option<Outputs>) -> Result<(), Stop> {
        forget(ctx)
    }
}
