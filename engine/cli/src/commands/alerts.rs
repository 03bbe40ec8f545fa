//! `alerts`: what became of alerts. Goes through the service where one has the data folder, else straight to the store.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ports::Store;
use lifeboat_service::alerts::{IncidentView, Record};
use lifeboat_service::client::Client;

use crate::args_service::AlertsArgs;
use crate::clock::utc;
use crate::commands::runs;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::plural;
use crate::world::World;

/// Records of a page that a service gives.
const PAGE: usize = 500;

/// Shows alerts or incidents, or closes an incident.
///
/// # Errors
/// The service's or the store's; `LB1066` where an incident is to be closed and there is no service.
pub async fn alerts(world: &World, args: AlertsArgs) -> Result<Exit, Error> {
    let client = Client::find(&world.data).await?;
    if let Some(number) = args.close {
        let Some(client) = client else {
            return Err(Error::new("LB1066", "no service has the data folder, so nothing can start")
                .hint("start it with 'lifeboat serve', and close the incident then"));
        };
        client.close_incident(number, &args.reason).await?;
        world.screen.say(&format!("incident #{number} is closed"));
        return Ok(Exit::Success);
    }
    if args.open {
        let incidents = match &client {
            Some(client) => client.incidents().await?,
            None => lifeboat_service::alerts::incidents(store(world)?).await?,
        };
        return show_incidents(world, &incidents);
    }
    let mut records = match &client {
        Some(client) => from_service(client, args.count).await?,
        None => lifeboat_service::alerts::records(store(world)?).await?,
    };
    // Both are shown oldest first, as runs are.
    records.drain(..records.len().saturating_sub(args.count));
    if world.screen.json {
        put_json(&records)?;
        return Ok(Exit::Success);
    }
    if records.is_empty() {
        world.screen.say("no alert came yet");
    }
    for record in &records {
        put(&line(world, record));
    }
    Ok(Exit::Success)
}

fn store(world: &World) -> Result<Arc<dyn Store>, Error> {
    runs::there(world)?;
    let (store, _) = world.store(&world.operator()?)?;
    Ok(Arc::new(store))
}

async fn from_service(client: &Client, count: usize) -> Result<Vec<Record>, Error> {
    let (mut records, mut before) = (Vec::new(), None);
    while records.len() < count {
        let page = client.alerts((count - records.len()).min(PAGE), before).await?;
        records.extend(page.alerts);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    records.reverse();
    Ok(records)
}

fn line(world: &World, record: &Record) -> String {
    let mut parts = Vec::new();
    parts.extend(record.code.clone());
    if !record.source.is_empty() {
        parts.push(record.source.clone());
    }
    parts.extend(record.incident.map(|number| format!("#{number}")));
    parts.extend(record.runbook.clone());
    parts.push(record.reason.clone());
    parts.extend(record.run.as_ref().map(|run| format!("run {run}")));
    if record.count > 1 {
        parts.push(format!("({} times, until {})", record.count, utc(record.last)));
    }
    // What comes from outside says nothing else on a terminal.
    let text: String = parts.join("  ").chars().filter(|c| !c.is_control()).collect();
    let ink = if record.code.is_some() { Ink::Yellow } else { Ink::Bold };
    let word = world.screen.out(ink, &format!("{:<10}", record.word));
    format!("{}  {word}  {text}", utc(record.at))
}

fn show_incidents(world: &World, incidents: &[IncidentView]) -> Result<Exit, Error> {
    if world.screen.json {
        put_json(&incidents)?;
        return Ok(Exit::Success);
    }
    if incidents.is_empty() {
        world.screen.say("no incident is open");
    }
    for one in incidents {
        let number = world.screen.out(Ink::Bold, &format!("#{}", one.number));
        let firing = plural(u64::try_from(one.firing).unwrap_or(u64::MAX), "alert");
        let run = one.run.as_ref().map(|run| format!("  run {run}")).unwrap_or_default();
        let why = one.paged.as_ref().map(|why| format!("  a person has to look: {why}")).unwrap_or_default();
        let group: String = one.group.chars().filter(|c| !c.is_control()).collect();
        put(&format!(
            "{number}  {}  {}  {}  {firing} firing  {group}{run}{why}",
            utc(one.opened_at),
            one.phase,
            one.runbook
        ));
    }
    Ok(Exit::Success)
}
