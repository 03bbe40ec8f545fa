//! What every call passes: who are you, how often do you come, what is written down of it.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use lifeboat_core::Error;
use tokio::sync::Mutex;

use super::ask::{self, Slot};
use super::links;
use crate::access::{Peer, Person};
use crate::app::App;
use crate::audit::Entry;
use crate::once::{Answer, Begun, Found};
use crate::problem::{Problem, Refusal};

/// Calls that anybody may make: they tell nothing but that the service is there.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/v1/openapi.json"];
/// Where alerts come in.
const HOOKS: &str = "/v1/hooks/";
/// Calls that change nothing though they send something.
const HARMLESS: [&str; 2] = ["/v1/plans", "/v1/readiness"];
/// The longest Idempotency-Key.
const KEY_MAX: usize = 200;

/// Security headers: nothing here is for a browser to guess about, to frame, or to keep.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Lets a call in, and sees it out.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let not_changed = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = admit(&app, &route, request, next).await.unwrap_or_else(IntoResponse::into_response);
    if method == Method::GET
        && let (Some(known), Some(tag)) = (not_changed, response.headers().get(header::ETAG))
        && known.to_str().unwrap_or_default().split(',').any(|one| one.trim().as_bytes() == tag.as_bytes())
    {
        let tag = tag.clone();
        response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().insert(header::ETAG, tag);
    }
    dress(&app, &mut response);
    app.metrics.called(word(&method), &route, response.status().as_u16());
    let ms = start.elapsed().as_millis();
    // The path may name runs and steps; headers and bodies are never logged.
    tracing::debug!(method = word(&method), route, status = response.status().as_u16(), ms, "answered");
    response
}

/// The method as a label: what a caller makes up is one word.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn dress(app: &App, response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        // A page for people has a policy of its own.
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    let keep = if headers.contains_key(header::ETAG) { "private, no-cache" } else { "no-store" };
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(keep));
    if app.settings.tls.is_some() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

async fn admit(app: &Arc<App>, route: &str, mut request: Request, next: Next) -> Result<Response, Problem> {
    // A hook knows its senders itself: by a token, or by a signature.
    let open = OPEN.contains(&route) || route.starts_with(HOOKS) || (route == "/metrics" && app.settings.open_metrics);
    if open {
        return Ok(next.run(request).await);
    }
    let peer = request.extensions().get::<Peer>().cloned();
    if route == links::ROUTE {
        return Ok(by_link(app, peer, request, next).await.unwrap_or_else(links::refused));
    }
    let person = Arc::new(known(app, peer.as_ref(), request.headers()).await?);
    if let Err(seconds) = app.calls.call(&person.known_by, app.now()) {
        return Err(too_often(app, seconds));
    }
    request.extensions_mut().insert(Arc::clone(&person));
    // What no route takes is refused by the routes, whatever else is wrong with it.
    let changes = matches!(*request.method(), Method::POST | Method::DELETE)
        && !HARMLESS.contains(&route)
        && super::is_served(request.method(), route);
    if !changes {
        return Ok(next.run(request).await);
    }
    if app.is_stopping() {
        return Err(Error::new("LB1065", "the service is being stopped").hint("send it again in a while").into());
    }
    let call = format!("{} {}", request.method(), request.uri().path());
    whole(app, person, call, peer, request, next).await
}

/// Carries a call that changes something out to its end: a caller that goes away must not leave it half done.
async fn whole(
    app: &Arc<App>,
    person: Arc<Person>,
    call: String,
    peer: Option<Peer>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let from = match peer {
        Some(Peer::Network(address)) => address.ip().to_string(),
        _ => "socket".to_owned(),
    };
    let app = Arc::clone(app);
    let done = tokio::spawn(async move { change(&app, &person, from, call, request, next).await });
    done.await
        .unwrap_or_else(|cause| Err(Error::new("LB1071", "the call came to a sudden end").with("cause", cause).into()))
}

/// A call by a link of a message: it has a signature in the place of a token.
async fn by_link(app: &Arc<App>, peer: Option<Peer>, mut request: Request, next: Next) -> Result<Response, Problem> {
    // There is no such call, whatever the link is: the router says so.
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
        return Ok(next.run(request).await);
    }
    if let Some(Peer::Network(address)) = &peer {
        app.strangers.call(&address.ip(), app.now()).map_err(|seconds| too_often(app, seconds))?;
    }
    let link = links::open(app, request.uri().path()).inspect_err(|_| app.metrics.refused())?;
    let (person, call) = (Arc::new(links::person(&link)), links::call(&link));
    request = links::with(link, request);
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.run(request).await);
    }
    if app.is_stopping() {
        return Err(Error::new("LB1065", "the service is being stopped").hint("send it again in a while").into());
    }
    // A link is used once by itself, and needs no key for that.
    request.headers_mut().remove("idempotency-key");
    whole(app, person, call, peer, request, next).await
}

pub(super) fn too_often(app: &App, seconds: u64) -> Problem {
    app.metrics.limited();
    let error = Error::new("LB1060", "these are too many calls").hint(format!("send the next one in {seconds} s"));
    Problem { retry_after_s: Some(seconds), ..Problem::from(error) }
}

/// Who calls.
pub(super) async fn known(app: &App, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Person, Problem> {
    if let Some(Peer::Local(uid)) = peer {
        return Ok(Person::local(*uid));
    }
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let text = sent.and_then(|sent| sent.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let checked = match text {
        Some((_, text)) => app.tokens.check(text.trim(), app.now()).await,
        None => Err(Error::new("LB1052", "this call needs a token")
            .hint("send 'Authorization: Bearer TOKEN'; 'lifeboat token create' makes one")),
    };
    match checked {
        Ok(token) => Ok(Person::of_token(&token)),
        Err(error) if error.code.0 == "LB1052" => {
            stranger(app, peer)?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Counts somebody who came without being known.
///
/// # Errors
/// `LB1060` too many came from there.
pub(super) fn stranger(app: &App, peer: Option<&Peer>) -> Result<(), Problem> {
    app.metrics.refused();
    let Some(Peer::Network(address)) = peer else { return Ok(()) };
    app.strangers.call(&address.ip(), app.now()).map_err(|seconds| too_often(app, seconds))
}

/// A call that changes something: written down before and after, and done once for each key.
async fn change(
    app: &Arc<App>,
    person: &Person,
    from: String,
    call: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let body = ask::body(body).await?;
    let begin = Entry::begin(app.now(), person, from, call.clone(), &body);
    let slot = match key(&parts.headers)? {
        None => None,
        Some(key) => {
            let call = format!("{} {call}", person.known_by);
            match app.once.begin(&key, &call, &body, app.now()).await? {
                Found::Answered(answer) => {
                    let end = Entry { status: Some(answer.status), repeated: true, ..begin };
                    app.audit.write(end).await?;
                    return Ok(again(answer));
                }
                Found::Begun(begun) => Some(Arc::new(Mutex::new(*begun))),
            }
        }
    };
    let number = app.audit.write(begin.clone()).await?;
    parts.extensions.insert(Slot(slot.clone()));
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let code = parts.extensions.get::<Refusal>().map(|refusal| refusal.0.clone());
    let (at, status) = (app.now(), Some(parts.status.as_u16()));
    app.audit.write(Entry { at, ends: Some(number), status, code, body: None, ..begin }).await?;
    if let Some(slot) = slot
        && parts.status.is_success()
    {
        keep(&mut *slot.lock().await, &parts, &body).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// What was done is kept; what was refused may be tried again under the same key.
async fn keep(begun: &mut Begun, parts: &http::response::Parts, body: &Bytes) -> Result<(), Error> {
    // A secret that is shown once is not kept to be shown again.
    let secret = parts.extensions.get::<super::answer::Secret>().is_some();
    let text = if secret { String::new() } else { String::from_utf8_lossy(body).into_owned() };
    let location = parts.headers.get(header::LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
    begun.answer(Answer { status: parts.status.as_u16(), location, body: text }).await
}

fn again(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let repeated = (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    let mut response = (status, [json, repeated], answer.body).into_response();
    if let Some(place) = answer.location.and_then(|place| HeaderValue::from_str(&place).ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_MAX => Ok(Some(key.to_owned())),
        _ => {
            let what = format!("an Idempotency-Key has 1 to {KEY_MAX} visible characters");
            Err(Error::new("LB1055", what).hint("draw a random one for each call").into())
        }
    }
}
