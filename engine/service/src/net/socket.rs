//! The socket in the data folder: for programs of this machine, of the service's own user.

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lifeboat_core::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::connection::{Doors, drain};
use crate::access::Peer;

/// Its name in the data folder.
const NAME: &str = "service.sock";
/// The system takes at most 107 bytes for the path of a socket. A longer one is named by way of an open folder.
const PATH_MAX: usize = 100;

/// A socket that is listened on. Its file goes with it.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// A path of the socket that is short enough. The folder has to be open while it is used.
fn reachable(folder: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    let path = folder.join(NAME);
    if path.as_os_str().len() <= PATH_MAX {
        return Ok((path, None));
    }
    let open = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd()));
    Ok((path, Some(open)))
}

impl Socket {
    /// Makes the socket. The data folder is locked for this process, so a file that is there was left by a dead one.
    ///
    /// # Errors
    /// `LB1050` it cannot be made.
    pub(crate) fn bind(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let made = || {
            match std::fs::remove_file(&path) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
            let (short, _open) = reachable(folder)?;
            let listener = UnixListener::bind(short)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener = made().map_err(|cause| {
            Error::new("LB1050", format!("the service cannot listen on '{}'", path.display())).with("cause", cause)
        })?;
        Ok(Self { listener, path })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Who finds it finds nobody there; the next service removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a user may come in: the one that the service runs as, who could open the data folder as well, and root.
fn may_enter(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Takes connections over the socket until the service is stopped.
pub(crate) async fn local(doors: Doors, socket: Socket) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = doors.stopped() => break,
            Some(_) = connections.join_next() => continue,
            taken = socket.listener.accept() => match taken {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        // The kernel says who it is. The mode of the file keeps others out as well.
        let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
        if !may_enter(uid) {
            tracing::warn!(uid, "a user was kept out of the socket");
            continue;
        }
        let Some(permit) = doors.room().await else { break };
        let doors = doors.clone();
        connections.spawn(async move { doors.serve(stream, Peer::Local(uid), permit).await });
    }
    drop(socket);
    drain(connections).await;
}

/// Connects to the service that has this data folder; `None` where there is none.
///
/// # Errors
/// What the system says, other than that nobody is there.
pub(crate) async fn connect(folder: &Path) -> std::io::Result<Option<UnixStream>> {
    if !folder.join(NAME).exists() {
        return Ok(None);
    }
    let (path, _open) = reachable(folder)?;
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(cause) if matches!(cause.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound) => {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}
