//! The check of the checks: each of seven deliberate bugs has to be found by one of the campaigns, and without a bug none
//! finds anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lifeboat_core::ids::RunId;
use lifeboat_core::mutant::{self, Mutant};
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{EmbeddedStore, Options, witness};

use crate::report::{Found, Report};
use crate::{cut, inject, sim};

/// How much of each campaign is tried for one bug.
const PLANS: u64 = 160;
const SEEDS: u64 = 400;
/// Appends before the power is cut.
const APPENDS: u64 = 40;

/// Runs all campaigns with each bug.
pub fn run() -> Result<Report, Found> {
    let mut report = Report::new("mutants");
    if let Some((campaign, found)) = first_finding() {
        return Err(Found::new("mutants", 0, format!("without a bug, {campaign} finds: {found}")));
    }
    // A bug may well be found by a panic of the simulation; its words would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    for bug in Mutant::ALL {
        mutant::set(Some(bug));
        let found = first_finding();
        mutant::set(None);
        match found {
            Some((campaign, what)) => {
                let line: String = what.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("{bug:?}: found by {campaign}: {line}");
                report.count("bugs found", 1);
            }
            None => return Err(Found::new("mutants", 0, format!("nobody finds {bug:?}"))),
        }
    }
    Ok(report)
}

/// The first campaign that finds something, and what.
fn first_finding() -> Option<(&'static str, String)> {
    type Campaign = (&'static str, fn() -> Result<(), String>);
    let all: [Campaign; 4] = [
        ("power", power),
        ("cut", || cut::run(0..PLANS).map(drop).map_err(|found| found.to_string())),
        ("inject", || inject::run(0..PLANS / 4).map(drop).map_err(|found| found.to_string())),
        ("sim", || sim::run(0..SEEDS).map(drop).map_err(|found| found.to_string())),
    ];
    all.into_iter().find_map(|(name, campaign)| {
        let ended = catch_unwind(AssertUnwindSafe(campaign));
        let said = ended.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
        });
        said.err().map(|what| (name, what))
    })
}

/// A loss of power as the journal's flushes allow it at worst: of each segment, only what a flush covered is left.
fn power() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (live, after) = (folder.path().join("live"), folder.path().join("after"));
    let run = RunId::new(1, 1);
    let acknowledged = crate::block(async {
        let (store, _) = EmbeddedStore::open(&live, Options::default()).map_err(|error| error.to_string())?;
        for expected in 0..APPENDS {
            let events = vec![format!("{{\"n\":{expected}}}").into_bytes()];
            let append = Append { run: run.clone(), expected, epoch: 1, events, summary: b"{}".to_vec() };
            store.append(append).await.map_err(|error| error.to_string())?;
        }
        copy_flushed(&live, &after).map_err(|error| error.to_string())?;
        Ok::<_, String>(APPENDS)
    })?;
    let (store, _) =
        EmbeddedStore::open(&after, Options::default()).map_err(|error| format!("it does not open: {error}"))?;
    let read = crate::block(store.read(&run, 0)).map_err(|error| error.to_string())?;
    let left = u64::try_from(read.len()).unwrap();
    if left == acknowledged { Ok(()) } else { Err(format!("{acknowledged} events were acknowledged, {left} are left")) }
}

fn copy_flushed(from: &Path, to: &Path) -> std::io::Result<()> {
    let journal = to.join("journal");
    std::fs::create_dir_all(&journal)?;
    for entry in std::fs::read_dir(from.join("journal"))? {
        let path = entry?.path();
        let mut bytes = std::fs::read(&path)?;
        let flushed = usize::try_from(witness::flushed(&path)).unwrap_or(usize::MAX).min(bytes.len());
        bytes[flushed..].fill(0);
        std::fs::write(journal.join(path.file_name().unwrap_or_default()), bytes)?;
    }
    Ok(())
}
