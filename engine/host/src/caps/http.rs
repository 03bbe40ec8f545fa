//! Requests over HTTP as guests make them: roles and records become a request of the host, readers its bodies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::Resource;

use crate::bindings::lifeboat::plugin::http::{
    Answer, Body, Failure, Head, Header, Host, Part, Repeat, Request, Response,
};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::bounds::{GUEST_TO_HOST_BYTES_MAX, HTTP_END_MS};
use crate::fault::{Fault, from_io, guest_error, refused};
use crate::guest::{Guest, blocking};
use crate::http::body::{Span, rest};
use crate::http::egress::Egress;
use crate::http::got::Got;
use crate::http::rules::{backoff, safe};
use crate::http::send::{Ask, Broken, Caller, in_memory};
use crate::http::url::Url;
use crate::source::Source;
use crate::stream::Reader;

/// How a request fails: with an error that the guest sees and may handle, or with the end of the guest.
#[derive(Debug)]
pub enum HttpFault {
    /// Told to the guest.
    Guest(Failure),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl From<Fault> for HttpFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Guest(error) => HttpFault::Guest(Failure { error, sent: false }),
            Fault::Trap(error) => HttpFault::Trap(error),
        }
    }
}

impl From<GuestError> for HttpFault {
    fn from(error: GuestError) -> Self {
        Broken { error, sent: false }.into()
    }
}

impl From<Broken> for HttpFault {
    fn from(broken: Broken) -> Self {
        HttpFault::Guest(Failure { error: broken.error, sent: broken.sent })
    }
}

impl From<wasmtime::component::ResourceTableError> for HttpFault {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        HttpFault::Trap(error.into())
    }
}

/// A reader that is sent from: its handle, and what is left behind what was sent.
struct Lent {
    handle: Resource<Reader>,
    span: Span,
    whole: u64,
}

impl Guest {
    fn caller(&self, role: &str) -> Result<Caller, GuestError> {
        self.context.need("http")?;
        let bound = self.context.target(role)?.clone();
        let Some(mode) = self.context.mode else {
            return Err(refused("no request can be made in this call", None));
        };
        let host = &self.context.host;
        let time = self.limit.saturating_sub(Duration::from_millis(HTTP_END_MS));
        Ok(Caller {
            hub: Arc::clone(&host.http),
            // The code that runs may be another plugin's than the target's: its own grants count.
            egress: Egress::new(&host.operator, &self.context.plugin, &bound.target.name, mode),
            secrets: Arc::clone(&host.secrets),
            voice: Arc::clone(&self.voice),
            until: self.started.checked_add(time).unwrap_or_else(Instant::now),
            bound,
        })
    }

    /// Takes the reader out of its handle for as long as it is sent from.
    async fn lend(&mut self, part: Part) -> Result<Lent, HttpFault> {
        self.context.need("bytes")?;
        let source = self.take_source(&part.source)?;
        let known = source.known();
        let Some(len) = part.len.or(known) else {
            self.table.get_mut(&part.source)?.0 = Some(source);
            return Err(guest_error(ErrorKind::Permanent, "the length of what is to be sent is not known").into());
        };
        if known.is_some_and(|known| len > known) {
            let message = format!("{len} bytes are to be sent, and the reader has {}", known.unwrap_or(0));
            self.table.get_mut(&part.source)?.0 = Some(source);
            return Err(guest_error(ErrorKind::Permanent, message).into());
        }
        if let Source::Memory(mut data) = source {
            // Cheap: the bytes are shared, and the rest goes back at once.
            let front = data.split_to(usize::try_from(len).unwrap_or(usize::MAX).min(data.len()));
            self.table.get_mut(&part.source)?.0 = Some(Source::Memory(data));
            return Ok(Lent { handle: part.source, span: Span::Memory(front), whole: len });
        }
        let span = blocking(move || Span::of(source, len).map_err(|error| from_io("read", "a file", &error))).await?;
        Ok(Lent { handle: part.source, span, whole: known.unwrap_or(len) })
    }

    async fn exchange(&mut self, role: &str, request: Request, body: Body) -> Result<Got, HttpFault> {
        let caller = self.caller(role)?;
        let endpoint = caller.bound.settings.get("endpoint").and_then(serde_json::Value::as_str);
        let url = Url::wanted(endpoint, &request.url)?;
        // Refused before any byte is read.
        caller.egress.check(&url)?;
        let (span, lent) = match body {
            Body::None => (None, None),
            Body::Bytes(data) => (Some(in_memory(data)), None),
            Body::Stream(part) => {
                let lent = self.lend(part).await?;
                (Some(lent.span.clone()), Some(lent))
            }
        };
        let ask = Ask {
            method: request.method.to_ascii_uppercase(),
            url,
            headers: request.headers.into_iter().map(|h| (h.name.to_ascii_lowercase(), h.value)).collect(),
            signing: request.signing,
            wishes: request.checksums,
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
            repeat: match request.repeat {
                Repeat::ByMethod => None,
                Repeat::Always => Some(true),
                Repeat::Never => Some(false),
            },
            follow: request.follow,
            span,
        };
        let mut result = caller.exchange(ask).await;
        if let Some(Lent { handle, span, whole }) = lent {
            let back = result.as_mut().ok().and_then(|got| got.back.take());
            let behind = blocking(move || rest(&span, whole, back).map_err(|error| from_io("read", "a file", &error)));
            if let Some(source) = behind.await? {
                self.table.get_mut(&handle)?.0 = Some(source);
            }
        }
        Ok(result?)
    }
}

fn head(got: &mut Got) -> Head {
    let headers = std::mem::take(&mut got.headers);
    Head {
        status: got.status,
        headers: headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
        sends: got.sends,
        checksums: std::mem::take(&mut got.sums),
        url: got.url.clone(),
    }
}

impl Host for Guest {
    fn convert_failure(&mut self, fault: HttpFault) -> wasmtime::Result<Failure> {
        match fault {
            HttpFault::Guest(failure) => Ok(failure),
            HttpFault::Trap(error) => Err(error),
        }
    }

    async fn send(&mut self, role: String, request: Request, body: Body) -> Result<Response, HttpFault> {
        let mut got = self.exchange(&role, request, body).await?;
        let head = head(&mut got);
        let body = self.table.push(Reader(Some(Source::Net(Box::new(got.body)))))?;
        Ok(Response { head, body })
    }

    async fn fetch(&mut self, role: String, request: Request, body: Body, max: u32) -> Result<Answer, HttpFault> {
        let acts = !safe(&request.method.to_ascii_uppercase());
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(GUEST_TO_HOST_BYTES_MAX);
        if acts || !matches!(body, Body::None) {
            let mut got = self.exchange(&role, request, body).await?;
            let head = head(&mut got);
            let body = got.whole(max).await.map_err(|error| Broken { error, sent: acts })?;
            return Ok(Answer { head, body });
        }
        // An answer that broke off is asked for anew, as one that never came is.
        let times = self.context.host.http.times;
        let mut tries = 0;
        loop {
            let mut got = self.exchange(&role, request.clone(), Body::None).await?;
            let head = head(&mut got);
            tries += 1;
            match got.whole(max).await {
                Ok(body) => return Ok(Answer { head, body }),
                Err(error) if error.kind == ErrorKind::Temporary && tries < times.sends => {
                    tracing::debug!("asked again: {}", error.message);
                    tokio::time::sleep(backoff(&times, tries)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn secrets(&mut self, role: String) -> Result<Vec<String>, Fault> {
        self.context.need("http")?;
        Ok(self.context.target(&role)?.target.secrets.keys().cloned().collect())
    }
}
