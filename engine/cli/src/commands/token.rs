//! `token`: who may call the service. Goes through the service where one has the data folder, else straight to the store.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ports::Clock;
use lifeboat_service::access::{NewToken, Person, Role, Token, Tokens};
use lifeboat_service::client::Client;
use serde_json::json;

use crate::args_service::{CreateArgs, TokenCommand};
use crate::clock::{SystemClock, utc};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::World;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Where tokens are kept.
enum Keeper {
    Service(Client),
    Store(Tokens),
}

impl Keeper {
    async fn find(world: &World) -> Result<Self, Error> {
        if let Some(client) = Client::find(&world.data).await? {
            return Ok(Keeper::Service(client));
        }
        let (store, _) = world.store(&world.operator()?)?;
        Ok(Keeper::Store(Tokens::new(Arc::new(store))))
    }
}

/// Who makes a token without the service: the user of this machine who may open the data folder.
fn me() -> String {
    Person::local(rustix::process::geteuid().as_raw()).name
}

/// Carries out a command about tokens.
///
/// # Errors
/// `LB0902` for a role that there is not; the service's or the store's errors.
pub async fn token(world: &World, command: TokenCommand) -> Result<Exit, Error> {
    match command {
        TokenCommand::Create(args) => create(world, args).await,
        TokenCommand::Ls => list(world).await,
        TokenCommand::Revoke { id } => {
            let token = match Keeper::find(world).await? {
                Keeper::Service(client) => client.revoke_token(&id).await?,
                Keeper::Store(tokens) => tokens.revoke(&id, &me(), SystemClock.now_ms()).await?,
            };
            if world.screen.json {
                put_json(&token)?;
            } else {
                world.screen.say(&format!("token {} of {} is revoked", token.id, token.owner));
            }
            Ok(Exit::Success)
        }
    }
}

fn wished(args: CreateArgs) -> Result<NewToken, Error> {
    let role = |text: &String| {
        Role::parse(text).ok_or_else(|| {
            let words: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
            Error::new("LB0902", format!("there is no role '{text}'")).hint(format!("roles are {}", words.join(", ")))
        })
    };
    Ok(NewToken {
        roles: args.roles.iter().map(role).collect::<Result<_, _>>()?,
        owner: args.owner,
        note: args.note,
        drill: args.drill,
        failover: args.failover,
        runbooks: args.runbooks,
        expires_in_s: u64::from(args.days) * DAY_S,
    })
}

async fn create(world: &World, args: CreateArgs) -> Result<Exit, Error> {
    let new = wished(args)?;
    let (token, secret) = match Keeper::find(world).await? {
        Keeper::Service(client) => client.create_token(&new).await?,
        Keeper::Store(tokens) => tokens.create(new, &me(), SystemClock.now_ms()).await?,
    };
    if world.screen.json {
        put_json(&json!({ "token": token, "secret": secret }))?;
        return Ok(Exit::Success);
    }
    put(&secret);
    world.screen.say(&format!("token {} of {}, until {} UTC", token.id, token.owner, utc(token.expires_at)));
    world.screen.say("keep it now: it is not shown again");
    Ok(Exit::Success)
}

async fn list(world: &World) -> Result<Exit, Error> {
    let tokens = match Keeper::find(world).await? {
        Keeper::Service(client) => client.tokens().await?,
        Keeper::Store(tokens) => tokens.list().await?,
    };
    if world.screen.json {
        put_json(&tokens)?;
        return Ok(Exit::Success);
    }
    if tokens.is_empty() {
        world.screen.say("there are no tokens yet");
    }
    let now = SystemClock.now_ms();
    for token in &tokens {
        put(&line(world, token, now));
    }
    Ok(Exit::Success)
}

fn line(world: &World, token: &Token, now: u64) -> String {
    let roles: Vec<&str> = token.roles.iter().map(|role| role.as_str()).collect();
    let modes = match (token.drill, token.failover) {
        (true, true) => "drills, in earnest",
        (true, false) => "drills",
        (false, true) => "in earnest",
        (false, false) => "acts on nothing",
    };
    let end = match (&token.revoked_by, token.is_good(now)) {
        (Some(by), _) => format!("revoked by {by}"),
        (None, true) => format!("until {}", utc(token.expires_at)),
        (None, false) => format!("expired {}", utc(token.expires_at)),
    };
    let scope = if token.runbooks.is_empty() { "all runbooks".to_owned() } else { token.runbooks.join(", ") };
    let id = world.screen.out(Ink::Bold, &token.id);
    format!("{id}  {}  {}  {modes}  {scope}  {end}  {}", token.owner, roles.join(", "), token.note)
        .trim_end()
        .to_owned()
}
