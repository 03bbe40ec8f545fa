//! `validate target=`: checks that a folder holds what is expected of it.
//!
//! All expectations are looked at, and all that fail are reported at once: at three in the morning nobody wants to
//! learn of them one by one.

use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::expect::Expectation;
use crate::sentinel::{self, Sentinel};

/// What the author of a runbook may write.
#[data]
pub struct Args {
    /// What must hold; at least one.
    #[schemars(length(min = 1))]
    expect: Vec<Expectation>,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// Expectations that were checked; all of them hold.
    checked: u64,
    /// When the newest sentinel was written that is there: milliseconds since the Unix epoch. Nothing where none is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentinel_ms: Option<u64>,
    /// The token of that sentinel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentinel: Option<String>,
}

/// The step.
pub struct Validate;

impl Step for Validate {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Validate;
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Checks files, folders, digests and databases below a folder";
    const CAPABILITIES: &'static [Capability] = &[Capability::Dir, Capability::Bytes, Capability::Sql];

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let dir = ctx.dir("target")?;
        if args.expect.is_empty() {
            return Err(Error::permanent("the step expects nothing").hint("add an expect line to the step").into());
        }
        let total = args.expect.len() as u64;
        let mut failures = Vec::new();
        for (done, expectation) in (0..).zip(&args.expect) {
            host::progress(done, Some(total), "expectations", &expectation.words());
            match expectation.check(&dir) {
                Ok(None) => {}
                Ok(Some(failure)) => failures.push(failure),
                // A busy disk is no proof of anything: only the host's final word counts as one more failure.
                Err(error) if matches!(error.kind, ErrorKind::Temporary | ErrorKind::Cancelled) => {
                    return Err(error.during(&expectation.words()).into());
                }
                Err(error) => failures.push(format!("{}: {}", expectation.words(), error.message)),
            }
        }
        host::progress(total, Some(total), "expectations", "");
        if failures.is_empty() {
            let mut newest: Option<Sentinel> = None;
            for expectation in &args.expect {
                let Expectation::Sentinel { path, .. } = expectation else { continue };
                if let Ok(found) = sentinel::read(&dir, sentinel::place(path))? {
                    newest = newest.filter(|newest| newest.at >= found.at).or(Some(found));
                }
            }
            let (sentinel_ms, sentinel) = newest.map(|found| (found.at, found.token)).unzip();
            return Ok(Outputs { checked: total, sentinel_ms, sentinel });
        }
        let message = format!("{} of {total} expectations fail: {}", failures.len(), failures.join("; "));
        Err(Error::permanent(message).into())
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let root = ctx.settings("target")?.root;
        Ok(args.expect.iter().map(|expectation| format!("below {root}: {}", expectation.words())).collect())
    }

    fn readiness(ctx: &Context<Settings>, _: Args) -> Result<Vec<Finding>, Error> {
        let root = ctx.settings("target")?.root;
        Ok(vec![finding(&format!("{root} can be read"), ctx.dir("target").and_then(|dir| dir.list(".")))])
    }
}
