//! A real OpenBao: values are read, rotated, refused, and the server is sealed, gone, and behind TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_core::grants::{Login, Operator, SecretServer, SecretSource, ServerSecret};
use lifeboat_secrets::{OperatorSecrets, Secrets, may_pass};
use lifeboat_servers::{Kind, Server, program};

struct World {
    dir: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Kind::OpenBao, &dir.path().join("bao"))
            .expect("OpenBao is needed: cargo xtask servers install");
        let world = Self { dir, server };
        world.bao(&["kv", "put", "secret/orders/s3", "password=one", "number=7"]);
        world.bao(&["secrets", "enable", "-path=old", "-version=1", "kv"]);
        world.bao(&["kv", "put", "old/x", "y=from version 1"]);
        world.file(
            "policy.hcl",
            "path \"secret/data/orders/*\" { capabilities = [\"read\"] }\npath \"old/*\" { capabilities = [\"read\"] }",
        );
        world.bao(&["policy", "write", "dr", world.path("policy.hcl").to_str().unwrap()]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The server's own client, as root.
    fn bao(&self, args: &[&str]) -> String {
        let access = self.server.access();
        let output = Command::new(program(Kind::OpenBao).unwrap())
            .args(args)
            .env("BAO_ADDR", &access.endpoint)
            .env("BAO_TOKEN", access.get("token"))
            .env("HOME", self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn token(&self, ttl: &str) -> String {
        self.bao(&["token", "create", "-policy=dr", &format!("-ttl={ttl}"), "-field=token"])
    }

    /// Secrets `p`, `n` and `v1`, with the credential in the file `credential`.
    fn operator(&self, login: Login) -> Operator {
        operator(&self.server.access().endpoint, None, &self.path("credential"), login)
    }
}

fn operator(address: &str, ca: Option<PathBuf>, credential: &Path, login: Login) -> Operator {
    let mut operator = Operator::default();
    operator.secrets.insert("credential".into(), SecretSource::File(credential.to_owned()));
    for (name, mount, path, field, kv) in [
        ("p", "secret", "orders/s3", "password", 2),
        ("n", "secret", "orders/s3", "number", 2),
        ("v1", "old", "x", "y", 1),
        ("no-field", "secret", "orders/s3", "gone", 2),
        ("no-path", "secret", "orders/gone", "x", 2),
        ("forbidden", "secret", "other", "x", 2),
    ] {
        let [server, mount, path, field] = ["bao", mount, path, field].map(str::to_owned);
        operator.secrets.insert(name.into(), SecretSource::Server(ServerSecret { server, mount, path, field, kv }));
    }
    let server = SecretServer { address: address.to_owned(), ca, namespace: None, login, timeout_ms: 3_000 };
    operator.secret_servers.insert("bao".into(), server);
    operator
}

fn with_token() -> Login {
    Login::Token { secret: "credential".to_owned() }
}

fn value(secrets: &OperatorSecrets, name: &str) -> String {
    String::from_utf8(secrets.get(name).unwrap().expose().to_vec()).unwrap()
}

/// The code of the error, which shows none of these words.
fn refused(secrets: &OperatorSecrets, name: &str, hidden: &[&str]) -> (String, bool) {
    let error = secrets.get(name).unwrap_err();
    let text = format!("{error}\n{error:?}\n{secrets:?}");
    assert!(hidden.iter().all(|word| !text.contains(word)), "{text}");
    assert!(error.hint.is_some());
    (error.code.0.to_string(), may_pass(&error))
}

#[test]
fn values_are_read_and_rotated_without_a_restart() {
    let world = World::new();
    let token = world.token("1h");
    world.file("credential", &format!("{token}\n"));
    let secrets = OperatorSecrets::new(&world.operator(with_token()));
    assert_eq!(["p", "n", "v1"].map(|name| value(&secrets, name)), ["one", "7", "from version 1"]);
    world.bao(&["kv", "put", "secret/orders/s3", "password=two"]);
    assert_eq!(value(&secrets, "p"), "one", "it is kept for a while");
    secrets.rejected("p");
    assert_eq!(value(&secrets, "p"), "two", "who saw it refused gets the new one");
    for name in ["no-field", "no-path"] {
        assert_eq!(refused(&secrets, name, &[&token]), ("LB0419".to_owned(), false));
    }
    assert_eq!(refused(&secrets, "forbidden", &[&token]), ("LB0417".to_owned(), false));
    // The token is taken back, and another put into the file: the next reading has it.
    world.bao(&["token", "revoke", &token]);
    secrets.rejected("p");
    assert_eq!(refused(&secrets, "p", &[&token, "two"]), ("LB0417".to_owned(), false));
    world.file("credential", &world.token("1h"));
    assert_eq!(value(&secrets, "p"), "two");
}

#[test]
fn a_role_logs_in_again_when_its_token_runs_out_or_is_taken_back() {
    let world = World::new();
    world.bao(&["auth", "enable", "approle"]);
    world.bao(&["write", "auth/approle/role/dr", "token_policies=dr", "token_ttl=2s", "token_max_ttl=2s"]);
    let role_id = world.bao(&["read", "-field=role_id", "auth/approle/role/dr/role-id"]);
    let new_id = || world.bao(&["write", "-f", "-field=secret_id", "auth/approle/role/dr/secret-id"]);
    let first = new_id();
    world.file("credential", &first);
    let login = Login::Approle { mount: "approle".to_owned(), role_id, secret: "credential".to_owned() };
    let secrets = OperatorSecrets::new(&world.operator(login));
    assert_eq!(value(&secrets, "p"), "one");
    std::thread::sleep(Duration::from_millis(2_200));
    secrets.rejected("p");
    assert_eq!(value(&secrets, "p"), "one", "the first token has run out");
    // Its token is good by its own time, and the server knows it no more.
    world.bao(&["lease", "revoke", "-force", "-prefix", "auth/approle"]);
    secrets.rejected("p");
    assert_eq!(value(&secrets, "p"), "one");
    // The secret id is taken back: refused, until the file has another.
    world.bao(&["write", "auth/approle/role/dr/secret-id/destroy", &format!("secret_id={first}")]);
    world.bao(&["lease", "revoke", "-force", "-prefix", "auth/approle"]);
    secrets.rejected("p");
    assert_eq!(refused(&secrets, "p", &[&first]), ("LB0417".to_owned(), false));
    world.file("credential", &new_id());
    assert_eq!(value(&secrets, "p"), "one");
}

#[test]
fn sealed_and_unreachable_servers_may_come_back() {
    let mut world = World::new();
    let token = world.token("1h");
    world.file("credential", &token);
    let secrets = OperatorSecrets::new(&world.operator(with_token()));
    assert_eq!(value(&secrets, "p"), "one");
    world.bao(&["operator", "seal"]);
    secrets.rejected("p");
    assert_eq!(refused(&secrets, "p", &[&token]), ("LB0418".to_owned(), true));
    world.server.kill();
    let start = Instant::now();
    assert_eq!(refused(&secrets, "p", &[&token]), ("LB0416".to_owned(), true));
    assert!(start.elapsed() < Duration::from_secs(5));
    // One that takes the request and says nothing is left after its time.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let secrets = OperatorSecrets::new(&operator(&address, None, &world.path("credential"), with_token()));
    assert_eq!(refused(&secrets, "p", &[&token]), ("LB0416".to_owned(), true));
    assert!(start.elapsed() < Duration::from_secs(10));
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn over_tls_only_a_server_that_somebody_vouches_for_is_told_anything() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(program(Kind::OpenBao).expect("OpenBao is needed: cargo xtask servers install"))
        .args(["server", "-dev", "-dev-tls", "-dev-no-store-token", "-dev-root-token-id=root-of-test"])
        .arg(format!("-dev-tls-cert-dir={}", dir.path().display()))
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .env("HOME", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Killed(child);
    let ca = dir.path().join("vault-ca.pem");
    std::fs::write(dir.path().join("credential"), "root-of-test").unwrap();
    let address = format!("https://127.0.0.1:{port}");
    let trusted =
        || OperatorSecrets::new(&operator(&address, Some(ca.clone()), &dir.path().join("credential"), with_token()));
    let start = Instant::now();
    // Nothing is there yet, and the server says so: it was asked over TLS, and knew the token.
    while refused(&trusted(), "no-path", &["root-of-test"]).0 != "LB0419" {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", trusted().get("no-path"));
        std::thread::sleep(Duration::from_millis(100));
    }
    let stranger = OperatorSecrets::new(&operator(&address, None, &dir.path().join("credential"), with_token()));
    assert_eq!(refused(&stranger, "p", &["root-of-test"]), ("LB0416".to_owned(), true));
}
