//! No bytes make the verifier panic, and none that nobody signed are good. What is read as a bundle may be signed once more, and is
//! a bundle then.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_evidence::{Question, Signer, SigningKey, sign, verify};

fuzz_target!(|bytes: &[u8]| {
    // Most bytes are no frame; with one around them they get further.
    let framed = [b"lifeboat-evidence 1\npart manifest.json ", bytes].concat();
    for bundle in [bytes, &framed] {
        let verdict = verify(bundle, &Question::default());
        assert_eq!(verdict.is_good(), verdict.contents.is_some());
        assert_eq!(verdict.checks.len(), 10);
        let key = SigningKey::from_seed([3; 32].into()).expect("any 32 bytes are a key");
        if let Ok(signed) = sign(bundle, &Signer { key: &key, by: "fuzz", at: 1 }) {
            assert!(signed.len() > bundle.len());
            let again = verify(&signed, &Question { keys: vec![key.public()], plugins: Vec::new() });
            assert!(again.signatures.iter().any(|one| one.trusted) || !again.is_good());
        }
    }
});
