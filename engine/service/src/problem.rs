//! Errors as `application/problem+json` (RFC 9457), with the codes that the command line has, too.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lifeboat_core::Error;
use serde::{Deserialize, Serialize};

use crate::workshop::Diagnosis;

/// What is answered instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:lifeboat:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in a sentence.
    pub title: String,
    /// The status of HTTP.
    pub status: u16,
    /// The code; `lifeboat explain CODE` prints its page.
    pub code: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it has to do with: pairs of name and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// The mistakes of a runbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnosis>,
    /// After how many seconds the call may be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// The code of a refusal, beside its answer: for the record of calls.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl Problem {
    /// An error with the mistakes of a runbook.
    pub(crate) fn with_diagnostics(error: Error, diagnostics: Vec<Diagnosis>) -> Self {
        Self { diagnostics, ..Self::from(error) }
    }

    /// Something that the service had to ask has failed: a vault, a plugin, a secret.
    pub(crate) fn below(error: Error) -> Self {
        tracing::warn!(code = %error.code, "{error}");
        Self::of(error, StatusCode::BAD_GATEWAY)
    }

    fn of(error: Error, status: StatusCode) -> Self {
        Self {
            kind: format!("urn:lifeboat:{}", error.code),
            title: error.message,
            status: status.as_u16(),
            code: error.code.0.into_owned(),
            hint: error.hint,
            context: error.context,
            diagnostics: Vec::new(),
            retry_after_s: None,
        }
    }

    /// The error that it was.
    pub fn error(self) -> Error {
        let code = lifeboat_core::Code(std::borrow::Cow::Owned(self.code));
        let mut context = self.context;
        for found in self.diagnostics.iter().take(20) {
            let place = format!("{}:{}:{}", found.file, found.line, found.column);
            context.push((place, format!("{}: {}", found.code, found.message)));
        }
        Error { code, message: self.title, hint: self.hint, context }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status_of(&error.code.0);
        if status.is_server_error() {
            tracing::error!(code = %error.code, "{error}");
        }
        Self::of(error, status)
    }
}

/// The status of a code. What is not listed is a fault of the service, or of what is below it.
fn status_of(code: &str) -> StatusCode {
    match code {
        "LB0902" | "LB1010" | "LB1055" => StatusCode::BAD_REQUEST,
        "LB1013" | "LB1014" | "LB1052" => StatusCode::UNAUTHORIZED,
        "LB0509" | "LB1053" | "LB1054" => StatusCode::FORBIDDEN,
        "LB1096" => StatusCode::FORBIDDEN,
        "LB1097" | "LB1098" => StatusCode::GONE,
        "LB1099" => StatusCode::CONFLICT,
        "LB1093" | "LB1094" => StatusCode::BAD_GATEWAY,
        "LB0501" | "LB0504" | "LB1030" | "LB1056" | "LB1092" => StatusCode::NOT_FOUND,
        "LB1072" => StatusCode::METHOD_NOT_ALLOWED,
        "LB1059" => StatusCode::REQUEST_TIMEOUT,
        "LB0502" | "LB0505" | "LB0506" | "LB0511" | "LB0701" | "LB0702" | "LB1015" | "LB1035" | "LB1057" | "LB1062"
        | "LB1150" | "LB1151" | "LB1195" | "LB1220" | "LB1221" | "LB1222" | "LB1223" | "LB1224" | "LB1225"
        | "LB1228" => StatusCode::CONFLICT,
        "LB1063" => StatusCode::PRECONDITION_FAILED,
        "LB1058" => StatusCode::PAYLOAD_TOO_LARGE,
        "LB1073" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "LB0507" | "LB0508" | "LB0901" | "LB1011" | "LB1012" | "LB1018" | "LB1061" | "LB1064" | "LB1155" | "LB1196" => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        "LB1060" => StatusCode::TOO_MANY_REQUESTS,
        "LB0510" | "LB0601" | "LB0603" | "LB0606" | "LB1031" | "LB1034" | "LB1065" | "LB1068" | "LB1202" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "LB1201" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lifeboat\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            // What is left of the body is not waited for.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(Refusal(self.code));
        response
    }
}
