//! Write Lifeboat plugins in plain Rust.
//!
//! A plugin is a few types and one macro: a struct of settings, one type for each kind of step with its arguments and
//! outputs ([`Step`]), and [`plugin!`], which makes the exports of `schemas/wit/lifeboat.wit` out of them. The JSON
//! Schemas by which runbooks are checked come from the same structs ([`data`]), so what is checked is what is read.
//!
//! A guest has no ambient world. What it gets are the handles of [`host`]: folders, streams, vaults, queries.
//!
//! ```
//! use lifeboat_sdk::prelude::*;
//!
//! /// Where the folder is.
//! #[data]
//! pub struct Settings {
//!     /// An absolute path.
//!     root: String,
//! }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate self as lifeboat_sdk;

pub mod bindings;
mod context;
mod describe;
mod error;
pub mod host;
pub mod http;
mod schema;
mod serve;
mod step;
mod store;
pub mod vaults;

pub use context::{Call, Context};
pub use describe::describe;
pub use error::{ErrorExt, Stop};
pub use host::{Error, ErrorKind};
pub use lifeboat_sdk_macros::data;
pub use schema::schema_of;
pub use serve::{StepEntry, Steps};
pub use step::{Capability, Data, Effect, Finding, Kind, Probe, Step, bad, finding, good, range};
pub use store::{Object, Place, SELF, Store, StoreAdapter};

#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use serde_json;

/// All that a plugin's source usually needs.
pub mod prelude {
    pub use crate::host::{self, Directory, Error, ErrorKind, Reader, Repository, Writer};
    pub use crate::{
        Capability, Context, Effect, ErrorExt, Finding, Kind, Probe, Step, Stop, bad, data, finding, good,
    };
}

/// Makes a plugin out of its parts: the exports that the host calls, and the description that runbooks are checked by.
///
/// `steps` lists the types that implement [`Step`], at most one for each kind. With `store`, the plugin's targets can
/// hold vaults too. `secrets` are the settings of targets that hold one: a runbook names the secret, and no struct has it.
///
/// ```text
/// lifeboat_sdk::plugin! {
///     name: "fs",
///     summary: "Folders on this machine",
///     settings: Settings,
///     steps: [Snapshot, Restore],
///     store: Objects,
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    (name: $name:expr, summary: $summary:expr, settings: $settings:ty,
     $(secrets: { $($secret:literal: $about:literal),* $(,)? },)? steps: [$($step:ty),* $(,)?] $(,)?) => {
        $crate::plugin!(@steps plain, false, $name, $summary, $settings, [$($(($secret, $about)),*)?], [$($step),*]);
        $crate::bindings::plain::export_plain!(LifeboatPlugin with_types_in $crate::bindings::plain);
    };
    (name: $name:expr, summary: $summary:expr, settings: $settings:ty,
     $(secrets: { $($secret:literal: $about:literal),* $(,)? },)? steps: [$($step:ty),* $(,)?],
     store: $store:ty $(,)?) => {
        $crate::plugin!(@steps storage, true, $name, $summary, $settings, [$($(($secret, $about)),*)?], [$($step),*]);
        $crate::plugin!(@store $store);
        $crate::bindings::storage::export_storage!(LifeboatPlugin with_types_in $crate::bindings::storage);
    };
    (@steps $world:ident, $stores:expr, $name:expr, $summary:expr, $settings:ty, [$($secret:expr),*],
     [$($step:ty),*]) => {
        struct LifeboatPlugin;

        impl LifeboatPlugin {
            const STEPS: $crate::Steps = $crate::Steps(&[$($crate::StepEntry::of::<$step>()),*]);
        }

        impl $crate::bindings::$world::exports::lifeboat::plugin::steps::Guest for LifeboatPlugin {
            fn describe() -> String {
                let about = ($name, env!("CARGO_PKG_VERSION"), $summary);
                $crate::describe::<$settings>(about, &Self::STEPS, $stores, &[$($secret),*])
            }
            fn preview(call: $crate::Call) -> Result<Vec<String>, $crate::Error> {
                Self::STEPS.preview(call)
            }
            fn readiness(call: $crate::Call) -> Result<Vec<$crate::Finding>, $crate::Error> {
                Self::STEPS.readiness(call)
            }
            fn execute(call: $crate::Call) -> $crate::host::Outcome {
                Self::STEPS.execute(call)
            }
            fn probe(call: $crate::Call) -> $crate::host::ProbeAnswer {
                Self::STEPS.probe(call)
            }
            fn compensate(call: $crate::Call) -> $crate::host::Outcome {
                Self::STEPS.compensate(call)
            }
            fn cleanup(call: $crate::Call) -> $crate::host::Outcome {
                Self::STEPS.cleanup(call)
            }
        }
    };
    (@store $store:ty) => {
        impl $crate::bindings::storage::exports::lifeboat::plugin::store::Guest for LifeboatPlugin {
            fn list(at: $crate::host::Target, prefix: String) -> Result<Vec<$crate::Object>, $crate::Error> {
                $crate::StoreAdapter::<$store>::list(at, prefix)
            }
            fn head(at: $crate::host::Target, key: String) -> Result<$crate::Object, $crate::Error> {
                $crate::StoreAdapter::<$store>::head(at, key)
            }
            fn get(
                at: $crate::host::Target,
                key: String,
                offset: u64,
                len: Option<u64>,
            ) -> Result<$crate::host::Reader, $crate::Error> {
                $crate::StoreAdapter::<$store>::get(at, key, offset, len)
            }
            fn put(
                at: $crate::host::Target,
                key: String,
                data: &$crate::host::Reader,
            ) -> Result<$crate::host::Pumped, $crate::Error> {
                $crate::StoreAdapter::<$store>::put(at, key, data)
            }
            fn put_new(
                at: $crate::host::Target,
                key: String,
                data: &$crate::host::Reader,
            ) -> Result<$crate::host::Pumped, $crate::Error> {
                $crate::StoreAdapter::<$store>::put_new(at, key, data)
            }
            fn delete(at: $crate::host::Target, key: String) -> Result<(), $crate::Error> {
                $crate::StoreAdapter::<$store>::delete(at, key)
            }
            fn copy(at: $crate::host::Target, source: String, destination: String) -> Result<(), $crate::Error> {
                $crate::StoreAdapter::<$store>::copy(at, source, destination)
            }
        }
    };
}
