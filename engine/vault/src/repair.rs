//! Mending a vault: a plan that is shown, and carried out only as it was shown.
//!
//! The index is built anew from what is there. What can still be read of a damaged pack is written to a new one, and the
//! pack is set aside. A snapshot that cannot be restored as a whole any more is named and set aside too, so that nobody
//! relies on it. What is set aside is kept below `removed/`, sealed as it was; no program looks there, and it can be put
//! back by copying.

use std::collections::BTreeMap;

use lifeboat_core::Failure;
use rustic_core::jiff::Timestamp;
use serde::Serialize;

use crate::exam::{DamagedSnapshot, Exam, examine};
use crate::format::Id;
use crate::inventory::{Pack, Wrong};
use crate::lock::Lock;
use crate::packs::write_index;
use crate::pool;
use crate::prune::{PackFate, PackRewrite, fingerprint, replace_index, rewrite, same};
use crate::session::Session;

/// A file that is moved away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// Its key in the store.
    pub key: String,
    /// Why.
    pub why: String,
}

/// What a repair would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairPlan {
    /// The name of exactly this plan, for the call that carries it out.
    pub fingerprint: String,
    /// Packs that come into the index.
    pub index_add: Vec<PackFate>,
    /// Packs that go from the index, because they are not there.
    pub index_drop: Vec<PackFate>,
    /// Damaged packs, with the bytes that are saved from them.
    pub rewrite: Vec<PackRewrite>,
    /// Files that are moved below `removed/`: index files, packs and snapshots that are damaged.
    pub set_aside: Vec<SetAside>,
    /// The snapshots that are lost and among these.
    pub lost: Vec<DamagedSnapshot>,
    /// Snapshots that are damaged now and whole afterwards.
    pub mended: Vec<DamagedSnapshot>,
}

impl RepairPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.index_add.is_empty()
            && self.index_drop.is_empty()
            && self.rewrite.is_empty()
            && self.set_aside.is_empty()
            && self.mended.is_empty()
    }

    fn name(&mut self) {
        let packs = self.index_add.iter().chain(&self.index_drop).map(|pack| format!("{} {}\n", pack.id, pack.why));
        let mut lines: Vec<String> = packs.collect();
        lines.extend(self.rewrite.iter().map(|pack| format!("rewrite {} {}\n", pack.id, pack.bytes_kept)));
        lines.extend(self.set_aside.iter().map(|file| format!("aside {}\n", file.key)));
        lines.sort();
        self.fingerprint = fingerprint(&format!("repair\n{}", lines.concat()));
    }
}

/// A plan with what is needed to carry it out.
pub(crate) struct Work {
    pub(crate) shown: RepairPlan,
    /// Places of packs in the inventory.
    keep: Vec<usize>,
    rewrite: Vec<(usize, Vec<u32>)>,
    new_index: bool,
}

/// Decides what to do about what was found.
pub(crate) fn plan(exam: &Exam) -> Work {
    let inventory = &exam.inventory;
    let mut work = Work { shown: RepairPlan::default(), keep: Vec::new(), rewrite: Vec::new(), new_index: false };
    let hurt = |pack: &Pack| inventory.wrong(pack).is_some() || exam.bad.contains_key(&pack.id);
    let safe = inventory.homes(0..inventory.packs.len(), |pack| !hurt(pack), |_, _| true);
    for (index, pack) in inventory.packs.iter().enumerate() {
        let fate = |bytes, why: &str| PackFate { id: pack.id.hex(), bytes, why: why.to_owned() };
        match inventory.wrong(pack) {
            Some(Wrong::Missing) => work.shown.index_drop.push(fate(0, "it is missing")),
            wrong if wrong.is_some() || exam.bad.contains_key(&pack.id) => {
                // Only what is nowhere else.
                let saved = (0u32..)
                    .zip(&pack.blobs)
                    .filter(|(number, blob)| exam.good(pack, *number) && safe.place(blob.kind, &blob.id).is_none());
                let saved: Vec<(u32, u64)> = saved.map(|(number, blob)| (number, u64::from(blob.length))).collect();
                work.shown.rewrite.push(PackRewrite {
                    id: pack.id.hex(),
                    bytes: inventory.there.get(&pack.id).copied().unwrap_or_default(),
                    bytes_kept: saved.iter().map(|(_, bytes)| bytes).sum(),
                });
                work.aside(pack.id.pack_key(), "a part of it is damaged, and the rest is written anew");
                work.rewrite.push((index, saved.into_iter().map(|(number, _)| number).collect()));
            }
            _ => {
                if exam.strays.contains(&pack.id) {
                    work.shown.index_add.push(fate(pack.size, "no index names it"));
                } else if exam.corrected.contains_key(&pack.id) {
                    work.shown.index_add.push(fate(pack.size, "its header knows better than the index"));
                }
                work.keep.push(index);
            }
        }
    }
    for bad in inventory.bad_index.iter().chain(&inventory.bad_snapshots) {
        work.aside(bad.key.clone(), &bad.why);
    }
    let (mended, lost) = exam.report.damaged.iter().cloned().partition(|snapshot| snapshot.mendable);
    (work.shown.mended, work.shown.lost) = (mended, lost);
    for snapshot in work.shown.lost.clone() {
        work.aside(format!("snapshots/{}", snapshot.id), &snapshot.why);
    }
    let shown = &work.shown;
    let packs_stay = shown.index_add.is_empty() && shown.index_drop.is_empty() && shown.rewrite.is_empty();
    work.new_index = !(packs_stay && inventory.bad_index.is_empty());
    work.shown.name();
    work
}

impl Work {
    fn aside(&mut self, key: String, why: &str) {
        self.shown.set_aside.push(SetAside { key, why: why.to_owned() });
    }
}

/// Carries a plan out, if it is the one that was shown.
pub(crate) fn apply(session: &Session, deep: bool, shown: &str) -> Result<RepairPlan, Failure> {
    let lock = Lock::exclusive(session)?;
    let exam = examine(session, deep)?;
    let work = plan(&exam);
    same(shown, &work.shown.fingerprint)?;
    let inventory = &exam.inventory;
    // Copies first: whenever this process dies, what is damaged is there still, here or there.
    let stamp = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    pool::each(&session.watch, &work.shown.set_aside, |_, file| {
        let data = session.place.get(&file.key, 0, None)?;
        session.place.put(&format!("removed/{stamp}/{}", file.key), data)
    })?;
    if work.new_index {
        let fresh = rewrite(session, inventory, &work.rewrite)?;
        let stay: BTreeMap<Id, _> = work
            .keep
            .iter()
            .filter_map(|index| inventory.packs.get(*index))
            .map(|pack| (pack.id, pack.blobs.as_slice()))
            .chain(fresh.iter().map(|pack| (pack.id, pack.blobs.as_slice())))
            .collect();
        let index = write_index(session, stay.into_iter())?;
        lock.still_held()?;
        replace_index(session, &inventory.index_files, &index)?;
    }
    lock.still_held()?;
    pool::each(&session.watch, &work.shown.set_aside, |_, file| session.place.delete(&file.key))?;
    Ok(work.shown)
}
