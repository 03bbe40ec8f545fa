//! Freeing what no snapshot needs: a plan that is shown, and carried out only as it was shown.
//!
//! `rustic_core` can prune, but its plan keeps to itself which packs it deletes, so that it can neither be shown nor
//! named by a fingerprint. And it deletes packs of no index before anything else, and follows no stock lock.
//!
//! The order is such that a vault is whole after every call of the store, whenever this process dies: what is needed is
//! copied first, then comes the index of all that stays, then the old index goes, and the packs last. What a dead prune
//! leaves is packs that no index names, and the next one deletes them.

use std::collections::HashSet;

use lifeboat_core::{Error, Failure};
use rustic_core::repofile::SnapshotFile;
use serde::Serialize;

use crate::blobs::{self, Blob};
use crate::error::{DAMAGED, fail_hint};
use crate::exam::root;
use crate::format::{BlobEntry, Id, Kind, weight};
use crate::inventory::{Inventory, Pack, Wrong};
use crate::lock::Lock;
use crate::packs::{PackWriter, write_index};
use crate::pool;
use crate::session::Session;
use crate::walk::walk;

/// The vault is not as it was when the plan was shown.
const CHANGED: &str = "LB0811";

/// A pack that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackFate {
    /// Its id.
    pub id: String,
    /// Its bytes.
    pub bytes: u64,
    /// Why it goes.
    pub why: String,
}

/// A pack of which a part is written anew elsewhere, and which goes then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackRewrite {
    /// Its id.
    pub id: String,
    /// Its bytes.
    pub bytes: u64,
    /// The bytes that are needed.
    pub bytes_kept: u64,
}

/// What a prune would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// The name of exactly this plan, for the call that carries it out.
    pub fingerprint: String,
    /// How many snapshots there are, whose data stays.
    pub snapshots: u64,
    /// Packs that nothing needs.
    pub delete: Vec<PackFate>,
    /// Packs that are needed in part.
    pub rewrite: Vec<PackRewrite>,
    /// How many index files are replaced.
    pub index_files: u64,
    /// The bytes of all packs now.
    pub bytes_before: u64,
    /// How many of them come free.
    pub bytes_freed: u64,
    /// How many stay though nothing needs them, as writing their packs anew would cost more than it frees.
    pub bytes_unused: u64,
}

impl PrunePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.rewrite.is_empty() && self.index_files == 0
    }
}

/// A plan with what is needed to carry it out.
pub(crate) struct Work {
    pub(crate) shown: PrunePlan,
    /// Places of packs in the inventory.
    keep: Vec<usize>,
    rewrite: Vec<(usize, Vec<u32>)>,
    delete: Vec<Id>,
}

/// What is needed of a pack.
struct Share {
    pack: usize,
    used: Vec<u32>,
    used_bytes: u64,
    unused_bytes: u64,
}

/// Looks what these snapshots need. At most so many percent of what stays may be unused.
pub(crate) fn plan(
    session: &Session,
    inventory: &Inventory,
    snapshots: &[SnapshotFile],
    max_unused: u8,
) -> Result<Work, Failure> {
    whole(session, inventory)?;
    let (shares, idle) = shares(session, inventory, snapshots)?;
    let pack = |index: usize| inventory.packs.get(index);
    let mut work = Work {
        shown: PrunePlan {
            fingerprint: String::new(),
            snapshots: snapshots.len() as u64,
            delete: Vec::new(),
            rewrite: Vec::new(),
            index_files: 0,
            bytes_before: inventory.there.values().sum(),
            bytes_freed: 0,
            bytes_unused: 0,
        },
        keep: Vec::new(),
        rewrite: Vec::new(),
        delete: Vec::new(),
    };
    let mut index_changes = inventory.untidy;
    for pack in idle.into_iter().filter_map(pack) {
        index_changes = true;
        match inventory.wrong(pack) {
            // The index is all that is left of it.
            Some(Wrong::Missing) => {}
            Some(Wrong::Size(bytes)) => work.drop_pack(pack.id, bytes, "damaged, and nothing needs it"),
            None => work.drop_pack(pack.id, pack.size, "nothing needs it"),
        }
    }
    for (id, bytes) in inventory.strays() {
        work.drop_pack(id, bytes, "no index names it: something was interrupted");
    }
    work.choose(inventory, shares, max_unused);
    if index_changes || !work.rewrite.is_empty() {
        work.shown.index_files = inventory.index_files.len() as u64;
    }
    work.name(inventory, snapshots);
    Ok(work)
}

/// Refuses to delete anything while it is not known what is needed.
fn whole(session: &Session, inventory: &Inventory) -> Result<(), Failure> {
    let bad = inventory.bad_snapshots.first().or(inventory.bad_index.first());
    bad.map_or(Ok(()), |bad| Err(not_whole(session, &format!("{} {}", bad.key, bad.why))))
}

fn not_whole(session: &Session, what: &str) -> Failure {
    fail_hint(
        DAMAGED,
        format!("nothing is deleted from the damaged vault at {}: {what}", session.place.store.location()),
        "'lifeboat vault check' shows all of the damage, 'lifeboat vault repair' mends what can be mended",
    )
}

/// What is needed of each pack, each blob in one pack only; and the packs of which nothing is.
fn shares(
    session: &Session,
    inventory: &Inventory,
    snapshots: &[SnapshotFile],
) -> Result<(Vec<Share>, Vec<usize>), Failure> {
    let roots: Vec<Id> = snapshots.iter().filter_map(root).collect();
    let there = |pack: &Pack| inventory.wrong(pack).is_none();
    let anywhere = inventory.homes(0..inventory.packs.len(), there, |_, _| true);
    let walked = walk(session, &anywhere, &roots)?;
    drop(anywhere);
    if let Some((_, why)) = walked.broken.first_key_value() {
        return Err(not_whole(session, why));
    }
    let needed = |blob: &BlobEntry| match blob.kind {
        Kind::Tree => walked.trees.contains_key(&blob.id),
        Kind::Data => walked.data.contains(&blob.id),
    };
    // A blob that is in several packs counts in the one that is needed most.
    let worth = |pack: &Pack| pack.blobs.iter().filter(|blob| needed(blob)).map(weight).sum::<u64>();
    let mut order: Vec<(u64, usize)> =
        inventory.packs.iter().enumerate().map(|(index, pack)| (worth(pack), index)).collect();
    order.sort_by_key(|(worth, index)| (std::cmp::Reverse(*worth), *index));
    let homes = inventory.homes(order.iter().map(|(_, index)| *index), there, |_, _| true);
    let (mut shares, mut idle) = (Vec::new(), Vec::new());
    for (index, pack) in inventory.packs.iter().enumerate() {
        let mut share = Share { pack: index, used: Vec::new(), used_bytes: 0, unused_bytes: 0 };
        for (number, blob) in (0u32..).zip(&pack.blobs) {
            if needed(blob) && homes.place(blob.kind, &blob.id).is_some_and(|at| at == (index as u32, number)) {
                share.used.push(number);
                share.used_bytes += weight(blob);
            } else {
                share.unused_bytes += weight(blob);
            }
        }
        if share.used.is_empty() { idle.push(index) } else { shares.push(share) }
    }
    Ok((shares, idle))
}

impl Work {
    fn drop_pack(&mut self, id: Id, bytes: u64, why: &str) {
        self.shown.delete.push(PackFate { id: id.hex(), bytes, why: why.to_owned() });
        self.shown.bytes_freed += bytes;
        self.delete.push(id);
    }

    /// Writes anew what wastes most, until no more than the limit is unused. Packs of folders always: they are small,
    /// and every operation reads them.
    fn choose(&mut self, inventory: &Inventory, mut shares: Vec<Share>, max_unused: u8) {
        let used: u64 = shares.iter().map(|share| share.used_bytes).sum();
        let percent = u64::from(max_unused.min(99));
        let limit = used / (100 - percent) * percent;
        let mut unused: u64 = shares.iter().map(|share| share.unused_bytes).sum();
        // By the part that is unused, in thousandths.
        let waste = |share: &Share| share.unused_bytes * 1000 / (share.used_bytes + share.unused_bytes).max(1);
        shares.sort_by_key(|share| (std::cmp::Reverse(waste(share)), share.pack));
        for share in shares {
            let Some(pack) = inventory.packs.get(share.pack) else { continue };
            let trees = pack.blobs.iter().any(|blob| blob.kind == Kind::Tree);
            if share.unused_bytes > 0 && (trees || unused > limit) {
                unused -= share.unused_bytes;
                let kept = PackRewrite { id: pack.id.hex(), bytes: pack.size, bytes_kept: share.used_bytes };
                self.shown.rewrite.push(kept);
                self.shown.bytes_freed += share.unused_bytes;
                self.rewrite.push((share.pack, share.used));
            } else {
                self.keep.push(share.pack);
            }
        }
        self.shown.bytes_unused = unused;
        self.keep.sort_unstable();
    }

    fn name(&mut self, inventory: &Inventory, snapshots: &[SnapshotFile]) {
        let mut text = String::from("prune\n");
        let mut lines: Vec<String> =
            snapshots.iter().map(|one| format!("keep {}\n", one.id.to_hex().as_str())).collect();
        lines.extend(self.shown.delete.iter().map(|pack| format!("delete {}\n", pack.id)));
        lines.extend(self.shown.rewrite.iter().map(|pack| format!("rewrite {}\n", pack.id)));
        lines.extend(inventory.index_files.iter().map(|key| format!("{key}\n")));
        lines.sort();
        text.extend(lines);
        self.shown.fingerprint = fingerprint(&text);
    }
}

/// A short name of a text; 64 bits are plenty against accidents, and can be typed.
pub(crate) fn fingerprint(text: &str) -> String {
    Id::of(text.as_bytes()).hex().get(..16).unwrap_or_default().to_owned()
}

/// Refuses a plan that is not the one that was shown.
pub(crate) fn same(shown: &str, now: &str) -> Result<(), Failure> {
    if shown == now {
        return Ok(());
    }
    Err(Failure::from(
        Error::new(CHANGED, format!("the plan {shown} is not the plan of this vault any more; it is {now} now"))
            .hint("look at the new plan (the same command without --apply); nothing was changed"),
    ))
}

/// Carries a plan out, if it is the one that was shown.
pub(crate) fn apply(session: &Session, max_unused: u8, shown: &str) -> Result<PrunePlan, Failure> {
    let lock = Lock::exclusive(session)?;
    let inventory = Inventory::load(session)?;
    let work = plan(session, &inventory, &inventory.snapshots, max_unused)?;
    same(shown, &work.shown.fingerprint)?;
    if work.shown.index_files > 0 {
        let fresh = rewrite(session, &inventory, &work.rewrite)?;
        let stay = work.keep.iter().filter_map(|index| inventory.packs.get(*index));
        let all = stay.map(|pack| (pack.id, pack.blobs.as_slice()));
        let all = all.chain(fresh.iter().map(|pack| (pack.id, pack.blobs.as_slice())));
        let index = write_index(session, all)?;
        lock.still_held()?;
        replace_index(session, &inventory.index_files, &index)?;
    }
    lock.still_held()?;
    let rewritten = work.rewrite.iter().filter_map(|(index, _)| inventory.packs.get(*index)).map(|pack| pack.id);
    let gone: Vec<Id> = work.delete.iter().copied().chain(rewritten).collect();
    pool::each(&session.watch, &gone, |_, id| session.place.delete(&id.pack_key()))?;
    Ok(work.shown)
}

/// Deletes index files that are replaced. The same content sealed anew has another name, so none is deleted by mistake;
/// asked for all the same, as nothing could be read without its index.
pub(crate) fn replace_index(session: &Session, old: &[String], new: &[String]) -> Result<(), Failure> {
    let new: HashSet<&String> = new.iter().collect();
    let old: Vec<&String> = old.iter().filter(|key| !new.contains(key)).collect();
    pool::each(&session.watch, &old, |_, key| session.place.delete(key))
}

/// Copies blobs of packs to new ones.
pub(crate) fn rewrite(
    session: &Session,
    inventory: &Inventory,
    packs: &[(usize, Vec<u32>)],
) -> Result<Vec<crate::format::PackEntry>, Failure> {
    let mut found: Vec<(Blob, &BlobEntry)> = Vec::new();
    for (index, numbers) in packs {
        let Some(pack) = inventory.packs.get(*index) else { continue };
        let entries = numbers.iter().filter_map(|number| pack.blobs.get(*number as usize));
        found.extend(entries.map(|entry| (pack.blob(entry), entry)));
    }
    found.sort_by_key(|(blob, _)| (blob.pack, blob.offset));
    let (blobs, entries): (Vec<Blob>, Vec<&BlobEntry>) = found.into_iter().unzip();
    session.watch.begin("rewriting", blobs.iter().map(|blob| u64::from(blob.length)).sum());
    let writer = PackWriter::new(session);
    blobs::for_each_sealed(session, &blobs, |index, read| {
        let sealed = read.map_err(|cause| not_whole(session, &format!("a blob that is needed {cause}")))?;
        let Some(entry) = entries.get(index) else { return Ok(()) };
        session.watch.add(u64::from(entry.length));
        writer.add(entry, sealed)
    })?;
    session.watch.end();
    writer.finish()
}
