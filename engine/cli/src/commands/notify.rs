//! `notify`: what people were told, and whether a channel works. Goes through the service where one has the data folder: then it is
//! the service's own way to the channel that is tried.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ports::Clock;
use lifeboat_notify::{Dispatcher, Outbox, State};
use lifeboat_service::NotificationView;
use lifeboat_service::access::Person;
use lifeboat_service::client::Client;

use crate::args_service::NotifyCommand;
use crate::clock::{SystemClock, utc};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::World;

/// Carries a command about messages out.
///
/// # Errors
/// `LB1092` no such channel; why a message was not taken; the service's or the store's errors.
pub async fn notify(world: &World, command: NotifyCommand) -> Result<Exit, Error> {
    match command {
        NotifyCommand::Ls { state } => list(world, state.as_deref()).await,
        NotifyCommand::Test { channel } => test(world, &channel).await,
    }
}

async fn list(world: &World, state: Option<&str>) -> Result<Exit, Error> {
    let mut all = match Client::find(&world.data).await? {
        Some(client) => client.notifications(state).await?,
        None => {
            let (store, _) = world.store(&world.operator()?)?;
            let all = Outbox::load(Arc::new(store)).await?.all().await.into_iter();
            let wanted = all.filter(|entry| state.is_none_or(|state| entry.state.as_str() == state));
            wanted.map(NotificationView::from).collect()
        }
    };
    all.reverse();
    if world.screen.json {
        put_json(&all)?;
        return Ok(Exit::Success);
    }
    if all.is_empty() {
        world.screen.say("there are no messages");
    }
    all.iter().for_each(|one| put(&line(world, one)));
    Ok(Exit::Success)
}

fn line(world: &World, one: &NotificationView) -> String {
    let ink = match one.state {
        State::Sent => Ink::Green,
        State::Waiting => Ink::Yellow,
        State::Failed => Ink::Red,
    };
    let state = world.screen.out(ink, one.state.as_str());
    let to = if one.to.is_empty() { String::new() } else { format!(" to {}", one.to) };
    let with = one.with.map(|with| format!("  told in message {with}")).unwrap_or_default();
    let error = one.error.as_ref().map(|error| format!("\n    {error}")).unwrap_or_default();
    format!("{}  {}  {state}  {}{to}  {}{with}{error}", one.number, utc(one.at), one.channel, one.title)
}

async fn test(world: &World, channel: &str) -> Result<Exit, Error> {
    let told = match Client::find(&world.data).await? {
        Some(client) => client.test_channel(channel).await?.told,
        None => {
            let courier = World::courier(&world.operator()?)?;
            let me = Person::local(rustix::process::geteuid().as_raw()).name;
            Dispatcher::test(&courier, channel, &me, SystemClock.now_ms()).await?
        }
    };
    let readers: Vec<&str> = told.iter().map(String::as_str).filter(|to| !to.is_empty()).collect();
    let to = if readers.is_empty() { String::new() } else { format!(": {}", readers.join(", ")) };
    world.screen.say(&format!("the channel '{channel}' has taken a test message{to}"));
    Ok(Exit::Success)
}
