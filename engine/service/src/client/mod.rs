//! A small client for programs on the same machine: over the socket in the data folder. Who calls is known by the kernel, so
//! there is no token.

mod follow;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;
use lifeboat_readiness::Readiness;
use lifeboat_runtime::Verb;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access::{NewToken, Token};
use crate::alerts::IncidentView;
use crate::http::{
    AlertsPage, IncidentList, MadeToken, Me, NewMode, NewReadiness, NewRun, NotificationView, ReadinessPage, RunView,
    ScheduleList, ScheduleView, SnapshotsPage, Tested,
};
use crate::library::RunbookView;
use crate::net::connect;
use crate::problem::Problem;

pub use follow::{Follow, Resting, Told};

/// The service that has a data folder.
#[derive(Clone, Debug)]
pub struct Client {
    folder: PathBuf,
}

fn unreachable_service(cause: impl std::fmt::Display) -> Error {
    Error::new("LB1066", "the service that has this data folder does not answer")
        .with("cause", cause)
        .hint("look at what it says, or stop it and try again")
}

impl Client {
    /// The service that has this data folder; `None` where there is none.
    ///
    /// # Errors
    /// `LB1066` there is one, and it cannot be reached.
    pub async fn find(folder: &Path) -> Result<Option<Self>, Error> {
        let found = connect(folder).await.map_err(unreachable_service)?;
        Ok(found.map(|_| Self { folder: folder.to_path_buf() }))
    }

    /// Sends a call. Each has a connection of its own: there are few, and none is cut off by another one.
    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Error> {
        let stream = connect(&self.folder).await.map_err(unreachable_service)?;
        let stream = stream.ok_or_else(|| unreachable_service("nobody is there any more"))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable_service)?;
        tokio::spawn(async move {
            // What is wrong with the connection shows in the answer.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "lifeboat");
        request = request.header(header::ACCEPT, accept);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(unreachable_service)?;
        let response = sender.send_request(request).await.map_err(unreachable_service)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(refusal(status, &whole(response).await?))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let body = body.map(serde_json::to_vec).transpose().map_err(unreachable_service)?;
        let response = self.send(method, path, "application/json", body).await?;
        serde_json::from_slice(&whole(response).await?).map_err(unreachable_service)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, None::<&Value>).await
    }

    /// Who is calling, as the service sees it.
    ///
    /// # Errors
    /// The service's.
    pub async fn me(&self) -> Result<Me, Error> {
        self.get("/v1/me").await
    }

    /// A run.
    ///
    /// # Errors
    /// The service's.
    pub async fn run(&self, run: &RunId) -> Result<RunView, Error> {
        self.get(&format!("/v1/runs/{run}")).await
    }

    /// The runbooks.
    ///
    /// # Errors
    /// The service's.
    pub async fn runbooks(&self) -> Result<Vec<RunbookView>, Error> {
        #[derive(serde::Deserialize)]
        struct List {
            runbooks: Vec<RunbookView>,
        }
        Ok(self.get::<List>("/v1/runbooks").await?.runbooks)
    }

    /// Starts a run.
    ///
    /// # Errors
    /// The service's.
    pub async fn start(&self, new: &NewRun) -> Result<RunView, Error> {
        self.ask(Method::POST, "/v1/runs", Some(new)).await
    }

    /// Goes on with a run in another mode, by the plan whose fingerprint is named. The run that goes on.
    ///
    /// # Errors
    /// The service's.
    pub async fn take_over(&self, run: &RunId, new: &NewMode) -> Result<RunView, Error> {
        self.ask(Method::POST, &format!("/v1/runs/{run}/takeover"), Some(new)).await
    }

    /// Speaks a verb; durable when this returns. It is recorded under the caller's login name.
    ///
    /// # Errors
    /// The service's.
    pub async fn say(&self, run: &RunId, verb: &Verb, reason: &str) -> Result<RunView, Error> {
        let (path, body) = call_of(verb, reason);
        self.ask(Method::POST, &format!("/v1/runs/{run}{path}"), Some(&body)).await
    }

    /// Has a run taken up that nobody carries on.
    ///
    /// # Errors
    /// The service's.
    pub async fn resume(&self, run: &RunId) -> Result<RunView, Error> {
        self.ask(Method::POST, &format!("/v1/runs/{run}/resume"), Some(&json!({}))).await
    }

    /// What happens to a run after that event.
    ///
    /// # Errors
    /// The service's.
    pub async fn follow(&self, run: &RunId, after: u64) -> Result<Follow, Error> {
        let path = format!("/v1/runs/{run}/events?after={after}");
        let response = self.send(Method::GET, &path, "text/event-stream", None).await?;
        Ok(Follow::new(response.into_body()))
    }

    /// A page of what became of alerts, newest first.
    ///
    /// # Errors
    /// The service's.
    pub async fn alerts(&self, limit: usize, before: Option<u64>) -> Result<AlertsPage, Error> {
        let cursor = before.map(|before| format!("&cursor={before}")).unwrap_or_default();
        self.get(&format!("/v1/alerts?limit={limit}{cursor}")).await
    }

    /// The incidents that are not over.
    ///
    /// # Errors
    /// The service's.
    pub async fn incidents(&self) -> Result<Vec<IncidentView>, Error> {
        Ok(self.get::<IncidentList>("/v1/incidents").await?.incidents)
    }

    /// Closes an incident.
    ///
    /// # Errors
    /// The service's.
    pub async fn close_incident(&self, number: u64, reason: &str) -> Result<Value, Error> {
        self.ask(Method::POST, &format!("/v1/incidents/{number}/close"), Some(&json!({ "reason": reason }))).await
    }

    /// The schedules, each with so many due times.
    ///
    /// # Errors
    /// The service's.
    pub async fn schedules(&self, next: usize) -> Result<Vec<ScheduleView>, Error> {
        Ok(self.get::<ScheduleList>(&format!("/v1/schedules?next={next}")).await?.schedules)
    }

    /// Looks whether a runbook could be carried out now.
    ///
    /// # Errors
    /// The service's.
    pub async fn look(&self, new: &NewReadiness) -> Result<Readiness, Error> {
        self.ask(Method::POST, "/v1/readiness", Some(new)).await
    }

    /// A page of what the service found when it last looked by itself, by runbook and mode.
    ///
    /// # Errors
    /// The service's.
    pub async fn readiness(&self, limit: usize, cursor: Option<u64>) -> Result<ReadinessPage, Error> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        self.get(&format!("/v1/readiness?limit={limit}{cursor}")).await
    }

    /// A page of the snapshots of a vault that a runbook names, newest first.
    ///
    /// # Errors
    /// The service's.
    pub async fn snapshots(
        &self,
        runbook: &str,
        mode: Mode,
        vault: &str,
        limit: usize,
        cursor: Option<u64>,
    ) -> Result<SnapshotsPage, Error> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (runbook, vault, mode) = (escaped(runbook), escaped(vault), mode.as_str());
        self.get(&format!("/v1/snapshots?runbook={runbook}&vault={vault}&mode={mode}&limit={limit}{cursor}")).await
    }

    /// Makes a token, and gives what its owner sends.
    ///
    /// # Errors
    /// The service's.
    pub async fn create_token(&self, new: &NewToken) -> Result<(Token, String), Error> {
        let made: MadeToken = self.ask(Method::POST, "/v1/tokens", Some(new)).await?;
        Ok((made.token, made.secret))
    }

    /// The tokens.
    ///
    /// # Errors
    /// The service's.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        #[derive(serde::Deserialize)]
        struct List {
            tokens: Vec<Token>,
        }
        Ok(self.get::<List>("/v1/tokens").await?.tokens)
    }

    /// What people were told, newest first: those in that state, or all.
    ///
    /// # Errors
    /// The service's.
    pub async fn notifications(&self, state: Option<&str>) -> Result<Vec<NotificationView>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            notifications: Vec<NotificationView>,
            next: Option<u64>,
        }
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
            let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page: Page = self.get(&format!("/v1/notifications?limit=500{state}{after}")).await?;
            all.extend(page.notifications);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Sends a test by a channel.
    ///
    /// # Errors
    /// The service's; why it was not taken.
    pub async fn test_channel(&self, channel: &str) -> Result<Tested, Error> {
        self.ask(Method::POST, &format!("/v1/notifications/{}/test", escaped(channel)), None::<&Value>).await
    }

    /// Ends a token.
    ///
    /// # Errors
    /// The service's.
    pub async fn revoke_token(&self, id: &str) -> Result<Token, Error> {
        self.ask(Method::DELETE, &format!("/v1/tokens/{}", escaped(id)), None::<&Value>).await
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Error> {
    Ok(response.into_body().collect().await.map_err(unreachable_service)?.to_bytes())
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.error(),
        Err(_) => unreachable_service(format!("it answered {status} without a reason")),
    }
}

/// A piece of a path: what is not plain is written as its bytes.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().fold(String::new(), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Where a verb is sent, and with what.
fn call_of(verb: &Verb, reason: &str) -> (String, Value) {
    let said = json!({ "reason": reason });
    let on = |step: &lifeboat_core::StepId, word: &str| format!("/steps/{}/{word}", escaped(step.as_str()));
    match verb {
        Verb::Retry(step) => (on(step, "retry"), said),
        Verb::Skip(step) => (on(step, "skip"), said),
        Verb::Deny { step, .. } => (on(step, "deny"), said),
        Verb::Approve { step, fingerprint, .. } => {
            (on(step, "approve"), json!({ "reason": reason, "fingerprint": fingerprint }))
        }
        Verb::MarkDone { step, outputs, evidence } => {
            (on(step, "mark-done"), json!({ "reason": reason, "outputs": outputs, "evidence": evidence }))
        }
        Verb::Attest { step, evidence } => (on(step, "attest"), json!({ "reason": reason, "evidence": evidence })),
        Verb::Pause => ("/pause".to_owned(), said),
        Verb::Unpause => ("/unpause".to_owned(), said),
        Verb::Abandon => ("/abandon".to_owned(), said),
        Verb::Cleanup => ("/cleanup".to_owned(), said),
        Verb::Cancel { compensate } => ("/cancel".to_owned(), json!({ "reason": reason, "compensate": compensate })),
    }
}
