//! Cleaning up after a step of a drill. A place that is the run's alone is removed by the host itself, through the same grants
//! as the step had; elsewhere the plugin knows what is its own: what can be undone is undone, and then `cleanup` is called.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use lifeboat_core::grants::Operator;
use lifeboat_core::ledger;
use lifeboat_core::plan::{Mode, StepKind};
use lifeboat_core::ports::{Attempt, AttemptSink, Direction};
use lifeboat_core::{Effect, Error, Failure, Outcome, RunId, Step};
use serde_json::{Value, json};

use crate::corrupt::beside;
use crate::executor::{Executor, act, bind, judge};
use crate::fault::{from_io, to_failure};
use crate::grants::{Wish, candidates, refuse};
use crate::guest::Bound;
use crate::objects::PluginStore;
use crate::ports::ObjectStore;

fn done() -> Outcome {
    Outcome::Done { outputs: json!({}) }
}

impl Executor {
    /// Removes what the step made.
    pub(crate) async fn clean_up(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> Outcome {
        if let Err(failure) = self.fence(&attempt) {
            return Outcome::Failed { failure };
        }
        let Some(step) = attempt.plan.step(&attempt.step).cloned() else { return done() };
        let targets = match bind(&attempt, &step) {
            Ok(targets) => targets,
            Err(failure) => return Outcome::Failed { failure },
        };
        let made: Vec<Bound> = targets.into_iter().filter(|bound| makes_at(&step, bound)).collect();
        let (own, shared): (Vec<Bound>, Vec<Bound>) =
            made.into_iter().partition(|bound| ledger::is_own(&bound.target.settings));
        if !shared.is_empty() {
            match self.ask_guest(&attempt, &step, sink).await {
                Outcome::Done { .. } => {}
                other => return other,
            }
        }
        for bound in own.iter().chain(&shared).filter(|_| step.kind == StepKind::Restore) {
            if let Err(failure) = self.remove_copies_of(&attempt, bound).await {
                return Outcome::Failed { failure };
            }
        }
        for bound in own {
            if let Err(failure) = self.remove_own(&attempt, bound).await {
                return Outcome::Failed { failure };
            }
        }
        done()
    }

    async fn remove_copies_of(&self, attempt: &Attempt, bound: &Bound) -> Result<(), Failure> {
        let Some(root) = bound.settings.get("root").and_then(Value::as_str).map(PathBuf::from) else { return Ok(()) };
        let (host, mode, target) = (Arc::clone(self.host()), attempt.mode, bound.target.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let (plugin, target) = (&target.plugin, &target.name);
            let wish = Wish { plugin, target, mode, root: &root, makes: false };
            remove_copies(&host.operator, &wish).map_err(to_failure)
        });
        removed.await.unwrap_or_else(|error| Err(Failure::temporary(format!("a thread died: {error}"))))
    }

    async fn ask_guest(&self, attempt: &Attempt, step: &Step, sink: Arc<dyn AttemptSink>) -> Outcome {
        let prepare = || self.prepare(attempt, Arc::clone(&sink));
        let (first, record) = match prepare() {
            Ok(ready) => ready,
            Err(failure) => return Outcome::Failed { failure },
        };
        let known = first.plugin.known.description.kind(step.kind).cloned();
        let Some(kind) = known.filter(|kind| kind.cleanup) else {
            let name = step.plugin.as_deref().unwrap_or_default();
            let message = format!("plugin '{name}' does not remove what a {} makes", step.kind.as_str());
            let hint = "remove it by hand, or give the drill a place of its own: {{run.id}} in its root or prefix";
            return Outcome::Failed { failure: Error::new("LB1152", message).hint(hint).into() };
        };
        if kind.compensate {
            match judge(act(first, record, Direction::Undo).await, Effect::Compensatable) {
                Outcome::Done { .. } => {}
                other => return other,
            }
        }
        match prepare() {
            Ok((call, record)) => judge(act(call, record, Direction::Cleanup).await, Effect::Compensatable),
            Err(failure) => Outcome::Failed { failure },
        }
    }

    /// Removes a place that is the run's alone, with all that is in it.
    async fn remove_own(&self, attempt: &Attempt, bound: Bound) -> Result<(), Failure> {
        let run = attempt.run.clone();
        let text = |name: &str| bound.settings.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_named = |place: &Option<String>| place.as_ref().is_some_and(|place| place.contains(run.as_str()));
        if let Some(root) = text("root").filter(|root| is_named(&Some(root.clone()))) {
            let (host, mode) = (Arc::clone(self.host()), attempt.mode);
            let removed = tokio::task::spawn_blocking(move || {
                let (plugin, target, root) = (&bound.target.plugin, &bound.target.name, Path::new(&root));
                let wish = Wish { plugin, target, mode, root, makes: false };
                remove_tree(&host.operator, &wish, &run).map_err(to_failure)
            });
            return removed.await.unwrap_or_else(|error| Err(Failure::temporary(format!("a thread died: {error}"))));
        }
        if is_named(&text("prefix")) {
            let plugin = self.host().plugin_for(&bound.target.plugin, Some(&attempt.plan))?;
            let (target, settings) = (bound.target, bound.settings);
            let store = PluginStore::new(self.host(), plugin, target, settings, attempt.mode)?.making(false);
            for object in store.list("").await? {
                store.delete(&object.key).await?;
            }
            return Ok(());
        }
        let name = &bound.target.name;
        let message = format!("the place of target '{name}' does not name the run any more, so it is not removed");
        Err(Error::new("LB1152", message).hint("remove it by hand").into())
    }
}

/// Whether the plan says that the step makes something at that target.
fn makes_at(step: &Step, bound: &Bound) -> bool {
    let writes = !matches!(bound.role.as_str(), "of" | "from");
    writes && step.makes.iter().any(|makes| makes.target == bound.target.name)
}

type Told = Result<(), crate::bindings::lifeboat::plugin::types::Error>;

/// Removes the root, and the folders above it that are named after the run and empty then. Only what a drill was granted to
/// change, and only below the granted folder.
fn remove_tree(operator: &Operator, wish: &Wish<'_>, run: &RunId) -> Told {
    let root = wish.root;
    let failed = |error: io::Error| from_io("remove", &root.display().to_string(), &error);
    if std::fs::symlink_metadata(root).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    let writable = candidates(operator, wish).into_iter().filter(|grant| grant.write && wish.mode == Mode::Drill);
    for grant in writable {
        let Ok(rest) = root.strip_prefix(&grant.path) else { continue };
        if !rest.to_string_lossy().contains(run.as_str()) || rest.components().any(|part| part.as_os_str() == "..") {
            continue;
        }
        let base = match Dir::open_ambient_dir(&grant.path, ambient_authority()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        return remove_below(&base, rest, run).map_err(failed);
    }
    Err(refuse(wish))
}

/// Removes the copies by which the checks of a drill were checked, where an engine died before it could.
fn remove_copies(operator: &Operator, wish: &Wish<'_>) -> Told {
    let failed = |error: io::Error| from_io("remove the copies of", &wish.root.display().to_string(), &error);
    let Some(copy) = beside(wish.root) else { return Ok(()) };
    for grant in candidates(operator, wish).into_iter().filter(|grant| grant.write && wish.mode == Mode::Drill) {
        let Ok(rest) = copy.strip_prefix(&grant.path) else { continue };
        if rest.as_os_str().is_empty() || rest.components().any(|part| part.as_os_str() == "..") {
            continue;
        }
        let removed =
            Dir::open_ambient_dir(&grant.path, ambient_authority()).and_then(|base| base.remove_dir_all(rest));
        return match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    }
    Ok(())
}

fn remove_below(base: &Dir, rest: &Path, run: &RunId) -> io::Result<()> {
    match base.remove_dir_all(rest) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut above: PathBuf = rest.to_path_buf();
    while above.pop() && above.to_string_lossy().contains(run.as_str()) {
        match base.remove_dir(&above) {
            Ok(()) => {}
            // Another target of the run lies there, too: it is removed with that one.
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => break,
            Err(error) => return Err(error),
        }
    }
    // What is removed stays removed after a loss of power.
    let folder = rest.ancestors().skip(1).find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        base.open_dir(path).ok()
    });
    folder.map_or(Ok(()), |folder| crate::stream::sync_dir(&folder))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::grants::{DirGrant, Grant};

    use super::*;

    fn operator(path: &Path, drill: bool) -> Operator {
        let dirs = vec![DirGrant { path: path.to_path_buf(), write: true }];
        let grants = vec![Grant { plugin: "fs".into(), target: None, dirs, hosts: Vec::new() }];
        if drill {
            Operator { drill_grants: grants, ..Operator::default() }
        } else {
            Operator { grants, ..Operator::default() }
        }
    }

    #[test]
    fn a_place_of_the_run_goes_with_the_folders_that_are_named_after_it_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let run = RunId::new(1_700_000_000_000, 7);
        let own = base.path().join("drill").join(run.as_str());
        std::fs::create_dir_all(own.join("deep/standby/files")).unwrap();
        std::fs::create_dir_all(base.path().join("drill/other")).unwrap();
        std::fs::write(own.join("deep/standby/files/1"), "x").unwrap();
        let operator = operator(&base.path().join("drill"), true);
        let root = own.join("deep/standby");
        let wish = Wish { plugin: "fs", target: "t", mode: Mode::Drill, root: &root, makes: false };
        std::fs::write(own.join("beside"), "of another target").unwrap();
        remove_tree(&operator, &wish, &run).unwrap();
        assert!(!own.join("deep").exists() && own.join("beside").exists());
        std::fs::remove_file(own.join("beside")).unwrap();
        std::fs::create_dir_all(&root).unwrap();
        remove_tree(&operator, &wish, &run).unwrap();
        assert!(!own.exists() && base.path().join("drill/other").exists());
        remove_tree(&operator, &wish, &run).unwrap();
    }

    #[test]
    fn nothing_is_removed_that_a_drill_was_not_granted_or_that_is_not_named_after_the_run() {
        let base = tempfile::tempdir().unwrap();
        let run = RunId::new(1_700_000_000_000, 7);
        let root = base.path().join(run.as_str());
        std::fs::create_dir_all(&root).unwrap();
        let wish = Wish { plugin: "fs", target: "t", mode: Mode::Drill, root: &root, makes: false };
        assert!(remove_tree(&operator(base.path(), false), &wish, &run).is_err(), "a grant of production");
        let failover = Wish { mode: Mode::Failover, ..wish.clone() };
        assert!(remove_tree(&operator(base.path(), false), &failover, &run).is_err(), "no drill");
        assert!(remove_tree(&operator(&root, true), &wish, &run).is_err(), "the granted folder itself");
        let other = RunId::new(1_700_000_000_000, 8);
        assert!(remove_tree(&operator(base.path(), true), &wish, &other).is_err(), "of another run");
        assert!(root.exists());
        // A link that leads out is removed, and not what it leads to.
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("out")).unwrap();
        remove_tree(&operator(base.path(), true), &wish, &run).unwrap();
        assert!(!root.exists() && outside.path().join("kept").exists());
    }
}
