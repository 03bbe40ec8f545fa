//! `schedule` without paths: the schedules of the service that has the data folder, with what became of them; where none has, those of the
//! operator's folders.

use lifeboat_core::Error;
use lifeboat_service::client::Client;
use lifeboat_service::{DueView, ScheduleView};
use serde_json::Value;

use crate::clock::utc;
use crate::commands::schedule::{self, Due, line, print_next};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// Due times of one schedule that a service tells at most.
const NEXT_MAX: usize = 500;
/// Decisions of a schedule that are shown.
const DECIDED: usize = 5;

fn folders(world: &World) -> Result<Vec<std::path::PathBuf>, Error> {
    let folders = world.operator()?.service.unwrap_or_default().runbooks;
    if folders.is_empty() {
        return Err(Error::new("LB0902", "no service has the data folder, and no folder of runbooks is known").hint(
            "name runbooks or folders; 'service { runbooks \"DIR\" }' of the operator's file names them for all",
        ));
    }
    Ok(folders)
}

/// Lists schedules, each with its next due time and what became of the last ones.
///
/// # Errors
/// The service's; as [`schedule::list`].
pub async fn list(world: &World) -> Result<Exit, Error> {
    let Some(client) = Client::find(&world.data).await? else { return schedule::list(world, &folders(world)?) };
    let all = client.schedules(1).await?;
    if world.screen.json {
        put_json(&all)?;
        return Ok(Exit::Success);
    }
    if all.is_empty() {
        world.screen.say("no runbook of the service has a schedule: on \"schedule\" cron=\"0 0 3 * * Sun\" makes one");
    }
    for one in &all {
        print(world, one);
    }
    Ok(Exit::Success)
}

/// Prints what is due next, over all schedules, in the order of time.
///
/// # Errors
/// As [`list`].
pub async fn next(world: &World, count: usize) -> Result<Exit, Error> {
    let Some(client) = Client::find(&world.data).await? else {
        return schedule::next(world, &folders(world)?, count);
    };
    let all = client.schedules(count.clamp(1, NEXT_MAX)).await?;
    let rows = all.iter().flat_map(|one| one.next.iter().map(|at| due(one, at))).collect();
    print_next(world, rows, count)?;
    Ok(Exit::Success)
}

fn due(one: &ScheduleView, at: &DueView) -> Due {
    Due {
        schedule: one.schedule.clone(),
        mode: one.mode,
        due_ms: at.due_ms,
        local: at.local.clone(),
        blackout: at.blackout.clone(),
    }
}

fn print(world: &World, one: &ScheduleView) {
    let title = world.screen.out(Ink::Bold, &one.schedule);
    put(&format!("{title}  {}  {}  {}", one.mode.as_str(), one.cron, one.zone));
    let jitter = match one.jitter_ms {
        0 => String::new(),
        most => format!(", put off by up to {}", duration(most)),
    };
    put(&format!("  overlap {}, missed {}{jitter}", one.overlap, one.missed));
    put(&match one.next.first() {
        Some(next) => format!("  next {}", line(world, &due(one, next))),
        None => "  it is never due again".to_owned(),
    });
    for decided in one.decided.iter().take(DECIDED) {
        let value = serde_json::to_value(decided).unwrap_or_default();
        put(&format!("  {}  {}", utc(decided.at), words(&value)));
    }
}

/// A decision in words.
fn words(decided: &Value) -> String {
    let text = |name: &str| decided[name].as_str().unwrap_or_default();
    let at = |name: &str| utc(decided[name].as_u64().unwrap_or_default());
    match text("decision") {
        "fire" => match (text("made"), text("failed")) {
            ("", "") => "a run begins".to_owned(),
            ("", failed) => format!("no run could be made: {failed}"),
            (run, _) => match text("cause") {
                "missed" => format!("run {run}, for what was missed"),
                "waited" => format!("run {run}, after the one before"),
                _ => format!("run {run}"),
            },
        },
        "wait" => "it waits for the end of the run before".to_owned(),
        "skipped" => match text("why") {
            "blackout" => format!("starts nothing: blackout, {}", text("reason")),
            "waiting" => format!("starts nothing: the one of {} waits already", at("waiting_ms")),
            _ => format!("starts nothing: run {} has not ended", text("run")),
        },
        "missed" => {
            let more = if decided["more"] == true { " or more" } else { "" };
            let count = &decided["count"];
            format!("missed {count}{more}, from {} to {}: no service was there", at("first_ms"), at("last_ms"))
        }
        _ => "the schedule was changed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decisions_are_told_in_words() {
        for (decided, said) in [
            (json!({ "decision": "fire", "made": "r-1", "cause": "due" }), "run r-1"),
            (json!({ "decision": "fire", "made": "r-1", "cause": "missed" }), "run r-1, for what was missed"),
            (
                json!({ "decision": "fire", "failed": "LB1064: it is refused" }),
                "no run could be made: LB1064: it is refused",
            ),
            (json!({ "decision": "skipped", "why": "running", "run": "r-1" }), "starts nothing: run r-1 has not ended"),
            (
                json!({ "decision": "skipped", "why": "blackout", "reason": "freeze" }),
                "starts nothing: blackout, freeze",
            ),
            (
                json!({ "decision": "missed", "count": 3, "more": false, "first_ms": 0, "last_ms": 1000 }),
                "missed 3, from 1970-01-01 00:00:00 to 1970-01-01 00:00:01: no service was there",
            ),
            (json!({ "decision": "changed", "at_ms": 0 }), "the schedule was changed"),
        ] {
            assert_eq!(words(&decided), said);
        }
    }
}
