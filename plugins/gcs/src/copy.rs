//! Copies that the service makes by itself: a large one takes several requests, each with a token of the one before.

use lifeboat_objects::{Begun, Note, Original, Refusal};
use lifeboat_sdk::http::Repeat;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::serde_json::{Value, json};

use crate::bucket::{Bucket, meta, parse, text};

impl Bucket {
    /// Lets the service copy; `false` where it does not.
    ///
    /// # Errors
    /// What the service says.
    pub fn copy_there(
        &self,
        from: &Original<'_, Self>,
        to: &str,
        begun: Option<&Begun>,
        note: &Note<'_>,
    ) -> Result<bool, Error> {
        let begun = begun.filter(|begun| begun.key == to).map(|begun| begun.id.clone());
        let told = match begun {
            // A token is good for a week; then it is begun anew.
            Some(token) => match self.rewrite(from, to, token, note) {
                Err(refused) if matches!(refused.status, 400 | 404 | 410) => {
                    self.rewrite(from, to, String::new(), note)
                }
                told => told,
            },
            None => self.rewrite(from, to, String::new(), note),
        };
        match told {
            Ok(()) => self.keep(to).map(|()| true),
            // One key may read there and the other write here: then only the two together can do it.
            Err(refused) if refused.status == 403 || refused.is_unknown_request() => {
                let why = &refused.error.message;
                let line = format!("the service does not copy by itself, the bytes pass here: {why}");
                host::log(host::Level::Info, &line);
                Ok(false)
            }
            Err(refused) => Err(self.instead(refused.into())),
        }
    }

    fn rewrite(&self, from: &Original<'_, Self>, to: &str, mut token: String, note: &Note<'_>) -> Result<(), Refusal> {
        let what = format!("copy '{}' to '{to}'", from.key);
        let into = self.path(Some(to));
        let into = into.strip_prefix("/storage/v1").unwrap_or(&into);
        let path = format!("{}/rewriteTo{into}", from.bucket.path(Some(from.key)));
        loop {
            let mut query: Vec<(&str, &str)> = Vec::new();
            query.extend(from.version.map(|version| ("sourceGeneration", version)));
            if !token.is_empty() {
                query.push(("rewriteToken", &token));
            }
            // Without a body the copy is described as the original is. A second one is the same.
            let request = self.request("POST", &path, &query).repeat(Repeat::Always);
            let answer = parse(&what, &self.fetch(&what, &request)?.body)?;
            if answer.get("done").and_then(Value::as_bool) == Some(true) {
                let made = answer.get("resource").map(meta).unwrap_or_default();
                if made.size == from.size && made.etag == from.etag {
                    return Ok(());
                }
                let message = format!("'{}' in the bucket {} is not what it was", from.key, from.bucket.at.bucket);
                return Err(Error::permanent(message).hint("take a new snapshot").into());
            }
            let next = text(&answer, "rewriteToken").to_owned();
            if next.is_empty() {
                return Err(
                    Error::temporary(format!("{what}: the service stopped, and does not say how to go on")).into()
                );
            }
            let done = text(&answer, "totalBytesRewritten").parse().unwrap_or(0);
            host::progress(done, Some(from.size), "bytes", to);
            if next != token {
                note(&Begun { key: to.to_owned(), id: next.clone() })?;
            }
            if host::cancelled() {
                let message = "it was asked to stop".to_owned();
                return Err(Error { kind: ErrorKind::Cancelled, message, hint: None }.into());
            }
            token = next;
        }
    }

    /// Has a copy retained, where the target asks for it.
    fn keep(&self, key: &str) -> Result<(), Error> {
        let Some(retention) = self.retention() else { return Ok(()) };
        let request = self.request("PATCH", &self.path(Some(key)), &[]).header("content-type", "application/json");
        let body = json!({ "retention": retention }).to_string().into_bytes();
        let told = self.fetch_with(&format!("keep '{key}'"), &request.repeat(Repeat::Always), body);
        told.map(drop).map_err(Error::from)
    }
}
