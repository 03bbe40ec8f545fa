//! Heads and bodies of messages as they pass the proxy, byte for byte.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Bytes of a head; more are no head.
const HEAD_MAX: usize = 64 * 1024;
/// Bytes that are passed on at once.
const PART: usize = 64 * 1024;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sized {
    /// So many bytes.
    Bytes(u64),
    /// Until its sender closes the connection. Chunks are passed as they are, and count as this.
    ToTheEnd,
}

impl Sized {
    /// Its bytes, or as many as there could be.
    pub fn bytes(self) -> u64 {
        match self {
            Sized::Bytes(bytes) => bytes,
            Sized::ToTheEnd => u64::MAX,
        }
    }

    /// Whether the connection can be used again behind it.
    pub fn is_known(self) -> bool {
        matches!(self, Sized::Bytes(_))
    }
}

/// The head of a request or an answer.
#[derive(Debug)]
pub struct Head {
    /// All of it, with the empty line.
    pub text: String,
    /// Its first word; of an answer, the version.
    pub method: String,
    /// Method and path, for people.
    pub line: String,
    /// Of the body.
    pub length: Sized,
}

impl Head {
    /// The head that this text is.
    pub fn of(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let header = |wanted: &str| {
            let lines = text.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).next()
        };
        let is_answer = line.starts_with("HTTP/");
        let length = match header("content-length").and_then(|value| value.parse().ok()) {
            Some(bytes) => Sized::Bytes(bytes),
            None if is_answer || header("transfer-encoding").is_some() => Sized::ToTheEnd,
            None => Sized::Bytes(0),
        };
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { text: text.to_owned(), method: method.to_owned(), line: format!("{method} {path}"), length }
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// Without a header.
    pub fn without(&self, name: &str) -> String {
        let mut lines = self.text.split("\r\n").filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let rest = lines.filter(|line| !line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        let rest: String = rest.map(|line| format!("{line}\r\n")).collect();
        format!("{first}\r\n{rest}\r\n")
    }

    /// With a header of that value and no other.
    pub fn with(&self, name: &str, value: &str) -> String {
        let text = self.without(name);
        format!("{}{name}: {value}\r\n\r\n", text.trim_end_matches("\r\n").to_owned() + "\r\n")
    }
}

/// The next head; nothing where the connection ends.
pub fn read_head(mut stream: &TcpStream) -> io::Result<Option<Head>> {
    let mut head = Vec::new();
    let mut byte = [0];
    // Byte by byte: what follows is the body's, and a head is short.
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() >= HEAD_MAX {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
    }
    Ok(Some(Head::of(&String::from_utf8_lossy(&head))))
}

/// Passes a body on, part by part: `change` gets where a part begins, and the part. All of it is read, also where nobody
/// takes it any more.
pub fn pass(
    mut from: impl Read,
    mut to: impl Write,
    length: Sized,
    mut change: impl FnMut(u64, &mut [u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; PART];
    let (mut at, mut taken) = (0, true);
    while at < length.bytes() {
        let want = usize::try_from(length.bytes() - at).unwrap_or(PART).min(PART);
        let count = from.read(buffer.get_mut(..want).unwrap_or_default())?;
        if count == 0 {
            let cut = length.is_known();
            return if cut { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        }
        let part = buffer.get_mut(..count).unwrap_or_default();
        change(at, part);
        taken = taken && to.write_all(part).is_ok();
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_changed_in_one_line_only() {
        let head = Head::of("PUT /a?b HTTP/1.1\r\nHost: x:1\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((head.line.as_str(), head.length), ("PUT /a?b", Sized::Bytes(7)));
        let text = head.with("connection", "close");
        assert_eq!(text, "PUT /a?b HTTP/1.1\r\nHost: x:1\r\nContent-Length: 7\r\nconnection: close\r\n\r\n");
        let told = Head::of("HTTP/1.1 206 Partial\r\nETag: \"e\"\r\n\r\n");
        assert_eq!((told.status(), told.length), (206, Sized::ToTheEnd));
        assert_eq!(Head::of("GET / HTTP/1.1\r\n\r\n").length, Sized::Bytes(0));
    }

    #[test]
    fn bodies_are_passed_and_changed_where_it_is_asked_for() {
        let mut got = Vec::new();
        pass(&b"0123456789"[..], &mut got, Sized::Bytes(4), |_, data| data[1] = b'x').unwrap();
        assert_eq!(got, b"0x23");
        assert!(pass(&b"01"[..], io::sink(), Sized::Bytes(4), |_, _| {}).is_err());
    }
}
