//! `snapshot of= into=`: a recovery point of a bucket, as a manifest of keys and versions.
//!
//! No byte is copied: what is written down is which version of each object was the newest, or a snapshot of it that the provider
//! makes. Where there is nothing of that kind it is refused: the manifest would name what is no longer there. It is as safe as
//! the bucket: `transfer` makes copies at another place. The listing takes a while, and what is written to the bucket meanwhile
//! may be in it or not.

use std::marker::PhantomData;

use lifeboat_sdk::prelude::*;

use crate::manifest::{self, Draft, Item, OWN};
use crate::{Bucket, Entry, is_vault, of, readiness};

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// What it is called. Without it: the name of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The id of the snapshot: 64 hexadecimal digits.
    snapshot: String,
    /// Objects in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
}

/// The buckets of the step, where it can be done at all.
fn buckets<B: Bucket>(ctx: &Context<B::Settings>) -> Result<(B, B), Error> {
    let (of, into) = (of::<B>(ctx, "of")?, of::<B>(ctx, "into")?);
    if is_vault("into")? {
        let message = format!("target '{}' is a vault, and a vault takes folders, no {}s", into.at().name, B::WORD);
        let hint = format!("take the snapshot into a target of plugin {} without a password", B::PLUGIN);
        return Err(Error::permanent(message).hint(hint));
    }
    if of.at().origin != into.at().origin {
        let message = format!("the manifest of {} has to be kept at the same server", of.at().place());
        return Err(Error::permanent(message).hint("name a target there, and bring it elsewhere by a transfer"));
    }
    Ok((of, into))
}

/// The step.
pub struct Snapshot<B>(PhantomData<B>);

impl<B: Bucket> Step for Snapshot<B> {
    type Settings = B::Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Snapshot;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = B::SNAPSHOT;
    const CAPABILITIES: &'static [Capability] = &[Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<B::Settings>, args: Args) -> Result<Outputs, Stop> {
        let (of, into) = buckets::<B>(ctx)?;
        let id = manifest::id_of(ctx)?;
        if let Some(found) = manifest::exact(&into, &id)? {
            let totals = manifest::totals(&into, &found)?;
            return Ok(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes });
        }
        of.can_freeze()?;
        let label = args.label.unwrap_or_else(|| of.at().name.clone());
        let mut draft = Draft::new(&into, &manifest::top(ctx, &id, label, &of))?;
        // What Lifeboat wrote there itself is no data of anybody.
        let own = (of.at().bucket == into.at().bucket).then(|| into.at().full(OWN));
        let listed = of.freeze(ctx, &of.at().prefix, &mut |entry| {
            if own.as_ref().is_some_and(|own| entry.key.starts_with(own)) {
                return Ok(());
            }
            let key = entry.key.strip_prefix(&of.at().prefix).unwrap_or(&entry.key).to_owned();
            let totals = draft.totals();
            host::progress(totals.bytes, None, "bytes", &key);
            let Entry { key: at, size, etag, version, sum, .. } = entry;
            draft.add(&Item { key, at, version, size, etag, sum })
        });
        if let Err(error) = listed {
            draft.give_up();
            return Err(error.into());
        }
        let totals = manifest::publish(&into, draft, &id)?;
        Ok(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes })
    }

    fn preview(ctx: &Context<B::Settings>, _: Args) -> Result<Vec<String>, Error> {
        let (of, into) = buckets::<B>(ctx)?;
        let (from, to) = (of.at().place(), into.at().full(""));
        let mut lines =
            vec![format!("write down the versions of {from} into {to}{OWN}; no byte is copied, a transfer does that")];
        lines.extend(of.freezing()?);
        if let Err(error) = of.can_freeze() {
            lines.push(format!("it will be refused: {}", error.message));
        }
        lines.extend(of.unlocked()?);
        Ok(lines)
    }

    fn readiness(ctx: &Context<B::Settings>, _: Args) -> Result<Vec<Finding>, Error> {
        let (of, into) = buckets::<B>(ctx)?;
        let mut findings = readiness::readable(&of);
        let what = format!("the {} {} can give a recovery point", B::WORD, of.at().bucket);
        findings.push(finding(&what, of.can_freeze()));
        findings.extend(readiness::writable(&into));
        Ok(findings)
    }

    fn probe(ctx: &Context<B::Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        let (_, into) = buckets::<B>(ctx)?;
        let id = manifest::id_of(ctx)?;
        let Some(found) = manifest::exact(&into, &id)? else { return Ok(Probe::DidNotHappen) };
        let totals = manifest::totals(&into, &found)?;
        Ok(Probe::Happened(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes }))
    }
}
