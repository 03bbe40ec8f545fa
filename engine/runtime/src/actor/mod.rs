//! The actor of one run: the only place where its state changes, one round after the other.
//!
//! A round is: take what happened, apply it, let the core decide what follows, make all of it durable in one append,
//! then act. If the append fails, the state in memory is thrown away with the actor: the store is the truth.

mod hear;
mod launch;
mod locking;

use std::collections::HashMap;
use std::sync::Arc;

use lifeboat_core::actions;
use lifeboat_core::decide::{self, Round};
use lifeboat_core::documents::told;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::Failure;
use lifeboat_core::ports::{Append, Attempt, Direction};
use lifeboat_core::state::{Heading, Phase, RunState, RunStatus};
use lifeboat_core::{Error, apply};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::args;
use crate::attempt::{Sink, Told};
use crate::closing::{Closing, handed_back};
use crate::engine::{Inner, summary};
use crate::notice::{Asked, Notice, Rest};
use crate::places::{Place, Turn};
use crate::rooms::Room;
use crate::takeover::HandOver;

/// Messages taken into one round: enough to share the append, few enough to bound it.
const MESSAGES_PER_ROUND: usize = 1_024;
/// A run that does nothing for longer than this gives its room to others.
const ROOM_KEPT_MS: u64 = 10_000;

/// What reaches an actor through its handles.
pub(crate) enum Inbox {
    Asked(Asked, oneshot::Sender<Result<(), Error>>),
    /// A verb that comes before everything else; if it is refused, the run is left as it is.
    First(Asked, oneshot::Sender<Result<(), Error>>),
    /// The attempts of a paused run are asked to stop, and what is in doubt is asked about.
    Settle,
    /// The run ends, and another one goes on with it.
    HandOver(Box<HandOver>, oneshot::Sender<Result<(), Error>>),
}

enum Message {
    Inbox(Inbox),
    Told(Told),
    Wake,
    LocksChanged,
    Closing,
    Place(Option<Place>),
    HandlesGone,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    step: StepId,
    direction: Direction,
    probe: bool,
}

/// An attempt or a probe under way.
struct Live {
    sink: Arc<Sink>,
    abort: AbortHandle,
    /// Its place among all attempts; probes need none.
    place: Option<Place>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Who waits for the events of a round to be durable.
#[derive(Default)]
struct Waiters {
    verbs: Vec<oneshot::Sender<Result<(), Error>>>,
    checkpoints: Vec<oneshot::Sender<Result<(), Failure>>>,
}

pub(crate) struct Actor {
    inner: Arc<Inner>,
    state: RunState,
    epoch: u64,
    messages: mpsc::UnboundedReceiver<Inbox>,
    tell: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
    rests: watch::Sender<Option<Rest>>,
    live: HashMap<Key, Live>,
    places: Vec<Place>,
    turn: Option<Turn>,
    /// The time that the last decisions were made for.
    looked_at: u64,
    /// The sequence number at which the rest was last told.
    rested_at: u64,
    handles_gone: bool,
    room: Option<Room>,
    locks_changed: watch::Receiver<u64>,
    closing: watch::Receiver<Closing>,
    /// Whether somebody wants to know how the run stands, although it is paused.
    settling: bool,
    /// Whether its locks were given back at its end.
    released: bool,
    /// Whether the run was taken up again with its locks: what an earlier engine still does is then fenced off.
    locks_anew: bool,
    /// What the other runs were told of this one: whether it goes on by itself.
    told_active: bool,
    // The round under way.
    events: Vec<Event>,
    launches: Vec<Attempt>,
    waiters: Waiters,
}

impl Actor {
    pub(crate) fn new(
        inner: Arc<Inner>,
        state: RunState,
        epoch: u64,
        messages: mpsc::UnboundedReceiver<Inbox>,
        rests: watch::Sender<Option<Rest>>,
    ) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let locks_changed = inner.locks.changes();
        let closing = inner.closing.subscribe();
        Self {
            inner,
            state,
            epoch,
            messages,
            tell,
            told,
            rests,
            live: HashMap::new(),
            places: Vec::new(),
            turn: None,
            looked_at: 0,
            rested_at: 0,
            handles_gone: false,
            room: None,
            locks_changed,
            closing,
            settling: false,
            released: false,
            locks_anew: false,
            told_active: true,
            events: Vec::new(),
            launches: Vec::new(),
            waiters: Waiters::default(),
        }
    }

    /// Lives until the run rests and nobody has a handle on it any more.
    pub(crate) async fn live(mut self, recovering: bool, room: Room) {
        self.room = Some(room);
        if let Err(error) = self.work(recovering).await {
            tracing::error!(run = %self.state.run, "the run stopped: {error}");
            self.live.clear();
            self.rests.send_replace(Some(Rest::Stopped(error)));
        }
        self.inner.locks.note(&self.state.run, None);
    }

    async fn work(&mut self, recovering: bool) -> Result<(), Error> {
        if recovering {
            self.locks_anew = true;
            for kind in decide::recover(&self.state, self.now()) {
                self.happen(kind)?;
            }
        }
        if !self.first_word()? {
            return Ok(());
        }
        loop {
            self.lock().await?;
            self.follow()?;
            #[cfg(feature = "mutants")]
            if lifeboat_core::mutant::is(lifeboat_core::mutant::Mutant::ActBeforePersist) {
                self.act();
            }
            let spoken = self.persist().await?;
            let wake = self.act();
            self.unlock().await;
            let resting = self.publish_rest();
            self.give_room(wake, resting);
            // Who is answered finds the run as it is after the verb, not in the rest that the verb ended.
            spoken.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
            if resting && self.handles_gone {
                return Ok(());
            }
            if self.hands_back() {
                if !self.state.status().is_final() {
                    self.rests.send_replace(Some(Rest::Stopped(handed_back(&self.state.run))));
                }
                return Ok(());
            }
            let first = self.next_message(wake).await;
            self.take(first)?;
            for _ in 0..MESSAGES_PER_ROUND {
                let next = self.told.try_recv().map(Message::Told);
                let Ok(message) = next.or_else(|_| self.messages.try_recv().map(Message::Inbox)) else { break };
                self.take(message)?;
            }
        }
    }

    fn give_room(&mut self, wake: Option<u64>, resting: bool) {
        let idle = self.live.is_empty() && self.turn.is_none() && self.wanted(self.looked_at) == 0;
        let long = wake.is_none_or(|at| at.saturating_sub(self.looked_at) > ROOM_KEPT_MS);
        if self.room.is_some() && (resting || (idle && long)) {
            self.room = None;
        }
    }

    /// How many attempts could begin now. An engine that is being closed begins none.
    fn wanted(&self, now: u64) -> usize {
        if self.open() { decide::wanted(&self.state, now) } else { 0 }
    }

    fn open(&self) -> bool {
        *self.closing.borrow() == Closing::Open
    }

    /// Whether the run is left to the next engine now. What is under way may come to its end first, while there is time.
    fn hands_back(&mut self) -> bool {
        let closing = *self.closing.borrow_and_update();
        let idle = self.live.keys().all(|key| key.probe);
        closing == Closing::Now || (closing == Closing::Soon && idle)
    }

    fn now(&self) -> u64 {
        self.inner.parts.clock.now_ms()
    }

    /// Applies an event in memory; it is real once [`Self::persist`] returns.
    fn happen(&mut self, kind: EventKind) -> Result<(), Error> {
        let event = Event::new(self.now(), kind);
        apply::apply(&mut self.state, &event).map_err(|error| error.with("run", &self.state.run))?;
        self.events.push(event);
        Ok(())
    }

    async fn next_message(&mut self, wake: Option<u64>) -> Message {
        let clock = Arc::clone(&self.inner.parts.clock);
        if self.wanted(clock.now_ms()) == 0 {
            self.turn = None;
        } else if self.turn.is_none() {
            self.turn = Some(self.inner.places.queue());
        }
        let now = || self.inner.parts.clock.now_ms();
        let waits_for_locks = self.state.wants_locks();
        tokio::select! {
            Some(told) = self.told.recv() => Message::Told(told),
            Ok(()) = self.locks_changed.changed(), if waits_for_locks => Message::LocksChanged,
            Ok(()) = self.closing.changed() => Message::Closing,
            inbox = self.messages.recv(), if !self.handles_gone => inbox.map_or(Message::HandlesGone, Message::Inbox),
            () = async { match wake {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            } } => Message::Wake,
            place = async { match &mut self.turn {
                Some(turn) => turn.come(now).await,
                None => std::future::pending().await,
            } } => Message::Place(place),
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Wake | Message::LocksChanged | Message::Closing => Ok(()),
            Message::Place(place) => {
                self.turn = None;
                self.places.extend(place);
                Ok(())
            }
            Message::HandlesGone => {
                self.handles_gone = true;
                Ok(())
            }
            Message::Inbox(Inbox::Settle) => {
                self.settling = self.state.paused.is_some();
                if self.settling {
                    self.live.values().for_each(|live| live.sink.cancel());
                }
                Ok(())
            }
            Message::Inbox(Inbox::HandOver(to, answer)) => self.hand_over(*to, answer),
            Message::Inbox(Inbox::Asked(asked, answer) | Inbox::First(asked, answer)) => self.hear(asked, answer),
            Message::Told(told) => self.note(told),
        }
    }

    fn note(&mut self, told: Told) -> Result<(), Error> {
        let time = (self.now(), self.inner.parts.rng.next_u64());
        let kind = match told {
            Told::Ended { step, direction, number, outcome } => {
                let ended = self.live.remove(&Key { step: step.clone(), direction, probe: false });
                // Its place is kept for what follows in this very round.
                let place = ended.and_then(|mut live| live.place.take());
                self.places.extend(place.and_then(|place| self.inner.places.keep(place, time.0)));
                decide::attempt_finished(&self.state, &step, direction, number, outcome, false, time)
            }
            Told::Probed { step, number, answer } => {
                self.live.remove(&Key { step: step.clone(), direction: Direction::Forward, probe: true });
                decide::probed(&self.state, &step, number, answer, time)
            }
            Told::Checkpoint { step, number, value, durable } => {
                let phase = self.state.step(&step).map(|(_, now)| &now.phase);
                if matches!(phase, Some(Phase::Running { number: running, .. }) if *running == number) {
                    self.waiters.checkpoints.push(durable);
                    Some(EventKind::Checkpointed { step, number, value })
                } else {
                    let _ = durable.send(Err(Failure::permanent("the attempt is not under way any more")));
                    None
                }
            }
        };
        kind.map_or(Ok(()), |kind| self.happen(kind))
    }

    /// Lets the core decide until nothing follows.
    fn follow(&mut self) -> Result<(), Error> {
        let mut starts = 0;
        loop {
            let now = self.now();
            let wanted = self.wanted(now);
            self.looked_at = now;
            while self.places.len() < wanted + starts {
                let Some(place) = self.inner.places.take(now) else { break };
                self.places.push(place);
            }
            let free = if self.open() { self.places.len().saturating_sub(starts) } else { 0 };
            let round = Round { now, starts: free };
            let kinds = decide::advance(&self.state, round);
            if kinds.is_empty() {
                return Ok(());
            }
            for kind in kinds {
                let intent = match &kind {
                    EventKind::AttemptStarted { step, direction, number, token, .. } => {
                        Some((step.clone(), *direction, *number, *token))
                    }
                    _ => None,
                };
                self.happen(kind)?;
                if let Some((step, direction, number, token)) = intent {
                    starts += self.intend(step, direction, number, token)?;
                }
            }
        }
    }

    /// Prepares the launch of an attempt; 1 when it will need a place, 0 when it failed on the spot.
    fn intend(&mut self, step: StepId, direction: Direction, number: u32, token: u64) -> Result<usize, Error> {
        match args::attempt(&self.state, &step, direction, number, token) {
            Ok(attempt) => {
                self.launches.push(attempt);
                Ok(1)
            }
            Err(error) => {
                let outcome = decide::unfillable(error);
                let time = (self.now(), 0);
                let kind = decide::attempt_finished(&self.state, &step, direction, number, outcome, false, time);
                kind.map_or(Ok(()), |kind| self.happen(kind))?;
                Ok(0)
            }
        }
    }

    /// Makes the round durable. Returns who spoke the verbs in it.
    async fn persist(&mut self) -> Result<Vec<oneshot::Sender<Result<(), Error>>>, Error> {
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        let events = std::mem::take(&mut self.events);
        let first = self.state.seq + 1 - u64::try_from(events.len()).unwrap_or(0);
        #[cfg(feature = "mutants")]
        let events = self.without_intents(events);
        if events.is_empty() {
            return Ok(std::mem::take(&mut self.waiters).verbs);
        }
        let append = Append {
            run: self.state.run.clone(),
            expected: first - 1,
            epoch: self.epoch,
            events: events.iter().map(Event::encode).collect::<Result<_, _>>()?,
            summary: summary(&self.state)?,
        };
        let waiters = std::mem::take(&mut self.waiters);
        if let Err(error) = self.inner.parts.store.append(append).await {
            let error = told(error);
            for answer in waiters.verbs {
                let _ = answer.send(Err(error.clone()));
            }
            return Err(error);
        }
        waiters.checkpoints.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
        for (seq, event) in (first..).zip(events) {
            let notice = Notice::Event { run: self.state.run.clone(), seq, event: Arc::new(event) };
            let _ = self.inner.notices.send(notice);
        }
        Ok(waiters.verbs)
    }

    /// Does what is outstanding and not under way yet. Returns when to look again.
    fn act(&mut self) -> Option<u64> {
        for attempt in std::mem::take(&mut self.launches) {
            self.launch(attempt);
        }
        // What is not needed now goes back to the other runs.
        self.places.clear();
        if self.state.result.is_some() {
            // An abandoned run may have attempts under way: nobody waits for them.
            self.live.clear();
        } else if matches!(self.state.heading, Heading::Cancelling { .. }) {
            self.live.values().for_each(|live| live.sink.cancel());
        }
        for (step, number) in self.asked() {
            self.probe(step, number);
        }
        actions::wake_after(&self.state, self.looked_at)
    }

    /// What is to be asked about: of a paused run nothing, unless somebody wants it settled.
    fn asked(&self) -> Vec<(StepId, u32)> {
        if self.settling { actions::doubts(&self.state) } else { actions::probes(&self.state) }
    }

    /// Tells the handles where the run is. True when nothing goes on by itself.
    fn publish_rest(&mut self) -> bool {
        let wants_locks = self.state.wants_locks();
        let asking = self.settling && !self.asked().is_empty();
        if self.rested_at == self.state.seq && self.rests.borrow().is_some() && !wants_locks && !asking {
            // A refused verb, or a late word of an attempt: nothing changed, and a state is not copied for nothing.
            return true;
        }
        let waits_for_time = if wants_locks { self.lock_comes_free() } else { self.state.waits_for_time() };
        // A probe that is still asked after its step was overtaken keeps nobody waiting.
        let under_way = asking || self.live.keys().any(|key| !key.probe);
        let status = self.state.status();
        let rest = if status.is_final() {
            Some(Rest::Ended(Arc::new(self.state.clone())))
        } else if matches!(status, RunStatus::Waiting | RunStatus::Stuck | RunStatus::Paused)
            && !waits_for_time
            && !under_way
        {
            Some(Rest::Person(Arc::new(self.state.clone())))
        } else {
            None
        };
        let resting = rest.is_some();
        if self.told_active == resting && !self.state.lock_names.is_empty() {
            self.told_active = !resting;
            self.inner.locks.note(&self.state.run, Some(!resting));
        }
        // Most rounds change nothing here; a needless wake-up of every handle would cost more than the look.
        if resting || self.rests.borrow().is_some() {
            self.rested_at = self.state.seq;
            self.rests.send_replace(rest);
        }
        resting
    }

    #[cfg(feature = "mutants")]
    fn without_intents(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        if lifeboat_core::mutant::is(lifeboat_core::mutant::Mutant::NoIntent) {
            let is_intent = |event: &Event| matches!(event.kind, EventKind::AttemptStarted { .. });
            let keep = events.iter().rposition(|event| !is_intent(event)).map_or(0, |last| last + 1);
            self.events = events.split_off(keep);
        }
        events
    }
}
