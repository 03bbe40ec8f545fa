//! Checks a bundle without an engine, a data folder or a network.
//!
//! In this order, and what comes later is not looked at where an earlier check failed: frame, manifest and signatures,
//! digests of parts, chain of events. Up to here no JSON but the manifest and the statements is read, so what nobody signed is
//! hardly touched. Then what the events say: plan, approvals, replay, figures, attached files, plugins.

mod contents;

use lifeboat_core::Error;
use lifeboat_core::ids::Digest;
use lifeboat_core::state::RunState;
use serde::Serialize;

use crate::container::{self, Container, FORMAT};
use crate::events::{self, Line};
use crate::facts::Facts;
use crate::keys::PublicKey;
use crate::manifest::{EVENTS, FACTS, FILES, Manifest, PLAN, RUNBOOK, Statement, WITNESS, sha256};
use crate::pae::{STATEMENT_TYPE, pae};
use crate::{hex, limits};

/// A plugin's file, to be held against what the plan pins.
#[derive(Clone, Debug)]
pub struct PluginFile {
    /// What the file is called, for messages.
    pub name: String,
    /// The BLAKE3 of its bytes.
    pub digest: Digest,
}

/// What is asked of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The keys that are trusted: each of them has to have signed. With none, nobody is known to stand behind the bundle.
    pub keys: Vec<PublicKey>,
    /// Files of plugins.
    pub plugins: Vec<PluginFile>,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It holds.
    Good,
    /// It does not.
    Bad,
    /// Nothing was given to hold it against.
    NotAsked,
    /// An earlier check failed.
    NotReached,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, in a word.
    pub check: &'static str,
    /// What it found.
    pub found: Found,
    /// In a sentence.
    pub told: String,
}

/// A good signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The key.
    pub key: PublicKey,
    /// The name that its owner gave; nobody vouches for it.
    pub by: String,
    /// When, by the owner's clock.
    pub at: u64,
    /// Whether the key is one of those that were given.
    pub trusted: bool,
}

/// What is in a bundle in which no fault was found.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The manifest.
    pub manifest: Manifest,
    /// The figures.
    pub facts: Facts,
    /// The state that the events give.
    pub state: RunState,
    /// The events.
    pub events: Vec<lifeboat_core::event::Event>,
    /// The text of the runbook.
    pub runbook: String,
}

/// What became of a verification.
#[derive(Debug)]
pub struct Verdict {
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// Every signature that holds.
    pub signatures: Vec<Signed>,
    /// What is wrong; nothing where the bundle is good.
    pub faults: Vec<Error>,
    /// The manifest, where it could be read. It is not to be believed where there are faults.
    pub manifest: Option<Manifest>,
    /// What is in it, where there is no fault.
    pub contents: Option<Box<Contents>>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The names of the checks, in order.
const CHECKS: [&str; 10] =
    ["frame", "signatures", "parts", "chain", "plan", "approvals", "replay", "figures", "files", "plugins"];

/// Collects while checks are made.
#[derive(Debug, Default)]
pub(crate) struct Book {
    checks: Vec<Check>,
    faults: Vec<Error>,
}

impl Book {
    /// Notes what a check found: a sentence, or what is wrong. Whether it is good.
    pub(crate) fn note(&mut self, found: Result<String, Vec<Error>>) -> bool {
        let Some(check) = CHECKS.get(self.checks.len()) else { return false };
        let (found, told) = match found {
            Ok(told) => (Found::Good, told),
            Err(faults) => {
                let told = faults.first().map_or_else(String::new, |fault| fault.message.clone());
                let room = limits::FAULTS_MAX.saturating_sub(self.faults.len());
                self.faults.extend(faults.into_iter().take(room));
                (Found::Bad, told)
            }
        };
        self.checks.push(Check { check, found, told });
        found == Found::Good
    }

    pub(crate) fn not_asked(&mut self, told: &str) {
        if let Some(check) = CHECKS.get(self.checks.len()) {
            self.checks.push(Check { check, found: Found::NotAsked, told: told.to_owned() });
        }
    }

    fn close(mut self, signatures: Vec<Signed>, manifest: Option<Manifest>, contents: Option<Contents>) -> Verdict {
        let left = CHECKS.iter().skip(self.checks.len());
        let left = left.map(|check| Check { check, found: Found::NotReached, told: String::new() });
        self.checks.extend(left.collect::<Vec<_>>());
        let contents = contents.filter(|_| self.faults.is_empty()).map(Box::new);
        Verdict { checks: self.checks, signatures, faults: self.faults, manifest, contents }
    }
}

/// Checks a bundle.
pub fn verify(bytes: &[u8], question: &Question) -> Verdict {
    let mut book = Book::default();
    let container = match container::read(bytes) {
        Ok(container) => container,
        Err(error) => {
            book.note(Err(vec![error]));
            return book.close(Vec::new(), None, None);
        }
    };
    let manifest = match manifest(&container) {
        Ok(manifest) => manifest,
        Err(error) => {
            book.note(Err(vec![error]));
            return book.close(Vec::new(), None, None);
        }
    };
    book.note(Ok(format!("format {}, {} bytes, nothing missing and nothing added", manifest.format, bytes.len())));
    let (signed, faults) = signatures(&container, question);
    if faults.is_empty() && question.keys.is_empty() {
        book.not_asked("no key was given: the signatures fit their own keys, and nobody is known to stand behind them");
    } else {
        let names: Vec<&str> = signed.iter().filter(|one| one.trusted).map(|one| one.by.as_str()).collect();
        let told = format!("{} of {} by a key that was given: {}", names.len(), signed.len(), names.join(", "));
        book.note(if faults.is_empty() { Ok(told) } else { Err(faults) });
    }
    let same = parts(&container, &manifest);
    book.note(if same.is_empty() {
        Ok(format!("{} parts have their digests", container.parts.len()))
    } else {
        Err(same)
    });
    let lines = chain(&container, &manifest);
    let (lines, chained) = match lines {
        Ok(lines) => (lines, Ok(format!("{} events hang together", manifest.events))),
        Err(error) => (Vec::new(), Err(vec![error])),
    };
    book.note(chained);
    let contents =
        if book.faults.is_empty() { contents::check(&mut book, &container, &manifest, &lines, question) } else { None };
    book.close(signed, Some(manifest), contents)
}

fn manifest(container: &Container<'_>) -> Result<Manifest, Error> {
    let manifest: Manifest = serde_json::from_slice(container.manifest).map_err(|cause| {
        Error::new("LB1120", "the manifest cannot be read")
            .with("cause", cause)
            .hint("get the file again from where it was made")
    })?;
    if manifest.format != FORMAT {
        return Err(Error::new("LB1121", format!("the manifest has the format {}", manifest.format))
            .hint("verify it with the Lifeboat that made it, or a later one"));
    }
    Ok(manifest)
}

/// The signatures that hold, and what is wrong with the others.
fn signatures(container: &Container<'_>, question: &Question) -> (Vec<Signed>, Vec<Error>) {
    let refused = |place: usize, message: &str| {
        Error::new("LB1123", message).with("signature", place).hint("the bundle was changed after it was signed")
    };
    let digest = sha256(container.manifest);
    let (mut good, mut faults): (Vec<Signed>, Vec<Error>) = (Vec::new(), Vec::new());
    for (place, one) in (1..).zip(&container.signatures) {
        let Ok(statement) = serde_json::from_slice::<Statement>(one.statement) else {
            faults.push(refused(place, "the words of a signature cannot be read"));
            continue;
        };
        if !statement.key.signed(&pae(STATEMENT_TYPE, one.statement), &one.signature) {
            faults.push(refused(place, "a signature does not fit its key"));
        } else if statement.manifest != digest {
            faults.push(refused(place, "a signature is for another manifest: the manifest was changed"));
        } else if good.iter().any(|earlier| earlier.key == statement.key) {
            faults.push(refused(place, "a key has signed twice"));
        } else {
            let trusted = question.keys.contains(&statement.key);
            good.push(Signed { key: statement.key, by: statement.by, at: statement.at, trusted });
        }
    }
    if container.signatures.is_empty() {
        faults.push(Error::new("LB1123", "the bundle has no signature").hint("a bundle is signed when it is made"));
    }
    if faults.is_empty() {
        let missing = question.keys.iter().filter(|key| !good.iter().any(|one| one.key == **key));
        faults.extend(missing.map(|key| {
            Error::new("LB1123", "a key that was given has not signed this bundle")
                .with("key", key)
                .hint("'lifeboat evidence key' prints the key of an engine; get it from there, and not with the bundle")
        }));
    }
    (good, faults)
}

/// What is wrong with the parts: each has to be the one that the manifest names, in its place.
fn parts(container: &Container<'_>, manifest: &Manifest) -> Vec<Error> {
    let refused = |message: String| {
        Error::new("LB1122", message).hint("the bundle was changed after it was signed; get it again")
    };
    let mut faults = Vec::new();
    for (place, name) in [EVENTS, PLAN, RUNBOOK, FACTS, WITNESS].into_iter().enumerate() {
        if container.parts.get(place).is_none_or(|part| part.name != name) {
            faults.push(refused(format!("the part '{name}' is not in its place")));
        }
    }
    let odd = container.parts.iter().skip(5).filter(|part| !part.name.starts_with(FILES));
    faults.extend(odd.map(|part| refused(format!("nobody knows what the part '{}' is", part.name))));
    if container.parts.len() != manifest.parts.len() {
        let (there, named) = (container.parts.len(), manifest.parts.len());
        faults.push(refused(format!("the bundle has {there} parts, and its manifest names {named}")));
    }
    for (part, entry) in container.parts.iter().zip(&manifest.parts) {
        let length = u64::try_from(part.bytes.len()).unwrap_or(u64::MAX);
        if part.name != entry.name || length != entry.bytes || sha256(part.bytes) != entry.sha256 {
            faults.push(refused(format!("the part '{}' was changed", part.name)));
        }
    }
    faults
}

fn chain<'a>(container: &Container<'a>, manifest: &Manifest) -> Result<Vec<Line<'a>>, Error> {
    let events = container.parts.iter().find(|part| part.name == EVENTS);
    let lines = events::read(events.map(|part| part.bytes).unwrap_or_default())?;
    let refused =
        |message: String| Err(Error::new("LB1124", message).hint("events were left out at the end, or added"));
    if u64::try_from(lines.len()) != Ok(manifest.events) {
        return refused(format!("there are {} events, and the manifest tells of {}", lines.len(), manifest.events));
    }
    if lines.last().is_none_or(|last| hex::encode(&last.chain) != manifest.chain) {
        return refused("the chain of events does not end as the manifest tells".to_owned());
    }
    Ok(lines)
}
