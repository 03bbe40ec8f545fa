//! Secrets that a program prints.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat_core::Error;
use lifeboat_core::grants::SecretCommand;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{SECRET_BYTES_MAX, Secret};

/// Bytes of what it prints as an error that are read: the number of lines is told, never the text.
const ERROR_BYTES_MAX: usize = 16 * 1024;
/// How often it is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Runs the program and takes what it prints.
pub(crate) fn read(name: &str, command: &SecretCommand) -> Result<Secret, Error> {
    let failed = |what: String| {
        Error::new("LB0415", format!("the command of the secret '{name}' {what}"))
            .with("program", command.program.display())
            .hint("run it by hand as the user that runs lifeboat; 'lifeboat doctor' tries it again")
    };
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it started ends with it.
        .process_group(0)
        .spawn()
        .map_err(|cause| failed(format!("cannot be started: {cause}")))?;
    let deadline = Instant::now() + Duration::from_millis(command.timeout_ms);
    let output = collect(child.stdout.take(), SECRET_BYTES_MAX + 2);
    let errors = collect(child.stderr.take(), ERROR_BYTES_MAX);
    let left = || deadline.saturating_duration_since(Instant::now());
    let late = || failed(format!("took longer than {} ms", command.timeout_ms));
    let Ok(mut bytes) = output.recv_timeout(left()) else {
        end(&mut child);
        return Err(late());
    };
    if bytes.len() > SECRET_BYTES_MAX + 1 {
        end(&mut child);
        return Err(failed(format!("printed more than {SECRET_BYTES_MAX} bytes")));
    }
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left().is_zero() => {
                end(&mut child);
                return Err(late());
            }
            Ok(None) => std::thread::sleep(POLL),
            Err(cause) => return Err(failed(format!("cannot be waited for: {cause}"))),
        }
    };
    if !status.success() {
        let said = errors.recv_timeout(left()).unwrap_or_default();
        let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
        return Err(failed(format!("ended with {status}")).with("stderr", format!("{lines}, not shown")));
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(failed("printed nothing".to_owned()));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Reads up to so many bytes on a thread of its own, into room that does not move, so that no copy stays behind.
fn collect(source: Option<impl Read + Send + 'static>, max: usize) -> mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(max));
        let mut part = [0u8; 4096];
        if let Some(mut source) = source {
            // An end of file and an error are the same here: the status of the program tells.
            while let Ok(count) = source.read(&mut part)
                && count > 0
            {
                let room = max - bytes.len();
                bytes.extend_from_slice(part.get(..count.min(room)).unwrap_or_default());
                if bytes.len() == max {
                    break;
                }
            }
        }
        part.zeroize();
        let _ = sender.send(bytes);
    });
    receiver
}

/// Kills the program and what it started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout_ms: u64) -> SecretCommand {
        let args = vec!["-c".to_owned(), script.to_owned()];
        SecretCommand { program: "/bin/sh".into(), args, timeout_ms }
    }

    #[test]
    fn what_it_prints_is_the_secret_without_the_newline() {
        let secret = read("s", &shell("printf 'a b\\nc\\r\\n'", 5_000)).unwrap();
        assert_eq!(secret.expose(), b"a b\nc");
        // No shell is between: an argument is what it is.
        let args = vec!["$HOME; x".to_owned()];
        let echo = SecretCommand { program: "/bin/echo".into(), args, timeout_ms: 5_000 };
        assert_eq!(read("s", &echo).unwrap().expose(), b"$HOME; x");
    }

    #[test]
    fn failures_are_told_and_never_what_was_printed() {
        for (script, word) in [
            ("echo hunter2 >&2; echo hunter2; exit 3", "exit status: 3"),
            ("sleep 60", "took longer"),
            ("echo hunter2; exec >&-; sleep 60", "took longer"),
            ("sleep 60 & sleep 60", "took longer"),
            ("yes hunter2", "printed more than"),
            ("true", "printed nothing"),
        ] {
            let start = Instant::now();
            let timeout_ms = if word == "took longer" { 200 } else { 20_000 };
            let error = read("s", &shell(script, timeout_ms)).unwrap_err();
            assert_eq!(error.code.0, "LB0415");
            let text = format!("{error} {error:?}");
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
            assert!(start.elapsed() < Duration::from_secs(10), "{script}");
        }
        let none = SecretCommand { program: "/no/such/program".into(), args: vec![], timeout_ms: 100 };
        assert!(read("s", &none).unwrap_err().message.contains("cannot be started"));
    }
}
