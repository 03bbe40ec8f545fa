//! JSON from outside: bounded before it is parsed.

use serde_json::Value;

use crate::limits::{BODY_BYTES_MAX, BODY_DEPTH_MAX};
use crate::refused::Refused;

/// Checks size and depth of a body, which is cheap, before anything reads it.
///
/// # Errors
/// `LB1010`.
pub fn bounded(body: &[u8]) -> Result<(), Refused> {
    if body.len() > BODY_BYTES_MAX {
        let message = format!("the body has {} bytes, and at most {BODY_BYTES_MAX} are read", body.len());
        return Err(Refused::new("LB1010", message, "send fewer alerts at once, as with max_alerts of Alertmanager"));
    }
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                depth += 1;
                if depth > BODY_DEPTH_MAX {
                    let message = format!("the body is nested more than {BODY_DEPTH_MAX} deep");
                    return Err(Refused::new("LB1010", message, "no alert needs as much: look at what sends it"));
                }
            }
            b'}' | b']' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// A body as JSON.
///
/// # Errors
/// `LB1010`.
pub(crate) fn value(body: &[u8]) -> Result<Value, Refused> {
    bounded(body)?;
    serde_json::from_slice(body).map_err(|error| no_json(&error))
}

pub(crate) fn no_json(error: &serde_json::Error) -> Refused {
    let message = format!("the body is not JSON in UTF-8: line {}, column {}", error.line(), error.column());
    Refused::new("LB1010", message, "send JSON with the content type application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(value(nested(BODY_DEPTH_MAX).as_bytes()).is_ok());
        assert!(value(br#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{{"}"#).is_ok());
        for wrong in [nested(BODY_DEPTH_MAX + 1), nested(500_000), " ".repeat(BODY_BYTES_MAX + 1), "{".to_owned()] {
            assert_eq!(value(wrong.as_bytes()).unwrap_err().code, "LB1010");
        }
        assert_eq!(value(b"\"\xff\"").unwrap_err().code, "LB1010");
    }
}
