//! Secrets that a server keeps: the HTTP API of OpenBao and Vault, its key-value engines, and three ways to log in.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use lifeboat_core::Error;
use lifeboat_core::grants::{Login, SecretServer, ServerSecret};
use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use crate::http::{Answer, Ask, Place};
use crate::secret::{Secret, Secrets};

/// Bytes of what the server says is wrong that are told.
const SAID_BYTES_MAX: usize = 160;
/// How long a token without an end of its own is used before it is asked for anew.
const TOKEN_KEPT: Duration = Duration::from_secs(3_600);

/// A server, and the token that it gave.
pub(crate) struct Server {
    name: String,
    server: SecretServer,
    place: Place,
    token: Mutex<Option<(Secret, Instant)>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("server", &self.server).finish_non_exhaustive()
    }
}

/// JSON with secrets in it, wiped on drop.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(all) => all.iter_mut().for_each(wipe),
        Value::Object(all) => all.values_mut().for_each(wipe),
        _ => {}
    }
}

impl Server {
    /// The server of that name.
    pub fn new(name: &str, server: &SecretServer) -> Self {
        let timeout = Duration::from_millis(server.timeout_ms);
        let place = Place { address: server.address.clone(), ca: server.ca.clone(), timeout };
        Self { name: name.to_owned(), server: server.clone(), place, token: Mutex::default() }
    }

    /// Reads a field, and how long it is good where the server says so. A refusal is answered with a fresh login, once.
    pub fn read(
        &self,
        name: &str,
        at: &ServerSecret,
        secrets: &dyn Secrets,
    ) -> Result<(Secret, Option<Duration>), Error> {
        let path = match at.kv {
            1 => format!("{}/{}", at.mount, at.path),
            _ => format!("{}/data/{}", at.mount, at.path),
        };
        let mut token = self.token(secrets)?;
        let mut answer = self.send(Method::GET, &path, Some(&token), Zeroizing::default())?;
        if matches!(answer.status, 401 | 403) {
            self.forget(secrets);
            token = self.token(secrets)?;
            answer = self.send(Method::GET, &path, Some(&token), Zeroizing::default())?;
        }
        if answer.status != 200 {
            return Err(self.refused(&answer, &token, &format!("to give the secret '{name}'")).with("path", path));
        }
        let missing = |what: String| {
            Error::new("LB0419", format!("secret server '{}' does not have the secret '{name}': {what}", self.name))
                .with("path", &path)
                .hint("look at 'mount', 'path', 'field' and 'kv' of the secret in lifeboat.kdl")
        };
        let body = parse(&answer).ok_or_else(|| missing("its answer is not JSON".to_owned()))?;
        let data = if at.kv == 1 { body.0.get("data") } else { body.0.pointer("/data/data") };
        let value = data.and_then(|data| data.get(&at.field));
        let bytes = match value {
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(Value::Number(number)) => number.to_string().into_bytes(),
            Some(_) => return Err(missing(format!("its field '{}' is not a string", at.field))),
            None => return Err(missing(format!("there is no field '{}'", at.field))),
        };
        Ok((Secret::new(bytes), lease(&body.0)))
    }

    /// The token to ask with: the one at hand, or a new one.
    fn token(&self, secrets: &dyn Secrets) -> Result<Secret, Error> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = known.filter(|(_, until)| Instant::now() < *until) {
            return Ok(token);
        }
        let credential = secrets.get(self.server.login.secret())?;
        let first = self.log_in(&credential);
        let (token, kept) = match first {
            Err(error) if error.code.0 == "LB0417" => {
                // The credential may have been changed since it was read.
                secrets.rejected(self.server.login.secret());
                let fresh = secrets.get(self.server.login.secret())?;
                if fresh == credential {
                    return Err(error);
                }
                self.log_in(&fresh)?
            }
            other => other?,
        };
        if let Some(kept) = kept {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), Instant::now() + kept));
        }
        Ok(token)
    }

    fn forget(&self, secrets: &dyn Secrets) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        secrets.rejected(self.server.login.secret());
    }

    /// A token for the credential, and how long it is kept here. A token that is given is read each time.
    fn log_in(&self, credential: &Secret) -> Result<(Secret, Option<Duration>), Error> {
        let text = || Zeroizing::new(String::from_utf8_lossy(credential.expose()).into_owned());
        let (mount, wish) = match &self.server.login {
            Login::Token { .. } => return Ok((credential.clone(), None)),
            Login::Approle { mount, role_id, .. } => {
                (mount, Wiped(json!({ "role_id": role_id, "secret_id": text().as_str() })))
            }
            Login::Jwt { mount, role, .. } => (mount, Wiped(json!({ "role": role, "jwt": text().as_str() }))),
        };
        let body = Zeroizing::new(serde_json::to_vec(&wish.0).unwrap_or_default());
        let answer = self.send(Method::POST, &format!("auth/{mount}/login"), None, body)?;
        if answer.status != 200 {
            return Err(self.refused(&answer, credential, &format!("the login with '{}'", self.server.login.secret())));
        }
        let body = parse(&answer);
        let auth = body.as_ref().and_then(|body| body.0.get("auth"));
        let token = auth.and_then(|auth| auth.get("client_token")).and_then(Value::as_str);
        let Some(token) = token else {
            return Err(Error::new("LB0419", format!("secret server '{}' gave no token for a login", self.name))
                .hint("look at the way to log in, in lifeboat.kdl"));
        };
        // A token is given up before it runs out, so that none runs out on its way.
        let kept = auth.and_then(lease).map_or(TOKEN_KEPT, |lease| lease * 2 / 3);
        Ok((Secret::new(token.as_bytes().to_vec()), Some(kept)))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, Error> {
        let plain = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let mut headers = vec![("x-vault-request", plain("true"))];
        headers.extend(self.server.namespace.as_deref().map(|name| ("x-vault-namespace", plain(name))));
        headers.extend(token.map(|token| ("x-vault-token", Zeroizing::new(token.expose().to_vec()))));
        let path = format!("/v1/{}", path.replace(' ', "%20"));
        self.place.send(Ask { method, path, headers, body }).map_err(|cause| {
            Error::new("LB0416", format!("secret server '{}' cannot be reached", self.name))
                .with("address", &self.place.address)
                .with("cause", cause)
                .hint("look at the address, the network and the file of 'ca'; 'lifeboat doctor' tries it again")
        })
    }

    /// What an answer means that is no success.
    fn refused(&self, answer: &Answer, credential: &Secret, what: &str) -> Error {
        let name = &self.name;
        let error = match answer.status {
            400 | 401 | 403 => Error::new("LB0417", format!("secret server '{name}' refuses {what}")).hint(
                "put a new credential where lifeboat.kdl says that it comes from, or let its policy read that path",
            ),
            404 => Error::new("LB0419", format!("secret server '{name}' has nothing there: it was {what}"))
                .hint("look at 'mount', 'path', 'field' and 'kv' of the secret in lifeboat.kdl"),
            307 | 429 | 472 | 473 | 500.. => {
                Error::new("LB0418", format!("secret server '{name}' is not ready: it was {what}"))
                    .hint("unseal it, or look at its log; 'lifeboat doctor' tries it again")
            }
            _ => {
                Error::new("LB0419", format!("secret server '{name}' gives an answer that is not known: it was {what}"))
                    .hint("is it a server with the API of OpenBao or Vault?")
            }
        };
        let error = error.with("status", answer.status);
        match said(answer, credential) {
            Some(said) => error.with("says", said),
            None => error,
        }
    }
}

fn parse(answer: &Answer) -> Option<Wiped> {
    serde_json::from_slice(&answer.body).ok().map(Wiped)
}

/// How long what an answer holds is good, where it says so.
fn lease(body: &Value) -> Option<Duration> {
    body.get("lease_duration").and_then(Value::as_u64).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// The server's own words, cut, and none at all where they repeat what was sent.
fn said(answer: &Answer, credential: &Secret) -> Option<String> {
    let body = parse(answer)?;
    let first = body.0.get("errors")?.get(0)?.as_str()?;
    let sent = String::from_utf8_lossy(credential.expose());
    if first.contains(sent.as_ref()) {
        return None;
    }
    let end = (0..=SAID_BYTES_MAX.min(first.len())).rev().find(|end| first.is_char_boundary(*end))?;
    let words: Vec<&str> = first.get(..end)?.split_whitespace().collect();
    Some(words.join(" ")).filter(|words| !words.is_empty())
}
