//! What `bindgen!` makes of `schemas/wit`: one Rust trait for each interface that the host lends, and typed calls for what
//! a guest exports.
//!
//! The world with `store` is the larger one. A plugin without `store` works too, because the exports are looked up one
//! interface at a time (see [`crate::plugin`]). Imports that only touch memory are plain functions; all others are async,
//! so that a guest that waits costs no thread.

// Nobody reads the generated code, and its documentation is that of the WIT file.
#![allow(missing_docs, clippy::all)]

wasmtime::component::bindgen!({
    path: "../../schemas/wit",
    world: "storage-plugin",
    imports: {
        "lifeboat:plugin/sys.log": trappable,
        "lifeboat:plugin/sys.progress": trappable,
        "lifeboat:plugin/sys.now-ms": trappable,
        "lifeboat:plugin/sys.monotonic-ns": trappable,
        "lifeboat:plugin/sys.random": trappable,
        "lifeboat:plugin/sys.cancelled": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    trappable_error_type: {
        "lifeboat:plugin/types.error" => crate::fault::Fault,
        "lifeboat:plugin/http.failure" => crate::caps::http::HttpFault,
    },
    with: {
        "lifeboat:plugin/bytes.reader": crate::stream::Reader,
        "lifeboat:plugin/bytes.writer": crate::stream::Writer,
        "lifeboat:plugin/dir.directory": crate::caps::dir::Directory,
        "lifeboat:plugin/vault.repository": crate::caps::vault::Repository,
    },
});
