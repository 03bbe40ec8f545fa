//! The switch by a symbolic link. A new link is made beside the old one and renamed over it: there is no moment without
//! a link. What the link led to before is a checkpoint, durable before the rename, so that an undo knows it after any
//! crash.

use lifeboat_sdk::host::EntryKind;
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::switch::Outputs;

/// What was, before anything was changed.
#[data]
pub struct Before {
    /// What the link led to; nothing, where there was none.
    previous: Option<String>,
}

/// What the link leads to; nothing, where there is none.
fn read(dir: &Directory, link: &str) -> Result<Option<String>, Error> {
    match dir.stat(link) {
        Ok(entry) if entry.kind == EntryKind::Symlink => dir.read_link(link).map(Some),
        Ok(_) => Err(Error::permanent(format!("{link} is there, and is no symbolic link"))
            .hint("move what is there to another name, and make a link to it once by hand")),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a link at `link` that leads to `to`, both relative to the root: a link is read from its own folder.
fn text(link: &str, to: &str) -> String {
    let mut folder: Vec<&str> = link.split('/').collect();
    folder.pop();
    let to: Vec<&str> = to.split('/').collect();
    let common = folder.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", folder.len() - common);
    up.chain(to.into_iter().skip(common)).collect::<Vec<_>>().join("/")
}

/// The name of the link while it is made. It is the same for all attempts of the run, so none is left behind.
fn scratch(ctx: &Context<Settings>, link: &str) -> String {
    match link.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.{name}.lifeboat-{}", ctx.run()),
        None => format!(".{link}.lifeboat-{}", ctx.run()),
    }
}

fn remove(dir: &Directory, path: &str) -> Result<(), Error> {
    match dir.remove_file(path) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Makes the link lead there, in one atomic step.
fn point(ctx: &Context<Settings>, dir: &Directory, link: &str, to: &str) -> Result<(), Stop> {
    let scratch = scratch(ctx, link);
    remove(dir, &scratch)?;
    dir.symlink(to, &scratch)?;
    let Err(error) = dir.rename(&scratch, link) else {
        return Ok(());
    };
    // The rename may be there although its fsync failed: the link itself says.
    match read(dir, link) {
        Ok(Some(now)) if now == to => Err(Stop::Unknown(format!("the link may not be durable: {}", error.message))),
        Ok(_) => Err(error.into()),
        Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
    }
}

pub fn execute(ctx: &Context<Settings>, dir: &Directory, link: &str, to: &str) -> Result<Outputs, Stop> {
    // A link to nothing would take the service down.
    dir.stat(to).map_err(|error| error.during(&format!("what the link shall lead to, {to}")))?;
    let now = text(link, to);
    let current = read(dir, link)?;
    let previous = match ctx.checkpoint::<Before>()? {
        Some(before) => before.previous,
        None => {
            host::checkpoint(&Before { previous: current.clone() })?;
            current.clone()
        }
    };
    if current.as_deref() != Some(now.as_str()) {
        point(ctx, dir, link, &now)?;
    }
    Ok(Outputs { previous, link: link.to_owned(), now })
}

pub fn readiness(dir: &Directory, link: &str, to: &str) -> Result<Vec<Finding>, Error> {
    let current = match read(dir, link) {
        Ok(Some(current)) => good(format!("the link {link} is there, and leads to {current}")),
        Ok(None) => good(format!("the link {link} is not there yet, and will be made")),
        Err(error) => bad(error.message),
    };
    Ok(vec![current, finding(&format!("{to} is there"), dir.stat(to))])
}

pub fn probe(ctx: &Context<Settings>, dir: &Directory, link: &str, to: &str) -> Result<Probe<Outputs>, Error> {
    let now = text(link, to);
    if read(dir, link)?.as_deref() != Some(now.as_str()) {
        return Ok(Probe::DidNotHappen);
    }
    Ok(match ctx.checkpoint::<Before>()? {
        Some(before) => Probe::Happened(Outputs { previous: before.previous, link: link.to_owned(), now }),
        // The checkpoint comes before the change: without one, the link led there already. Trying again changes
        // nothing.
        None => Probe::DidNotHappen,
    })
}

pub fn compensate(
    ctx: &Context<Settings>,
    dir: &Directory,
    link: &str,
    to: &str,
    outputs: Option<Outputs>,
) -> Result<(), Stop> {
    remove(dir, &scratch(ctx, link))?;
    if read(dir, link)?.as_deref() != Some(text(link, to).as_str()) {
        // It was put back already, never came to be, or somebody has switched since: it is not ours to change.
        return Ok(());
    }
    let previous = match (outputs, ctx.checkpoint::<Before>()?) {
        (Some(outputs), _) => outputs.previous,
        (None, Some(before)) => before.previous,
        // Nothing was ever changed without a checkpoint before it.
        (None, None) => return Ok(()),
    };
    match previous {
        Some(previous) if previous == text(link, to) => Ok(()),
        Some(previous) => point(ctx, dir, link, &previous),
        None => Ok(remove(dir, link)?),
    }
}

pub fn cleanup(ctx: &Context<Settings>, dir: &Directory, link: &str) -> Result<(), Stop> {
    Ok(remove(dir, &scratch(ctx, link))?)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_link_is_read_from_its_own_folder() {
        assert_eq!(text("current", "v2"), "v2");
        assert_eq!(text("current", "releases/v2"), "releases/v2");
        assert_eq!(text("app/current", "app/v2"), "v2");
        assert_eq!(text("app/live/current", "app/v2"), "../v2");
        assert_eq!(text("a/b/current", "c/v2"), "../../c/v2");
    }
}
