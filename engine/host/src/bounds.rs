//! The host's own limits, by name, with their reasons. Those that other crates share are in `lifeboat_core::limits`.

/// Bytes that a guest may hand over in one call. A reader made from a list or one `write` is the largest honest use;
/// more goes through `pump`.
pub const GUEST_TO_HOST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that one `read` gives to a guest. The guest has to hold them beside everything else it holds.
pub const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one object that the host reads into memory for a vault. Packs of a repository are at most some hundred MiB.
pub const OBJECT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Entries of one listing. What is larger does not fit into a guest.
pub const ENTRIES_MAX: usize = 250_000;
/// Bytes of one `.wasm` file. Compiling takes two seconds for a megabyte.
pub const PLUGIN_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of a description: schemas are some tens of kilobytes.
pub const DESCRIPTION_BYTES_MAX: usize = 1024 * 1024;
/// How long `describe` may take. It computes nothing.
pub const DESCRIBE_MS_MAX: u64 = 5_000;
/// How long one call of a plugin's `store` may take: it moves one object of a vault.
pub const STORE_CALL_MS_MAX: u64 = 5 * 60 * 1_000;
/// How long `preview` and `readiness` may take: a person waits for them.
pub const PREVIEW_MS_MAX: u64 = 60 * 1_000;
/// How long a guest may go on after it was asked to stop, so that it can tidy up.
pub const CANCEL_GRACE_MS: u64 = 2_000;
/// Bytes of a database that is copied to be queried.
pub const QUERY_DATABASE_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Rows of one query's result.
pub const QUERY_ROWS_MAX: usize = 10_000;
/// Bytes of one query's result.
pub const QUERY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long one query may take.
pub const QUERY_MS_MAX: u64 = 10 * 60 * 1_000;
/// Depth of folders that a walk follows: deeper is a loop made by a bind mount, or an attack.
pub const WALK_DEPTH_MAX: usize = 256;
/// Shortest time between two progress reports that are passed on; the newest one always is, in the end.
pub const PROGRESS_INTERVAL_MS: u64 = 50;
/// Handles (readers, writers, folders, vaults) that one guest may hold at once.
pub const HANDLES_MAX: usize = 10_000;
/// How long before the end of an attempt a request over HTTP gives up: its error then still reaches the guest.
pub const HTTP_END_MS: u64 = 250;
