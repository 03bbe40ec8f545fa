//! `doctor`: looks for what is wrong, changes nothing.

use lifeboat_core::{Error, apply, event::Event};

use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::World;

/// Looks at the operator file, the plugins and the data folder.
///
/// # Errors
/// Only what keeps it from looking at all; what it finds is its output.
pub fn doctor(world: &World) -> Result<Exit, Error> {
    let mut findings: Vec<(bool, String)> = Vec::new();
    match world.host() {
        Err(error) => findings.push((false, format!("operator file and plugins: {error}"))),
        Ok((host, operator)) => {
            let config = world.config.as_ref().map_or_else(
                || "no operator file: nothing is granted to plugins".to_owned(),
                |path| format!("operator file {} is in order", path.display()),
            );
            findings.push((true, config));
            for (name, known) in host.catalog() {
                let pinned = if operator.pins.contains_key(&name) { "pinned" } else { "not pinned" };
                let text = format!("plugin {name} {} loads, {pinned}, {}", known.description.version, known.digest);
                findings.push((true, text));
            }
        }
    }
    if world.data.exists() {
        data(world, &mut findings);
    } else {
        findings.push((true, format!("data folder {}: none yet", world.data.display())));
    }
    let bad = findings.iter().filter(|(ok, _)| !ok).count();
    if world.screen.json {
        let rows: Vec<_> = findings.iter().map(|(ok, text)| serde_json::json!({ "ok": ok, "finding": text })).collect();
        put_json(&rows)?;
    } else {
        for (ok, text) in &findings {
            let mark = if *ok { world.screen.out(Ink::Green, "ok ") } else { world.screen.out(Ink::Red, "BAD") };
            put(&format!("{mark} {text}"));
        }
    }
    Ok(if bad == 0 { Exit::Success } else { Exit::RunFailed })
}

fn count(number: impl std::fmt::Display, word: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {word}{plural}")
}

fn data(world: &World, findings: &mut Vec<(bool, String)>) {
    let folder = world.data.display();
    let found = match lifeboat_store::inspect(&world.data) {
        Ok(found) => found,
        Err(error) => return findings.push((false, format!("data folder {folder}: {error}"))),
    };
    findings.push((
        true,
        format!(
            "data folder {folder}: {}, {} in {}",
            count(found.runs, "run"),
            count(found.frames, "record"),
            count(found.segments, "segment")
        ),
    ));
    if found.torn > 0 {
        let text = "bytes of an interrupted write at the end of the journal; the next start cuts them off";
        findings.push((true, format!("{} {text}", found.torn)));
    }
    if !found.state_present {
        findings.push((true, "the state folder is missing; the next start builds it anew from the journal".to_owned()));
    }
    for damage in &found.damage {
        findings.push((false, format!("{} at byte {}: {}", damage.segment, damage.offset, damage.reason)));
    }
    for run in &found.quarantined {
        findings.push((false, format!("run {} is in quarantine: {}", run.run, run.reason)));
    }
    let Ok(journal) = lifeboat_store::read_only(&world.data) else { return };
    for head in journal.list() {
        let checked = journal.read(&head.run).and_then(|stored| {
            let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
            apply::replay(&events)
        });
        if let Err(error) = checked {
            findings.push((false, format!("run {}: {error}", head.run)));
        }
    }
}
