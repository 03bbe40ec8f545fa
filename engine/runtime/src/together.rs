//! Several runs taken up, and watched, as one.

use std::collections::{HashSet, VecDeque};

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::state::Locks;

use crate::engine::{Engine, RunHandle};
use crate::notice::Rest;

/// Logs that are read ahead of the run that is taken up next. Reading is most of the work, and is done on all processors.
const READ_AHEAD: usize = 64;

/// Takes all of these runs up again, in their order: who comes first gets locks and places first. Each has its own result, as
/// of [`Engine::resume`]; one that cannot be taken up keeps no other one from it.
pub async fn resume_all(engine: &Engine, runs: Vec<RunId>) -> Vec<Result<RunHandle, Error>> {
    let mut results = Vec::with_capacity(runs.len());
    let mut loading = VecDeque::with_capacity(READ_AHEAD);
    let mut runs = runs.into_iter();
    loop {
        while loading.len() < READ_AHEAD
            && let Some(run) = runs.next()
        {
            let engine = engine.clone();
            loading.push_back(tokio::spawn(async move { engine.load(&run).await }));
        }
        let Some(first) = loading.pop_front() else { return results };
        let loaded = first.await.unwrap_or_else(|cause| {
            Err(Error::new("LB0503", "reading a run came to a sudden end").with("cause", cause))
        });
        results.push(match loaded {
            Ok(loaded) => engine.go_on(loaded).await,
            Err(error) => Err(error),
        });
    }
}

/// Waits until all of these runs rest at once, and gives the rest of each, in their order. A run that waits for a lock of
/// one that has just ended does not rest: it is about to have the lock.
pub async fn all_at_rest(handles: &mut [RunHandle]) -> Vec<Rest> {
    loop {
        for handle in handles.iter_mut() {
            handle.rest().await;
        }
        // One of the first may have gone on while the last ones were waited for.
        let Some(rests) = handles.iter().map(RunHandle::resting).collect::<Option<Vec<Rest>>>() else { continue };
        let about_to_go_on = {
            let ended: HashSet<&RunId> = rests.iter().filter_map(ended).collect();
            rests.iter().position(|rest| waits_for(rest, &ended))
        };
        let Some(handle) = about_to_go_on.and_then(|place| handles.get_mut(place)) else { return rests };
        if !handle.changed().await {
            return rests;
        }
    }
}

fn ended(rest: &Rest) -> Option<&RunId> {
    match rest {
        Rest::Ended(state) => Some(&state.run),
        _ => None,
    }
}

fn waits_for(rest: &Rest, ended: &HashSet<&RunId>) -> bool {
    let Rest::Person(state) = rest else { return false };
    let Locks::Wanted { held } = &state.locks else { return false };
    held.iter().any(|held| ended.contains(&held.holder))
}
