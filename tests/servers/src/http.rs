//! Just enough HTTP to ask a server whether it is there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of an answer is read.
const ANSWER_MAX: u64 = 1024 * 1024;

/// The status and the body of a `GET` on the loopback address; nothing if there is no answer in two seconds.
#[must_use]
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    // What came before an error counts: some servers cut the connection instead of closing it.
    let _ = stream.take(ANSWER_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
