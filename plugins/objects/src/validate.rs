//! `validate target=`: checks that a bucket holds what is expected of it. All expectations are looked at, and all that fail
//! are reported at once.

use std::marker::PhantomData;

use lifeboat_sdk::prelude::*;

use crate::expect::Expectation;
use crate::{Bucket, of, readiness};

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
pub struct Validate<B>(PhantomData<B>);

impl<B: Bucket> Step for Validate<B> {
    type Settings = B::Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Validate;
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Checks objects: their number, size, age and digests";
    const CAPABILITIES: &'static [Capability] = &[Capability::Http, Capability::Bytes];

    fn execute(ctx: &Context<B::Settings>, args: Args) -> Result<Outputs, Stop> {
        let bucket = of::<B>(ctx, "target")?;
        if args.expect.is_empty() {
            return Err(Error::permanent("the step expects nothing").hint("add an expect line to the step").into());
        }
        let total = args.expect.len() as u64;
        let mut failures = Vec::new();
        for (done, expectation) in (0..).zip(&args.expect) {
            host::progress(done, Some(total), "expectations", &expectation.words());
            match expectation.check(&bucket) {
                Ok(None) => {}
                Ok(Some(failure)) => failures.push(failure),
                // A server that is busy, or refuses us, is no proof of anything.
                Err(error) => return Err(error.during(&expectation.words()).into()),
            }
        }
        if failures.is_empty() {
            return Ok(Outputs { checked: total });
        }
        let message = format!("{} of {total} expectations fail: {}", failures.len(), failures.join("; "));
        Err(Error::permanent(message).into())
    }

    fn preview(ctx: &Context<B::Settings>, args: Args) -> Result<Vec<String>, Error> {
        let place = of::<B>(ctx, "target")?.at().place().clone();
        Ok(args.expect.iter().map(|expectation| format!("in {place}: {}", expectation.words())).collect())
    }

    fn readiness(ctx: &Context<B::Settings>, _: Args) -> Result<Vec<Finding>, Error> {
        Ok(readiness::readable(&of::<B>(ctx, "target")?))
    }
}
