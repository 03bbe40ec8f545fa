//! `validate target=`: checks that a folder holds what is expected of it.
//!
//! All expectations are looked at, and all that fail are reported at once: at three in the morning nobody wants to
//! learn of them one by one.

use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::expect::Expectation;

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
            return Ok(Outputs { checked: total });
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
