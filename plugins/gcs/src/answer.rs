//! What a refusal of the service means: its own reason first, its status where it gives none.

use lifeboat_objects::{Refusal, SAID_MAX};
use lifeboat_sdk::http::Head;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::serde_json::{self, Value};

/// An answer that is no success: the error with what the service said, its kind and a hint by its reason.
pub fn refusal(what: &str, head: &Head, body: &[u8]) -> Refusal {
    let (reason, said) = words(body);
    let (kind, hint) = meaning(&reason, head.status);
    let told = match (reason.is_empty(), said.is_empty()) {
        (true, true) => format!("the server answered {}", head.status),
        (true, false) => format!("the server answered {}: {said}", head.status),
        (false, true) => reason.clone(),
        (false, false) => format!("{reason}: {said}"),
    };
    let error = Error { kind, message: format!("{what}: {told}"), hint: hint.map(str::to_owned) };
    Refusal { status: head.status, code: reason, error }
}

/// The reason and the message of an error document.
fn words(body: &[u8]) -> (String, String) {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return Default::default() };
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let said = text("/error/message").split_whitespace().collect::<Vec<_>>().join(" ");
    (text("/error/errors/0/reason").to_owned(), said.chars().take(SAID_MAX).collect())
}

fn meaning(reason: &str, status: u16) -> (ErrorKind, Option<&'static str>) {
    match (status, reason) {
        (404, _) => (ErrorKind::NotFound, None),
        (412, _) => (ErrorKind::AlreadyExists, None),
        (_, "rateLimitExceeded" | "userRateLimitExceeded" | "backendError") => (ErrorKind::Temporary, None),
        (401, _) => (
            ErrorKind::Permanent,
            Some(
                "the credentials are wrong or have expired: look at the secrets of the target, which are read anew each time",
            ),
        ),
        (403, "retentionPolicyNotMet" | "objectUnderActiveHold") => {
            (ErrorKind::Permanent, Some("a policy keeps the object as it is until its time has come"))
        }
        (403, "accountDisabled" | "userProjectAccountProblem") => {
            (ErrorKind::Permanent, Some("the account or its billing is turned off"))
        }
        (403, _) => {
            (ErrorKind::Permanent, Some("the service knows the account and does not allow it this: see its roles"))
        }
        (408 | 410 | 425 | 429 | 500.., _) => (ErrorKind::Temporary, None),
        _ => (ErrorKind::Permanent, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, reason: &str) -> Error {
        let head = Head { status, headers: Vec::new(), sends: 1, checksums: Vec::new(), url: String::new() };
        let body =
            format!(r#"{{"error":{{"code":{status},"message":"because of it","errors":[{{"reason":"{reason}"}}]}}}}"#);
        refusal("put 'a'", &head, body.as_bytes()).error
    }

    #[test]
    fn what_may_pass_is_temporary_and_what_does_not_is_permanent() {
        for (status, reason) in
            [(503, "backendError"), (429, "x"), (403, "rateLimitExceeded"), (410, "gone"), (500, "")]
        {
            assert_eq!(said(status, reason).kind, ErrorKind::Temporary, "{status} {reason}");
        }
        for (status, reason) in
            [(401, "authError"), (403, "forbidden"), (403, "retentionPolicyNotMet"), (400, "invalid")]
        {
            assert_eq!(said(status, reason).kind, ErrorKind::Permanent, "{status} {reason}");
        }
        assert_eq!(said(404, "notFound").kind, ErrorKind::NotFound);
        assert_eq!(said(412, "conditionNotMet").kind, ErrorKind::AlreadyExists);
        assert_eq!(said(403, "forbidden").message, "put 'a': forbidden: because of it");
    }

    #[test]
    fn what_is_no_json_is_told_by_its_status() {
        let head = Head { status: 502, headers: Vec::new(), sends: 1, checksums: Vec::new(), url: String::new() };
        assert_eq!(refusal("get", &head, b"<html>").error.message, "get: the server answered 502");
    }
}
