//! The body of an answer: read by threads of the host, as any other source of bytes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use lifeboat_core::ports::AttemptSink;
use tokio::runtime::Handle;

use super::Times;
use super::proof::Proof;
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
    times: Times,
    /// How long was waited for the last few bytes, and how many they are. Time in which nobody reads does not count.
    waited: Duration,
    moved: u64,
    proof: Option<Proof>,
    voice: Arc<Voice>,
    from: String,
}

impl NetSource {
    /// The body of an answer from there. It fails when it comes too slowly, and when it is not what the proof says.
    pub fn new(body: Incoming, times: Times, proof: Option<Proof>, voice: Arc<Voice>, from: String) -> Self {
        let left = body.size_hint().exact();
        let (runtime, ready) = (Handle::current(), Bytes::new());
        Self { body: Some(body), runtime, ready, left, times, waited: Duration::ZERO, moved: 0, proof, voice, from }
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
        loop {
            let begun = Instant::now();
            let came = tokio::time::timeout(LOOK, body.frame()).await;
            self.waited += begun.elapsed();
            match came {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    return self.took(data).map(Some);
                }
                Ok(None) => {
                    self.body = None;
                    self.proved()?;
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
                Err(_) if self.waited >= self.times.idle => return Err(self.slow()),
                Err(_) => {}
            }
        }
    }

    fn took(&mut self, data: Bytes) -> io::Result<Bytes> {
        let count = data.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.moved += count;
        if let Some(proof) = &mut self.proof {
            proof.update(&data);
        }
        if self.left == Some(0) {
            // Nobody has to ask for an end that is known.
            self.proved()?;
        } else if self.moved >= self.times.floor() {
            (self.moved, self.waited) = (0, Duration::ZERO);
        } else if self.waited >= self.times.idle {
            return Err(self.slow());
        }
        Ok(data)
    }

    fn slow(&mut self) -> io::Error {
        self.body = None;
        let (moved, millis) = (self.moved, self.times.idle.as_millis());
        let message = match moved {
            0 => format!("LB0723: nothing came for {millis} ms"),
            _ => format!("LB0723: only {moved} bytes came in {millis} ms"),
        };
        io::Error::new(io::ErrorKind::TimedOut, message)
    }

    fn proved(&mut self) -> io::Result<()> {
        let Some(proof) = self.proof.take() else { return Ok(()) };
        proof.end().map_err(|wrong| {
            self.body = None;
            // It may be right the next time: bits turn on the way, too.
            io::Error::new(io::ErrorKind::ConnectionAborted, wrong)
        })
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
