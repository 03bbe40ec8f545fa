//! Where alerts come in. Who sends is known by a token or by a signature; what is refused is written down, and costs little.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use lifeboat_alerts::{Parsed, Signed};
use lifeboat_core::Error;
use serde::Serialize;

use super::ask::{self, Place};
use super::{answer, guard};
use crate::access::{Peer, Person, Right};
use crate::alerts::{Answered, Hook, Stranger};
use crate::app::App;
use crate::problem::Problem;

/// Headers that a signature may be in: our own, and those of others that sign the body alone.
const SIGNATURES: [&str; 3] = ["lifeboat-signature", "x-pagerduty-signature", "x-hub-signature-256"];

/// What became of a message.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Taken {
    /// What was said of it, for each incident.
    verdicts: Vec<VerdictView>,
}

/// What was said of a message.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct VerdictView {
    /// In one word: `opened`, `attached`, `repeated`, `held`, `unmatched` and so on.
    word: String,
    /// The code of a refusal, which has a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Why.
    reason: String,
    /// The number of the incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<u64>,
}

impl From<Answered> for VerdictView {
    fn from(said: Answered) -> Self {
        Self { word: said.word, code: said.code, reason: said.reason, incident: said.incident }
    }
}

pub(super) fn taken(said: Vec<Answered>) -> Taken {
    Taken { verdicts: said.into_iter().map(VerdictView::from).collect() }
}

/// Send alerts, in the form of the hook of that name. What follows is durable when this is answered.
///
/// The hooks are those of the operator's file. One without a secret needs a token with the role `sender`; one with a secret needs the
/// header `Lifeboat-Signature`, and no token. A message that is answered with 429 or 5xx was not taken, and may be sent again.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/hooks/{hook}", operation_id = "send-alerts", tag = "alerts", request_body = Object,
    params(("hook" = String, Path, description = "The hook."),
        ("Lifeboat-Signature" = Option<String>, Header, description = "`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`.")),
    responses(
    (status = 200, description = "It was taken, and this was said of it.", body = Taken, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn hook(
    State(app): State<Arc<App>>,
    Place(hook): Place<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    receive(app, hook, request).await
}

/// Send alerts, in a form that the operator describes. As `/v1/hooks/{hook}`.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/hooks/generic/{hook}", operation_id = "send-generic-alerts", tag = "alerts", request_body = Object,
    params(("hook" = String, Path, description = "The hook."),
        ("Lifeboat-Signature" = Option<String>, Header, description = "`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`.")),
    responses(
    (status = 200, description = "It was taken, and this was said of it.", body = Taken, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn generic(
    State(app): State<Arc<App>>,
    Place(hook): Place<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    receive(app, hook, request).await
}

async fn receive(app: Arc<App>, name: String, request: Request<Body>) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().cloned();
    let (parts, body) = request.into_parts();
    let known = app.alerts.hooks.find(&name).is_some();
    match take(&app, &name, peer.as_ref(), parts, body).await {
        Ok(said) => answer::plain(StatusCode::OK, &taken(said)),
        Err(problem) => {
            let from = match peer {
                Some(Peer::Network(address)) => address.ip().to_string(),
                _ => "socket".to_owned(),
            };
            app.metrics.alert("refused", &problem.code);
            // The name of a hook that is none is a stranger's text.
            let source = if known { name } else { String::new() };
            let (code, reason) = (problem.code.clone(), problem.title.clone());
            app.alerts.refused(Stranger { source, code, reason, from, count: 1 });
            Err(problem)
        }
    }
}

async fn take(
    app: &Arc<App>,
    name: &str,
    peer: Option<&Peer>,
    parts: Parts,
    body: Body,
) -> Result<Vec<Answered>, Problem> {
    if app.is_stopping() {
        return Err(Error::new("LB1065", "the service is being stopped").hint("send it again in a while").into());
    }
    let Some(hook) = app.alerts.hooks.find(name) else {
        guard::stranger(app, peer)?;
        return Err(Error::new("LB1030", "there is no hook of this name")
            .hint("the operator's file declares it: hook \"NAME\" kind=\"alertmanager\"")
            .into());
    };
    // What costs least is looked at first.
    ask::is_json(&parts.headers)?;
    let person = match &hook.key {
        None => Some(sender(app, peer, &parts.headers).await?),
        Some(_) => None,
    };
    let header = signature(&parts.headers);
    if hook.key.is_some() && header.is_none() {
        guard::stranger(app, peer)?;
        return Err(Error::new("LB1013", "the message is not signed")
            .hint("send the header Lifeboat-Signature; 'lifeboat explain LB1013' tells how it is made")
            .into());
    }
    let body = {
        // Never closed; without a permit it would be read all the same.
        let _permit = app.alerts.bodies.acquire().await;
        ask::body(body).await?
    };
    let signed = signed(app, hook, peer, header.unwrap_or_default(), &body).await?;
    app.alerts.posts.call(&name.to_owned(), app.now()).map_err(|seconds| guard::too_often(app, seconds))?;
    let parsed = hook.source.read(&body).map_err(crate::alerts::refused)?;
    drop(body);
    if let Some(signed) = &signed {
        app.alerts.take(signed, app.now())?;
    }
    let said = match parsed {
        Parsed::Batch(batch) => app.alerts.batch(batch, signed, person).await?,
        Parsed::NoNews(reason) => app.alerts.no_news(name.to_owned(), reason, signed).await?,
    };
    Ok(said)
}

/// Who sends, by a token.
async fn sender(app: &Arc<App>, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Arc<Person>, Problem> {
    let person = guard::known(app, peer, headers).await?;
    person.may(Right::Send)?;
    Ok(Arc::new(person))
}

/// The signatures of a message, as one list.
fn signature(headers: &HeaderMap) -> Option<String> {
    let all = SIGNATURES.iter().flat_map(|name| headers.get_all(*name));
    let texts: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

async fn signed(
    app: &Arc<App>,
    hook: &Hook,
    peer: Option<&Peer>,
    header: String,
    body: &[u8],
) -> Result<Option<Signed>, Problem> {
    let Some(key) = &hook.key else { return Ok(None) };
    match app.alerts.hooks.verify(key, &header, body, app.now()).await {
        Ok(signed) => Ok(Some(signed)),
        Err(error) => {
            if error.code.0 != "LB1031" {
                guard::stranger(app, peer)?;
            }
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_all_headers_count() {
        let mut headers = HeaderMap::new();
        assert_eq!(signature(&headers), None);
        headers.append("x-hub-signature-256", "sha256=00".parse().unwrap());
        headers.append("lifeboat-signature", "t=1,v1=11".parse().unwrap());
        assert_eq!(signature(&headers).unwrap(), "t=1,v1=11,sha256=00");
    }
}
