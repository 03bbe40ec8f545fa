//! What wit-bindgen makes of `schemas/wit`. One set of imports serves both worlds; the exports differ by `store`.

#![allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The world with `store`, and all imports.
pub use lifeboat_sdk_bindings as storage;

/// The world without it.
pub mod plain {
    wit_bindgen::generate!({
        path: "../../schemas/wit",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_plain",
        with: {
            "lifeboat:plugin/types@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::types,
            "lifeboat:plugin/sys@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::sys,
            "lifeboat:plugin/bytes@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::bytes,
            "lifeboat:plugin/dir@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::dir,
            "lifeboat:plugin/vault@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::vault,
            "lifeboat:plugin/sql@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::sql,
            "lifeboat:plugin/http@1.1.0": lifeboat_sdk_bindings::lifeboat::plugin::http,
        },
    });
}
