//! The switch by a swap of two names.
//!
//! A swap undoes itself when it is done twice, so it must be known whether it was done. Before the swap, an empty file
//! is put into the folder that goes out of service: where the file is afterwards tells, whenever and however the engine
//! died. The folder that is in service never has it. `cleanup` takes it away.

use lifeboat_sdk::host::EntryKind;
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::switch::{Outputs, Swap};

/// Where the marker is.
enum Marker {
    /// In `a`: the swap was meant, and is not done.
    InA,
    /// In `b`: the swap is done.
    InB,
    /// Nowhere: it was never meant.
    Nowhere,
}

/// The name of the marker: one for each step of each run. Undo and retry find the same.
fn marker(ctx: &Context<Settings>) -> String {
    let safe = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    };
    format!(".lifeboat-swap-{}-{}", safe(ctx.run()), safe(ctx.step()))
}

fn exists(dir: &Directory, path: &str) -> Result<bool, Error> {
    match dir.stat(path) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn find(ctx: &Context<Settings>, dir: &Directory, swap: &Swap) -> Result<Marker, Error> {
    let marker = marker(ctx);
    Ok(if exists(dir, &format!("{}/{marker}", swap.b))? {
        Marker::InB
    } else if exists(dir, &format!("{}/{marker}", swap.a))? {
        Marker::InA
    } else {
        Marker::Nowhere
    })
}

fn outputs(swap: &Swap) -> Outputs {
    // After the swap the old content is found under the other name.
    Outputs { previous: Some(swap.b.clone()), link: swap.a.clone(), now: swap.a.clone() }
}

/// Swaps, and says for sure whether it did.
fn exchange(ctx: &Context<Settings>, dir: &Directory, swap: &Swap, done: fn(&Marker) -> bool) -> Result<(), Stop> {
    let Err(error) = dir.exchange(&swap.a, &swap.b) else {
        return Ok(());
    };
    match find(ctx, dir, swap) {
        Ok(place) if done(&place) => Err(Stop::Unknown(format!("the swap may not be durable: {}", error.message))),
        Ok(_) => Err(error.into()),
        Err(second) => Err(Stop::Unknown(format!("{}; and then: {}", error.message, second.message))),
    }
}

fn folder(dir: &Directory, path: &str) -> Result<(), Error> {
    match dir.stat(path) {
        Ok(entry) if entry.kind == EntryKind::Directory => Ok(()),
        Ok(_) => Err(Error::permanent(format!("{path} is no folder"))),
        Err(error) => Err(error.during(path)),
    }
}

pub fn execute(ctx: &Context<Settings>, dir: &Directory, swap: &Swap) -> Result<Outputs, Stop> {
    folder(dir, &swap.a)?;
    folder(dir, &swap.b)?;
    match find(ctx, dir, swap)? {
        Marker::InB => return Ok(outputs(swap)),
        Marker::InA => {}
        Marker::Nowhere => {
            dir.open_writer(&format!("{}/{}", swap.a, marker(ctx)), true)?.commit()?;
        }
    }
    exchange(ctx, dir, swap, |place| matches!(place, Marker::InB))?;
    Ok(outputs(swap))
}

pub fn readiness(dir: &Directory, swap: &Swap) -> Vec<Finding> {
    let look = |path: &str| match folder(dir, path) {
        Ok(()) => good(format!("{path} is a folder")),
        Err(error) => bad(error.message),
    };
    vec![look(&swap.a), look(&swap.b)]
}

pub fn probe(ctx: &Context<Settings>, dir: &Directory, swap: &Swap) -> Result<Probe<Outputs>, Error> {
    Ok(match find(ctx, dir, swap)? {
        Marker::InB => Probe::Happened(outputs(swap)),
        Marker::InA | Marker::Nowhere => Probe::DidNotHappen,
    })
}

pub fn compensate(ctx: &Context<Settings>, dir: &Directory, swap: &Swap) -> Result<(), Stop> {
    if let Marker::InB = find(ctx, dir, swap)? {
        exchange(ctx, dir, swap, |place| matches!(place, Marker::InA))?;
    }
    cleanup(ctx, dir, swap)
}

pub fn cleanup(ctx: &Context<Settings>, dir: &Directory, swap: &Swap) -> Result<(), Stop> {
    for folder in [&swap.a, &swap.b] {
        match dir.remove_file(&format!("{folder}/{}", marker(ctx))) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
