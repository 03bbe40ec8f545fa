//! How each server is started, and when it is ready.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{make, program};
use crate::{Access, Kind, get};

/// The keys of every S3 here: one that may do all, one that may only read.
const KEY: (&str, &str) = ("AKIALIFEBOATTEST", "secretOfTheTests");
const READER: (&str, &str) = ("AKIALIFEBOATREAD", "secretOfTheReader");
/// Azurite's accounts, and the key of both as it is written down: base64.
const ACCOUNTS: (&str, &str, &str) = ("lifeboata", "lifeboatb", "bGlmZWJvYXQtdGVzdHMtYWNjb3VudC1rZXktMDAwMA==");
/// OpenBao's root token.
const TOKEN: &str = "lifeboat-tests-root";
/// The key that SeaweedFS encrypts with on demand; without it such a put is an error of the server.
const SEAWEED_KEY: &str = "3132333435363738393031323334353637383930313233343536373839303132";

/// A server that is ready to be started.
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub variables: Vec<(&'static str, String)>,
    pub access: Access,
}

/// How many ports it takes. The first is the one for clients.
pub fn ports(kind: Kind) -> usize {
    match kind {
        Kind::S3 => 8,
        Kind::Traces => 2,
        _ => 1,
    }
}

/// Writes what the server reads, and gives its command line. The folder is its current one.
pub fn launch(kind: Kind, data: &Path, ports: &[u16]) -> Result<Launch, String> {
    make(data)?;
    let port = ports.first().copied().ok_or("a server needs a port")?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let program = program(kind)?;
    let folder = |name: &str| -> Result<PathBuf, String> {
        let path = data.join(name);
        make(&path)?;
        Ok(path)
    };
    Ok(match kind {
        Kind::S3 => seaweed(program, data, ports, endpoint)?,
        Kind::S3Weak => Launch {
            program,
            arguments: words(&format!(
                "serve s3 --addr 127.0.0.1:{port} --auth-key {},{} --vfs-cache-mode writes --config /dev/null --cache-dir",
                KEY.0, KEY.1
            ))
            .chain([folder("cache")?.into(), folder("objects")?.into()])
            .collect(),
            variables: Vec::new(),
            access: Access::new(endpoint, &[("access-key", KEY.0), ("secret-key", KEY.1), ("region", "us-east-1")]),
        },
        Kind::Azure => azurite(&program, &folder("blobs")?, port),
        Kind::Gcs => Launch {
            program,
            arguments: words(&format!(
                "-scheme http -host 127.0.0.1 -port {port} -backend filesystem -public-host 127.0.0.1:{port} \
                 -external-url {endpoint} -filesystem-root"
            ))
            .chain([folder("buckets")?.into()])
            .collect(),
            variables: Vec::new(),
            access: Access::new(endpoint, &[("project", "lifeboat-tests"), ("token", "any")]),
        },
        Kind::Prometheus => prometheus(program, data, port, endpoint)?,
        Kind::Alertmanager => alertmanager(program, data, port, endpoint)?,
        Kind::OpenBao => Launch {
            program,
            arguments: words(&format!(
                "server -dev -dev-no-store-token -dev-root-token-id={TOKEN} -dev-listen-address=127.0.0.1:{port}"
            ))
            .collect(),
            variables: Vec::new(),
            access: Access::new(endpoint, &[("token", TOKEN), ("mount", "secret")]),
        },
        Kind::Traces => {
            let grpc = ports.get(1).copied().ok_or("a collector needs two ports")?;
            Launch {
                program,
                arguments: words(&format!(
                    "start --otlp-http-endpoint 127.0.0.1:{port} --otlp-grpc-endpoint 127.0.0.1:{grpc} \
                     --exporter blackhole --debug-log traces --debug-log-verbosity detailed"
                ))
                .collect(),
                variables: Vec::new(),
                access: Access::new(format!("{endpoint}/v1/traces"), &[]),
            }
        }
    })
}

fn words(text: &str) -> impl Iterator<Item = OsString> {
    text.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect::<Vec<_>>().into_iter()
}

/// The election is shortened: with the defaults a restart takes 15 s. Each bucket grows some seven volumes, so the default
/// of eight runs out at the second one.
fn seaweed(program: PathBuf, data: &Path, ports: &[u16], endpoint: String) -> Result<Launch, String> {
    let [s3, s3_rpc, master, master_rpc, volume, volume_rpc, filer, filer_rpc] = ports else {
        return Err("SeaweedFS needs eight ports".to_owned());
    };
    let all = ["Admin", "Read", "Write", "List", "Tagging"];
    let identity = |name: &str, key: (&str, &str), actions: &[&str]| {
        serde_json::json!({ "name": name, "actions": actions,
            "credentials": [{ "accessKey": key.0, "secretKey": key.1 }] })
    };
    let users = [identity("tests", KEY, &all), identity("reader", READER, &["Read", "List"])];
    let path = data.join("s3.json");
    fs::write(&path, serde_json::json!({ "identities": users }).to_string())
        .map_err(|error| format!("{}: {error}", path.display()))?;
    make(&data.join("volumes"))?;
    // Sockets have short paths, so they are named from the current folder.
    let line = format!(
        "-logtostderr=true server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir=volumes -master.port={master} -master.port.grpc={master_rpc} \
         -master.telemetry=false -master.electionTimeout=1s -master.heartbeatInterval=150ms \
         -master.volumeSizeLimitMB=64 -volume.port={volume} -volume.port.grpc={volume_rpc} -volume.max=800 \
         -volume.minFreeSpace=64MiB \
         -filer -filer.port={filer} -filer.port.grpc={filer_rpc} -filer.localSocket=filer.sock -s3 -s3.port={s3} \
         -s3.port.grpc={s3_rpc} -s3.localSocket=s3.sock -s3.config=s3.json -s3.port.iceberg=0 -s3.port.lance=0"
    );
    let values = [
        ("access-key", KEY.0),
        ("secret-key", KEY.1),
        ("reader-access-key", READER.0),
        ("reader-secret-key", READER.1),
        ("region", "us-east-1"),
    ];
    let mut access = Access::new(endpoint, &values);
    access.values.insert("filer".to_owned(), format!("http://127.0.0.1:{filer}"));
    access.values.insert("master".to_owned(), format!("http://127.0.0.1:{master}"));
    let variables = vec![("WEED_S3_SSE_KEK", SEAWEED_KEY.to_owned())];
    Ok(Launch { program, arguments: words(&line).collect(), variables, access })
}

/// A file that a test has written before, or else this one.
fn settings(data: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = data.join(name);
    if path.exists() {
        return Ok(());
    }
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What fired while no Alertmanager was known is sent again after two seconds and not after a minute.
fn prometheus(program: PathBuf, data: &Path, port: u16, endpoint: String) -> Result<Launch, String> {
    settings(data, "prometheus.yml", "global: { scrape_interval: 1s }\n")?;
    let line = format!(
        "--config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:{port} --rules.alert.resend-delay=2s"
    );
    let access = Access::new(endpoint, &[]);
    Ok(Launch { program, arguments: words(&line).collect(), variables: Vec::new(), access })
}

/// Without an address for its cluster it opens no second port.
fn alertmanager(program: PathBuf, data: &Path, port: u16, endpoint: String) -> Result<Launch, String> {
    settings(data, "alertmanager.yml", "route: { receiver: none }\nreceivers: [ { name: none } ]\n")?;
    let line = format!(
        "--config.file=alertmanager.yml --storage.path=state --web.listen-address=127.0.0.1:{port} --cluster.listen-address="
    );
    let access = Access::new(endpoint, &[]);
    Ok(Launch { program, arguments: words(&line).collect(), variables: Vec::new(), access })
}

fn azurite(script: &Path, data: &Path, port: u16) -> Launch {
    let (first, second, key) = ACCOUNTS;
    let line =
        format!("--blobHost 127.0.0.1 --blobPort {port} --skipApiVersionCheck --silent --disableTelemetry --location");
    let endpoint = format!("http://127.0.0.1:{port}/{first}");
    let second_endpoint = format!("http://127.0.0.1:{port}/{second}");
    let values =
        [("account", first), ("account-key", key), ("second-account", second), ("second-endpoint", &second_endpoint)];
    Launch {
        program: "node".into(),
        arguments: [script.as_os_str().to_owned()].into_iter().chain(words(&line)).chain([data.into()]).collect(),
        variables: vec![("AZURITE_ACCOUNTS", format!("{first}:{key};{second}:{key}"))],
        access: Access::new(endpoint, &values),
    }
}

/// Whether it answers as it does when it can be used.
pub fn is_ready(kind: Kind, ports: &[u16]) -> bool {
    let ask = |at: usize, path: &str| ports.get(at).and_then(|port| get(*port, path));
    match kind {
        // The gate opens before there is a place to read from or write to.
        Kind::S3 => {
            matches!(ask(0, "/"), Some((200 | 403, _)))
                && ask(2, "/dir/status").is_some_and(|(_, body)| body.contains("\"DataNodes\":[{"))
        }
        Kind::S3Weak | Kind::Azure | Kind::Traces => ask(0, "/").is_some(),
        Kind::Gcs => matches!(ask(0, "/storage/v1/b?project=p"), Some((200, _))),
        Kind::OpenBao => matches!(ask(0, "/v1/sys/health"), Some((200, _))),
        Kind::Prometheus | Kind::Alertmanager => matches!(ask(0, "/-/ready"), Some((200, _))),
    }
}
