//! `verify from=`: proves that a snapshot is whole: one of a vault that is kept in a bucket, or a manifest.
//!
//! Of a manifest it is proved that every version that it names is still there, with its size and its ETag; with the depth
//! `data` also that each can be read to its end. An ETag is no digest of all bytes in every case, so this is said as what
//! it is.

use std::marker::PhantomData;

use lifeboat_sdk::Data;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::vaults::{self, is_known};

use crate::manifest::{self, Item, Pages};
use crate::{Bucket, is_vault, of, sum};

/// Problems that the message names; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;

/// How much of a snapshot is proved.
#[data]
#[serde(rename_all = "lowercase")]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// Everything that is named is there.
    Index,
    /// Every byte read; in a vault also hashed.
    #[default]
    Data,
    /// Restored to scratch, and compared. For vaults only.
    Restore,
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
    /// Files or objects that were proved.
    files: u64,
    /// Bytes that were proved.
    bytes: u64,
    /// How much was proved.
    depth: Depth,
}

/// What is wrong: some in words, all counted.
#[derive(Default)]
struct Problems {
    shown: Vec<String>,
    count: usize,
}

impl Problems {
    fn add(&mut self, problem: String) {
        self.count += 1;
        if self.shown.len() < PROBLEMS_SHOWN {
            self.shown.push(problem);
        }
    }

    fn judge(self, snapshot: &str) -> Result<(), Error> {
        if self.count == 0 {
            return Ok(());
        }
        let mut message = format!("the snapshot {snapshot} is damaged: {}", self.shown.join("; "));
        if self.count > self.shown.len() {
            message.push_str(&format!("; and {} more", self.count - self.shown.len()));
        }
        Err(Error::permanent(message).hint("recover from an earlier snapshot, or from another place"))
    }
}

/// The step.
pub struct Verify<B>(PhantomData<B>);

impl<B: Bucket> Step for Verify<B> {
    type Settings = B::Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Verify;
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Proves that a snapshot is whole: one of a vault, or of objects";
    const CAPABILITIES: &'static [Capability] = &[Capability::Vault, Capability::Http, Capability::Bytes];

    fn execute(ctx: &Context<B::Settings>, args: Args) -> Result<Outputs, Stop> {
        if is_vault("from")? {
            return in_vault(ctx, &args);
        }
        if args.depth == Depth::Restore {
            let error = Error::permanent("a snapshot of a bucket can't be restored to scratch");
            return Err(error.hint("use depth=\"data\", or restore it into another bucket and validate that").into());
        }
        let keeper: B = of(ctx, "from")?;
        let found = manifest::find(&keeper, &args.snapshot)?;
        let total = manifest::totals(&keeper, &found)?;
        let mut pages = Pages::open(&keeper, &found)?;
        let data = place_of_data(&keeper, &pages)?;
        let (mut problems, mut files, mut bytes) = (Problems::default(), 0, 0);
        while let Some(item) = pages.next()? {
            host::progress(bytes, Some(total.bytes), "bytes", &item.key);
            if let Some(problem) = look(&data, &item, args.depth)? {
                problems.add(problem);
            }
            files += 1;
            bytes += item.size;
        }
        problems.judge(&found.id)?;
        Ok(Outputs { snapshot: found.id, files, bytes, depth: args.depth })
    }

    fn preview(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<String>, Error> {
        let name = ctx.name("from")?;
        let what = match (is_vault("from")?, args.depth) {
            (true, Depth::Index) => "that all it names is there",
            (true, Depth::Data) => "every byte of it",
            (true, Depth::Restore) => "it by restoring it to scratch",
            (false, Depth::Index) => "that each version is there with its size and ETag",
            (false, Depth::Data) => {
                "that each version is there with its size and ETag, can be read to its end, and has the checksum that the server keeps of it"
            }
            (false, Depth::Restore) => "nothing: a snapshot of a bucket can't be restored to scratch",
        };
        Ok(vec![format!("prove the snapshot {} of {name}: {what}", args.snapshot)])
    }

    fn readiness(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        is_there::<B>(ctx, &args.snapshot)
    }
}

fn in_vault<S: Data>(ctx: &Context<S>, args: &Args) -> Result<Outputs, Stop> {
    let vault = ctx.vault("from", false)?;
    // `latest` is made a full id first, so that what is proved is what the outputs name.
    let info = vault.find(&args.snapshot)?;
    let depth = match args.depth {
        Depth::Index => host::Depth::Index,
        Depth::Data => host::Depth::Data,
        Depth::Restore => host::Depth::Restore,
    };
    let report = vault.check(&info.id, depth)?;
    let mut problems = Problems::default();
    report.problems.into_iter().for_each(|problem| problems.add(problem));
    problems.judge(&info.id)?;
    Ok(Outputs { snapshot: info.id, files: report.files, bytes: report.bytes, depth: args.depth })
}

/// The bucket that has the bytes, reached with the key of the target that keeps the manifest.
pub fn place_of_data<B: Bucket>(keeper: &B, pages: &Pages) -> Result<B, Error> {
    if pages.top.origin == keeper.at().origin {
        return Ok(keeper.beside(&pages.top.bucket));
    }
    let message = format!("the bytes of this snapshot are at {}, and not at {}", pages.top.origin, keeper.at().origin);
    Err(Error::permanent(message).hint("the endpoint of the target changed since the snapshot was taken"))
}

/// What is wrong with one object, or nothing.
fn look<B: Bucket>(data: &B, item: &Item, depth: Depth) -> Result<Option<String>, Error> {
    let Some(meta) = data.head(&item.at, item.version.as_deref())? else {
        return Ok(Some(format!("'{}' is not there any more", item.key)));
    };
    if !meta.is(item.size, &item.etag, item.sum.as_deref()) {
        return Ok(Some(format!("'{}' is another object now", item.key)));
    }
    if depth == Depth::Data && item.size > 0 {
        let body = data.get(&item.at, item.version.as_deref(), 0, None)?.body;
        let (read, found) = sum::read(&body, item.sum.as_deref())?;
        if read != item.size {
            return Ok(Some(format!("'{}' ends at byte {read} of {}", item.key, item.size)));
        }
        if found.is_some() && found != item.sum {
            return Ok(Some(format!("'{}' has other bytes than its checksum says", item.key)));
        }
    }
    Ok(None)
}

/// Findings on the target `from` and, where it is named already, the snapshot there.
pub fn is_there<B: Bucket>(ctx: &Context<B::Settings>, snapshot: &str) -> Result<Vec<Finding>, Error> {
    if !is_vault("from")? {
        let name = ctx.name("from")?;
        let keeper: B = of(ctx, "from")?;
        let found = if is_known(snapshot) { manifest::find(&keeper, snapshot).map(drop) } else { keeper.exists() };
        let what = if is_known(snapshot) {
            format!("the snapshot {snapshot} is at {name}")
        } else {
            format!("{name} can be listed")
        };
        return Ok(vec![finding(&what, found)]);
    }
    vaults::snapshot_is_there(ctx, snapshot)
}
