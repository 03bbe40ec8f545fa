//! Bounds of a bundle, each with its reason. What is beyond them is refused, before anything is made of it.

/// Bytes of a bundle. It is checked in memory, and what people attach is at most 64 MiB a file.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;
/// Bytes of the manifest: 100,000 steps with their names are 16 MiB.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Parts of a bundle: five, and what people attached.
pub const PARTS_MAX: usize = 4_096;
/// Bytes of the name of a part.
pub const NAME_BYTES_MAX: usize = 100;
/// Signatures of a bundle: an engine, and the people who sign for an organisation.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of what is said with one signature.
pub const STATEMENT_BYTES_MAX: usize = 4 << 10;
/// Bytes of the name of a signer.
pub const SIGNER_BYTES_MAX: usize = 200;
/// Faults that are named; more than these say nothing new.
pub const FAULTS_MAX: usize = 20;
