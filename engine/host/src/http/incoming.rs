//! The body of an answer: read by threads of the host, as any other source of bytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use lifeboat_core::ports::AttemptSink;
use tokio::runtime::Handle;

use crate::voice::Voice;

/// How often it is looked whether the attempt was cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// A body that comes in.
pub struct NetSource {
    body: Option<Incoming>,
    runtime: Handle,
    /// What came and was not read yet.
    ready: Bytes,
    /// Bytes left, where the server said how many there are.
    left: Option<u64>,
    idle: Duration,
    voice: Arc<Voice>,
    from: String,
}

impl NetSource {
    /// The body of an answer from there, which fails when nothing comes for so long.
    pub fn new(body: Incoming, idle: Duration, voice: Arc<Voice>, from: String) -> Self {
        let left = body.size_hint().exact();
        Self { body: Some(body), runtime: Handle::current(), ready: Bytes::new(), left, idle, voice, from }
    }

    /// Where it comes from, for people.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Bytes left, where the server said how many there are.
    pub fn left(&self) -> Option<u64> {
        // What came and was not read yet is left, too.
        self.left.map(|left| left.saturating_add(self.ready.len() as u64))
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        if !self.ready.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ready)));
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        let mut waited = Duration::ZERO;
        loop {
            match tokio::time::timeout(LOOK, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Ok(Some(data));
                }
                Ok(None) => {
                    self.body = None;
                    return Ok(None);
                }
                Ok(Some(Err(_))) => {
                    self.body = None;
                    let missing = self.left.map(|left| format!(", {left} bytes before its end")).unwrap_or_default();
                    let message = format!("LB0723: the connection broke{missing}");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Err(_) if self.voice.cancelled() => {
                    return Err(io::Error::new(io::ErrorKind::Interrupted, "the attempt was cancelled"));
                }
                Err(_) => {
                    waited += LOOK;
                    if waited >= self.idle {
                        self.body = None;
                        let message = format!("LB0723: nothing came for {} ms", self.idle.as_millis());
                        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                    }
                }
            }
        }
    }

    /// Fills the buffer as far as there are bytes. Blocks; for threads that may.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let runtime = self.runtime.clone();
        let mut count = 0;
        while let Some(space) = buffer.get_mut(count..).filter(|space| !space.is_empty()) {
            let Some(mut data) = runtime.block_on(self.chunk())? else { break };
            let part = data.split_to(data.len().min(space.len()));
            if let Some(front) = space.get_mut(..part.len()) {
                front.copy_from_slice(&part);
            }
            count += part.len();
            self.ready = data;
        }
        Ok(count)
    }
}
