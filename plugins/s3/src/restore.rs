//! `restore from= into=`: brings the objects of a snapshot back into a bucket.
//!
//! They are copied over what is there; objects that the snapshot does not name stay. A probe need not tell: restoring again
//! leaves every object that is right as it is.

use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;
use crate::manifest::{self, Pages};
use crate::snapshot::is_vault;
use crate::spread::Spread;
use crate::transfer::settle;
use crate::verify::{is_there, place_of_data};
use crate::{Settings, readiness};

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// A snapshot's id, a unique beginning of one, or `latest`.
    snapshot: String,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The full id of the snapshot that was restored.
    snapshot: String,
    /// Objects in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
}

fn keeper(ctx: &Context<Settings>) -> Result<Bucket, Error> {
    if is_vault("from")? {
        let message = format!("'{}' is a vault: what it holds are files, and no objects", ctx.name("from")?);
        return Err(Error::permanent(message).hint("restore it into a target of plugin fs"));
    }
    Bucket::of(ctx, "from")
}

/// The step.
pub struct Restore;

impl Step for Restore {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Restore;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Brings the objects of a snapshot back into a bucket";
    const CAPABILITIES: &'static [Capability] = &[Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let (keeper, into) = (keeper(ctx)?, Bucket::of(ctx, "into")?);
        let (known, found) = settle(ctx, &keeper, &args.snapshot)?;
        let total = manifest::totals(&keeper, &found)?;
        let mut pages = Pages::open(&keeper, &found)?;
        let data = place_of_data(&keeper, &pages)?;
        let spread = Spread { from: &data, into: &into, below: "", known: &known, total };
        let done = spread.run(ctx, &mut pages, |_, _| Ok(()))?;
        Ok(Outputs { snapshot: found.id, files: done.objects, bytes: done.bytes })
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, Bucket::of(ctx, "into")?);
        let mut lines =
            vec![format!("copy the objects of the snapshot {} of {from} into {}", args.snapshot, into.place())];
        if into.versioning()?.as_deref() != Some("Enabled") {
            lines.push(format!("{} keeps no versions: what is overwritten there is gone", into.bucket));
        }
        Ok(lines)
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        keeper(ctx)?;
        let mut findings = is_there(ctx, &args.snapshot)?;
        findings.extend(readiness::writable(&Bucket::of(ctx, "into")?));
        Ok(findings)
    }

    fn probe(_: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        Ok(Probe::DidNotHappen)
    }
}
