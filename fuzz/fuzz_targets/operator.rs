//! No bytes make the reader of operator files panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lifeboat_runbook::{SourceFile, operator};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = SourceFile::from_bytes("lifeboat.kdl", bytes) {
        let _ = operator::parse_operator(&file, Path::new("/etc/lifeboat"));
    }
});
