//! `journal`: encrypts the journal in the data folder, and changes the secret that it is encrypted with.

use lifeboat_core::Error;
use lifeboat_secrets::{OperatorSecrets, Secrets};
use lifeboat_store::Key;
use serde_json::json;

use crate::commands::repair::stamp;
use crate::exit::Exit;
use crate::screen::{put, put_json};
use crate::world::World;

/// Encrypts a journal that is in the clear.
///
/// # Errors
/// What the operator's file, the secret or the store has against it.
pub fn encrypt(world: &World) -> Result<Exit, Error> {
    let options = world.store_options(&world.operator()?)?;
    if options.key.is_none() {
        // Encrypted without that line, no command would open it again.
        return Err(no_secret(world));
    }
    let copy = lifeboat_store::encrypt(&world.data, &stamp(), &options)?;
    if world.screen.json {
        put_json(&json!({ "encrypted": true, "copy": copy }))?;
        return Ok(Exit::Success);
    }
    put(&format!("the journal is encrypted; as it was, in the clear, it is kept in {}", copy.display()));
    put("remove that folder when 'lifeboat doctor' is content; and copies of the data folder that were made before");
    Ok(Exit::Success)
}

fn no_secret(world: &World) -> Error {
    let file = world.config.as_ref().map_or_else(|| "lifeboat.kdl".to_owned(), |path| path.display().to_string());
    Error::new("LB0616", "the operator's file names no secret for the journal; nothing was changed").hint(format!(
        "add to {file}: journal encrypt=\"journal-key\", and where it comes from: secret \"journal-key\" file=\"PATH\""
    ))
}

/// Lets an encrypted journal take a new secret: the one that `journal encrypt` names now.
///
/// # Errors
/// As [`encrypt`].
pub fn rekey(world: &World, from: &str) -> Result<Exit, Error> {
    let operator = world.operator()?;
    let new = world.store_options(&operator)?.key.ok_or_else(|| no_secret(world))?;
    let old = Key::new(OperatorSecrets::new(&operator).get(from)?.expose().to_vec());
    lifeboat_store::rekey(&world.data, &old, &new)?;
    if world.screen.json {
        put_json(&json!({ "rekeyed": true }))?;
        return Ok(Exit::Success);
    }
    put(&format!("the journal opens with the secret that 'journal encrypt' names, and no more with '{from}'"));
    put("copies of the data folder that were made before still open with the old one");
    Ok(Exit::Success)
}
