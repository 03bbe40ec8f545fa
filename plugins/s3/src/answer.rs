//! What a server's refusal means: its own code first, its status where it gives none.

use lifeboat_objects::{Refusal, SAID_MAX, xml};
use lifeboat_sdk::http::{Head, HeadExt};
use lifeboat_sdk::prelude::*;

/// An answer that is no success: the error with what the server said, its kind and a hint by its code.
pub fn refusal(what: &str, head: &Head, body: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(body);
    let (code, said) = words(&text);
    let fallback = match head.status {
        404 => "NoSuchKey",
        412 => "PreconditionFailed",
        403 => "AccessDenied",
        301 | 307 => "PermanentRedirect",
        503 => "SlowDown",
        _ => "",
    };
    let known = if code.is_empty() { fallback } else { &code };
    let (kind, hint) = meaning(known, head.status);
    let told = match (code.is_empty(), said.is_empty()) {
        (true, _) => format!("the server answered {}", head.status),
        (false, true) => code.clone(),
        (false, false) => format!("{code}: {said}"),
    };
    let region = head.header("x-amz-bucket-region").map(|region| format!("the bucket is in the region {region}"));
    let hint = region.filter(|_| known == "PermanentRedirect").or_else(|| hint.map(str::to_owned));
    let error = Error { kind, message: format!("{what}: {told}"), hint };
    Refusal { status: head.status, code: known.to_owned(), error }
}

/// The code and the message of an error document.
pub fn words(text: &str) -> (String, String) {
    let Ok(document) = xml::Document::parse(text) else { return Default::default() };
    let root = document.root_element();
    if root.tag_name().name() != "Error" {
        return Default::default();
    }
    let said = xml::text(root, "Message").split_whitespace().collect::<Vec<_>>().join(" ");
    (xml::text(root, "Code").to_owned(), said.chars().take(SAID_MAX).collect())
}

fn meaning(code: &str, status: u16) -> (ErrorKind, Option<&'static str>) {
    match code {
        "NoSuchKey" | "NoSuchVersion" | "NoSuchUpload" => (ErrorKind::NotFound, None),
        "NoSuchBucket" => {
            (ErrorKind::Permanent, Some("the bucket is not there: make it, or look at `bucket` and `endpoint`"))
        }
        "AccessDenied" | "AllAccessDisabled" => {
            (ErrorKind::Permanent, Some("the server knows the key and does not allow it this: see the key's policy"))
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" => {
            (ErrorKind::Permanent, Some("the key is wrong: look at the secrets of the target"))
        }
        "ExpiredToken" | "TokenRefreshRequired" => {
            (ErrorKind::Temporary, Some("the session token has expired: renew the secret; it is read anew each time"))
        }
        "RequestTimeTooSkewed" => (ErrorKind::Permanent, Some("set the clock of this machine")),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect" => {
            (ErrorKind::Permanent, Some("look at `region` and `endpoint` of the target"))
        }
        "InvalidObjectState" => {
            (ErrorKind::Permanent, Some("the object is in an archive class: bring it back to a class that can be read"))
        }
        "MethodNotAllowed" | "NotImplemented" => (ErrorKind::Permanent, Some("this server can't do that")),
        "PreconditionFailed" | "ConditionalRequestConflict" => (ErrorKind::AlreadyExists, None),
        "SlowDown" | "InternalError" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted" => {
            (ErrorKind::Temporary, None)
        }
        // What came there is not what was sent: nothing was stored, and it may go well the next time.
        "BadDigest" | "InvalidPart" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => (ErrorKind::Temporary, None),
        _ if matches!(status, 408 | 425 | 429 | 500..) => (ErrorKind::Temporary, None),
        _ => (ErrorKind::Permanent, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16) -> Head {
        Head { status, headers: Vec::new(), sends: 1, checksums: Vec::new(), url: String::new() }
    }

    fn said(status: u16, code: &str) -> Refusal {
        let body = format!("<Error><Code>{code}</Code><Message>because\n of it</Message></Error>");
        refusal("put 'a'", &head(status), body.as_bytes())
    }

    #[test]
    fn a_bucket_that_is_gone_is_not_an_object_that_is_not_there() {
        assert!(said(404, "NoSuchKey").is_no_key());
        let gone = said(404, "NoSuchBucket");
        assert!(!gone.is_no_key());
        assert_eq!(gone.error.message, "put 'a': NoSuchBucket: because of it");
        assert!(gone.error.hint.unwrap().contains("bucket"));
    }

    #[test]
    fn what_may_pass_is_temporary_and_what_does_not_is_permanent() {
        for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (400, "ExpiredToken"), (500, "Unheard")] {
            assert_eq!(said(status, code).error.kind, ErrorKind::Temporary, "{code}");
        }
        for (status, code) in [(403, "SignatureDoesNotMatch"), (403, "AccessDenied"), (400, "Unheard")] {
            assert_eq!(said(status, code).error.kind, ErrorKind::Permanent, "{code}");
        }
        assert_eq!(refusal("head", &head(403), b"").code, "AccessDenied");
        assert_eq!(refusal("get", &head(502), b"<html>").error.message, "get: the server answered 502");
    }
}
