//! What wit-bindgen makes of the world `storage-plugin`: all imports, and the exports with `store`.
//!
//! It is a crate of its own because the macros of two worlds have the same names, and macros are named by crate.

#![allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

wit_bindgen::generate!({
    path: "../../schemas/wit",
    world: "storage-plugin",
    pub_export_macro: true,
    export_macro_name: "export_storage",
});
