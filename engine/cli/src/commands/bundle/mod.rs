//! `evidence`: bundles of evidence are made from the journal, and verified from nothing but their file and a key.

mod export;
mod keys;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lifeboat_core::ports::Clock;
use lifeboat_core::{Digest, Error};
use lifeboat_evidence::words::utc;
use lifeboat_evidence::{
    Check, Contents, Found, PluginFile, PublicKey, Question, Signed, Signer, Verdict, clauses, limits,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args_evidence::{ClauseFormat, EvidenceCommand};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::{World, said};

pub use export::{replace, witness};

/// Carries a command about evidence out.
///
/// # Errors
/// What a person has to be told; a bundle in which something is wrong is no error, but an exit.
pub fn evidence(world: &World, command: EvidenceCommand) -> Result<Exit, Error> {
    match command {
        EvidenceCommand::Export { run, out, no_files } => export::export(world, &run, out.as_deref(), no_files),
        EvidenceCommand::Verify { file, keys, plugins } => verify(world, &file, &keys, &plugins),
        EvidenceCommand::Sign { file, key, by } => sign(world, &file, &key, by.as_deref()),
        EvidenceCommand::Key { new } => keys::key(world, new.as_deref()),
        EvidenceCommand::Clauses { file, keys, format } => table(world, &file, &keys, format),
    }
}

/// A bundle's bytes, as many as there may be.
fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let limit = u64::try_from(limits::BUNDLE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|cause| {
        Error::new("LB0901", format!("'{}' cannot be read", path.display()))
            .with("cause", cause)
            .hint("name the file that 'lifeboat evidence export' made")
    })?;
    Ok(bytes)
}

/// A bundle that was looked at.
pub struct Looked {
    /// What was found.
    pub verdict: Verdict,
    bytes: Vec<u8>,
}

/// Looks at a bundle.
///
/// # Errors
/// `LB0901` when a file cannot be read; `LB1129` when a key is none.
pub fn look(file: &Path, keys: &[String], plugins: &[PathBuf]) -> Result<Looked, Error> {
    let keys = keys.iter().map(|text| keys::public(text)).collect::<Result<Vec<PublicKey>, _>>()?;
    let plugins = plugins.iter().map(|path| plugin(path)).collect::<Result<Vec<_>, _>>()?;
    let bytes = bytes(file)?;
    Ok(Looked { verdict: lifeboat_evidence::verify(&bytes, &Question { keys, plugins }), bytes })
}

fn plugin(path: &Path) -> Result<PluginFile, Error> {
    let bytes = std::fs::read(path)
        .map_err(|cause| Error::new("LB0901", format!("'{}' cannot be read", path.display())).with("cause", cause))?;
    Ok(PluginFile { name: path.display().to_string(), digest: Digest::of(&bytes) })
}

/// What is in a bundle that is whole; else says what is wrong. Without a key, a note says what that means.
///
/// # Errors
/// As [`look`].
pub fn contents(world: &World, file: &Path, keys: &[String]) -> Result<Option<(Box<Contents>, Verdict)>, Error> {
    let mut looked = look(file, keys, &[])?;
    let Some(contents) = looked.verdict.contents.take() else {
        refuse(world, &looked.verdict);
        return Ok(None);
    };
    if keys.is_empty() {
        world.screen.say("note: the bundle is whole, but no --key was given: nobody is known to stand behind it");
    }
    Ok(Some((contents, looked.verdict)))
}

fn refuse(world: &World, verdict: &Verdict) {
    verdict.faults.iter().for_each(|fault| world.screen.error(fault));
}

#[derive(Serialize)]
struct Answer<'a> {
    good: bool,
    checks: &'a [Check],
    signatures: &'a [Signed],
    faults: &'a [Error],
    run: Option<Value>,
}

fn verify(world: &World, file: &Path, keys: &[String], plugins: &[PathBuf]) -> Result<Exit, Error> {
    let verdict = look(file, keys, plugins)?.verdict;
    let exit = if verdict.is_good() { Exit::Success } else { Exit::NotVerified };
    if world.screen.json {
        let run = verdict.contents.as_ref().map(|contents| {
            let manifest = &contents.manifest;
            json!({
                "run": manifest.run, "runbook": manifest.runbook, "mode": manifest.mode, "status": manifest.end.status,
                "fingerprint": manifest.fingerprint, "events": manifest.events, "chain": manifest.chain,
                "made_at": manifest.made_at, "made_by": manifest.made_by,
            })
        });
        let (checks, signatures, faults) = (&verdict.checks, &verdict.signatures, &verdict.faults);
        put_json(&Answer { good: verdict.is_good(), checks, signatures, faults, run })?;
        return Ok(exit);
    }
    put(&text(world, file, &verdict));
    if !verdict.is_good() {
        refuse(world, &verdict);
    }
    Ok(exit)
}

fn text(world: &World, file: &Path, verdict: &Verdict) -> String {
    let screen = &world.screen;
    let head = if verdict.is_good() {
        screen.out(Ink::Green, "verified")
    } else {
        screen.out(Ink::Red, "NOT verified: believe nothing of it")
    };
    let mut text = format!("{}: {head}\n", file.display());
    for check in &verdict.checks {
        let (mark, ink, word) = match check.found {
            Found::Good => ("✓", Ink::Green, check.told.as_str()),
            Found::Bad => ("✗", Ink::Red, check.told.as_str()),
            Found::NotAsked => ("·", Ink::Dim, check.told.as_str()),
            Found::NotReached => ("·", Ink::Dim, "not reached"),
        };
        text.push_str(&format!("  {} {:<11} {word}\n", screen.out(ink, mark), check.check));
    }
    for one in &verdict.signatures {
        let trusted = if one.trusted { "a key that was given" } else { "nobody vouches for this key" };
        let by = one.by.replace(char::is_control, " ");
        text.push_str(&format!("  signed by '{by}' at {} UTC, {trusted}\n    {}\n", utc(one.at), one.key));
    }
    if let Some(contents) = &verdict.contents {
        let (manifest, facts) = (&contents.manifest, &contents.facts);
        text.push_str(&format!(
            "  run {}  {}  {}  {}\n  made {} UTC, {} events, plan {}",
            manifest.run,
            facts.runbook,
            manifest.mode.as_str(),
            manifest.end.status.as_str(),
            utc(manifest.end.created_at),
            manifest.events,
            manifest.fingerprint
        ));
    }
    for earlier in verdict.contents.iter().filter_map(|contents| contents.facts.continues.as_ref()) {
        let (run, mode, events, chain) = (&earlier.run, earlier.mode.as_str(), earlier.events, &earlier.chain);
        text.push_str(&format!(
            "\n  goes on with run {run}, a {mode}: its evidence ends with event {events}, chain {chain}"
        ));
    }
    for next in verdict.contents.iter().filter_map(|contents| contents.facts.continued_as.as_ref()) {
        text.push_str(&format!("\n  run {next} goes on with it"));
    }
    text.trim_end().to_owned()
}

fn sign(world: &World, file: &Path, key: &Path, by: Option<&str>) -> Result<Exit, Error> {
    let looked = look(file, &[], &[])?;
    if !looked.verdict.is_good() {
        refuse(world, &looked.verdict);
        return Ok(Exit::NotVerified);
    }
    let (key, by) = (keys::private(key)?, said(by, "")?.by);
    let signed = lifeboat_evidence::sign(&looked.bytes, &Signer { key: &key, by: &by, at: SystemClock.now_ms() })?;
    replace(file, &signed)?;
    world.screen.say(&format!("'{}' has the signature of {}", file.display(), key.public()));
    Ok(Exit::Success)
}

fn table(world: &World, file: &Path, keys: &[String], format: Option<ClauseFormat>) -> Result<Exit, Error> {
    let Some((contents, _)) = contents(world, file, keys)? else { return Ok(Exit::NotVerified) };
    let rows = clauses::rows(&contents.facts, &contents.state.plan, contents.manifest.events);
    let default = if world.screen.json { ClauseFormat::Json } else { ClauseFormat::Md };
    match format.unwrap_or(default) {
        ClauseFormat::Md => put(clauses::as_markdown(&contents.facts, &rows).trim_end()),
        ClauseFormat::Csv => put(clauses::as_csv(&rows).trim_end()),
        ClauseFormat::Json => put_json(&rows)?,
    }
    Ok(Exit::Success)
}
