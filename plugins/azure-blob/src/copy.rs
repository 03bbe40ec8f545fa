//! Copies that the service makes by itself. A small one is done when it answers; a large one goes on for a while, and is asked after.

use lifeboat_objects::{Begun, Note, Original};
use lifeboat_sdk::http::{Head, HeadExt};
use lifeboat_sdk::prelude::*;

use crate::container::Container;

/// Milliseconds between two looks at a copy, at first and at most.
const LOOKS_MS: (u32, u32) = (100, 5_000);

/// How a copy of that id stands.
fn standing(head: &Head, id: &str) -> Option<String> {
    (head.header("x-ms-copy-id") == Some(id)).then(|| head.header("x-ms-copy-status").unwrap_or("success").to_owned())
}

/// `DONE/ALL`, in bytes.
fn progress(head: &Head, key: &str) {
    let told = head.header("x-ms-copy-progress").and_then(|text| text.split_once('/'));
    if let Some((Ok(done), Ok(all))) = told.map(|(done, all)| (done.parse(), all.parse())) {
        host::progress(done, Some(all), "bytes", key);
    }
}

impl Container {
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
        if let Some(begun) = begun.filter(|begun| begun.key == to)
            && let Some(head) = self.look(to, None)?
            && matches!(standing(&head, &begun.id).as_deref(), Some("pending" | "success"))
        {
            return self.wait(from, to, &begun.id).map(|()| true);
        }
        let source = from.bucket.url(from.key, from.version.unwrap_or_default());
        let mut request = self.retained(self.request("PUT", to, "")).header("x-ms-copy-source", source);
        if !from.etag.is_empty() {
            request = request.header("x-ms-source-if-match", format!("\"{}\"", from.etag));
        }
        let answer = match self.fetch(&format!("copy '{}' to '{to}'", from.key), &request) {
            Ok(answer) => answer,
            // One key may read there and the other write here: then only the two together can do it.
            Err(refused) if refused.is("CannotVerifyCopySource") || refused.is_unknown_request() => {
                let why = &refused.error.message;
                let line = format!("the service does not copy by itself, the bytes pass here: {why}");
                host::log(host::Level::Info, &line);
                return Ok(false);
            }
            Err(refused) => return Err(refused.into()),
        };
        let id = answer.head.header("x-ms-copy-id").unwrap_or_default().to_owned();
        if answer.head.header("x-ms-copy-status") != Some("pending") {
            return Ok(true);
        }
        note(&Begun { key: to.to_owned(), id: id.clone() })?;
        self.wait(from, to, &id).map(|()| true)
    }

    fn wait(&self, from: &Original<'_, Self>, to: &str, id: &str) -> Result<(), Error> {
        let mut pause = LOOKS_MS.0;
        loop {
            let head = self.look(to, None)?;
            let standing = head.as_ref().and_then(|head| Some((head, standing(head, id)?)));
            let Some((head, standing)) = standing else {
                return Err(Error::temporary(format!("the copy of '{}' to '{to}' is not there any more", from.key)));
            };
            progress(head, to);
            match standing.as_str() {
                "success" => return Ok(()),
                "pending" if host::cancelled() => {
                    let message = "it was asked to stop".to_owned();
                    return Err(Error { kind: ErrorKind::Cancelled, message, hint: None });
                }
                "pending" => host::sleep_ms(pause),
                ended => {
                    let why = head.header("x-ms-copy-status-description").unwrap_or_default();
                    return Err(Error::temporary(format!("the copy of '{}' to '{to}' {ended}: {why}", from.key)));
                }
            }
            pause = (pause * 2).min(LOOKS_MS.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_sdk::http::Header;

    use super::*;

    #[test]
    fn a_copy_is_known_by_its_id() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let headers = vec![header("x-ms-copy-id", "7"), header("x-ms-copy-status", "pending")];
        let head = Head { status: 200, headers, sends: 1, checksums: Vec::new(), url: String::new() };
        assert_eq!(standing(&head, "7").as_deref(), Some("pending"));
        assert_eq!(standing(&head, "8"), None, "that of somebody else");
    }
}
