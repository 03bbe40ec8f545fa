//! `verify from=`: proves that a snapshot is whole, as deep as it is asked to.

use lifeboat_sdk::host;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults;

use crate::Settings;

/// Problems that the message names; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;

/// How much of a snapshot is proved.
#[data]
#[serde(rename_all = "lowercase")]
#[derive(Clone, Copy, Default)]
pub enum Depth {
    /// Everything that is named is there.
    Index,
    /// Every byte read and hashed.
    #[default]
    Data,
    /// Restored to scratch, and compared.
    Restore,
}

impl Depth {
    fn words(self) -> &'static str {
        match self {
            Depth::Index => "that all it names is there",
            Depth::Data => "every byte of it",
            Depth::Restore => "it by restoring it to scratch",
        }
    }
}

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// A snapshot's id, a unique beginning of one, or `latest`.
    snapshot: String,
    /// How much is proved.
    #[serde(default)]
    depth: Depth,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The full id of the snapshot that was proved.
    snapshot: String,
    /// Files that were proved.
    files: u64,
    /// Bytes that were proved.
    bytes: u64,
    /// How much was proved.
    depth: Depth,
}

/// The step.
pub struct Verify;

impl Step for Verify {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Verify;
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Proves that a snapshot is whole";
    const CAPABILITIES: &'static [Capability] = &[Capability::Vault];

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let vault = ctx.vault("from", false)?;
        // `latest` is made a full id first, so that what is proved is what the outputs name.
        let info = vault.find(&args.snapshot)?;
        let depth = match args.depth {
            Depth::Index => host::Depth::Index,
            Depth::Data => host::Depth::Data,
            Depth::Restore => host::Depth::Restore,
        };
        let report = vault.check(&info.id, depth)?;
        if report.problems.is_empty() {
            return Ok(Outputs { snapshot: info.id, files: report.files, bytes: report.bytes, depth: args.depth });
        }
        let shown: Vec<&str> = report.problems.iter().take(PROBLEMS_SHOWN).map(String::as_str).collect();
        let mut message = format!("the snapshot {} is damaged: {}", info.id, shown.join("; "));
        if let Some(more) = report.problems.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
            message.push_str(&format!("; and {more} more"));
        }
        Err(Error::permanent(message).hint("recover from an earlier snapshot, or from another vault").into())
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let vault = ctx.name("from")?;
        Ok(vec![format!("prove the snapshot {} in the vault {vault}: {}", args.snapshot, args.depth.words())])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        vaults::snapshot_is_there(ctx, &args.snapshot)
    }
}
