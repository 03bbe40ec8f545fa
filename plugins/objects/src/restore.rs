//! `restore from= into=`: brings the objects of a snapshot back into a bucket.
//!
//! They are copied over what is there; objects that the snapshot does not name stay. A probe need not tell: restoring again
//! leaves every object that is right as it is.

use std::marker::PhantomData;

use lifeboat_sdk::prelude::*;

use crate::manifest::{self, Pages};
use crate::spread::Spread;
use crate::transfer::settle;
use crate::verify::{is_there, place_of_data};
use crate::{Bucket, is_vault, of, readiness};

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

fn keeper<B: Bucket>(ctx: &Context<B::Settings>) -> Result<B, Error> {
    if is_vault("from")? {
        let message = format!("'{}' is a vault: what it holds are files, and no objects", ctx.name("from")?);
        return Err(Error::permanent(message).hint("restore it into a target of plugin fs"));
    }
    of::<B>(ctx, "from")
}

/// The step.
pub struct Restore<B>(PhantomData<B>);

impl<B: Bucket> Step for Restore<B> {
    type Settings = B::Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Restore;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Brings the objects of a snapshot back";
    const CAPABILITIES: &'static [Capability] = &[Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<B::Settings>, args: Args) -> Result<Outputs, Stop> {
        let (keeper, into) = (keeper::<B>(ctx)?, of::<B>(ctx, "into")?);
        let (known, found) = settle(ctx, &keeper, &args.snapshot)?;
        let total = manifest::totals(&keeper, &found)?;
        let mut pages = Pages::open(&keeper, &found)?;
        let data = place_of_data(&keeper, &pages)?;
        let spread = Spread { from: &data, into: &into, below: "", known: &known, total };
        let done = spread.run(ctx, &mut pages, |_, _| Ok(()))?;
        Ok(Outputs { snapshot: found.id, files: done.objects, bytes: done.bytes })
    }

    fn preview(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, of::<B>(ctx, "into")?);
        let mut lines =
            vec![format!("copy the objects of the snapshot {} of {from} into {}", args.snapshot, into.at().place())];
        lines.extend(into.overwriting()?);
        Ok(lines)
    }

    fn readiness(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        keeper::<B>(ctx)?;
        let mut findings = is_there::<B>(ctx, &args.snapshot)?;
        findings.extend(readiness::writable(&of::<B>(ctx, "into")?));
        Ok(findings)
    }

    fn probe(_: &Context<B::Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        Ok(Probe::DidNotHappen)
    }
}
