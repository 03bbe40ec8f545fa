//! What somebody would do to a bundle, without the key and with it.

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::Digest;
use lifeboat_core::ports::{StoredEvent, chain};
use proptest::prelude::*;

use super::{LOG, WASM, asks, bundle, faults, key, other_run, plan, signer, small, stored, story};
use crate::container::{self, Part, RawSignature};
use crate::manifest::{Manifest, sha256};
use crate::sign::statement;
use crate::{Found, Material, PluginFile, Question, Signer, SigningKey, Witness, hex, make, sign, verify};

/// The bundle with one part changed, and all that hangs on it made good again by somebody who has the key.
fn forge(bundle: &[u8], key: &SigningKey, change: impl Fn(&mut Vec<(String, Vec<u8>)>, &mut Manifest)) -> Vec<u8> {
    let found = container::read(bundle).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> =
        found.parts.iter().map(|part| (part.name.to_owned(), part.bytes.to_vec())).collect();
    let mut manifest: Manifest = serde_json::from_slice(found.manifest).unwrap();
    change(&mut parts, &mut manifest);
    for ((name, bytes), entry) in parts.iter().zip(&mut manifest.parts) {
        entry.name.clone_from(name);
        entry.bytes = bytes.len() as u64;
        entry.sha256 = sha256(bytes);
    }
    let manifest = serde_json::to_vec_pretty(&manifest).unwrap();
    let parts: Vec<Part<'_>> = parts.iter().map(|(name, bytes)| Part { name, bytes }).collect();
    let (signature, text) = statement(&manifest, &signer(key)).unwrap();
    let mut out = container::write(&parts, &manifest);
    container::finish(&mut out, &[RawSignature { signature, statement: &text }]);
    out
}

/// The events changed, their chain made good, and the end of the chain told anew.
fn with_events(bundle: &[u8], key: &SigningKey, events: &[Event]) -> Vec<u8> {
    let stored = stored(events);
    let head = stored.last().unwrap().chain;
    let log = crate::events::write(&stored).unwrap();
    forge(bundle, key, |parts, manifest| {
        parts[0].1.clone_from(&log);
        manifest.events = events.len() as u64;
        manifest.chain = hex::encode(&head);
    })
}

#[tokio::test]
async fn a_good_bundle_is_good_and_every_changed_byte_of_it_is_refused() {
    let key = key(1);
    let good = bundle(&small().await, &key);
    assert!(faults(&good, &key).is_empty());
    assert!(good.len() < 20_000, "{} bytes", good.len());
    let mut bad = good.clone();
    for place in 0..good.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            bad[place] ^= flip;
            assert!(!faults(&bad, &key).is_empty(), "byte {place} changed by {flip:#x} goes unseen");
            bad[place] = good[place];
        }
    }
}

#[tokio::test]
async fn what_is_cut_off_added_or_moved_is_refused() {
    let key = key(1);
    let good = bundle(&small().await, &key);
    for end in 0..good.len() {
        assert_eq!(faults(&good[..end], &key), ["LB1120"], "cut at {end}");
    }
    for more in [&b"\n"[..], b" ", b"end 1\n", &good] {
        assert_eq!(faults(&[&good, more].concat(), &key), ["LB1120"]);
    }
}

#[tokio::test]
async fn without_the_key_events_cannot_be_left_out_moved_or_put_in() {
    let key = key(1);
    let good = bundle(&story().await, &key);
    let text = String::from_utf8(good.clone()).unwrap();
    let begin = text.find("\n1 ").unwrap() + 1;
    let end = text.find("\npart plan.json").unwrap();
    let lines: Vec<&str> = text[begin..end].trim_end().split('\n').collect();
    let with = |lines: Vec<&str>| {
        let log = format!("{}\n", lines.join("\n"));
        format!("{}part events.log {}\n{log}{}", &text[..text.find("part ").unwrap()], log.len(), &text[end..])
    };
    assert!(faults(with(lines.clone()).as_bytes(), &key).is_empty());
    let told = |lines: Vec<&str>| {
        let verdict = verify(with(lines).as_bytes(), &asks(&[key.public()]));
        let codes: Vec<String> = verdict.faults.iter().map(|fault| fault.code.to_string()).collect();
        assert_eq!(codes, ["LB1122", "LB1124"]);
        verdict.faults[1].message.clone()
    };
    let mut one_less = lines.clone();
    one_less.remove(4);
    assert_eq!(told(one_less), "event 5 is missing: 6 comes after it");
    let mut moved = lines.clone();
    moved.swap(4, 5);
    assert_eq!(told(moved), "event 5 is missing: 6 comes after it");
    let mut twice = lines.clone();
    twice.insert(4, lines[3]);
    assert_eq!(told(twice), "event 4 stands in the place of event 5");
    let renumbered = lines[4].replacen("5 ", "6 ", 1);
    let mut put_in = lines.clone();
    put_in.insert(5, &renumbered);
    assert!(told(put_in).starts_with("event 6 does not fit its chain digest"));
    assert!(told(lines[..lines.len() - 1].to_vec()).starts_with("there are "));
}

#[tokio::test]
async fn a_key_that_was_given_has_to_have_signed() {
    let (engine, other, auditor) = (key(1), key(2), key(3));
    let good = bundle(&small().await, &engine);
    assert_eq!(faults(&good, &other), ["LB1123"]);
    let open = verify(&good, &Question::default());
    assert!(open.is_good() && open.checks[1].found == Found::NotAsked && !open.signatures[0].trusted);
    let both = sign(&good, &Signer { key: &auditor, by: "Ada, auditor", at: 5 }).unwrap();
    let verdict = verify(&both, &asks(&[engine.public(), auditor.public()]));
    assert!(verdict.is_good() && verdict.signatures.iter().all(|one| one.trusted));
    assert_eq!(verdict.signatures[1].by, "Ada, auditor");
    assert!(faults(&both, &engine).is_empty() && faults(&both, &auditor).is_empty());
    assert_eq!(faults(&both, &other), ["LB1123"]);
    assert_eq!(sign(&both, &signer(&auditor)).unwrap_err().code.0, "LB1130");
    // The one signature put on another bundle.
    let another = bundle(&story().await, &engine);
    let (from, to) = (container::read(&both).unwrap(), container::read(&another).unwrap());
    let mut moved = another[..to.signed_from].to_vec();
    container::finish(&mut moved, &from.signatures);
    assert_eq!(faults(&moved, &auditor), ["LB1123", "LB1123"]);
    // Names that would say something to a terminal are not signed.
    assert_eq!(sign(&good, &Signer { key: &auditor, by: "\x1b[2J", at: 5 }).unwrap_err().code.0, "LB1130");
}

#[tokio::test]
async fn with_the_key_the_rules_of_runs_still_hold() {
    let key = key(1);
    let events = story().await;
    let good = bundle(&events, &key);
    assert!(faults(&with_events(&good, &key, &events), &key).is_empty());
    for left_out in 1..events.len() {
        let mut fewer = events.clone();
        fewer.remove(left_out);
        let found = faults(&with_events(&good, &key, &fewer), &key);
        assert_eq!(found, ["LB1128"], "event {left_out} left out: {:?}", events[left_out].kind);
    }
    for place in 1..events.len() - 1 {
        let mut moved = events.clone();
        moved.swap(place, place + 1);
        let found = faults(&with_events(&good, &key, &moved), &key);
        assert_eq!(found, ["LB1128"], "events {place} and the next one");
    }
    let end = |status| forge(&good, &key, |_, manifest| manifest.end.status = status);
    assert_eq!(faults(&end(lifeboat_core::state::RunStatus::Failed), &key), ["LB1128"]);
    let figures = forge(&good, &key, |parts, _| {
        let text = String::from_utf8(parts[3].1.clone()).unwrap().replacen("\"rta_ms\": ", "\"rta_ms\": 1", 1);
        parts[3].1 = text.into_bytes();
    });
    assert_eq!(faults(&figures, &key), ["LB1128"]);
    let run = forge(&good, &key, |_, manifest| manifest.run = other_run());
    assert_eq!(faults(&run, &key), ["LB1125"]);
}

#[tokio::test]
async fn plans_texts_and_approvals_have_to_be_those_of_the_run() {
    let key = key(1);
    let events = story().await;
    let good = bundle(&events, &key);
    let mut harmless = plan();
    harmless.runbook = "harmless".into();
    let swapped = forge(&good, &key, |parts, _| parts[1].1 = serde_json::to_vec(&harmless).unwrap());
    assert_eq!(faults(&swapped, &key), ["LB1125", "LB1125"]);
    let told_too = forge(&good, &key, |parts, manifest| {
        parts[1].1 = serde_json::to_vec(&harmless).unwrap();
        manifest.fingerprint = harmless.fingerprint();
    });
    assert_eq!(faults(&told_too, &key), ["LB1125", "LB1125"]);
    let text = forge(&good, &key, |parts, _| parts[2].1 = b"runbook \"harmless\" {}".to_vec());
    assert_eq!(faults(&text, &key), ["LB1125"]);
    // The plan swapped in the first event as well: then nobody approved it.
    let mut other = events.clone();
    if let EventKind::RunCreated { plan, fingerprint, .. } = &mut other[0].kind {
        **plan = harmless.clone();
        *fingerprint = harmless.fingerprint();
    }
    let both = with_events(&told_too, &key, &other);
    assert_eq!(faults(&both, &key), ["LB1126", "LB1126", "LB1126"]);
    let mut elsewhere = events.clone();
    for event in &mut elsewhere {
        if let EventKind::Approved { fingerprint, .. } = &mut event.kind {
            *fingerprint = Digest::of(b"another plan");
            break;
        }
    }
    assert_eq!(faults(&with_events(&good, &key, &elsewhere), &key), ["LB1126"]);
}

#[tokio::test]
async fn plugins_and_attached_files_are_held_against_their_digests() {
    let key = key(1);
    let good = bundle(&story().await, &key);
    let asks = |bytes: &[u8]| {
        let file = PluginFile { name: "simulated.wasm".into(), digest: Digest::of(bytes) };
        verify(&good, &Question { keys: vec![key.public()], plugins: vec![file] })
    };
    assert!(asks(WASM).is_good());
    let swapped = asks(b"\0asm of another");
    assert_eq!(swapped.faults[0].code.0, "LB1127");
    assert!(swapped.faults[0].message.contains("simulated.wasm") && swapped.contents.is_none());
    let file = |bytes: &'static [u8]| forge(&good, &key, move |parts, _| parts[5].1 = bytes.to_vec());
    assert!(faults(&file(LOG), &key).is_empty());
    assert_eq!(faults(&file(b"what was not seen"), &key), ["LB1122"]);
    let gone = forge(&good, &key, |parts, manifest| {
        parts.pop();
        manifest.parts.pop();
    });
    assert_eq!(faults(&gone, &key), ["LB1122"]);
    let added = forge(&good, &key, |parts, manifest| {
        parts.push(("file/more".into(), b"x".to_vec()));
        manifest.parts.push(manifest.parts[0].clone());
    });
    assert_eq!(faults(&added, &key), ["LB1122"]);
    // Left out when it was made, and said so.
    let events = story().await;
    let material =
        Material { stored: &stored(&events), witness: &Witness::default(), files: &[], made_by: "lifeboat test" };
    let without = make(&material, &signer(&key)).unwrap();
    let verdict = verify(&without, &super::asks(&[key.public()]));
    assert!(verdict.is_good() && verdict.contents.unwrap().manifest.without_files == [Digest::of(LOG)]);
}

#[tokio::test]
async fn a_broken_chain_is_no_material() {
    let mut events = stored(&small().await);
    events[1].chain = chain(&[1; 32], &events[1].bytes);
    let material = Material { stored: &events, witness: &Witness::default(), files: &[], made_by: "x" };
    assert_eq!(make(&material, &signer(&key(1))).unwrap_err().code.0, "LB1130");
    let none: [StoredEvent; 0] = [];
    let material = Material { stored: &none, ..material };
    assert_eq!(make(&material, &signer(&key(1))).unwrap_err().code.0, "LB1130");
}

fn small_bundle() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { bundle(&small().await, &key(1)) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the bytes: an answer, and never a yes.
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), framed in any::<bool>()) {
        let mut all = if framed { b"lifeboat-evidence 1\npart events.log 12\n".to_vec() } else { Vec::new() };
        all.extend(bytes);
        prop_assert!(!verify(&all, &Question::default()).is_good());
    }

    /// Pieces of a good bundle cut, doubled and moved; with the frame mended or not.
    #[test]
    fn no_other_order_of_its_pieces_is_a_bundle(
        from in 0.0..1.0_f64, length in 1_usize..600, to in 0.0..1.0_f64, keep in any::<bool>(),
    ) {
        let good = small_bundle();
        let at = |share: f64| (share * good.len() as f64) as usize;
        let (from, to) = (at(from), at(to));
        let piece = good[from..(from + length).min(good.len())].to_vec();
        let mut bad = good.clone();
        if !keep {
            bad.drain(from..from + piece.len());
        }
        let to = to.min(bad.len());
        bad.splice(to..to, piece);
        prop_assume!(bad != good);
        prop_assert!(!verify(&bad, &asks(&[key(1).public()])).is_good());
    }

    /// JSON of any form in the place of each part, signed by the key: an answer, and never a yes.
    #[test]
    fn signed_nonsense_is_refused(place in 0_usize..5, text in "[\\[{\"a:0,}\\] ]{0,400}", deep in 0_usize..3_000) {
        let key = key(1);
        let bad = forge(&small_bundle(), &key, |parts, _| {
            parts[place].1 = format!("{}{text}", "[".repeat(deep)).into_bytes();
        });
        prop_assert!(!faults(&bad, &key).is_empty());
    }
}
