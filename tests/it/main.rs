//! The integration tests: the real binary, real files, real kills. One binary, one hermetic environment ([`bench::Bench`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alertmanager;
mod alerts;
mod azure;
mod background;
mod bench;
mod cli;
mod crash;
mod damage;
mod drill;
mod estimate;
mod evidence;
mod foresight;
mod gcs;
mod http;
mod leftovers;
mod mistakes;
mod newcomer;
mod notify;
mod ops;
mod people;
mod readiness;
mod recovery;
mod rehearsal;
mod remote;
mod s3;
mod saved;
mod secrets;
mod serve;
mod simulate;
mod suspect;
mod takeover;
mod vault;
mod verbs;
