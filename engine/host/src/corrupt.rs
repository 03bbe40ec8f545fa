//! Checking the checks: after the expectations of a drill's `validate` hold, they are asked again about copies that were damaged
//! on purpose. What they do not notice, they would not notice in a disaster either.
//!
//! What was restored is never touched: the copies are made of hard links beside it, through the drill's own grants, and a file
//! is damaged by putting another one in its place.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use lifeboat_core::plan::{Corruption, Mode, StepKind};
use lifeboat_core::ports::{Attempt, AttemptSink, Direction};
use lifeboat_core::{Effect, FailureKind, Outcome};
use serde::Serialize;
use serde_json::{Value, json};

use crate::executor::{Executor, act, judge};
use crate::grants::{Wish, candidates};
use crate::sentinel::SENTINEL;

/// Files that are damaged for each kind: the largest, the smallest that is not empty, and one between.
const VICTIMS: usize = 3;
/// Files that a copy may have: each is a link, and a check of the checks is no load test.
const FILES_MAX: usize = 100_000;
/// How much older a sentinel is made: a month.
const OLDER_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// What came of one damage.
#[derive(Debug, Serialize)]
struct Trial {
    corruption: Corruption,
    file: String,
    /// Whether the expectations noticed it.
    caught: bool,
    /// What they said, or why nothing could be tried.
    said: String,
}

/// The name of the copies beside a root. Whoever removes the root removes them, too.
pub(crate) fn beside(root: &Path) -> Option<PathBuf> {
    let mut name = root.file_name()?.to_os_string();
    name.push(".lifeboat-check");
    Some(root.with_file_name(name))
}

impl Executor {
    /// Tries the damages that the plan names, and adds what came of them to the outputs as `checks`.
    pub(crate) async fn check_checks(
        &self,
        attempt: &Attempt,
        sink: Arc<dyn AttemptSink>,
        outcome: Outcome,
    ) -> Outcome {
        let step = attempt.plan.step(&attempt.step);
        let wanted = step.filter(|step| step.kind == StepKind::Validate && attempt.mode == Mode::Drill);
        let kinds = wanted.map(|step| step.corruptions.clone()).unwrap_or_default();
        let Outcome::Done { mut outputs } = outcome else { return outcome };
        if kinds.is_empty() || attempt.direction != Direction::Forward {
            return Outcome::Done { outputs };
        }
        let checks = match self.trials(attempt, &kinds, &sink).await {
            Ok(trials) => json!(trials),
            Err(why) => {
                let none = |corruption| Trial { corruption, file: String::new(), caught: false, said: why.clone() };
                json!(kinds.into_iter().map(none).collect::<Vec<_>>())
            }
        };
        if let Value::Object(map) = &mut outputs {
            map.insert("checks".to_owned(), checks);
        }
        Outcome::Done { outputs }
    }

    async fn trials(
        &self,
        attempt: &Attempt,
        kinds: &[Corruption],
        sink: &Arc<dyn AttemptSink>,
    ) -> Result<Vec<Trial>, String> {
        let place = self.copy_place(attempt)?;
        let mut trials = Vec::new();
        for kind in kinds {
            for victim in victims(&place, *kind).await? {
                sink.progress(trials.len() as u64, None, "checks of checks", &victim);
                let (place_of, name, kind) = (place.clone(), victim.clone(), *kind);
                let made = blocking(move || prepare(&place_of, kind, &name)).await?;
                let (caught, said) = if made { self.ask(attempt, &place, sink).await } else { (false, nothing(kind)) };
                trials.push(Trial { corruption: kind, file: victim, caught, said });
                if sink.cancelled() {
                    break;
                }
            }
        }
        let gone = place.clone();
        blocking(move || gone.remove()).await?;
        Ok(trials)
    }

    /// Asks the plugin about the damaged copy.
    async fn ask(&self, attempt: &Attempt, place: &Place, sink: &Arc<dyn AttemptSink>) -> (bool, String) {
        let mut other = attempt.clone();
        for (_, settings) in &mut other.settings {
            if let Some(root) = settings.get_mut("root") {
                *root = json!(place.copy);
            }
        }
        let (call, record) = match self.prepare(&other, Arc::clone(sink)) {
            Ok(ready) => ready,
            Err(failure) => return (false, format!("it could not be asked: {}", failure.message)),
        };
        match judge(act(call, record, Direction::Forward).await, Effect::Read) {
            Outcome::Done { .. } => (false, "they hold all the same".to_owned()),
            Outcome::Failed { failure } if failure.kind == FailureKind::Permanent => (true, failure.message),
            Outcome::Failed { failure } => (false, format!("it could not be asked: {}", failure.message)),
            Outcome::Unknown { reason } => (false, format!("it could not be asked: {reason}")),
        }
    }

    /// Where copies of the step's target go: beside its root, as far as the drill may write there.
    fn copy_place(&self, attempt: &Attempt) -> Result<Place, String> {
        let step = attempt.plan.step(&attempt.step).ok_or("there is no such step")?;
        let used = step.targets.first().ok_or("the step has no target")?;
        let settings = attempt.settings.iter().find(|(role, _)| *role == used.role).map(|(_, settings)| settings);
        let root = settings.and_then(|settings| settings.get("root")).and_then(Value::as_str).map(PathBuf::from);
        let root = root.ok_or("only folders can be copied, and the target is none")?;
        let copy = beside(&root).ok_or("the target is the whole file system")?;
        let target = attempt.plan.targets.get(&used.target).ok_or("there is no such target")?;
        let wish = Wish { plugin: &target.plugin, target: &target.name, mode: Mode::Drill, root: &root, makes: false };
        let granted = candidates(&self.host().operator, &wish).into_iter().filter(|grant| grant.write);
        for grant in granted {
            if let (Ok(from), Ok(to)) = (root.strip_prefix(&grant.path), copy.strip_prefix(&grant.path)) {
                let clean = !from.as_os_str().is_empty() && from.components().all(|part| part.as_os_str() != "..");
                if clean {
                    let (from, to) = (from.to_path_buf(), to.to_path_buf());
                    return Ok(Place { grant: grant.path.clone(), from, to, copy });
                }
            }
        }
        Err("the drill may not write beside what was restored, so no copy can be made".to_owned())
    }
}

fn nothing(kind: Corruption) -> String {
    match kind {
        Corruption::Stale => "there is no sentinel in it, so its age cannot be told".to_owned(),
        _ => "there is nothing in it that could be damaged like this".to_owned(),
    }
}

/// The root and its copy, relative to a granted folder.
#[derive(Clone, Debug)]
struct Place {
    grant: PathBuf,
    from: PathBuf,
    to: PathBuf,
    copy: PathBuf,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| format!("the copy could not be made: {error}")),
        Err(error) => Err(format!("a thread of the host died: {error}")),
    }
}

async fn victims(place: &Place, kind: Corruption) -> Result<Vec<String>, String> {
    if kind == Corruption::Stale {
        return Ok(vec![SENTINEL.to_owned()]);
    }
    let place = place.clone();
    blocking(move || {
        let dir = place.base()?.open_dir(&place.from)?;
        let mut files: Vec<(u64, String)> = Vec::new();
        walk(&dir, Path::new(""), &mut |path, size| {
            files.push((size, path.to_string_lossy().into_owned()));
            Ok(())
        })?;
        files.retain(|(size, name)| *size > 0 && name != SENTINEL);
        files.sort();
        let places = [files.len().checked_sub(1), Some(0), Some(files.len() / 2)];
        let mut found: Vec<String> = Vec::new();
        for (_, name) in places.into_iter().flatten().filter_map(|place| files.get(place)) {
            if !found.contains(name) && found.len() < VICTIMS {
                found.push(name.clone());
            }
        }
        Ok(found)
    })
    .await
}

impl Place {
    fn base(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.grant, ambient_authority())
    }

    fn remove(&self) -> io::Result<()> {
        match self.base()?.remove_dir_all(&self.to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Makes the copy anew and damages one file of it; false where there is nothing to damage.
fn prepare(place: &Place, kind: Corruption, victim: &str) -> io::Result<bool> {
    place.remove()?;
    let base = place.base()?;
    let from = base.open_dir(&place.from)?;
    base.create_dir(&place.to)?;
    let to = base.open_dir(&place.to)?;
    let mut count = 0;
    walk(&from, Path::new(""), &mut |path, _| {
        count += 1;
        if count > FILES_MAX {
            return Err(io::Error::other(format!("it has more than {FILES_MAX} files")));
        }
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            to.create_dir_all(above)?;
        }
        // Where the file system has no hard links, it is a copy in earnest.
        from.hard_link(path, &to, path).or_else(|_| from.copy(path, &to, path).map(drop))
    })?;
    damage(&to, kind, Path::new(victim))
}

fn walk(dir: &Dir, below: &Path, each: &mut dyn FnMut(&Path, u64) -> io::Result<()>) -> io::Result<()> {
    let here = if below.as_os_str().is_empty() { dir.try_clone()? } else { dir.open_dir(below)? };
    for entry in here.entries()? {
        let entry = entry?;
        let (path, meta) = (below.join(entry.file_name()), entry.metadata()?);
        if meta.is_dir() {
            walk(dir, &path, each)?;
        } else if meta.is_file() {
            each(&path, meta.len())?;
        }
    }
    Ok(())
}

/// Damages a file of the copy. The link is taken away first, so that the original keeps its bytes.
fn damage(copy: &Dir, kind: Corruption, victim: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    let size = match copy.open(victim) {
        Ok(mut file) if kind == Corruption::Stale => file.read_to_end(&mut bytes)? as u64,
        Ok(file) => file.metadata()?.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let original = copy.open(victim)?;
    copy.remove_file(victim)?;
    if kind == Corruption::Drop {
        return Ok(true);
    }
    let mut options = OpenOptions::new();
    let mut file = copy.open_with(victim, options.read(true).write(true).create_new(true))?;
    match kind {
        Corruption::Flip => {
            io::copy(&mut original.into_std(), &mut file)?;
            let (middle, mut byte) = (size / 2, [0_u8; 1]);
            file.seek(SeekFrom::Start(middle))?;
            file.read_exact(&mut byte)?;
            file.seek(SeekFrom::Start(middle))?;
            file.write_all(&byte.map(|byte| byte ^ 0xff))?;
        }
        Corruption::Truncate => {
            io::copy(&mut original.into_std().take(size / 2), &mut file)?;
        }
        Corruption::Drop => {}
        Corruption::Stale => {
            let Ok(Value::Object(mut sentinel)) = serde_json::from_slice(&bytes) else { return Ok(false) };
            let at = sentinel.get("at").and_then(Value::as_u64).unwrap_or(0).saturating_sub(OLDER_MS);
            sentinel.insert("at".to_owned(), at.into());
            file.write_all(Value::Object(sentinel).to_string().as_bytes())?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("back");
        std::fs::create_dir_all(root.join("deep")).unwrap();
        std::fs::write(root.join("deep/big"), vec![7; 100]).unwrap();
        std::fs::write(root.join("small"), "abcd").unwrap();
        std::fs::write(root.join("empty"), "").unwrap();
        std::fs::write(root.join(SENTINEL), format!("{{\"at\":{},\"token\":\"t\"}}", 2 * OLDER_MS)).unwrap();
        let copy = beside(&root).unwrap();
        let place =
            Place { grant: base.path().to_path_buf(), from: "back".into(), to: "back.lifeboat-check".into(), copy };
        (base, place)
    }

    #[tokio::test]
    async fn each_damage_is_in_the_copy_alone() {
        let (base, place) = place();
        let original = |name: &str| std::fs::read(base.path().join("back").join(name)).unwrap();
        let copied = |name: &str| std::fs::read(place.copy.join(name));
        assert_eq!(victims(&place, Corruption::Flip).await.unwrap(), ["deep/big", "small"]);
        assert!(prepare(&place, Corruption::Flip, "deep/big").unwrap());
        let flipped = copied("deep/big").unwrap();
        assert_eq!(flipped.iter().filter(|byte| **byte != 7).count(), 1);
        assert_eq!(copied("small").unwrap(), b"abcd");
        assert!(prepare(&place, Corruption::Truncate, "small").unwrap());
        assert_eq!(copied("small").unwrap(), b"ab");
        assert_eq!(copied("deep/big").unwrap(), vec![7; 100], "the copy is made anew");
        assert!(prepare(&place, Corruption::Drop, "small").unwrap());
        assert!(copied("small").is_err());
        assert!(prepare(&place, Corruption::Stale, SENTINEL).unwrap());
        let older: Value = serde_json::from_slice(&copied(SENTINEL).unwrap()).unwrap();
        assert_eq!(older["at"], OLDER_MS);
        assert_eq!((original("small"), original("deep/big")), (b"abcd".to_vec(), vec![7; 100]));
        std::fs::remove_file(base.path().join("back").join(SENTINEL)).unwrap();
        assert!(!prepare(&place, Corruption::Stale, SENTINEL).unwrap(), "nothing tells an age");
        place.remove().unwrap();
        place.remove().unwrap();
        assert!(!place.copy.exists() && original("small") == b"abcd");
    }
}
