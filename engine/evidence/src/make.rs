//! A bundle is made from the stored events of a run, and from nothing else that could be disputed.

use std::collections::BTreeSet;

use lifeboat_core::Error;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::Digest;
use lifeboat_core::ports::StoredEvent;
use serde::Serialize;

use crate::container::{self, FORMAT, Part, RawSignature};
use crate::facts::{self, Witness};
use crate::manifest::{EVENTS, End, FACTS, Manifest, PLAN, PartEntry, RUNBOOK, WITNESS, file_part, sha256};
use crate::sign::{Signer, statement};
use crate::{events, hex, limits};

/// A file that a person attached to what was said.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The digest under which an event names it.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a bundle is made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// The events of the run, in order, as they are stored.
    pub stored: &'a [StoredEvent],
    /// What the engine knows from other runs.
    pub witness: &'a Witness,
    /// What people attached, as far as it is at hand.
    pub files: &'a [Attachment],
    /// The program that makes it.
    pub made_by: &'a str,
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value)
        .map_err(|cause| Error::new("LB1130", "the evidence cannot be written").with("cause", cause))
}

/// The digests of the files that people attached, in the order of their names.
pub(crate) fn attached(events: &[Event]) -> BTreeSet<&Digest> {
    let files = events.iter().flat_map(|event| match &event.kind {
        EventKind::StepMarkedDone { evidence, .. } | EventKind::SuspectAttested { evidence, .. } => evidence.as_slice(),
        _ => &[],
    });
    files.map(|file| &file.digest).collect()
}

/// Makes a bundle, signed by one key.
///
/// # Errors
/// `LB0503` when the events cannot be followed; `LB1130` when the bundle would be too large or the chain of the events is
/// broken: such a run is for `lifeboat doctor`.
pub fn make(material: &Material<'_>, signer: &Signer<'_>) -> Result<Vec<u8>, Error> {
    let log = events::write(material.stored)?;
    let head = events::read(&log)
        .map_err(|error| Error::new("LB1130", "the stored events are damaged").with("cause", error.message))?;
    let decoded = material.stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
    let (facts, state) = facts::of(&decoded, material.witness)?;
    let Some(EventKind::RunCreated { runbook, .. }) = decoded.first().map(|event| &event.kind) else {
        return Err(Error::new("LB1130", "the run has no first event"));
    };
    // These very bytes have the fingerprint: anybody with a BLAKE3 can tell.
    let plan = serde_json::to_vec(&*state.plan)
        .map_err(|cause| Error::new("LB1130", "the plan cannot be written").with("cause", cause))?;
    let (facts, witness) = (json(&facts)?, json(material.witness)?);
    let named = attached(&decoded);
    let mut files: Vec<(String, &[u8])> = Vec::new();
    let mut missing = Vec::new();
    for digest in named {
        match material.files.iter().find(|file| &file.digest == digest) {
            Some(file) => files.push((file_part(digest), &file.bytes)),
            None => missing.push(digest.clone()),
        }
    }
    let mut parts = vec![
        Part { name: EVENTS, bytes: &log },
        Part { name: PLAN, bytes: &plan },
        Part { name: RUNBOOK, bytes: runbook.as_bytes() },
        Part { name: FACTS, bytes: &facts },
        Part { name: WITNESS, bytes: &witness },
    ];
    parts.extend(files.iter().map(|(name, bytes)| Part { name, bytes }));
    let entry = |part: &Part<'_>| PartEntry {
        name: part.name.to_owned(),
        bytes: u64::try_from(part.bytes.len()).unwrap_or(u64::MAX),
        sha256: sha256(part.bytes),
    };
    let manifest = Manifest {
        format: FORMAT,
        made_by: material.made_by.to_owned(),
        made_at: signer.at,
        run: state.run.clone(),
        runbook: state.plan.runbook.clone(),
        mode: state.plan.mode,
        fingerprint: state.fingerprint.clone(),
        events: state.seq,
        chain: head.last().map_or_else(String::new, |last| hex::encode(&last.chain)),
        end: End::of(&state),
        without_files: missing,
        parts: parts.iter().map(entry).collect(),
    };
    let manifest = json(&manifest)?;
    let (signature, text) = statement(&manifest, signer)?;
    let mut out = container::write(&parts, &manifest);
    container::finish(&mut out, &[RawSignature { signature, statement: &text }]);
    if out.len() > limits::BUNDLE_BYTES_MAX || parts.len() > limits::PARTS_MAX {
        return Err(Error::new("LB1130", format!("the bundle would have {} bytes", out.len()))
            .hint("leave out what people attached with --no-files; its digests stay in the bundle"));
    }
    Ok(out)
}
