//! `transfer from= into=`: copies a snapshot to another place: from a vault in a bucket to another vault, or what a manifest
//! names to another bucket, with a manifest of its own there.

use std::marker::PhantomData;

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults;

use crate::manifest::{self, Draft, Item, Pages, Totals};
use crate::spread::{Known, Spread};
use crate::verify::{is_there, place_of_data};
use crate::{Bucket, is_vault, of, readiness};

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// A snapshot's id, a unique beginning of one, or `latest`.
    snapshot: String,
    /// More tags for the copy, in a vault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// The id of the copy: 64 hexadecimal digits.
    snapshot: String,
    /// Files or objects in it.
    files: u64,
    /// Bytes in them.
    bytes: u64,
}

impl From<SnapshotInfo> for Outputs {
    fn from(info: SnapshotInfo) -> Self {
        Self { snapshot: info.id, files: info.files, bytes: info.bytes }
    }
}

impl Outputs {
    fn of(snapshot: String, totals: Totals) -> Self {
        Self { snapshot, files: totals.objects, bytes: totals.bytes }
    }
}

/// The step.
pub struct Transfer<B>(PhantomData<B>);

impl<B: Bucket> Step for Transfer<B> {
    type Settings = B::Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Transfer;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Copies a snapshot to another vault, or its objects to another place";
    const CAPABILITIES: &'static [Capability] = &[Capability::Vault, Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<B::Settings>, args: Args) -> Result<Outputs, Stop> {
        if is_vault("from")? {
            return vaults::transfer(ctx, &args.snapshot, args.tags).map(Into::into);
        }
        let (keeper, into) = (of::<B>(ctx, "from")?, destination::<B>(ctx)?);
        let id = manifest::id_of(ctx)?;
        if let Some(found) = manifest::exact(&into, &id)? {
            return Ok(Outputs::of(id, manifest::totals(&into, &found)?));
        }
        let (known, found) = settle(ctx, &keeper, &args.snapshot)?;
        let total = manifest::totals(&keeper, &found)?;
        let mut pages = Pages::open(&keeper, &found)?;
        let data = place_of_data(&keeper, &pages)?;
        let top = manifest::top(ctx, &id, pages.top.label.clone(), &into);
        let mut draft = Draft::new(&into, &top)?;
        let below = format!("{}objects/{id}/", manifest::OWN);
        let spread = Spread { from: &data, into: &into, below: &below, known: &known, total };
        let done = spread.run(ctx, &mut pages, |item, at| {
            // What the copy is called is asked of the server, which proves that it is there, too.
            let meta = into.head(at, None)?;
            let meta = meta.filter(|meta| meta.size == item.size).ok_or_else(|| {
                Error::temporary(format!("the copy of '{}' is not there with its {} bytes", item.key, item.size))
            })?;
            let (key, at) = (item.key.clone(), at.to_owned());
            draft.add(&Item { key, at, version: meta.version, size: meta.size, etag: meta.etag, sum: meta.sum })
        });
        if let Err(error) = done {
            draft.give_up();
            return Err(error.into());
        }
        let totals = manifest::publish(&into, draft, &id)?;
        Ok(Outputs::of(id, totals))
    }

    fn preview(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, ctx.name("into")?);
        if is_vault("from")? {
            return Ok(vec![format!("copy the snapshot {} from the vault {from} to the vault {into}", args.snapshot)]);
        }
        let (keeper, other) = (of::<B>(ctx, "from")?, destination::<B>(ctx)?);
        let way = if other.copies_from(&keeper) { "by the server itself" } else { "through this machine" };
        let mut lines =
            vec![format!("copy the objects of the snapshot {} from {from} to {into}, {way}", args.snapshot)];
        lines.extend(other.unlocked()?);
        Ok(lines)
    }

    fn readiness(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let mut findings = is_there::<B>(ctx, &args.snapshot)?;
        if !is_vault("from")? {
            findings.extend(readiness::writable(&destination::<B>(ctx)?));
            return Ok(findings);
        }
        findings.push(vaults::opens(ctx, "into", |_| Ok(()))?);
        Ok(findings)
    }

    fn probe(ctx: &Context<B::Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        if !is_vault("from")? {
            let (into, id) = (destination::<B>(ctx)?, manifest::id_of(ctx)?);
            let Some(found) = manifest::exact(&into, &id)? else { return Ok(Probe::DidNotHappen) };
            return Ok(Probe::Happened(Outputs::of(id, manifest::totals(&into, &found)?)));
        }
        vaults::probe(ctx, "into")
    }
}

/// Where objects go, which has to be a place for objects of the same provider.
fn destination<B: Bucket>(ctx: &Context<B::Settings>) -> Result<B, Error> {
    let name = ctx.name("into")?;
    if is_vault("into")? {
        return Err(Error::permanent(format!(
            "target '{name}' is a vault, and a vault takes folders, no {}s",
            B::WORD
        ))
        .hint(format!("copy the objects into a target of plugin {} without a password", B::PLUGIN)));
    }
    of(ctx, "into").map_err(|error| match &error.hint {
        Some(_) => error,
        None => error.hint("objects go between targets of one plugin; from cloud to cloud go the snapshots of vaults"),
    })
}

/// A later snapshot may come between two attempts, and half of each would be copied: `latest` is settled once.
pub fn settle<B: Bucket>(
    ctx: &Context<B::Settings>,
    keeper: &B,
    wanted: &str,
) -> Result<(Known, manifest::Found), Error> {
    if let Some(known) = ctx.checkpoint::<Known>()? {
        let found = manifest::find(keeper, &known.snapshot)?;
        return Ok((known, found));
    }
    let found = manifest::find(keeper, wanted)?;
    let known = Known { snapshot: found.id.clone(), begun: None };
    host::checkpoint(&known)?;
    Ok((known, found))
}
