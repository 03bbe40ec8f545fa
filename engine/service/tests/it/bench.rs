//! A service with a simulated world behind it, and somebody who calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use lifeboat_alerts::{Kind, Mapping, Scheme, Source};
use lifeboat_core::ports::{Clock, Store};
use lifeboat_core::service::Service;
use lifeboat_runtime::{Engine, EngineParts};
use lifeboat_service::access::{NewToken, Role, Tokens};
use lifeboat_service::alerts::{Hook, HookKey, HookSecrets, Hooks};
use lifeboat_service::{Measured, Metrics, Parts, Server};
use lifeboat_store::{EmbeddedStore, Options};
use lifeboat_testkit::{ScriptedExecutor, SeededRng, WallClock, World};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::workshop::{Estate, Toy};

/// A running service.
#[allow(missing_debug_implementations)]
pub struct Bench {
    pub server: Option<Server>,
    pub address: SocketAddr,
    pub folder: Arc<TempDir>,
    pub store: Arc<dyn Store>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// No secrets at all.
struct NoSecrets;

impl lifeboat_secrets::Secrets for NoSecrets {
    fn get(&self, _: &str) -> Result<lifeboat_secrets::Secret, lifeboat_core::Error> {
        Err(lifeboat_core::Error::new("LB0710", "there are no secrets"))
    }
}

/// Puts another store around the real one.
pub type Around = Box<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store>>;

/// What a service is made with.
#[derive(Default)]
pub struct Wish {
    pub settings: Service,
    pub roles: Option<BTreeMap<String, Vec<String>>>,
    pub folder: Option<Arc<TempDir>>,
    pub world: Option<World>,
    /// Puts another store around the real one.
    pub around: Option<Around>,
    /// Runbooks that are there from the start, by the names of their files.
    pub books: Vec<(&'static str, String)>,
    pub channels: BTreeMap<String, lifeboat_core::notify::Channel>,
    pub estate: Arc<Estate>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Wish::default()).await
    }

    pub async fn with(wish: Wish) -> Self {
        Self::try_with(wish).await.unwrap()
    }

    pub async fn try_with(wish: Wish) -> Result<Self, lifeboat_core::Error> {
        let folder = wish.folder.unwrap_or_else(|| Arc::new(TempDir::new().unwrap()));
        let data = folder.path().join("data");
        let books = folder.path().join("runbooks");
        if !books.exists() {
            std::fs::create_dir_all(&books).unwrap();
            for what in ["chain", "approve", "two", "slow", "fails", "lock"] {
                std::fs::write(books.join(format!("{what}.kdl")), format!("runbook {what} {what}")).unwrap();
            }
        }
        for (name, text) in &wish.books {
            std::fs::write(books.join(name), text).unwrap();
        }
        let store: Arc<dyn Store> = Arc::new(open(&data).await);
        let store = wish.around.map_or(Arc::clone(&store), |around| around(store));
        let metrics = Arc::new(Metrics::new());
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let world = wish.world.unwrap_or_default();
        let seed = u64::from_ne_bytes(
            *blake3::hash(format!("{:?}", Instant::now()).as_bytes()).as_bytes().first_chunk().unwrap(),
        );
        let engine = Engine::new(EngineParts {
            store: Arc::new(Measured::new(Arc::clone(&store), Arc::clone(&metrics))),
            executor: Arc::new(ScriptedExecutor::new(world.clone(), Arc::clone(&clock))),
            clock: Arc::clone(&clock),
            rng: Arc::new(SeededRng::new(seed)),
            max_parallel: 16,
            version: "lifeboat test".to_owned(),
        });
        let mut settings = wish.settings;
        settings.listen.set_port(0);
        settings.runbooks = vec![books];
        let parts = Parts {
            engine,
            store: Arc::clone(&store),
            clock,
            workshop: Arc::new(Toy { roles: wish.roles, estate: wish.estate }),
            metrics,
            hooks: hooks(),
            settings,
            courier: Arc::new(lifeboat_notify::Courier::new(&wish.channels, Arc::new(NoSecrets))?),
            rng: Arc::new(SeededRng::new(seed.wrapping_add(1))),
            folder: data,
            version: "lifeboat test".to_owned(),
        };
        let server = Server::start(parts).await?;
        Ok(Self { address: server.address(), server: Some(server), folder, store })
    }

    pub fn runbook(&self, name: &str, text: &str) {
        let path = self.folder.path().join("runbooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// A token, made beside the API.
    pub async fn token(&self, new: NewToken) -> String {
        Tokens::new(Arc::clone(&self.store)).create(new, "test", WallClock.now_ms()).await.unwrap().1
    }

    pub async fn admin(&self) -> String {
        self.token(all(Role::Admin, "root")).await
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        call_over(TokioIo::new(stream), method, path, token, headers, body).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, &[], None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call("POST", path, token, &[], Some(body)).await
    }

    /// Starts a run of what was looked at.
    pub async fn start(&self, runbook: &str, mode: &str, token: &str) -> Answer {
        let plan = self.post("/v1/plans", token, &json!({ "runbook": runbook, "mode": mode })).await;
        assert_eq!(plan.status, 200, "{plan:?}");
        let body =
            json!({ "runbook": runbook, "mode": mode, "fingerprint": plan.json["fingerprint"], "reason": "a test" });
        self.post("/v1/runs", token, &body).await
    }

    /// Starts a run, and gives its name and fingerprint.
    pub async fn run(&self, runbook: &str, mode: &str, token: &str) -> (String, String) {
        let started = self.start(runbook, mode, token).await;
        assert_eq!(started.status, 201, "{started:?}");
        let text = |name: &str| started.json[name].as_str().unwrap().to_owned();
        (text("run"), text("fingerprint"))
    }

    /// Waits until a run is in that state.
    pub async fn status(&self, run: &str, token: &str, status: &str) -> Value {
        let start = Instant::now();
        loop {
            let found = self.get(&format!("/v1/runs/{run}"), token).await;
            if found.json["status"] == status {
                return found.json;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{run} is not {status}: {found:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the service as an operator would, and everything that holds its data.
    pub async fn stop(mut self) -> (usize, Arc<TempDir>) {
        let left = self.server.take().unwrap().stop().await;
        let folder = Arc::clone(&self.folder);
        drop(self);
        (left, folder)
    }
}

/// The secret by which the hook `own` signs.
pub const SECRET: &[u8] = b"a secret of tests";

struct Secret;

impl HookSecrets for Secret {
    fn read(&self, name: &str) -> Result<Vec<u8>, lifeboat_core::Error> {
        match name {
            "own" => Ok(SECRET.to_vec()),
            _ => Err(lifeboat_core::Error::new("LB0801", "there is no such secret")),
        }
    }
}

/// Two hooks by token, one that signs, and one whose secret cannot be read.
fn hooks() -> Hooks {
    let hook = |name: &str, kind: Kind, key: Option<HookKey>| {
        let mapping = Mapping {
            status: "/state".to_owned(),
            firing: vec!["down".to_owned()],
            resolved: vec!["up".to_owned()],
            group: vec!["/service".to_owned()],
            tags: Some("/labels".to_owned()),
            ..Mapping::default()
        };
        let source = Source { name: name.to_owned(), kind, mapping: (kind == Kind::Generic).then_some(mapping) };
        (name.to_owned(), Hook { source, key })
    };
    let signs = |secret: &str| Some(HookKey { secret: secret.to_owned(), scheme: Scheme::Timed, window_ms: 300_000 });
    let all = [
        hook("alertmanager", Kind::Alertmanager, None),
        hook("grafana", Kind::Grafana, None),
        hook("own", Kind::Generic, signs("own")),
        hook("lost", Kind::Generic, signs("nowhere")),
    ];
    Hooks::new(all.into(), Arc::new(Secret))
}

/// Opens a store. The last tasks of a service that was just stopped may hold it for a moment.
async fn open(data: &Path) -> EmbeddedStore {
    let start = Instant::now();
    loop {
        match EmbeddedStore::open(data, Options::default()) {
            Ok((store, _)) => return store,
            Err(error) => assert!(error.code.0 == "LB0601" && start.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token with one role, for everything.
pub fn all(role: Role, owner: &str) -> NewToken {
    NewToken {
        owner: owner.to_owned(),
        note: String::new(),
        roles: [role].into(),
        drill: true,
        failover: true,
        runbooks: Vec::new(),
        expires_in_s: 3_600,
    }
}

/// One call over a connection of its own.
pub async fn call_over<I>(
    io: I,
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "test");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let bytes = body.map_or(Bytes::new(), |body| match body {
        // What is no JSON is sent as it is.
        Value::String(text) => Bytes::from(text.clone()),
        body => Bytes::from(body.to_string()),
    });
    let response = sender.send_request(request.body(Full::new(bytes)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    connection.abort();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: parts.status.as_u16(), headers: parts.headers, text, json }
}

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(longest: Duration, holds: impl Fn() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < longest, "it does not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether any file below a folder has these bytes in it.
pub fn found_below(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return found_below(&path, bytes);
        }
        let content = std::fs::read(&path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
