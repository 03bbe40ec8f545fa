//! Damaged data folders, in the clear and encrypted: the same is found in both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "plain.rs"]
mod plain;

#[path = "encrypted.rs"]
mod encrypted;
