//! How a host call fails: with an error that the guest sees and may handle, or with the end of the guest.

use std::io;

use lifeboat_core::{Failure, FailureKind};

use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};

/// The failure of one host call.
#[derive(Debug)]
pub enum Fault {
    /// Told to the guest.
    Guest(GuestError),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

/// Why the host ended a guest. It travels inside the trap, so that the cause stays typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The call took longer than it may.
    #[error("the time limit of {0} ms is over")]
    Deadline(u64),
    /// The attempt was asked to stop and did not.
    #[error("it was asked to stop, and did not stop within {0} ms")]
    Cancelled(u64),
    /// Memories and tables together would be larger than they may.
    #[error("it asked for {wanted} bytes of memory; the limit is {limit}")]
    Memory {
        /// Bytes that it would have had.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// It asked for or handed over more than it may in one call.
    #[error("{0}")]
    Payload(String),
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Fault::Trap(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for Fault {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Fault::Trap(error.into())
    }
}

impl From<GuestError> for Fault {
    fn from(error: GuestError) -> Self {
        Fault::Guest(error)
    }
}

/// An error for the guest.
pub fn guest_error(kind: ErrorKind, message: impl Into<String>) -> GuestError {
    GuestError { kind, message: message.into(), hint: None }
}

/// A refusal: it was not granted, or never can be.
pub fn refused(message: impl Into<String>, hint: Option<String>) -> GuestError {
    GuestError { kind: ErrorKind::Refused, message: message.into(), hint }
}

/// The one place that turns an error of the operating system into what a guest and then a person sees.
pub fn from_io(what: &str, path: &str, error: &io::Error) -> GuestError {
    use io::ErrorKind as Io;
    // cap-std reports an escape as a refusal without an error number of the system.
    if error.kind() == Io::PermissionDenied && error.raw_os_error().is_none() {
        let message = format!("{what} '{path}': the path leads out of the granted folder");
        return refused(message, Some("use a path, and symbolic links, that stay inside the target's root".into()));
    }
    let kind = match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::StorageFull
        | Io::QuotaExceeded
        | Io::Interrupted
        | Io::WouldBlock
        | Io::TimedOut
        | Io::ResourceBusy
        | Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::UnexpectedEof => ErrorKind::Temporary,
        _ => ErrorKind::Permanent,
    };
    let hint = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => Some("free some space on that file system, then retry the step".into()),
        Io::PermissionDenied => {
            Some("the user that runs lifeboat has no permission there; change owner or mode".into())
        }
        Io::ReadOnlyFilesystem => Some("the file system is mounted read-only".into()),
        _ => None,
    };
    GuestError { kind, message: format!("{what} '{path}': {error}"), hint }
}

/// Codes of a vault or a snapshot that is not there: a probe of a guest says then that nothing happened.
const NOT_THERE: [&str; 2] = ["LB0802", "LB0804"];

/// A failure of another part (a vault), as the guest sees it.
pub fn from_failure(failure: Failure) -> GuestError {
    let none = failure.code.as_ref().is_some_and(|code| NOT_THERE.contains(&code.0.as_ref()));
    let kind = match failure.kind {
        FailureKind::Permanent if none => ErrorKind::NotFound,
        FailureKind::Temporary => ErrorKind::Temporary,
        FailureKind::Refused => ErrorKind::Refused,
        FailureKind::Cancelled => ErrorKind::Cancelled,
        FailureKind::Permanent | FailureKind::Sandbox => ErrorKind::Permanent,
    };
    let message = match failure.code {
        Some(code) => format!("{code}: {}", failure.message),
        None => failure.message,
    };
    GuestError { kind, message, hint: failure.hint }
}

/// An error of the interface, as the engine sees it.
pub fn to_failure(error: GuestError) -> Failure {
    let (kind, code) = match error.kind {
        ErrorKind::Temporary => (FailureKind::Temporary, None),
        ErrorKind::Refused => (FailureKind::Refused, Some(lifeboat_core::Code::new("LB0707"))),
        ErrorKind::Cancelled => (FailureKind::Cancelled, None),
        ErrorKind::Permanent | ErrorKind::NotFound | ErrorKind::AlreadyExists => (FailureKind::Permanent, None),
    };
    let (own_code, message) = split_code(cut(error.message));
    let code = code.or(own_code);
    let hint = error.hint.map(cut).or_else(|| code.as_ref().and_then(usual_hint));
    Failure { kind, code, message, hint }
}

/// What to do about a failure whose own hint was lost on the way: errors of streams have none.
fn usual_hint(code: &lifeboat_core::Code) -> Option<String> {
    let hint = match &*code.0 {
        "LB0723" => {
            "look at the server, at the way to it, and at its name, port and certificate; what was safe to repeat was repeated"
        }
        "LB0724" => {
            "look at the setting and its secret: the value has to be of the form that the signature needs; 'lifeboat explain LB0724' tells more"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// A code that went through a guest inside a message comes out as a code again; the innermost one, where there are more.
///
/// Each layer may have put the name of its target in front. A name that the rest of the message has in quotes says nothing
/// new, and is left out.
fn split_code(message: String) -> (Option<lifeboat_core::Code>, String) {
    let is_code =
        |part: &str| part.len() == 6 && part.starts_with("LB") && part.bytes().skip(2).all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = message.split(": ").collect();
    let Some(code) = parts.iter().rev().find(|part| is_code(part)) else { return (None, message) };
    let code = lifeboat_core::Code((*code).to_owned().into());
    let said = |part: &str| message.contains(&format!("'{part}'"));
    let rest: Vec<&str> = parts.into_iter().filter(|part| !is_code(part) && !said(part)).collect();
    (Some(code), rest.join(": "))
}

/// A text from a guest, cut to `MESSAGE_BYTES_MAX`, and said to be.
pub fn cut(mut text: String) -> String {
    let max = lifeboat_core::limits::MESSAGE_BYTES_MAX;
    if text.len() > max {
        let dropped = text.len() - max;
        let mut end = max;
        while end > 0 && !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!(" … ({dropped} bytes cut)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character_and_say_so() {
        let text = cut("ä".repeat(lifeboat_core::limits::MESSAGE_BYTES_MAX));
        assert!(text.ends_with("(4096 bytes cut)"), "{}", &text[text.len() - 40..]);
        assert_eq!(cut("short".into()), "short");
    }

    #[test]
    fn codes_survive_the_way_through_a_guest() {
        let inner = Failure::from(lifeboat_core::Error::new("LB0803", "the pack is damaged"));
        let outer = to_failure(from_failure(inner));
        assert_eq!(outer.code, Some(lifeboat_core::Code::new("LB0803")));
        assert_eq!(outer.message, "the pack is damaged");
        let deep = refused("vault: LB0707: vault 'vault': vault: plugin 'fs' may not reach '/mnt'", None);
        assert_eq!(to_failure(deep).message, "vault 'vault': plugin 'fs' may not reach '/mnt'");
        let none = from_failure(Failure::from(lifeboat_core::Error::new("LB0802", "there is no vault")));
        assert_eq!(none.kind, ErrorKind::NotFound);
        let plain = to_failure(guest_error(ErrorKind::Permanent, "a: b"));
        assert_eq!((plain.code, plain.message.as_str()), (None, "a: b"));
    }

    #[test]
    fn full_disks_may_pass_and_escapes_are_refused() {
        let full = from_io("write", "a", &io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.kind, ErrorKind::Temporary);
        let escape = from_io("open", "a", &io::Error::new(io::ErrorKind::PermissionDenied, "outside"));
        assert_eq!(escape.kind, ErrorKind::Refused);
        assert_eq!(to_failure(escape).code, Some(lifeboat_core::Code::new("LB0707")));
    }
}
