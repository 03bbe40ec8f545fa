//! One sample: the plan carried out once, on a clock that jumps from event to event.
//!
//! It costs a few operations a step and an edge, whatever the plan's shape: steps that could begin are kept in a set of bits,
//! and only what is under way is kept by time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lifeboat_core::policy::backoff_ms;

use super::model::{Model, Node, Start};
use crate::random::Random;

/// Nobody.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Done,
    Failed,
    FailedForGood,
    /// Its limit was reached.
    Over,
    /// It may be tried again.
    Due,
}

#[derive(Clone, Copy, Debug)]
struct Happens {
    at: f64,
    step: u32,
    what: What,
}

impl PartialEq for Happens {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Happens {}

impl PartialOrd for Happens {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest: a heap gives it first. Of those at one time, the first in the source.
impl Ord for Happens {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.step.cmp(&self.step))
    }
}

/// Numbers, of which the smallest is taken first: a bit each, and a bit for each word of them.
#[derive(Default)]
struct Ready {
    words: Vec<u64>,
    summary: Vec<u64>,
    first: usize,
}

impl Ready {
    fn reset(&mut self, count: usize) {
        self.words.clear();
        self.words.resize(count.div_ceil(64), 0);
        self.summary.clear();
        self.summary.resize(count.div_ceil(64 * 64), 0);
        self.first = 0;
    }

    fn insert(&mut self, number: u32) {
        let (word, above) = (number as usize / 64, number as usize / 4096);
        if let (Some(bits), Some(words)) = (self.words.get_mut(word), self.summary.get_mut(above)) {
            *bits |= 1 << (number % 64);
            *words |= 1 << (word % 64);
            self.first = self.first.min(above);
        }
    }

    fn take(&mut self) -> Option<u32> {
        while *self.summary.get(self.first)? == 0 {
            self.first += 1;
        }
        let words = self.summary.get_mut(self.first)?;
        let word = self.first * 64 + words.trailing_zeros() as usize;
        let bits = self.words.get_mut(word)?;
        let bit = bits.trailing_zeros();
        *bits &= *bits - 1;
        if *bits == 0 {
            *words &= *words - 1;
        }
        Some(word as u32 * 64 + bit)
    }
}

/// What a step came to in a sample.
#[derive(Clone, Copy, Default)]
struct Was {
    unmet: u32,
    failures: u32,
    /// The step whose end let it begin.
    cause: u32,
    began: f64,
    /// Its first attempt has begun.
    begun: bool,
}

/// What a sample came to.
pub(super) enum Came {
    /// Every step is complete, so many seconds after the sample began.
    Succeeded(f64),
    /// This step failed for good.
    Failed(u32),
}

/// The world of one sample; used again for the next, so that nothing is allocated.
pub(super) struct Sample<'a> {
    model: &'a Model,
    random: Random,
    heap: BinaryHeap<Happens>,
    ready: Ready,
    was: Vec<Was>,
    fresh: Vec<Was>,
    complete: Vec<u32>,
    /// By fan-out: how many are under way, and who waits for one of them to end.
    fans: Vec<(u32, BinaryHeap<Reverse<u32>>)>,
    room: u32,
    now: f64,
    /// The step whose event is looked at.
    cause: u32,
    last: u32,
    /// The last successful sample's chain, from its end: each step with its time.
    pub path: Vec<(u32, f64)>,
    /// What was waited for locks in it.
    pub waited: f64,
}

impl<'a> Sample<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let was =
            |node: &Node| Was { unmet: node.unmet, failures: node.failures, cause: NONE, began: 0.0, begun: false };
        let fresh: Vec<Was> = model.nodes.iter().map(was).collect();
        Self {
            model,
            random: Random::new(0),
            heap: BinaryHeap::new(),
            ready: Ready::default(),
            was: fresh.clone(),
            fresh,
            complete: Vec::new(),
            fans: vec![(0, BinaryHeap::new()); model.fans.len()],
            room: model.room,
            now: 0.0,
            cause: NONE,
            last: NONE,
            path: Vec::new(),
            waited: 0.0,
        }
    }

    /// Carries the plan out once.
    pub(super) fn run(&mut self, random: Random) -> Came {
        self.reset(random);
        self.begin();
        self.settle();
        self.fill();
        while let Some(event) = self.heap.pop() {
            (self.now, self.cause) = (event.at, event.step);
            if let Some(failed) = self.happen(event) {
                return Came::Failed(failed);
            }
            self.settle();
            self.fill();
        }
        self.trace();
        Came::Succeeded(self.now)
    }

    fn reset(&mut self, random: Random) {
        self.random = random;
        self.heap.clear();
        self.ready.reset(self.model.nodes.len());
        self.was.copy_from_slice(&self.fresh);
        self.complete.clear();
        for (under_way, waiting) in &mut self.fans {
            *under_way = 0;
            waiting.clear();
        }
        self.room = self.model.room;
        (self.cause, self.last) = (NONE, NONE);
        let waits = &self.model.lock_waits;
        self.waited = waits.get(self.random.below(waits.len())).copied().unwrap_or_default();
        self.now = self.waited;
        self.path.clear();
    }

    /// Puts every step where it is when the sample begins.
    fn begin(&mut self) {
        for (place, node) in self.model.nodes.iter().enumerate() {
            let step = place as u32;
            match node.start {
                Start::Complete => {}
                Start::Fresh if node.unmet == 0 => self.release(step),
                Start::Fresh => {}
                Start::UnderWay(since) => {
                    self.enter(node);
                    self.attempt(step, node, since);
                }
                Start::Due(after) => {
                    self.started(step);
                    self.push(after, step, What::Due);
                }
                Start::Ends(after) => {
                    self.started(step);
                    self.push(after, step, What::Done);
                }
            }
        }
    }

    fn push(&mut self, after: f64, step: u32, what: What) {
        self.heap.push(Happens { at: self.now + after, step, what });
    }

    /// All before it are complete.
    fn release(&mut self, step: u32) {
        let Some(node) = self.model.nodes.get(step as usize) else { return };
        if self.random.happens(node.not_needed) {
            self.started(step);
            self.complete.push(step);
        } else if node.takes_room {
            self.ready.insert(step);
        } else {
            self.attempt(step, node, 0.0);
        }
    }

    fn started(&mut self, step: u32) {
        if let Some(was) = self.was.get_mut(step as usize)
            && !was.begun
        {
            (was.cause, was.began, was.begun) = (self.cause, self.now, true);
        }
    }

    fn enter(&mut self, node: &Node) {
        if node.takes_room {
            self.room = self.room.saturating_sub(1);
        }
        if let Some((under_way, _)) = node.fan.and_then(|fan| self.fans.get_mut(fan)) {
            *under_way += 1;
        }
    }

    fn leave(&mut self, node: &Node) {
        if !node.takes_room {
            return;
        }
        self.room += 1;
        if let Some((under_way, waiting)) = node.fan.and_then(|fan| self.fans.get_mut(fan)) {
            *under_way = under_way.saturating_sub(1);
            // One goes, so one may come; the others would only be turned away again.
            if let Some(Reverse(step)) = waiting.pop() {
                self.ready.insert(step);
            }
        }
    }

    /// Begins whatever there is room for.
    fn fill(&mut self) {
        while self.room > 0 {
            let Some(step) = self.ready.take() else { return };
            let Some(node) = self.model.nodes.get(step as usize) else { return };
            let fan = node.fan.and_then(|fan| Some((self.fans.get_mut(fan)?, *self.model.fans.get(fan)?)));
            if let Some(((under_way, waiting), limit)) = fan
                && *under_way >= limit
            {
                waiting.push(Reverse(step));
                continue;
            }
            self.enter(node);
            self.attempt(step, node, 0.0);
        }
    }

    /// Draws what an attempt comes to that has been under way for `since` seconds.
    fn attempt(&mut self, step: u32, node: &Node, since: f64) {
        self.started(step);
        let luck = if node.fails + node.fails_for_good > 0.0 { self.random.unit() } else { 1.0 };
        let what = if luck < node.fails {
            What::Failed
        } else if luck < node.fails + node.fails_for_good {
            What::FailedForGood
        } else {
            What::Done
        };
        let span = node.fails_after.as_ref().filter(|_| what != What::Done).unwrap_or(&node.span);
        let random = &mut self.random;
        let unknown = matches!(node.basis, super::Basis::Unknown);
        let whole = if since > 0.0 && !unknown { span.draw_beyond(since, random) } else { span.draw(random) };
        let (whole, what) = if whole > node.limit { (node.limit, What::Over) } else { (whole, what) };
        self.push((whole - since).max(0.0), step, what);
    }

    /// An event has happened. The step that failed for good, if one did.
    fn happen(&mut self, event: Happens) -> Option<u32> {
        let node = self.model.nodes.get(event.step as usize)?;
        if event.what == What::Due {
            self.ready.insert(event.step);
            return None;
        }
        // What ends in a run under way has its room from the beginning; a timer has none.
        self.leave(node);
        match event.what {
            What::Done => {
                self.complete.push(event.step);
                return None;
            }
            What::FailedForGood => return Some(event.step),
            What::Over if !node.goes_on_after_limit => return Some(event.step),
            _ => {}
        }
        let was = self.was.get_mut(event.step as usize)?;
        was.failures += 1;
        if was.failures > node.retry.count {
            return Some(event.step);
        }
        let delay = backoff_ms(&node.retry, was.failures, self.random.bits());
        self.push(delay as f64 / 1e3, event.step, What::Due);
        None
    }

    /// Lets go on what waited for the steps that are complete. Those that are not needed are complete at once.
    fn settle(&mut self) {
        while let Some(step) = self.complete.pop() {
            self.last = step;
            let model = self.model;
            let Some((from, to)) = model.nodes.get(step as usize).map(|node| node.after) else { continue };
            let event = std::mem::replace(&mut self.cause, step);
            for next in model.after.get(from..to).unwrap_or_default() {
                if let Some(was) = self.was.get_mut(*next as usize) {
                    was.unmet = was.unmet.saturating_sub(1);
                    if was.unmet == 0 {
                        self.release(*next);
                    }
                }
            }
            self.cause = event;
        }
    }

    /// The chain of steps that ended the sample when it did: from the last to the first, each let begin by the one before it.
    fn trace(&mut self) {
        let (mut step, mut until) = (self.last, self.now);
        while let Some(was) = self.was.get(step as usize) {
            self.path.push((step, until - was.began));
            (step, until) = (was.cause, was.began);
        }
    }
}
