//! What systemd is told (`sd_notify`): that the service is ready, is stopping, and still answers. Without systemd nothing is done.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where systemd listens, and how often it wants to hear.
pub struct Supervisor {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

/// The address: a path, or a name of the abstract namespace after an `@`.
fn address(name: &OsStr) -> std::io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(OsStr::from_bytes(path)),
    }
}

impl Supervisor {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, as systemd sets them.
    pub fn new() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let mine = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let watchdog = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok()).filter(|_| mine);
        Self::with(std::env::var_os("NOTIFY_SOCKET").as_deref(), watchdog)
    }

    fn with(socket: Option<&OsStr>, watchdog_us: Option<u64>) -> Self {
        let to = socket.and_then(|name| Some((UnixDatagram::unbound().ok()?, address(name).ok()?)));
        // Twice in the time: one that is late does not end the service.
        let watchdog = watchdog_us.filter(|us| *us > 0).map(|us| Duration::from_micros(us / 2));
        Self { watchdog: watchdog.filter(|_| to.is_some()), to }
    }

    /// How often the service has to say that it is well.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says something. A supervisor that does not listen is no reason to stop.
    pub fn say(&self, what: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(cause) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::warn!(%cause, "systemd does not listen");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_to_paths_and_to_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("lifeboat-test-{}", std::process::id());
        for (listener, told) in [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            let supervisor = Supervisor::with(Some(&told), Some(10_000_000));
            assert_eq!(supervisor.watchdog(), Some(Duration::from_secs(5)));
            supervisor.say("READY=1");
            let mut read = [0; 64];
            listener.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let count = listener.recv(&mut read).unwrap();
            assert_eq!(&read[..count], b"READY=1");
        }
    }

    #[test]
    fn without_systemd_it_is_silent() {
        assert_eq!(Supervisor::with(None, Some(10)).watchdog(), None);
        Supervisor::with(None, None).say("READY=1");
        Supervisor::with(Some(OsStr::new("/nowhere/at/all")), None).say("READY=1");
    }
}
