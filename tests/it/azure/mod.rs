//! Real containers: the plugin `azure-blob` against Azurite with two accounts, judged by stock rclone and restic.

use std::process::Command;
use std::sync::LazyLock;

use lifeboat_servers::{Access, Kind, Server};

use crate::bench::Bench;
use crate::remote::{Remote, operator, port};

mod containers;
mod faults;
mod vault;

/// The server that tests share where they do it no harm; it ends with the process.
static SHARED: LazyLock<(tempfile::TempDir, Server)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::Azure, dir.path()).unwrap();
    (dir, server)
});

fn shared() -> Access {
    SHARED.1.access().clone()
}

/// The name and the endpoint of an account.
#[derive(Clone, Copy, PartialEq)]
enum Account {
    First,
    Second,
}

impl Account {
    fn name(self, access: &Access) -> &str {
        access.get(if self == Self::First { "account" } else { "second-account" })
    }

    fn endpoint(self, access: &Access) -> &str {
        if self == Self::First { &access.endpoint } else { access.get("second-endpoint") }
    }

    fn remote(self, access: &Access) -> Remote {
        let (name, endpoint) = (self.name(access), self.endpoint(access));
        Remote::new("azureblob", &[("account", name), ("key", access.get("account-key")), ("endpoint", endpoint)])
    }
}

/// A bench whose plugin may speak to the server.
fn bench(access: &Access) -> Bench {
    let bench = Bench::new();
    grant(&bench, access);
    bench
}

fn grant(bench: &Bench, access: &Access) {
    let port = port(&access.endpoint);
    operator(
        bench,
        &format!(
            "secret \"azure-key\" file=\"azure-key\"\nsecret \"azure-sas\" file=\"azure-sas\"\n\
             grant \"azure-blob\" {{ host \"127.0.0.1\" port={port} plain=#true }}\n"
        ),
    );
    bench.write("azure-key", access.get("account-key"));
    bench.write("azure-sas", "sv=none");
}

/// A target in an account.
fn target(name: &str, access: &Access, account: Account, container: &str, more: &str) -> String {
    format!(
        "target \"{name}\" plugin=\"azure-blob\" {{ endpoint \"{}\"; account \"{}\"; container \"{container}\"; \
         account-key secret=\"azure-key\"; {more} }}\n",
        account.endpoint(access),
        account.name(access)
    )
}

/// Signs for a container, as the portal of Azure does: HMAC over the lines of the service's reference.
const SIGN: &str = r#"
import base64, hashlib, hmac, sys, urllib.parse
account, key, container, rights, until = sys.argv[1:]
version = "2020-12-06"
lines = [rights, "", until, f"/blob/{account}/{container}", "", "", "", version, "c", "", "", "", "", "", "", ""]
mac = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
print(urllib.parse.urlencode([("sp", rights), ("se", until), ("sv", version), ("sr", "c"),
                              ("sig", base64.b64encode(mac).decode())]))
"#;

/// A shared access signature for all of a container.
fn sas(account: &str, key: &str, container: &str, rights: &str, until: &str) -> String {
    let args = ["-c", SIGN, account, key, container, rights, until];
    let output = Command::new("python3").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
