//! The runbooks in the operator's folders, looked at again when they change. A bad file is named with its mistakes, and takes
//! nothing from the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use lifeboat_core::Error;
use lifeboat_core::plan::{Mode, Objectives};
use serde::{Deserialize, Serialize};

use crate::held::{lock, read, write};
use crate::workshop::{AlertTrigger, Diagnosis, InputView, Looked, ScheduleRule, Workshop};

/// Files in all folders that are looked at. More is no library of runbooks, but a wrong folder.
const FILES_MAX: usize = 10_000;
/// How deep folders are searched.
const DEPTH_MAX: usize = 16;

/// A runbook, or a file that should be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunbookView {
    /// Its name; of a file that cannot be read so far, its path.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Whether it can be run.
    pub good: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The modes that it can be run in.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub modes: Vec<Mode>,
    /// Its inputs.
    pub inputs: Vec<InputView>,
    /// What the business asked for, in milliseconds: `rto_ms`, `rpo_ms`, `mtpd_ms`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub objectives: Objectives,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnosis>,
}

/// When a file was last changed, as far as the system tells. `None`: it cannot be looked at.
type Mark = Option<(SystemTime, u64)>;

struct Seen {
    /// Counts the looks at files: another number, another look.
    number: u64,
    marks: Vec<(PathBuf, Mark)>,
    looked: Looked,
}

/// What is known of the folders.
pub(crate) struct Library {
    folders: Vec<PathBuf>,
    workshop: Arc<dyn Workshop>,
    seen: std::sync::Mutex<BTreeMap<PathBuf, Seen>>,
    shown: RwLock<Arc<Vec<RunbookView>>>,
    starts: RwLock<Starts>,
    /// The number of the last look at each file.
    numbers: RwLock<Arc<BTreeMap<String, u64>>>,
    looks: AtomicU64,
}

/// What starts runs by itself, of all good runbooks.
#[derive(Clone, Default)]
struct Starts {
    schedules: Arc<Vec<ScheduleRule>>,
    alerts: Arc<Vec<AlertTrigger>>,
}

fn mark(path: &Path) -> Mark {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

impl Library {
    pub(crate) fn new(folders: Vec<PathBuf>, workshop: Arc<dyn Workshop>) -> Self {
        Self {
            folders,
            workshop,
            seen: std::sync::Mutex::default(),
            shown: RwLock::default(),
            starts: RwLock::default(),
            numbers: RwLock::default(),
            looks: AtomicU64::new(0),
        }
    }

    /// All runbooks, by name.
    pub(crate) fn all(&self) -> Arc<Vec<RunbookView>> {
        Arc::clone(&read(&self.shown))
    }

    /// The good runbooks, each with a number that is another one once its file, or one that is read for it, has changed.
    pub(crate) fn good(&self) -> Vec<(RunbookView, u64)> {
        let numbers = Arc::clone(&read(&self.numbers));
        let all = self.all();
        let good = all.iter().filter(|view| view.good);
        good.map(|view| (view.clone(), numbers.get(&view.file).copied().unwrap_or_default())).collect()
    }

    /// When runbooks run by themselves.
    pub(crate) fn schedules(&self) -> Arc<Vec<ScheduleRule>> {
        Arc::clone(&read(&self.starts).schedules)
    }

    /// Which alerts start runbooks.
    pub(crate) fn triggers(&self) -> Arc<Vec<AlertTrigger>> {
        Arc::clone(&read(&self.starts).alerts)
    }

    /// The good runbook of that name.
    ///
    /// # Errors
    /// `LB1056` there is none; `LB1064` with its mistakes where it is refused.
    pub(crate) fn find(&self, name: &str) -> Result<RunbookView, (Error, Vec<Diagnosis>)> {
        let all = self.all();
        let named: Vec<&RunbookView> = all.iter().filter(|view| view.name == name).collect();
        if let Some(good) = named.iter().find(|view| view.good) {
            return Ok((*good).clone());
        }
        match named.first() {
            Some(bad) => Err((
                Error::new("LB1064", format!("the runbook '{name}' is refused"))
                    .hint("mend its file; it is read again"),
                bad.diagnostics.clone(),
            )),
            None => {
                let error = Error::new("LB1056", format!("there is no runbook '{name}'"))
                    .hint("GET /v1/runbooks lists them; 'service { runbooks \"DIR\" }' names their folders");
                Err((error, Vec::new()))
            }
        }
    }

    /// Looks at what changed since the last time. Takes as long as the compiler does.
    pub(crate) fn look(&self) {
        let mut trouble = Vec::new();
        let mut files = BTreeSet::new();
        for folder in &self.folders {
            search(folder, &mut files, &mut trouble);
        }
        let mut seen = lock(&self.seen);
        seen.retain(|file, _| files.contains(file));
        for file in files {
            let same = |seen: &Seen| seen.marks.iter().all(|(path, then)| mark(path) == *then);
            if seen.get(&file).is_some_and(same) {
                continue;
            }
            // The time is taken before the reading: what changes meanwhile is read again.
            let before = mark(&file);
            let looked = self.workshop.look(&file);
            let mut marks = vec![(file.clone(), before)];
            marks.extend(looked.files.iter().map(|path| (path.clone(), mark(path))));
            tracing::info!(file = %file.display(), name = looked.name.as_deref(), "looked at a runbook");
            let number = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
            seen.insert(file, Seen { number, marks, looked });
        }
        let shown = show(&seen, trouble);
        let starts = starts(&seen, &shown);
        let numbers = seen.iter().map(|(file, seen)| (file.display().to_string(), seen.number)).collect();
        *write(&self.numbers) = Arc::new(numbers);
        *write(&self.starts) = starts;
        *write(&self.shown) = Arc::new(shown);
    }
}

/// What is told of the files. Those that are only parts of others are not runbooks.
fn show(seen: &BTreeMap<PathBuf, Seen>, trouble: Vec<RunbookView>) -> Vec<RunbookView> {
    let parts: BTreeSet<&PathBuf> = seen.values().flat_map(|seen| &seen.looked.files).collect();
    let mut named: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut shown = trouble;
    for (file, Seen { looked, .. }) in seen {
        let Some(name) = &looked.name else {
            if !parts.contains(file) {
                shown.push(view(file, file.display().to_string(), looked));
            }
            continue;
        };
        let mut view = view(file, name.clone(), looked);
        if let Some(first) = named.get(name.as_str()) {
            view.good = false;
            view.diagnostics.push(finding(
                file,
                "LB1069",
                format!("another file has a runbook '{name}', too: {}", first.display()),
                "give one of them another name",
            ));
        } else {
            named.insert(name, file);
        }
        shown.push(view);
    }
    shown.sort_by(|a, b| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
    shown
}

/// What starts the good runbooks among these by itself.
fn starts(seen: &BTreeMap<PathBuf, Seen>, shown: &[RunbookView]) -> Starts {
    let good: BTreeSet<&str> = shown.iter().filter(|view| view.good).map(|view| view.file.as_str()).collect();
    let all = seen.iter().filter(|(file, _)| good.contains(file.display().to_string().as_str()));
    let (mut schedules, mut alerts) = (Vec::new(), Vec::new());
    for (_, Seen { looked, .. }) in all {
        schedules.extend(looked.schedules.iter().cloned());
        alerts.extend(looked.alerts.iter().cloned());
    }
    Starts { schedules: Arc::new(schedules), alerts: Arc::new(alerts) }
}

fn view(file: &Path, name: String, looked: &Looked) -> RunbookView {
    let good = looked.name.is_some() && !looked.diagnostics.iter().any(Diagnosis::is_error);
    RunbookView {
        name,
        file: file.display().to_string(),
        good,
        description: looked.description.clone(),
        modes: looked.modes.clone(),
        inputs: looked.inputs.clone(),
        objectives: looked.objectives,
        diagnostics: looked.diagnostics.clone(),
    }
}

fn finding(file: &Path, code: &str, message: String, help: &str) -> Diagnosis {
    Diagnosis {
        code: code.to_owned(),
        severity: "error".to_owned(),
        message,
        file: file.display().to_string(),
        line: 1,
        column: 1,
        help: Some(help.to_owned()),
    }
}

/// Puts the `.kdl` files below a folder into `files`. What cannot be read is told as a bad file.
fn search(folder: &Path, files: &mut BTreeSet<PathBuf>, trouble: &mut Vec<RunbookView>) {
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) => {
                let message = format!("the folder cannot be read: {cause}");
                let found = finding(&folder, "LB0901", message, "name a folder that this user can read");
                let looked = Looked { diagnostics: vec![found], ..Looked::default() };
                trouble.push(view(&folder, folder.display().to_string(), &looked));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !hidden && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if !hidden && path.extension().is_some_and(|found| found == "kdl") && files.len() < FILES_MAX {
                files.insert(path);
            }
        }
    }
}
