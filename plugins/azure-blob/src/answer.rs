//! What a refusal of the service means: its own code first, its status where it gives none.

use lifeboat_objects::{Refusal, SAID_MAX, xml};
use lifeboat_sdk::http::{Head, HeadExt};
use lifeboat_sdk::prelude::*;

/// An answer that is no success: the error with what the service said, its kind and a hint by its code.
pub fn refusal(what: &str, head: &Head, body: &[u8]) -> Refusal {
    let (mut code, said) = words(&String::from_utf8_lossy(body));
    if code.is_empty() {
        // A `HEAD` has no body.
        head.header("x-ms-error-code").unwrap_or_default().clone_into(&mut code);
    }
    let fallback = match head.status {
        404 => "BlobNotFound",
        412 => "ConditionNotMet",
        403 => "AuthorizationFailure",
        503 => "ServerBusy",
        _ => "",
    };
    let known = if code.is_empty() { fallback } else { &code };
    let expired = said.contains("time frame") || said.to_lowercase().contains("expired");
    let (kind, hint) = if expired && matches!(head.status, 401 | 403) {
        (
            ErrorKind::Temporary,
            Some("the signature or the token has expired: renew the secret; it is read anew each time"),
        )
    } else {
        meaning(known, head.status)
    };
    let told = match (code.is_empty(), said.is_empty()) {
        (true, _) => format!("the server answered {}", head.status),
        (false, true) => code.clone(),
        (false, false) => format!("{code}: {said}"),
    };
    let error = Error { kind, message: format!("{what}: {told}"), hint: hint.map(str::to_owned) };
    Refusal { status: head.status, code: known.to_owned(), error }
}

/// The code and the message of an error document.
fn words(text: &str) -> (String, String) {
    let Ok(document) = xml::Document::parse(text) else { return Default::default() };
    let root = document.root_element();
    if root.tag_name().name() != "Error" {
        return Default::default();
    }
    // After the first line come the ids of the request and its time.
    let message = xml::text(root, "Message").lines().next().unwrap_or_default();
    let detail = xml::text(root, "AuthenticationErrorDetail");
    let said = format!("{message} {detail}").split_whitespace().collect::<Vec<_>>().join(" ");
    (xml::text(root, "Code").to_owned(), said.chars().take(SAID_MAX).collect())
}

fn meaning(code: &str, status: u16) -> (ErrorKind, Option<&'static str>) {
    match code {
        "BlobNotFound" | "ResourceNotFound" => (ErrorKind::NotFound, None),
        "ContainerNotFound" => (
            ErrorKind::Permanent,
            Some("the container is not there: make it, or look at `container`, `account` and `endpoint`"),
        ),
        "ContainerBeingDeleted" => (ErrorKind::Permanent, Some("the container is being deleted")),
        "AuthenticationFailed"
        | "AuthorizationFailure"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation" => (
            ErrorKind::Permanent,
            Some(
                "the key or signature is wrong, or the account lets nobody in from here: look at the secrets of the target",
            ),
        ),
        "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "InsufficientAccountPermissions" => {
            (ErrorKind::Permanent, Some("the service knows the credentials and does not allow them this"))
        }
        "BlobImmutableDueToPolicy" => {
            (ErrorKind::Permanent, Some("a policy keeps the blob as it is until its time has come"))
        }
        "SnapshotsPresent" => (
            ErrorKind::Permanent,
            Some("the blob has snapshots, which recovery points may need: delete them first where nobody does"),
        ),
        "LeaseIdMissing" => (ErrorKind::Permanent, Some("somebody holds a lease on the blob")),
        "BlobArchived" => {
            (ErrorKind::Permanent, Some("the blob is archived: bring it back to a tier that can be read"))
        }
        "ConditionNotMet" | "BlobAlreadyExists" | "TargetConditionNotMet" => (ErrorKind::AlreadyExists, None),
        "SourceConditionNotMet" => (ErrorKind::Permanent, Some("the blob is not what it was: take a new snapshot")),
        "ServerBusy" | "InternalError" | "OperationTimedOut" | "PendingCopyOperation" => (ErrorKind::Temporary, None),
        _ if matches!(status, 408 | 425 | 429 | 500..) => (ErrorKind::Temporary, None),
        _ => (ErrorKind::Permanent, None),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_sdk::http::Header;

    use super::*;

    fn head(status: u16) -> Head {
        Head { status, headers: Vec::new(), sends: 1, checksums: Vec::new(), url: String::new() }
    }

    fn said(status: u16, code: &str) -> Refusal {
        let body = format!("<Error><Code>{code}</Code><Message>because of it\nRequestId:1\nTime:2</Message></Error>");
        refusal("put 'a'", &head(status), body.as_bytes())
    }

    #[test]
    fn a_container_that_is_gone_is_not_a_blob_that_is_not_there() {
        assert!(said(404, "BlobNotFound").is_no_key());
        let gone = said(404, "ContainerNotFound");
        assert!(!gone.is_no_key());
        assert_eq!(gone.error.message, "put 'a': ContainerNotFound: because of it");
        let mut told = head(404);
        told.headers.push(Header { name: "x-ms-error-code".into(), value: "ContainerNotFound".into() });
        assert!(!refusal("head", &told, b"").is_no_key(), "a HEAD says it in a header");
        assert!(refusal("head", &head(404), b"").is_no_key());
    }

    #[test]
    fn what_may_pass_is_temporary_and_what_does_not_is_permanent() {
        for (status, code) in
            [(503, "ServerBusy"), (500, "OperationTimedOut"), (409, "PendingCopyOperation"), (500, "X")]
        {
            assert_eq!(said(status, code).error.kind, ErrorKind::Temporary, "{code}");
        }
        for (status, code) in [(403, "AuthenticationFailed"), (409, "SnapshotsPresent"), (400, "Unheard")] {
            assert_eq!(said(status, code).error.kind, ErrorKind::Permanent, "{code}");
        }
        assert_eq!(said(409, "BlobAlreadyExists").error.kind, ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_signature_that_has_expired_may_be_renewed() {
        let body = b"\xEF\xBB\xBF<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>no</Message>\
            <AuthenticationErrorDetail>Signature not valid in the specified time frame</AuthenticationErrorDetail></Error>";
        let refused = refusal("list", &head(403), body);
        assert_eq!(refused.error.kind, ErrorKind::Temporary);
        assert!(refused.error.hint.unwrap().contains("renew"));
    }
}
