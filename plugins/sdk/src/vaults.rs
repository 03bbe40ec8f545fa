//! Steps whose recovery points are snapshots in a vault. What has to hold of them is the same whatever the plugin's targets are,
//! so it stands here once: a snapshot carries the key of its step as a tag, and by that tag it is found again.

use crate::context::Context;
use crate::error::{ErrorExt, Stop};
use crate::host::{Error, Repository, SnapshotInfo};
use crate::step::{Data, Finding, Probe, bad, finding, good};

/// Whether a snapshot is named already, or comes from a step that has not run yet.
pub fn is_known(snapshot: &str) -> bool {
    !snapshot.contains("{{")
}

/// The tags of what a step makes: its key, the run, and more.
pub fn tags<S: Data>(ctx: &Context<S>, more: Vec<String>) -> Vec<String> {
    let mut tags = vec![ctx.key_tag(), ctx.run_tag()];
    tags.extend(more);
    tags
}

/// The newest snapshot that carries the key of this step.
///
/// # Errors
/// Where the vault cannot be read.
pub fn earlier<S: Data>(ctx: &Context<S>, into: &Repository) -> Result<Option<SnapshotInfo>, Error> {
    Ok(into.snapshots(Some(&ctx.key_tag()))?.pop())
}

/// What an earlier attempt of this step made. A first attempt looks for nothing.
///
/// # Errors
/// Where the vault cannot be read.
pub fn left<S: Data>(ctx: &Context<S>, into: &Repository) -> Result<Option<SnapshotInfo>, Error> {
    if ctx.attempt() > 1 { earlier(ctx, into) } else { Ok(None) }
}

/// What came of writing a snapshot with [`tags`]. An error may come after it was written: only what the tag says counts.
///
/// # Errors
/// The error of the writing where the snapshot is not there, and [`Stop::Unknown`] where that cannot be told.
pub fn written<S: Data>(
    ctx: &Context<S>,
    into: &Repository,
    result: Result<SnapshotInfo, Error>,
) -> Result<SnapshotInfo, Stop> {
    decided(result, || earlier(ctx, into))
}

fn decided<T>(result: Result<T, Error>, look: impl FnOnce() -> Result<Option<T>, Error>) -> Result<T, Stop> {
    let error = match result {
        Ok(info) => return Ok(info),
        Err(error) => error,
    };
    match look() {
        Ok(Some(info)) => Ok(info),
        Ok(None) => Err(error.into()),
        // The vault itself is gone, and with it all that was in it.
        Err(second) if second.is_not_found() => Err(error.into()),
        Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
    }
}

/// Copies a snapshot from the vault `from` to the vault `into`, which is made at first use.
///
/// # Errors
/// As [`written`], and where there is no such snapshot.
pub fn transfer<S: Data>(ctx: &Context<S>, snapshot: &str, more: Vec<String>) -> Result<SnapshotInfo, Stop> {
    let from = ctx.vault("from", false)?;
    let into = ctx.vault("into", true)?;
    if let Some(info) = left(ctx, &into)? {
        return Ok(info);
    }
    let info = from.find(snapshot)?;
    written(ctx, &into, from.copy_to(&info.id, &into, &tags(ctx, more)))
}

/// Whether the vault of that role has what this step makes. A vault that is not there has nothing.
///
/// # Errors
/// Where the vault cannot be read.
pub fn probe<S: Data, O: From<SnapshotInfo>>(ctx: &Context<S>, role: &str) -> Result<Probe<O>, Error> {
    let vault = match ctx.vault(role, false) {
        Ok(vault) => vault,
        Err(error) if error.is_not_found() => return Ok(Probe::DidNotHappen),
        Err(error) => return Err(error),
    };
    Ok(earlier(ctx, &vault)?.map_or(Probe::DidNotHappen, |info| Probe::Happened(info.into())))
}

/// Takes what the step put into the vault of that role out of it again. Its bytes go with the next prune. A vault that is not there
/// has nothing.
///
/// # Errors
/// Where the vault cannot be read or written.
pub fn forget<S: Data>(ctx: &Context<S>, role: &str) -> Result<(), Stop> {
    let vault = match ctx.vault(role, false) {
        Ok(vault) => vault,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for info in vault.snapshots(Some(&ctx.key_tag()))? {
        vault.forget(&info.id)?;
    }
    Ok(())
}

/// Whether the vault of that role, which a step writes to, opens and passes a look; one that is not there will be made.
///
/// # Errors
/// Where the step has no such target.
pub fn opens<S: Data, T>(
    ctx: &Context<S>,
    role: &str,
    look: impl FnOnce(&Repository) -> Result<T, Error>,
) -> Result<Finding, Error> {
    let name = ctx.name(role)?;
    Ok(match ctx.vault(role, false) {
        Ok(vault) => finding(&format!("the vault {name} opens"), look(&vault)),
        Err(error) if error.is_not_found() => good(format!("the vault {name} will be made at first use")),
        Err(error) => bad(format!("the vault {name} opens: {}", error.message)),
    })
}

/// Findings on the vault `from` and, where it is named already, the snapshot in it.
///
/// # Errors
/// Where the step has no such target.
pub fn snapshot_is_there<S: Data>(ctx: &Context<S>, snapshot: &str) -> Result<Vec<Finding>, Error> {
    let name = ctx.name("from")?;
    Ok(vec![match ctx.vault("from", false) {
        Err(error) if error.is_not_found() && !is_known(snapshot) => {
            good(format!("the vault {name} is made by an earlier step"))
        }
        Err(error) => bad(format!("the vault {name} opens: {}", error.message)),
        Ok(vault) if is_known(snapshot) => {
            finding(&format!("the snapshot {snapshot} is in the vault {name}"), vault.find(snapshot))
        }
        Ok(_) => good(format!("the vault {name} opens")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Error {
        Error { kind: crate::ErrorKind::NotFound, message: "no vault".into(), hint: None }
    }

    #[test]
    fn after_an_error_only_the_tag_counts() {
        let failed = || Err::<u32, _>(Error::temporary("the line broke"));
        assert!(matches!(decided(Ok(1), || Err(gone())), Ok(1)), "what went well is not looked for");
        assert!(matches!(decided(failed(), || Ok(Some(2))), Ok(2)), "it was written all the same");
        assert!(
            matches!(decided(failed(), || Ok(None)), Err(Stop::Failed(error)) if error.message == "the line broke")
        );
        assert!(matches!(decided(failed(), || Err(gone())), Err(Stop::Failed(_))), "with the vault all in it is gone");
        let unsure = decided(failed(), || Err(Error::temporary("it is still broken")));
        assert!(matches!(unsure, Err(Stop::Unknown(why)) if why == "the line broke; and then: it is still broken"));
    }

    #[test]
    fn a_snapshot_of_an_earlier_step_has_no_name_yet() {
        assert!(is_known("latest") && is_known("0a1b"));
        assert!(!is_known("{{steps.take.snapshot}}"));
    }
}
