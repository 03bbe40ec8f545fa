//! `transfer from= into=`: copies a snapshot to another place: from a vault in a bucket to another vault, or what a manifest
//! names to another bucket, with a manifest of its own there.

use lifeboat_sdk::host::SnapshotInfo;
use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;
use crate::manifest::{self, Draft, Item, Pages, Totals};
use crate::snapshot::is_vault;
use crate::spread::{Known, Spread};
use crate::verify::{is_there, place_of_data};
use crate::{Settings, readiness};

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
pub struct Transfer;

impl Step for Transfer {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Transfer;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Copies a snapshot to another vault, or its objects to another bucket";
    const CAPABILITIES: &'static [Capability] = &[Capability::Vault, Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        if is_vault("from")? {
            return between_vaults(ctx, args);
        }
        let (keeper, into) = (Bucket::of(ctx, "from")?, Bucket::of(ctx, "into")?);
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
            draft.add(&Item { key, at, version: meta.version, size: meta.size, etag: meta.etag })
        });
        if let Err(error) = done {
            draft.give_up();
            return Err(error.into());
        }
        Ok(Outputs::of(id, draft.finish()?))
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let (from, into) = (ctx.name("from")?, ctx.name("into")?);
        if is_vault("from")? {
            return Ok(vec![format!("copy the snapshot {} from the vault {from} to the vault {into}", args.snapshot)]);
        }
        let (keeper, other) = (Bucket::of(ctx, "from")?, Bucket::of(ctx, "into")?);
        let way = if keeper.origin == other.origin { "by the server itself" } else { "through this machine" };
        Ok(vec![format!("copy the objects of the snapshot {} from {from} to {into}, {way}", args.snapshot)])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let mut findings = is_there(ctx, &args.snapshot)?;
        if !is_vault("from")? {
            findings.extend(readiness::writable(&Bucket::of(ctx, "into")?));
            return Ok(findings);
        }
        let name = ctx.name("into")?;
        findings.push(match ctx.vault("into", false) {
            Ok(_) => good(format!("the vault {name} opens")),
            Err(error) if error.is_not_found() => good(format!("the vault {name} will be made at first use")),
            Err(error) => bad(format!("the vault {name} opens: {}", error.message)),
        });
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        if !is_vault("from")? {
            let (into, id) = (Bucket::of(ctx, "into")?, manifest::id_of(ctx)?);
            let Some(found) = manifest::exact(&into, &id)? else { return Ok(Probe::DidNotHappen) };
            return Ok(Probe::Happened(Outputs::of(id, manifest::totals(&into, &found)?)));
        }
        let into = match ctx.vault("into", false) {
            Ok(vault) => vault,
            Err(error) if error.is_not_found() => return Ok(Probe::DidNotHappen),
            Err(error) => return Err(error),
        };
        let copy = into.snapshots(Some(&ctx.key_tag()))?.pop();
        Ok(copy.map_or(Probe::DidNotHappen, |copy| Probe::Happened(copy.into())))
    }
}

/// A later snapshot may come between two attempts, and half of each would be copied: `latest` is settled once.
pub fn settle(ctx: &Context<Settings>, keeper: &Bucket, wanted: &str) -> Result<(Known, manifest::Found), Error> {
    if let Some(known) = ctx.checkpoint::<Known>()? {
        let found = manifest::find(keeper, &known.snapshot)?;
        return Ok((known, found));
    }
    let found = manifest::find(keeper, wanted)?;
    let known = Known { snapshot: found.id.clone(), begun: None };
    host::checkpoint(&known)?;
    Ok((known, found))
}

fn between_vaults(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
    let from = ctx.vault("from", false)?;
    let into = ctx.vault("into", true)?;
    let tag = ctx.key_tag();
    if ctx.attempt() > 1
        && let Some(info) = into.snapshots(Some(&tag))?.pop()
    {
        return Ok(info.into());
    }
    let info = from.find(&args.snapshot)?;
    let mut tags = vec![tag.clone(), ctx.run_tag()];
    tags.extend(args.tags);
    // An error may come after the copy was written: only what the tag says counts.
    match from.copy_to(&info.id, &into, &tags) {
        Ok(copy) => Ok(copy.into()),
        Err(error) => match into.snapshots(Some(&tag)).map(|mut found| found.pop()) {
            Ok(Some(copy)) => Ok(copy.into()),
            Ok(None) => Err(error.into()),
            // The vault itself is gone, and with it all that was in it.
            Err(second) if second.is_not_found() => Err(error.into()),
            Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
        },
    }
}
