//! One request, from what a guest asks for to the head of the answer: checked, signed anew for each sending, repeated where that
//! does no harm, redirected under the same rules.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use lifeboat_core::ports::AttemptSink;

use super::Hub;
use super::body::{Fed, Outgoing, Span};
use super::connect::NoWay;
use super::egress::Egress;
use super::got::Got;
use super::incoming::NetSource;
use super::mask::Mask;
use super::proof::Proof;
use super::rules::{Watch, backoff, idempotent, retry_after, safe};
use super::sign::{self, About, Draft, Seal};
use super::sums::hex;
use super::url::Url;
use crate::bindings::lifeboat::plugin::http::{Hash, Signing, Wish};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::guest_error;
use crate::guest::Bound;
use crate::ports::Secrets;
use crate::voice::Voice;

/// Redirects of one request.
const HOPS_MAX: u32 = 5;
/// How often a request under way is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Headers that are the host's own.
const OWN: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
];

/// Who asks, and as far as what.
#[derive(Clone)]
pub struct Caller {
    /// Connections and tokens.
    pub hub: Arc<Hub>,
    /// Where it may go.
    pub egress: Egress,
    /// The target.
    pub bound: Bound,
    /// Where its secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// Whether to stop.
    pub voice: Arc<Voice>,
    /// When the attempt is over.
    pub until: Instant,
}

/// What is asked for.
pub struct Ask {
    /// In upper case.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// How it is signed.
    pub signing: Signing,
    /// Checksums of the body.
    pub wishes: Vec<Wish>,
    /// For all of it until the answer's head is there.
    pub timeout: Option<Duration>,
    /// Whether it may be sent again; `None`: as the method says.
    pub repeat: Option<bool>,
    /// Whether redirects are followed.
    pub follow: bool,
    /// The body.
    pub span: Option<Span>,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Broken {
    /// For the guest.
    pub error: GuestError,
    /// Whether the server may have acted on the request.
    pub sent: bool,
}

impl From<GuestError> for Broken {
    fn from(error: GuestError) -> Self {
        Self { error, sent: false }
    }
}

/// One sending that came to nothing.
struct Miss {
    error: GuestError,
    /// Whether the server may have seen it.
    reached: bool,
    /// Whether another sending may fare better.
    passing: bool,
}

/// Where an exchange stands.
struct State {
    url: Url,
    method: String,
    span: Option<Span>,
    sends: u32,
    hops: u32,
    /// Another host than the first: it gets no credentials.
    foreign: bool,
    /// Whether an earlier sending may have had its effect.
    acted: bool,
    /// The server did not take the kept token.
    fresh_token: bool,
    /// What tells the credentials of the last sending from others.
    mark: Option<[u8; 32]>,
    mask: Mask,
    sums: Option<Vec<Vec<u8>>>,
}

impl Caller {
    /// Sends it, and gives the answer whatever its status.
    pub async fn exchange(&self, ask: Ask) -> Result<Got, Broken> {
        if let Some((name, _)) = ask.headers.iter().find(|(name, _)| OWN.contains(&name.as_str())) {
            return Err(guest_error(ErrorKind::Permanent, format!("the header '{name}' is the host's own")).into());
        }
        let end = ask.timeout.map_or(self.until, |timeout| self.until.min(Instant::now() + timeout));
        let mut state = State {
            url: ask.url.clone(),
            method: ask.method.clone(),
            span: ask.span.clone(),
            sends: 0,
            hops: 0,
            foreign: false,
            acted: false,
            fresh_token: false,
            mark: None,
            mask: Mask::default(),
            sums: None,
        };
        let result = self.rounds(&ask, &mut state, end).await;
        result.map_err(|broken| Broken {
            error: GuestError {
                message: state.mask.text(&broken.error.message),
                hint: broken.error.hint.map(|hint| state.mask.text(&hint)),
                ..broken.error
            },
            sent: broken.sent || state.acted,
        })
    }

    async fn rounds(&self, ask: &Ask, state: &mut State, end: Instant) -> Result<Got, Broken> {
        self.prepare(ask, state).await?;
        loop {
            self.egress.check(&state.url)?;
            let repeatable = ask.repeat.unwrap_or_else(|| idempotent(&state.method));
            let fed = Arc::new(Fed::default());
            let sent = self.once(ask, state, &fed, end).await?;
            let again = state.span.as_ref().is_none_or(Span::again) && state.sends < self.hub.times.sends;
            let pause = backoff(&self.hub.times, state.sends);
            match sent {
                Err(miss) => {
                    let acted = miss.reached && !safe(&state.method);
                    if !(miss.passing && again && (repeatable || !miss.reached)) || !self.rest(pause, end).await? {
                        return Err(Broken { error: miss.error, sent: acted });
                    }
                    state.acted |= acted;
                }
                Ok(response) => {
                    let status = response.status().as_u16();
                    if matches!(status, 429 | 500 | 502 | 503 | 504) && again && repeatable {
                        let pause = retry_after(&response).map_or(pause, |wish| wish.min(self.hub.times.pause_max));
                        if self.rest(pause, end).await? {
                            state.acted |= status >= 500 && !safe(&state.method);
                            continue;
                        }
                    }
                    if status == 401 && again && !state.fresh_token && google(&ask.signing) && !state.foreign {
                        state.fresh_token = true;
                        continue;
                    }
                    if matches!(status, 400 | 401 | 403) && again && self.renewed(ask, state).await? {
                        continue;
                    }
                    if ask.follow && self.redirected(state, &response)? {
                        continue;
                    }
                    return Ok(self.got(ask, state, response, &fed));
                }
            }
        }
    }

    /// Checksums that have to be known before anything is sent.
    async fn prepare(&self, ask: &Ask, state: &mut State) -> Result<(), Broken> {
        // Of an empty body nothing is asked for, and so nothing would be summed up.
        let Some(span) = ask.span.as_ref().filter(|span| span.len() > 0) else {
            let empty = super::sums::Sums::new(ask.wishes.iter().map(|wish| wish.hash));
            state.sums = Some(empty.finish());
            return Ok(());
        };
        let early = ask.wishes.iter().any(|wish| wish.header.is_some()) || matches!(span, Span::Memory(_));
        if !early {
            return Ok(());
        }
        if !span.lasting() {
            let message = "a checksum in a header needs a body that can be read twice: from a file, or from memory";
            return Err(guest_error(ErrorKind::Permanent, message).into());
        }
        let hashes: Vec<Hash> = ask.wishes.iter().map(|wish| wish.hash).collect();
        state.sums = Some(sums(span.clone(), hashes).await?);
        Ok(())
    }

    /// The request as it is sent now, and the signer of its chunks.
    async fn draft(&self, ask: &Ask, state: &mut State) -> Result<(Draft, Option<sign::sigv4::ChunkSigner>), Broken> {
        let mut draft = Draft { method: state.method.clone(), url: state.url.clone(), headers: Default::default() };
        for (name, value) in &ask.headers {
            let private = matches!(name.as_str(), "authorization" | "cookie");
            if state.foreign && private {
                continue;
            }
            draft
                .headers
                .entry(name.clone())
                .and_modify(|old| *old = format!("{old},{value}"))
                .or_insert(value.clone());
        }
        for (wish, sum) in ask.wishes.iter().zip(state.sums.iter().flatten()) {
            if let (Some(header), true) = (&wish.header, state.span.is_some()) {
                draft.set(
                    &header.name.to_ascii_lowercase(),
                    &format!("{}{}", header.value, BASE64_STANDARD.encode(sum)),
                );
            }
        }
        let host = draft.url.authority();
        draft.set("host", &host);
        let len = state.span.as_ref().map(Span::len);
        // A request that could have a body says that it has none.
        if let Some(len) = len.or_else(|| (!safe(&state.method) && state.method != "DELETE").then_some(0)) {
            draft.set("content-length", &len.to_string());
        }
        if state.foreign || matches!(ask.signing, Signing::None) {
            return Ok((draft, None));
        }
        let seal = self.seal(ask, state).await?;
        state.mark = seal.mark();
        let about = About { len: len.unwrap_or(0), sha256: digest(ask, state.span.as_ref()).await? };
        if let Seal::Google(account, scopes) = &seal {
            let token = super::token::token(self, account, scopes, &mut state.mask, state.fresh_token).await?;
            draft.set("authorization", &format!("Bearer {}", *token));
        }
        let signer = sign::apply(&seal, &mut draft, &about, &mut state.mask)?;
        Ok((draft, signer))
    }

    async fn seal(&self, ask: &Ask, state: &mut State) -> Result<Seal, Broken> {
        let (signing, bound, secrets) = (ask.signing.clone(), self.bound.clone(), Arc::clone(&self.secrets));
        let mut mask = std::mem::take(&mut state.mask);
        let read = tokio::task::spawn_blocking(move || {
            let seal = sign::read(&signing, &bound, &*secrets, &mut mask);
            (seal, mask)
        });
        let (seal, mask) = read.await.map_err(died)?;
        state.mask = mask;
        Ok(seal?)
    }

    /// Whether there are other credentials by now than those that were refused: somebody renews them while this works.
    async fn renewed(&self, ask: &Ask, state: &mut State) -> Result<bool, Broken> {
        let Some(mark) = state.mark.filter(|_| !state.foreign) else { return Ok(false) };
        for setting in sign::settings(&ask.signing) {
            if let Some(name) = self.bound.target.secrets.get(setting) {
                self.secrets.rejected(name);
            }
        }
        // Where they can't be read any more, the server's own words say more.
        Ok(self.seal(ask, state).await.is_ok_and(|seal| seal.mark().is_some_and(|now| now != mark)))
    }

    /// Sends it once, and waits for the head of the answer.
    async fn once(
        &self,
        ask: &Ask,
        state: &mut State,
        fed: &Arc<Fed>,
        end: Instant,
    ) -> Result<Result<Response<Incoming>, Miss>, Broken> {
        let (draft, signer) = self.draft(ask, state).await?;
        let hashes: Vec<Hash> = match &state.sums {
            Some(_) => Vec::new(),
            None => ask.wishes.iter().map(|wish| wish.hash).collect(),
        };
        let body = Outgoing::new(state.span.as_ref(), &hashes, signer, fed);
        let request = self.request(&draft, body)?;
        state.sends += 1;
        tracing::debug!(method = draft.method, url = draft.url.shown(), sends = state.sends, "request");
        let len = state.span.as_ref().map_or(0, Span::len);
        let pool = self.hub.pool(&self.egress.hosts);
        let mut under_way = std::pin::pin!(pool.request(request));
        let mut watch = Watch {
            times: &self.hub.times,
            answer: if safe(&state.method) { self.hub.times.idle } else { self.hub.times.answer },
            voice: &self.voice,
            end,
            len,
            moved: 0,
            since: Instant::now(),
            told: 0,
        };
        loop {
            tokio::select! {
                result = &mut under_way => {
                    return Ok(result.map_err(|error| self.explain(&error, &draft.url, fed)));
                }
                () = tokio::time::sleep(LOOK) => {
                    let looked = watch.look(fed, &draft.url);
                    let looked = looked.map_err(|error| Broken { error, sent: !safe(&state.method) })?;
                    if let Some(error) = looked {
                        return Ok(Err(Miss { error, reached: true, passing: true }));
                    }
                }
            }
        }
    }

    fn request(&self, draft: &Draft, body: Outgoing) -> Result<Request<Outgoing>, GuestError> {
        let odd = |what: &str| guest_error(ErrorKind::Permanent, format!("{what} can't be sent over HTTP"));
        let mut request = Request::new(body);
        *request.method_mut() = draft.method.parse().map_err(|_| odd("the method"))?;
        *request.uri_mut() = draft.url.uri()?;
        for (name, value) in &draft.headers {
            let key: HeaderName = name.parse().map_err(|_| odd("the name of a header"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| odd(&format!("the header '{name}'")))?;
            value.set_sensitive(name == "authorization");
            request.headers_mut().insert(key, value);
        }
        let agent = HeaderValue::from_static(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry("user-agent").or_insert(agent);
        if let Some(login) = self.hub.proxy_login(&draft.url) {
            request.headers_mut().insert("proxy-authorization", login);
        }
        Ok(request)
    }

    /// What the client's error means for the guest.
    fn explain(&self, error: &hyper_util::client::legacy::Error, url: &Url, fed: &Fed) -> Miss {
        let told = |kind, what: &str| guest_error(kind, format!("LB0723: no answer from {}: {what}", url.shown()));
        if let Some(own) = fed.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let error = told(ErrorKind::Temporary, &format!("what is to be sent can't be read: {own}"));
            return Miss { error, reached: true, passing: false };
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut last = error.to_string();
        while let Some(inner) = cause {
            match inner.downcast_ref::<NoWay>() {
                Some(NoWay::Refused(addresses)) => {
                    let error = self.egress.refuse_addresses(url, addresses);
                    return Miss { error, reached: false, passing: false };
                }
                Some(NoWay::Wrong(why)) => {
                    return Miss { error: told(ErrorKind::Permanent, why), reached: false, passing: false };
                }
                Some(NoWay::Down(why)) => {
                    return Miss { error: told(ErrorKind::Temporary, why), reached: false, passing: true };
                }
                None => last = inner.to_string(),
            }
            cause = inner.source();
        }
        Miss { error: told(ErrorKind::Temporary, &last), reached: !error.is_connect(), passing: true }
    }

    /// Waits; `false` where there is no time for that.
    async fn rest(&self, pause: Duration, end: Instant) -> Result<bool, Broken> {
        let back = Instant::now() + pause;
        if back >= end {
            return Ok(false);
        }
        while Instant::now() < back {
            if self.voice.cancelled() {
                return Err(cancelled().into());
            }
            tokio::time::sleep(LOOK.min(back.saturating_duration_since(Instant::now()))).await;
        }
        Ok(true)
    }

    /// Goes on to where the answer points; `false` where it does not, or the body can't be sent again.
    fn redirected(&self, state: &mut State, response: &Response<Incoming>) -> Result<bool, GuestError> {
        let status = response.status().as_u16();
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let Some(location) = response.headers().get("location").and_then(|value| value.to_str().ok()) else {
            return Ok(false);
        };
        let to = state.url.follow(location)?;
        let as_get = (status == 303 && state.method != "HEAD") || (status < 303 && state.method == "POST");
        if !as_get && !state.span.as_ref().is_none_or(Span::again) {
            return Ok(false);
        }
        state.hops += 1;
        if state.hops > HOPS_MAX {
            let message = format!("{} redirects, the last one to {}", state.hops, to.shown());
            return Err(guest_error(ErrorKind::Permanent, message));
        }
        if as_get {
            state.method = "GET".to_owned();
            state.span = None;
        }
        state.foreign |= !state.url.same_origin(&to);
        state.url = to;
        Ok(true)
    }

    fn got(&self, ask: &Ask, state: &mut State, response: Response<Incoming>, fed: &Arc<Fed>) -> Got {
        let mask = std::mem::take(&mut state.mask);
        let (head, body) = response.into_parts();
        // Of a part of an object, servers may tell the sum of the whole, and some call a part 200.
        let part = head.headers.contains_key("content-range") || ask.headers.iter().any(|(name, _)| name == "range");
        let whole = state.method == "GET" && head.status == http::StatusCode::OK && !part;
        let proof = whole.then(|| Proof::of(&head.headers)).flatten();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), mask.text(&String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        let url = mask.text(&state.url.shown());
        let sums = state.sums.take().or_else(|| fed.sums.lock().unwrap_or_else(PoisonError::into_inner).take());
        Got {
            status: head.status.as_u16(),
            headers,
            sends: state.sends,
            // A server that answers before it has the whole body gets no checksum of it.
            sums: sums.unwrap_or_else(|| ask.wishes.iter().map(|_| Vec::new()).collect()),
            body: NetSource::new(body, self.hub.times, proof, Arc::clone(&self.voice), url.clone()),
            url,
            back: fed.back.lock().unwrap_or_else(PoisonError::into_inner).take(),
            mask,
        }
    }
}

/// The error of a request whose attempt was cancelled.
pub fn cancelled() -> GuestError {
    guest_error(ErrorKind::Cancelled, "the attempt was cancelled during a request")
}

fn died(error: tokio::task::JoinError) -> GuestError {
    guest_error(ErrorKind::Permanent, format!("a thread of the host died: {error}"))
}

async fn sums(span: Span, hashes: Vec<Hash>) -> Result<Vec<Vec<u8>>, GuestError> {
    let work = move || span.sums(&hashes).map_err(|error| crate::fault::from_io("read", "what is to be sent", &error));
    tokio::task::spawn_blocking(work).await.map_err(died)?
}

/// The SHA-256 of the body, where the signature wants it.
async fn digest(ask: &Ask, span: Option<&Span>) -> Result<Option<String>, GuestError> {
    let Some(span) = span else { return Ok(Some(super::sums::sha256_hex(b""))) };
    if !span.lasting() || !sign::wants_digest(&ask.signing, matches!(span, Span::Memory(_))) {
        return Ok(None);
    }
    let all = sums(span.clone(), vec![Hash::Sha256]).await?;
    Ok(all.first().map(|digest| hex(digest)))
}

fn google(signing: &Signing) -> bool {
    matches!(signing, Signing::GoogleServiceAccount(_))
}

/// Bytes as a body.
pub fn in_memory(data: Vec<u8>) -> Span {
    Span::Memory(Bytes::from(data))
}
