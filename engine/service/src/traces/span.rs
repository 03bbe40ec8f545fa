//! A span as OTLP has it, and its JSON: the encoding that opentelemetry-proto documents (`docs/specification.md`, "JSON Protobuf Encoding"):
//! names in lower camel case, 64-bit numbers as texts, ids as hexadecimal digits, enumerations as numbers.

use serde_json::{Value, json};

use crate::hex::hex;

/// Bytes of a text in a span. What is longer is cut: a trace is for looking things over, and the log has it whole.
const TEXT_MAX: usize = 1_024;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Text(String),
    Number(u64),
}

/// A name with its value.
pub(crate) type Pair = (&'static str, Attribute);

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) name: &'static str,
    pub(crate) attributes: Vec<Pair>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// Nobody says.
    Unset,
    Well,
    /// Why not.
    Badly(String),
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) name: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: Vec<Pair>,
    pub(crate) moments: Vec<Moment>,
    /// Moments that were not kept.
    pub(crate) dropped: u64,
    pub(crate) went: Went,
}

/// A text attribute.
pub(crate) fn text(value: impl Into<String>) -> Attribute {
    Attribute::Text(cut(value.into()))
}

/// A text that is not longer than what a span may hold.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn nanos(at_ms: u64) -> String {
    (u128::from(at_ms) * 1_000_000).to_string()
}

fn pairs(pairs: &[Pair]) -> Value {
    let pair = |(key, value): &Pair| {
        let value = match value {
            Attribute::Text(text) => json!({ "stringValue": text }),
            Attribute::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    pairs.iter().map(pair).collect()
}

impl Span {
    fn json(&self) -> Value {
        let moment = |moment: &Moment| json!({ "timeUnixNano": nanos(moment.at), "name": moment.name, "attributes": pairs(&moment.attributes) });
        let status = match &self.went {
            Went::Unset => json!({}),
            Went::Well => json!({ "code": 1 }),
            Went::Badly(why) => json!({ "code": 2, "message": cut(why.clone()) }),
        };
        let mut span = json!({
            "traceId": hex(&self.trace),
            "spanId": hex(&self.id),
            "name": cut(self.name.clone()),
            // An internal one: it is no call of another service.
            "kind": 1,
            "startTimeUnixNano": nanos(self.began),
            "endTimeUnixNano": nanos(self.ended.max(self.began)),
            "attributes": pairs(&self.attributes),
            "events": self.moments.iter().map(moment).collect::<Value>(),
            "droppedEventsCount": self.dropped,
            "status": status,
        });
        if let (Some(parent), Value::Object(map)) = (self.parent, &mut span) {
            map.insert("parentSpanId".to_owned(), hex(&parent).into());
        }
        span
    }
}

/// The body of a request: `ExportTraceServiceRequest`. `version` is that of the program.
pub(crate) fn body(spans: &[Span], version: &str) -> Vec<u8> {
    let resource = [("service.name", text("lifeboat")), ("service.version", text(version))];
    let value = json!({ "resourceSpans": [{
        "resource": { "attributes": pairs(&resource) },
        "scopeSpans": [{
            "scope": { "name": "lifeboat", "version": version },
            "spans": spans.iter().map(Span::json).collect::<Value>(),
        }],
    }] });
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_specification_shows() {
        let span = Span {
            trace: [0x5b; 16],
            id: [0xee; 8],
            parent: Some([0x01; 8]),
            name: "take".to_owned(),
            began: 1_544_712_660_000,
            ended: 1_544_712_661_000,
            attributes: vec![("lifeboat.attempt", Attribute::Number(2))],
            moments: vec![Moment { at: 1_544_712_660_300, name: "probed", attributes: Vec::new() }],
            dropped: 0,
            went: Went::Badly("busy".to_owned()),
        };
        let body: Value = serde_json::from_slice(&body(&[span], "1")).unwrap();
        let expected = json!({ "resourceSpans": [{
            "resource": { "attributes": [
                { "key": "service.name", "value": { "stringValue": "lifeboat" } },
                { "key": "service.version", "value": { "stringValue": "1" } },
            ] },
            "scopeSpans": [{ "scope": { "name": "lifeboat", "version": "1" }, "spans": [{
                "traceId": "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b",
                "spanId": "eeeeeeeeeeeeeeee",
                "parentSpanId": "0101010101010101",
                "name": "take",
                "kind": 1,
                "startTimeUnixNano": "1544712660000000000",
                "endTimeUnixNano": "1544712661000000000",
                "attributes": [{ "key": "lifeboat.attempt", "value": { "intValue": "2" } }],
                "events": [{ "timeUnixNano": "1544712660300000000", "name": "probed", "attributes": [] }],
                "droppedEventsCount": 0,
                "status": { "code": 2, "message": "busy" },
            }] }],
        }] });
        assert_eq!(body, expected);
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let long = cut("ü".repeat(2_000));
        assert!(long.len() <= TEXT_MAX + 3 && long.ends_with("ü…"), "{}", long.len());
        assert_eq!(cut("short".to_owned()), "short");
    }
}
