//! A target as a place for objects. Each call is one bounded call of a fresh guest; the bytes stay in the host: a reader is
//! lent to the guest, or taken back from it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::plan::{Mode, Target, plugin_settings};
use lifeboat_core::ports::BoxFuture;
use lifeboat_core::{Code, Error, Failure, FailureKind};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Instance, Resource};

use crate::bindings::exports::lifeboat::plugin::store::{Guest as StoreExport, GuestIndices};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind, Target as GuestTarget};
use crate::bounds::{OBJECT_BYTES_MAX, STORE_CALL_MS_MAX};
use crate::fault::to_failure;
use crate::guest::{Body, Bound, Call, Context, Guest};
use crate::host::Inner;
use crate::http::rules::backoff;
use crate::plugin::Loaded;
use crate::ports::{Object, ObjectStore};
use crate::stream::{Reader, Source};
use crate::voice::Quiet;

/// The role of the one target in calls of `store`.
const ROLE: &str = "self";
/// What calls of `store` may use.
const CAPABILITIES: [&str; 3] = ["bytes", "dir", "http"];

/// How often an object is read whose bytes break off.
const READS: u32 = 4;

/// A target, seen through the `store` export of its plugin.
pub struct PluginStore {
    host: Arc<Inner>,
    plugin: Arc<Loaded>,
    indices: GuestIndices,
    bound: Bound,
    mode: Mode,
    makes: bool,
}

type Told<T> = Result<T, GuestError>;

impl PluginStore {
    /// A place for objects at that target.
    pub(crate) fn new(
        host: &Arc<Inner>,
        plugin: Arc<Loaded>,
        target: Target,
        settings: Value,
        mode: Mode,
    ) -> Result<Self, Error> {
        let Some(indices) = plugin.store.clone() else {
            let name = &target.name;
            return Err(Error::new(
                "LB0703",
                format!("target '{name}' can't hold a vault: plugin '{}' has no store", target.plugin),
            )
            .hint("use a target whose plugin exports `store`: `lifeboat plugin ls` shows which do"));
        };
        let bound = Bound { role: ROLE.to_owned(), target, settings };
        Ok(Self { host: Arc::clone(host), plugin, indices, bound, mode, makes: true })
    }

    /// The same, where a root that is missing is not made.
    #[must_use]
    pub(crate) fn making(self, makes: bool) -> Self {
        Self { makes, ..self }
    }

    fn at(&self) -> GuestTarget {
        GuestTarget {
            role: ROLE.to_owned(),
            name: self.bound.target.name.clone(),
            settings: plugin_settings(&self.bound.settings),
        }
    }

    async fn call<R: Send + 'static>(&self, body: impl Body<Told<R>>) -> Result<R, Failure> {
        let call = Call {
            plugin: Arc::clone(&self.plugin),
            context: Context {
                host: Arc::clone(&self.host),
                plugin: self.bound.target.plugin.clone(),
                mode: Some(self.mode),
                makes: self.makes,
                kind: None,
                capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
                targets: vec![self.bound.clone()],
                plan: None,
                looked: crate::doubt::Looked::default(),
            },
            sink: Arc::new(Quiet),
            limit: Duration::from_millis(STORE_CALL_MS_MAX),
            gate: Arc::clone(&self.host.stores),
        };
        match call.run(body).await {
            Ok(result) => result.map_err(to_failure),
            Err(ended) => {
                let broken = ended.explain();
                let message =
                    format!("the store of plugin '{}' was stopped: {}", self.bound.target.plugin, broken.message);
                Err(Failure { kind: FailureKind::Sandbox, code: Some(Code::new(broken.code)), message, hint: None })
            }
        }
    }
}

impl PluginStore {
    /// The bytes of an object, or why they broke off.
    async fn read(&self, key: &str, offset: u64, len: Option<u64>) -> Result<Told<Bytes>, Failure> {
        let (at, indices, key) = (self.at(), self.indices.clone(), key.to_owned());
        self.call(move |store, instance| {
            Box::pin(async move {
                let export = export(&indices, store, instance)?;
                match export.call_get(&mut *store, &at, &key, offset, len).await? {
                    Ok(reader) => {
                        let source = take_back(store, reader)?;
                        Ok(Ok(tokio::task::spawn_blocking(move || read_all(source)).await?))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        })
        .await
    }

    /// Writes an object; with `fresh` only where there is nothing of that key, and `false` says that there is something.
    async fn write(&self, key: &str, data: Bytes, fresh: bool) -> Result<bool, Failure> {
        let (at, indices, key) = (self.at(), self.indices.clone(), key.to_owned());
        let size = data.len() as u64;
        self.call(move |store, instance| {
            Box::pin(async move {
                let export = export(&indices, store, instance)?;
                let reader = lend(store, Source::Memory(data))?;
                let borrowed = Resource::new_borrow(reader.rep());
                let answer = if fresh {
                    export.call_put_new(&mut *store, &at, &key, borrowed).await?
                } else {
                    export.call_put(&mut *store, &at, &key, borrowed).await?
                };
                take_back(store, reader)?;
                Ok(match answer {
                    Ok(pumped) if pumped.bytes == size => Ok(true),
                    Ok(pumped) => {
                        let message = format!("put '{key}': {} of {size} bytes were stored", pumped.bytes);
                        Err(crate::fault::guest_error(ErrorKind::Permanent, message))
                    }
                    Err(error) if fresh && error.kind == ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error),
                })
            })
        })
        .await
    }
}

fn export(indices: &GuestIndices, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<StoreExport> {
    indices.load(store, instance)
}

/// Moves bytes of the host into a guest's hands. With [`take_back`], the only way a handle comes or goes: an index into one
/// store's table means something else in another's, so values move, and handles never do.
fn lend(store: &mut Store<Guest>, source: Source) -> wasmtime::Result<Resource<Reader>> {
    Ok(store.data_mut().table.push(Reader(Some(source)))?)
}

/// Takes the reader that a guest gave out of its table.
fn take_back(store: &mut Store<Guest>, reader: Resource<Reader>) -> wasmtime::Result<Source> {
    let reader = store.data_mut().table.delete(reader)?;
    reader.0.ok_or_else(|| wasmtime::format_err!("it gave a reader that broke earlier"))
}

fn read_all(mut source: Source) -> Told<Bytes> {
    if let Source::Memory(data) = source {
        return Ok(data);
    }
    let large = |size: u64| {
        let message = format!("an object of {size} bytes; the limit is {OBJECT_BYTES_MAX}");
        Err(crate::fault::guest_error(ErrorKind::Permanent, message))
    };
    let known = source.known();
    if let Some(size) = known.filter(|size| *size > OBJECT_BYTES_MAX) {
        return large(size);
    }
    let mut data = Vec::new();
    // Of unknown length: read in parts, and one part beyond the limit shows that it is too large.
    let part = usize::try_from(known.unwrap_or(1 << 20)).unwrap_or(0);
    loop {
        let at = data.len();
        data.resize(at + part, 0);
        let space = data.get_mut(at..).unwrap_or_default();
        let count = source.read(space).map_err(|error| crate::fault::from_io("read", &source.name(), &error))?;
        data.truncate(at + count);
        if count < part || known.is_some() {
            return Ok(Bytes::from(data));
        }
        if data.len() as u64 > OBJECT_BYTES_MAX {
            return large(data.len() as u64);
        }
    }
}

impl ObjectStore for PluginStore {
    fn location(&self) -> String {
        let root = self.bound.settings.get("root").and_then(Value::as_str).map(PathBuf::from);
        let place = root.map_or_else(|| self.bound.target.name.clone(), |root| root.display().to_string());
        format!("{}:{place}", self.bound.target.plugin)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
        let (at, indices, prefix) = (self.at(), self.indices.clone(), prefix.to_owned());
        Box::pin(async move {
            let found = self
                .call(move |store, instance| {
                    Box::pin(async move {
                        let export = export(&indices, store, instance)?;
                        export.call_list(store, &at, &prefix).await
                    })
                })
                .await?;
            Ok(found.into_iter().map(|object| Object { key: object.key, size: object.size }).collect())
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
        let (at, indices, key) = (self.at(), self.indices.clone(), key.to_owned());
        Box::pin(async move {
            self.call(move |store, instance| {
                Box::pin(async move {
                    let export = export(&indices, store, instance)?;
                    Ok(match export.call_head(store, &at, &key).await? {
                        Ok(object) => Ok(Some(Object { key: object.key, size: object.size })),
                        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
                        Err(error) => Err(error),
                    })
                })
            })
            .await
        })
    }

    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                match self.read(key, offset, len).await? {
                    Ok(data) => return Ok(data),
                    // The request was answered, and the bytes broke off: nobody has asked for them again yet.
                    Err(error) if error.kind == ErrorKind::Temporary && tries < READS => {
                        tracing::debug!(key, "read again: {}", error.message);
                        tokio::time::sleep(backoff(&self.host.http.times, tries)).await;
                    }
                    Err(error) => return Err(to_failure(error)),
                }
            }
        })
    }

    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.write(key, data, false).await.map(drop) })
    }

    fn put_new<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(self.write(key, data, true))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        let (at, indices, key) = (self.at(), self.indices.clone(), key.to_owned());
        Box::pin(async move {
            self.call(move |store, instance| {
                Box::pin(async move {
                    let export = export(&indices, store, instance)?;
                    export.call_delete(store, &at, &key).await
                })
            })
            .await
        })
    }
}
