//! fake-gcs-server behind a gate. The server itself lets everybody in, so HAProxy stands in front of it: it gives out tokens for
//! claims that the service account signed, as Google's token server does, and lets in who has one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_servers::{Kind, get, program};
use serde_json::json;

use crate::background::Background;
use crate::remote::Remote;

/// A token is the claim itself: whether it is signed, and not too old, is looked at both times.
const GATE: &str = r#"
global
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 2m
  timeout server 2m
frontend gate
  bind 127.0.0.1:PORT
  acl asks path /token
  http-request wait-for-body time 5s if asks
  http-request set-var(txn.tok) req.body_param(assertion) if asks
  http-request set-var(txn.tok) http_auth_bearer unless asks
  http-request set-var(txn.ok) var(txn.tok),jwt_verify("RS256","public.pem")
  http-request set-var(txn.exp) var(txn.tok),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.ok) -m int 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  BUSY
  http-request return status 200 content-type application/json lf-string '{"access_token":"%[var(txn.tok)]","expires_in":3600,"token_type":"Bearer"}' if asks
  default_backend server
backend server
  server only 127.0.0.1:BEHIND
"#;

/// The server, its gate, and the account that the gate knows. They end with it.
pub struct Gate {
    pub dir: tempfile::TempDir,
    pub port: u16,
    behind: u16,
    children: Vec<Background>,
}

impl Gate {
    /// Starts both. The server has all in memory: only so it keeps versions.
    pub fn start() -> Self {
        Self::opened("")
    }

    /// A gate that answers one request in eight with 503 or 429, and says when to come back.
    pub fn busy() -> Self {
        Self::opened(
            "http-request return status 503 content-type text/plain string busy hdr retry-after 0 if !asks { rand(16) 0 }\n  \
             http-request return status 429 content-type text/plain string slower hdr retry-after 1 if !asks { rand(16) 0 }",
        )
    }

    fn opened(busy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, behind) = (free(), free());
        key(dir.path(), "account");
        openssl(&["pkey", "-in", "account.pem", "-pubout", "-out", "public.pem"], dir.path());
        let config =
            GATE.replace("PORT", &port.to_string()).replace("BEHIND", &behind.to_string()).replace("BUSY", busy);
        fs::write(dir.path().join("gate.cfg"), config).unwrap();
        let mut gate = Self { dir, port, behind, children: Vec::new() };
        let endpoint = gate.endpoint();
        let public = format!("127.0.0.1:{port}");
        let (inner, server) = (behind.to_string(), program(Kind::Gcs).unwrap());
        let args = ["-scheme", "http", "-host", "127.0.0.1", "-port", &inner, "-backend", "memory"];
        gate.child(&server, &[&args[..], &["-public-host", &public, "-external-url", &endpoint]].concat());
        gate.child(Path::new("haproxy"), &["-db", "-f", "gate.cfg"]);
        let start = Instant::now();
        while !matches!(get(port, "/storage/v1/b"), Some((401, _))) || get(behind, "/storage/v1/b").is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "the gate does not open: apt-get install haproxy");
            std::thread::sleep(Duration::from_millis(20));
        }
        gate
    }

    fn child(&mut self, program: &Path, args: &[&str]) {
        let log = File::create(self.dir.path().join(format!("{}.log", self.children.len()))).unwrap();
        // It ends with the thread of the test, whatever becomes of that.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(args).current_dir(self.dir.path());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        self.children.push(Background::spawn(command.stdout(log.try_clone().unwrap()).stderr(log)));
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The key file of the account that the gate knows, or of another one.
    pub fn key_file(&self, name: &str) -> String {
        if !self.dir.path().join(format!("{name}.pem")).exists() {
            key(self.dir.path(), name);
        }
        let private = fs::read_to_string(self.dir.path().join(format!("{name}.pem"))).unwrap();
        let file = json!({ "type": "service_account", "project_id": "lifeboat", "client_id": "1", "private_key_id": "k1",
            "client_email": format!("{name}@lifeboat.iam"), "private_key": private,
            "token_uri": format!("{}/token", self.endpoint()) });
        // As Google gives it: in many lines.
        serde_json::to_string_pretty(&file).unwrap()
    }

    /// The server as rclone reaches it: through the gate, with the account.
    pub fn remote(&self) -> Remote {
        let path = self.file("account.json");
        fs::write(&path, self.key_file("account")).unwrap();
        let endpoint = format!("{}/storage/v1/", self.endpoint());
        Remote::new(
            "gcs",
            &[
                ("service_account_file", path.to_str().unwrap()),
                ("endpoint", &endpoint),
                ("project_number", "lifeboat"),
            ],
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a bucket behind the gate, with or without versions, which rclone can't ask for.
    pub fn make(&self, bucket: &str, versions: bool) {
        let body = json!({ "name": bucket, "versioning": { "enabled": versions } }).to_string();
        let said = self.behind("POST", "/storage/v1/b?project=lifeboat", &body);
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    /// One request behind the gate.
    pub fn behind(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.behind)).unwrap();
        let len = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }
}

fn free() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn key(dir: &Path, name: &str) {
    let file = format!("{name}.pem");
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &file], dir);
}

fn openssl(args: &[&str], dir: &Path) {
    let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
