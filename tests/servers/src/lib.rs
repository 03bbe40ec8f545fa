//! The real servers that Lifeboat is tested against, on this machine alone.
//!
//! A mock answers as its author thinks that a server does; these are servers. They come from package registries, in
//! pinned versions, listen on the loopback address, keep their data in a folder that is given, and are stopped by process id.
//!
//! [`Server`] is one as the child of a test: it ends with the test, may be killed at any instant, and starts again with the same
//! data at the same address. [`Proxy`] stands in front of one and makes things go wrong by a script. [`up`] starts one that stays, for a person to try things with.

mod access;
mod http;
mod install;
mod kind;
mod launch;
mod peers;
mod ports;
mod process;
mod proxy;
mod proxy_wire;
mod server;
mod standing;
mod tool;

pub use access::Access;
pub use http::get;
pub use install::{Needs, install, needs, program};
pub use kind::Kind;
pub use peers::Remote;
pub use proxy::{Act, Fault, Proxy, Struck};
pub use server::Server;
pub use standing::{Standing, down, ls, summary, up};
pub use tool::{Tool, install_tools, tool};

use std::path::{Path, PathBuf};

/// Where servers are installed and where those that stay keep their data: `servers` in the target folder of cargo.
#[must_use]
pub fn home() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
    target.join("servers")
}
