//! The trait that a step's code implements, and the words of a plugin's description.

use crate::context::Context;
use crate::error::{ErrorExt, Stop};
use crate::host::Error;

pub use crate::bindings::storage::lifeboat::plugin::types::Finding;

/// What settings, arguments and outputs can do: they are read and written as JSON, and have a schema. The attribute
/// [`data`](crate::data) gives all three.
pub trait Data: serde::Serialize + serde::de::DeserializeOwned + schemars::JsonSchema {}

impl<T: serde::Serialize + serde::de::DeserializeOwned + schemars::JsonSchema> Data for T {}

/// The kinds of step that plugins carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Make a recovery point of a target in a vault.
    Snapshot,
    /// Prove that a recovery point is whole.
    Verify,
    /// Copy a recovery point to another vault.
    Transfer,
    /// Bring a recovery point back into a target.
    Restore,
    /// Check that what was restored is what is expected.
    Validate,
    /// Make a target serve from another place.
    Switch,
}

impl Kind {
    /// The word for it in runbooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Snapshot => "snapshot",
            Kind::Verify => "verify",
            Kind::Transfer => "transfer",
            Kind::Restore => "restore",
            Kind::Validate => "validate",
            Kind::Switch => "switch",
        }
    }
}

/// What a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes only what nothing depends on; leaving it behind does no harm.
    Reversible,
    /// Changes something that [`Step::compensate`] puts back.
    Compensatable,
    /// Cannot be put back.
    Irreversible,
}

impl Effect {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Reversible => "reversible",
            Effect::Compensatable => "compensatable",
            Effect::Irreversible => "irreversible",
        }
    }
}

/// What a step needs of the host, beyond what every guest has (log, progress, checkpoint, clock, random).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Folders.
    Dir,
    /// Vaults.
    Vault,
    /// Streams of bytes.
    Bytes,
    /// Queries to database files.
    Sql,
    /// Requests over HTTP.
    Http,
}

impl Capability {
    /// The word for it in a description.
    pub const fn as_str(self) -> &'static str {
        match self {
            Capability::Dir => "dir",
            Capability::Vault => "vault",
            Capability::Bytes => "bytes",
            Capability::Sql => "sql",
            Capability::Http => "http",
        }
    }
}

/// Whether an attempt with this key had its effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe<T> {
    /// It is there, with the outputs that [`Step::execute`] would have given.
    Happened(T),
    /// It is not there: it is safe to try again.
    DidNotHappen,
    /// It cannot be told, and why not.
    CannotTell(String),
}

/// One kind of step.
///
/// # Promises that the engine relies on
/// - `execute` may be called again with the same [`key`](Context::key) after a crash: it must end with one effect.
/// - `probe`, `preview` and `readiness` change nothing.
/// - `compensate` may be called for what never happened, and again for what is undone already: both are done at once.
pub trait Step {
    /// The settings of the plugin's targets.
    type Settings: Data;
    /// What the author of a runbook writes on the step.
    type Args: Data;
    /// What later steps may refer to.
    type Outputs: Data;

    /// Which kind of step it is.
    const KIND: Kind;
    /// What it does to the world.
    const EFFECT: Effect;
    /// Arguments that, when they are `true`, make the effect irreversible: the plan says so.
    const IRREVERSIBLE_WITH: &'static [&'static str] = &[];
    /// One line for a list.
    const SUMMARY: &'static str;
    /// What it needs of the host. What is not declared is refused.
    const CAPABILITIES: &'static [Capability] = &[];
    /// Whether [`Step::probe`] can tell. A step that only reads can always be tried again.
    const PROBES: bool = matches!(Self::EFFECT, Effect::Read);
    /// Whether [`Step::cleanup`] removes all that it makes, so that a drill leaves nothing behind. What can be undone is undone
    /// first, by [`Step::compensate`].
    const CLEANS: bool = matches!(Self::EFFECT, Effect::Read | Effect::Compensatable);

    /// Does it.
    ///
    /// # Errors
    /// [`Stop::Failed`] where the effect is definitely not there, [`Stop::Unknown`] where that cannot be told.
    fn execute(ctx: &Context<Self::Settings>, args: Self::Args) -> Result<Self::Outputs, Stop>;

    /// What `execute` would do, in words, one line each.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn preview(ctx: &Context<Self::Settings>, args: Self::Args) -> Result<Vec<String>, Error> {
        let _ = (ctx, args);
        Ok(vec![Self::SUMMARY.to_owned()])
    }

    /// Whether it could be done now.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn readiness(ctx: &Context<Self::Settings>, args: Self::Args) -> Result<Vec<Finding>, Error> {
        let _ = (ctx, args);
        Ok(Vec::new())
    }

    /// Whether an attempt with this key had its effect.
    fn probe(ctx: &Context<Self::Settings>, args: Self::Args) -> Result<Probe<Self::Outputs>, Error> {
        let _ = (ctx, args);
        Ok(match Self::EFFECT {
            Effect::Read => Probe::DidNotHappen,
            _ => Probe::CannotTell(format!("the plugin cannot tell whether a {} happened", Self::KIND.as_str())),
        })
    }

    /// Undoes it. The outputs are given where they are known.
    ///
    /// # Errors
    /// As for [`Step::execute`], seen from the undo.
    fn compensate(ctx: &Context<Self::Settings>, args: Self::Args, outputs: Option<Self::Outputs>) -> Result<(), Stop> {
        let _ = (args, outputs);
        match Self::EFFECT {
            // There is nothing that anybody has to put back.
            Effect::Read | Effect::Reversible => Ok(()),
            _ => Err(Error::permanent(format!("the plugin cannot undo the step {}", ctx.step())).into()),
        }
    }

    /// Removes what the run made and nobody needs any more.
    ///
    /// # Errors
    /// As for [`Step::execute`].
    fn cleanup(ctx: &Context<Self::Settings>, args: Self::Args, outputs: Option<Self::Outputs>) -> Result<(), Stop> {
        let _ = (ctx, args, outputs);
        Ok(())
    }
}

/// A line of a report, as a finding: good, or bad with the reason.
pub fn finding<T>(what: &str, result: Result<T, Error>) -> Finding {
    match result {
        Ok(_) => good(what),
        Err(error) => bad(format!("{what}: {}", error.message)),
    }
}

/// What is wrong with a number that has to be in a range, or nothing.
pub fn range(what: &str, value: u64, min: Option<u64>, max: Option<u64>) -> Option<String> {
    match (min, max) {
        (Some(min), _) if value < min => Some(format!("{value} {what}, expected at least {min}")),
        (_, Some(max)) if value > max => Some(format!("{value} {what}, expected at most {max}")),
        _ => None,
    }
}

/// A good finding.
pub fn good(message: impl Into<String>) -> Finding {
    Finding { ok: true, message: message.into() }
}

/// A finding that says why it could not be done now.
pub fn bad(message: impl Into<String>) -> Finding {
    Finding { ok: false, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_name_the_bound_that_is_broken() {
        assert_eq!(range("files", 3, Some(3), Some(3)), None);
        assert_eq!(range("files", 2, Some(3), None).as_deref(), Some("2 files, expected at least 3"));
        assert_eq!(range("bytes", 4, None, Some(3)).as_deref(), Some("4 bytes, expected at most 3"));
    }
}
