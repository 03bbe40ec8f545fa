//! Several runs watched as one.

use std::collections::HashSet;

use lifeboat_core::ids::RunId;
use lifeboat_core::state::Locks;

use crate::engine::RunHandle;
use crate::notice::Rest;

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
