//! No bytes make the compiler panic, and formatting twice is formatting once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_core::plugin::Catalog;
use lifeboat_runbook::{SourceFile, check, format};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = SourceFile::from_bytes("fuzz.kdl", bytes) else { return };
    let _ = check(&file, &Catalog::new());
    if let Ok(once) = format(&file) {
        let again = format(&SourceFile { name: file.name, text: once.clone() });
        assert_eq!(again.ok(), Some(once));
    }
});
