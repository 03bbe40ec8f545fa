//! `snapshot of= into=`: a recovery point of a bucket, as a manifest of keys and versions.
//!
//! No byte is copied: what is written down is which version of each object was the newest. So it needs a bucket that keeps
//! versions, and is refused where there are none: without them the manifest would name what is no longer there. It is as
//! safe as the bucket: `transfer` makes copies at another place. The listing takes a while, and what is written to the bucket
//! meanwhile may be in it or not.

use lifeboat_sdk::http;
use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;
use crate::manifest::{self, Draft, Item, OWN};
use crate::{Settings, finding, readiness};

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

/// Whether the target of a role holds a vault, and not manifests.
pub fn is_vault(role: &str) -> Result<bool, Error> {
    Ok(http::secrets(role)?.iter().any(|name| name == "password"))
}

/// The buckets of the step, where it can be done at all.
fn buckets(ctx: &Context<Settings>) -> Result<(Bucket, Bucket), Error> {
    let (of, into) = (Bucket::of(ctx, "of")?, Bucket::of(ctx, "into")?);
    if is_vault("into")? {
        let message = format!("target '{}' is a vault, and a vault takes folders, no buckets", into.name);
        return Err(Error::permanent(message).hint("take the snapshot into a target of plugin s3 without a password"));
    }
    if of.origin != into.origin {
        let message = format!("the manifest of {} has to be kept at the same server", of.place());
        return Err(Error::permanent(message).hint("name a target there, and bring it elsewhere by a transfer"));
    }
    Ok((of, into))
}

fn keeps_versions(of: &Bucket) -> Result<(), Error> {
    let status = of.versioning()?;
    if status.as_deref() == Some("Enabled") {
        return Ok(());
    }
    let word = status.map_or("off", |_| "suspended");
    Err(Error::permanent(format!("the bucket {} keeps no versions (versioning is {word})", of.bucket)).hint(
        "turn versioning on for the bucket: without it a snapshot would name objects that the next write takes away",
    ))
}

/// The step.
pub struct Snapshot;

impl Step for Snapshot {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Snapshot;
    const EFFECT: Effect = Effect::Reversible;
    const SUMMARY: &'static str = "Writes down which versions are the newest in a bucket that keeps versions";
    const CAPABILITIES: &'static [Capability] = &[Capability::Http, Capability::Bytes];
    const PROBES: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let (of, into) = buckets(ctx)?;
        let id = manifest::id_of(ctx)?;
        if let Some(found) = manifest::exact(&into, &id)? {
            let totals = manifest::totals(&into, &found)?;
            return Ok(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes });
        }
        keeps_versions(&of)?;
        let label = args.label.unwrap_or_else(|| of.name.clone());
        let mut draft = Draft::new(&into, &manifest::top(ctx, &id, label, &of))?;
        // What Lifeboat wrote there itself is no data of anybody.
        let own = (of.bucket == into.bucket).then(|| into.full(OWN));
        let listed = of.newest(&of.prefix, |entry| {
            if own.as_ref().is_some_and(|own| entry.key.starts_with(own)) {
                return Ok(());
            }
            let key = entry.key.strip_prefix(&of.prefix).unwrap_or(&entry.key).to_owned();
            let totals = draft.totals();
            host::progress(totals.bytes, None, "bytes", &key);
            draft.add(&Item { key, at: entry.key, version: entry.version, size: entry.size, etag: entry.etag })
        });
        if let Err(error) = listed {
            draft.give_up();
            return Err(error.into());
        }
        draft.finish()?;
        // What counts is what is there: the totals of the one that came first.
        let found = manifest::exact(&into, &id)?;
        let Some(found) = found else {
            return Err(Stop::Unknown(format!("the manifest {id} was written and is not there")));
        };
        let totals = manifest::totals(&into, &found)?;
        Ok(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes })
    }

    fn preview(ctx: &Context<Settings>, _: Args) -> Result<Vec<String>, Error> {
        let (of, into) = buckets(ctx)?;
        let mut lines = vec![format!(
            "write down the newest versions of {} into {}{OWN}; no byte is copied, a transfer does that",
            of.place(),
            into.full("")
        )];
        if let Err(error) = keeps_versions(&of) {
            lines.push(format!("it will be refused: {}", error.message));
        }
        if of.object_lock()?.is_none() {
            lines.push("there is no object lock: who may delete versions can take the recovery point away".to_owned());
        }
        Ok(lines)
    }

    fn readiness(ctx: &Context<Settings>, _: Args) -> Result<Vec<Finding>, Error> {
        let (of, into) = buckets(ctx)?;
        let mut findings = readiness::readable(&of);
        findings.push(finding(&format!("the bucket {} keeps versions", of.bucket), keeps_versions(&of)));
        findings.extend(readiness::writable(&into));
        Ok(findings)
    }

    fn probe(ctx: &Context<Settings>, _: Args) -> Result<Probe<Outputs>, Error> {
        let (_, into) = buckets(ctx)?;
        let id = manifest::id_of(ctx)?;
        let Some(found) = manifest::exact(&into, &id)? else { return Ok(Probe::DidNotHappen) };
        let totals = manifest::totals(&into, &found)?;
        Ok(Probe::Happened(Outputs { snapshot: id, files: totals.objects, bytes: totals.bytes }))
    }
}
