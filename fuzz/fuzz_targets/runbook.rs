//! No bytes make the compiler panic, and formatting twice is formatting once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_core::plugin::Catalog;
use lifeboat_runbook::{SourceFile, SourceFiles, check_with, format};

/// Every file that is named holds the same text: files that name each other in all ways.
struct Same<'a>(&'a [u8]);

impl SourceFiles for Same<'_> {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.to_vec())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = SourceFile::from_bytes("fuzz.kdl", bytes) else { return };
    let _ = check_with(&file, &Same(bytes), &Catalog::new());
    if let Ok(once) = format(&file) {
        let again = format(&SourceFile { name: file.name, text: once.clone() });
        assert_eq!(again.ok(), Some(once));
    }
});
