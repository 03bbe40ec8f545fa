//! Gaps: records of the journal that are lost, whose they were, and which runs cannot go on because of it.
//!
//! A run whose later events are there in full has lost nothing. A run that is known to have lost something is in
//! quarantine. When it is not known whose the lost records were, every unfinished run of which nothing later is found
//! may have lost its end, and is in quarantine too: to go on with it could repeat what was done.

use std::collections::BTreeSet;

use lifeboat_core::RunId;
use lifeboat_core::ports::RunHead;
use lifeboat_core::state::Summary;

use crate::errors;
use crate::frame::{self, Header, Lost};
use crate::replay::{Damage, Replay};
use crate::segment;

/// Records that are lost, and the place behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The segment of the first record behind them.
    pub segment: u64,
    /// Where that record starts, in bytes; 0: they are missing before the segment.
    pub offset: u64,
    /// What is lost.
    pub lost: Lost,
}

impl Replay {
    /// Bad bytes in which nothing was lost, before a frame that follows on the last one.
    pub(crate) fn harmed(&mut self) {
        if let Some(pending) = self.pending.first().cloned() {
            self.touched.extend(self.pending.iter().map(|pending| pending.segment));
            self.push_damage(pending.segment, pending.offset, 0, pending.reason);
        }
    }

    /// Frames up to `found` are missing: names the place, and the runs that are known to be hit.
    pub(crate) fn lost(
        &mut self,
        segment: u64,
        offset: u64,
        found: u64,
        previous: Option<u64>,
        otherwise: &'static str,
    ) {
        let missing = found.saturating_sub(self.next);
        let first = self.pending.first().cloned();
        let (at, byte, reason) = first.map_or((segment, offset, otherwise), |p| (p.segment, p.offset, p.reason));
        self.touched.extend(self.pending.iter().map(|pending| pending.segment));
        self.touched.insert(segment);
        self.push_damage(at, byte, missing, reason);
        let headers = self.pending.iter().filter_map(|pending| pending.header);
        let inside: Vec<Header> = headers.filter(|h| h.number >= self.next && h.number < found).collect();
        let mut numbers: BTreeSet<u64> = inside.iter().map(|header| header.number).collect();
        let mut owners: Vec<u64> = inside.iter().map(|header| header.owner).collect();
        if let Some(previous) = previous.filter(|owner| *owner != 0) {
            numbers.insert(found - 1);
            owners.push(previous);
        }
        let unknown = missing.saturating_sub(numbers.len() as u64);
        let lost = Lost { first: self.next, last: found - 1, owners, unknown, reason: reason.to_owned() };
        self.hit(&lost, (at, byte));
        self.gaps.push(Gap { segment, offset, lost });
        self.pending.clear();
        self.next = found;
    }

    /// A frame whose checksums are good and whose content is none.
    pub(crate) fn senseless(&mut self, place: (u64, u64), header: &Header, reason: &str) {
        self.push_damage(place.0, place.1, 1, reason);
        let (first, last) = (header.number, header.number);
        let lost = Lost { first, last, owners: vec![header.owner], unknown: 0, reason: reason.to_owned() };
        self.hit(&lost, place);
        self.touched.insert(place.0);
        self.gaps.push(Gap { segment: place.0, offset: place.1, lost });
    }

    /// What a repair wrote in the place of lost records.
    pub(crate) fn settled(&mut self, lost: Lost, place: (u64, u64)) {
        self.hit(&lost, place);
        self.settled.push(Gap { segment: place.0, offset: place.1, lost });
    }

    fn hit(&mut self, lost: &Lost, place: (u64, u64)) {
        let owners: BTreeSet<u64> = lost.owners.iter().copied().collect();
        let hit =
            self.model.heads.keys().filter(|run| owners.contains(&frame::owner_of_run(run, self.seal.as_deref())));
        for run in hit.cloned().collect::<Vec<_>>() {
            let seq = self.model.heads.get(&run).map_or(0, |head| head.seq);
            let reason = format!("events after event {seq} were in a damaged record");
            self.quarantine(run, reason, place);
        }
        if lost.unknown == 0 {
            return;
        }
        let count = 1 + lost.last - lost.first;
        let records = if count == 1 { "a lost record".to_owned() } else { format!("{count} lost records") };
        for head in self.model.heads.values().filter(|head| may_go_on(head)) {
            let reason = format!("events after event {} may have been in {records}", head.seq);
            self.suspects.insert(head.run.clone(), reason);
            self.broken.entry(head.run.clone()).or_insert(place);
        }
    }

    /// The journal has been read to its end: who is still suspected is set aside.
    pub(crate) fn finish(&mut self) {
        for (run, reason) in std::mem::take(&mut self.suspects) {
            let place = self.broken.get(&run).copied().unwrap_or_default();
            if !self.model.quarantined.contains_key(&run) {
                self.quarantine(run, reason, place);
            }
        }
    }

    /// Runs that have fewer or other events in the journal than `known` says, and what is wrong with each.
    pub(crate) fn short<'a>(&self, known: impl IntoIterator<Item = &'a RunHead>) -> Vec<(RunId, String)> {
        let mut short = Vec::new();
        for head in known {
            let here = self.model.heads.get(&head.run);
            let seq = here.map_or(0, |here| here.seq);
            let same = here.is_some_and(|here| here.seq > head.seq || (here.seq, here.chain) == (head.seq, head.chain));
            if !same && !self.model.quarantined.contains_key(&head.run) {
                let reason =
                    format!("the index knows of {} events, the journal has {seq}: the last are lost", head.seq);
                short.push((head.run.clone(), reason));
            }
        }
        short
    }

    fn push_damage(&mut self, segment: u64, offset: u64, missing: u64, reason: &str) {
        self.damage.push(Damage {
            segment: segment::name(segment),
            offset,
            missing,
            reason: reason.to_owned(),
            error: errors::damaged(segment, offset, reason).with("missing", missing),
        });
    }
}

/// Whether a run may take more events. One whose summary cannot be read may.
fn may_go_on(head: &RunHead) -> bool {
    serde_json::from_slice::<Summary>(&head.summary).map_or(true, |summary| !summary.status.is_final())
}
