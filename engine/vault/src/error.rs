//! One place that turns what went wrong into what a person sees.

use lifeboat_core::{Code, Error, Failure, FailureKind};
use rustic_core::RusticError;

/// The password opens none of the keys of the repository.
pub(crate) const WRONG_PASSWORD: &str = "LB0801";
/// There is no repository at that place.
pub(crate) const NO_REPOSITORY: &str = "LB0802";
/// Something in the repository is damaged or missing.
pub(crate) const DAMAGED: &str = "LB0803";
/// Somebody else works in the vault.
pub(crate) const LOCKED: &str = "LB0805";
/// There is no such snapshot.
pub(crate) const NO_SNAPSHOT: &str = "LB0804";
/// A file of the source or of the destination could not be read or written.
pub(crate) const IO: &str = "LB0806";

/// A permanent failure with a code.
pub(crate) fn fail(code: &'static str, message: impl Into<String>) -> Failure {
    Failure::from(Error::new(code, message))
}

/// A failure with a code and a hint.
pub(crate) fn fail_hint(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::from(Error::new(code, message).hint(hint))
}

/// A failure of the file system, with the path that it is about.
pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    let mut failure = fail(IO, format!("cannot {what} '{}': {error}", path.display()));
    failure.kind = match error.kind() {
        // A full disk may be given room, and a file that came or went during a walk is settled at the next one.
        std::io::ErrorKind::StorageFull
        | std::io::ErrorKind::QuotaExceeded
        | std::io::ErrorKind::NotFound
        | std::io::ErrorKind::Interrupted => FailureKind::Temporary,
        _ => FailureKind::Permanent,
    };
    failure.hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            Some("run the engine as a user who may read and write there, or take the file out of the target".to_owned())
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Some("make room; what is already restored is kept and not written again".to_owned())
        }
        std::io::ErrorKind::NotFound => Some("it changed while it was read; try again".to_owned()),
        _ => None,
    };
    failure
}

/// The failure of an attempt that was asked to stop.
pub(crate) fn cancelled() -> Failure {
    Failure {
        kind: FailureKind::Cancelled,
        code: None,
        message: "the attempt was cancelled".to_owned(),
        hint: Some("what is already done is kept; the next attempt goes on from there".to_owned()),
    }
}

/// The library's error as a failure: by its code where it has one, as damage where it has none.
pub(crate) fn from_rustic(error: &RusticError, location: &str) -> Failure {
    if error.is_incorrect_password() {
        return fail_hint(
            WRONG_PASSWORD,
            format!("the password does not open the vault at {location}"),
            "look at the secret that the target's 'password' names; 'restic key list' shows the keys of the vault",
        );
    }
    let said = first_line(error);
    if said.contains("No repository config file found") {
        return fail_hint(
            NO_REPOSITORY,
            format!("there is no vault at {location} any more"),
            "it was there a moment ago: find out who took it away; a snapshot makes a new one",
        );
    }
    let mut failure = fail_hint(
        DAMAGED,
        format!("the vault at {location} is damaged or not as expected: {said}"),
        "verify other snapshots with depth \"data\"; 'restic check --read-data' and 'restic repair' help with the rest",
    );
    failure.code = Some(Code::new(DAMAGED));
    failure
}

/// What the library says, on one line and without its advice to report an issue.
fn first_line(error: &RusticError) -> String {
    error.display_log().lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join(" ")
}
