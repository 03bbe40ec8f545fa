//! Tokens of Google's service accounts: asked for once, kept until shortly before they expire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat_core::ports::BoxFuture;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::body::Span;
use super::mask::Mask;
use super::send::{Ask, Broken, Caller};
use super::sign::google::{Account, Granted};
use super::url::Url;
use crate::bindings::lifeboat::plugin::http::Signing;
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::guest_error;

/// Bytes of a token server's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Accounts whose tokens are kept.
const ACCOUNTS_MAX: usize = 1_000;

struct Kept {
    token: Zeroizing<String>,
    until: Instant,
}

type Slot = Arc<Mutex<Option<Kept>>>;

/// Tokens by account and use.
#[derive(Default)]
pub struct Tokens(std::sync::Mutex<HashMap<String, Slot>>);

impl Tokens {
    fn slot(&self, key: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if slots.len() >= ACCOUNTS_MAX {
            slots.clear();
        }
        Arc::clone(slots.entry(key.to_owned()).or_default())
    }
}

fn key(caller: &Caller, account: &Account, scopes: &[String]) -> String {
    // Under other grants the token server might be out of reach: then the token is, too.
    format!("{:?} {} {} {}", caller.egress.hosts, account.client_email, account.token_uri, scopes.join(" "))
}

/// The token; `fresh`: not the one that is kept, because a server did not take it.
///
/// It is boxed because a request that asks for a token is a request inside a request.
pub fn token<'a>(
    caller: &'a Caller,
    account: &'a Account,
    scopes: &'a [String],
    mask: &'a mut Mask,
    fresh: bool,
) -> BoxFuture<'a, Result<Zeroizing<String>, Broken>> {
    Box::pin(kept(caller, account, scopes, mask, fresh))
}

async fn kept(
    caller: &Caller,
    account: &Account,
    scopes: &[String],
    mask: &mut Mask,
    fresh: bool,
) -> Result<Zeroizing<String>, Broken> {
    let slot = caller.hub.tokens.slot(&key(caller, account, scopes));
    // Held while it is asked for: parallel requests of one account ask once.
    let mut kept = slot.lock().await;
    if let Some(kept) = kept.as_ref().filter(|kept| !fresh && Instant::now() < kept.until) {
        mask.add(&kept.token);
        return Ok(kept.token.clone());
    }
    let granted = ask(caller, account, scopes, mask).await?;
    mask.add(&granted.access_token);
    let life = Duration::from_secs(granted.expires_in.unwrap_or(60));
    // A tenth of its life, and five minutes at most, are for the work that begins with it.
    let margin = (life / 10).min(Duration::from_secs(300));
    *kept = Some(Kept { token: granted.access_token.clone(), until: Instant::now() + life.saturating_sub(margin) });
    Ok(granted.access_token)
}

async fn ask(caller: &Caller, account: &Account, scopes: &[String], mask: &mut Mask) -> Result<Granted, Broken> {
    let failed = |message: String| Broken { error: guest_error(ErrorKind::Permanent, message), sent: false };
    let now = jiff::Timestamp::now().as_second();
    let form =
        account.form(scopes, now).map_err(|why| failed(format!("LB0724: the account's key can't be used: {why}")))?;
    // The claim is as good as the key for an hour.
    if let Some((_, claim)) = form.rsplit_once('=') {
        mask.add(claim);
    }
    let ask = Ask {
        method: "POST".to_owned(),
        url: Url::parse(&account.token_uri)?,
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        signing: Signing::None,
        wishes: Vec::new(),
        timeout: Some(Duration::from_secs(60)),
        repeat: Some(true),
        follow: false,
        span: Some(Span::Memory(Bytes::copy_from_slice(form.as_bytes()))),
    };
    let got = caller.exchange(ask).await.map_err(|broken| Broken { sent: false, ..broken })?;
    let (status, shown) = (got.status, got.url.clone());
    let body = got.whole(ANSWER_BYTES_MAX).await.map_err(|error| Broken { error, sent: false })?;
    if status != 200 {
        let said = mask.text(&String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()));
        let kind = if status == 429 || status >= 500 { ErrorKind::Temporary } else { ErrorKind::Permanent };
        let error: GuestError =
            guest_error(kind, format!("LB0724: no token from {shown}: it answered {status}: {said}"));
        return Err(Broken { error, sent: false });
    }
    serde_json::from_slice(&body).map_err(|_| failed(format!("LB0724: no token from {shown}: its answer is no token")))
}
