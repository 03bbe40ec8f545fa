//! What happens to a run, as it happens: the reading side of server-sent events.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use lifeboat_core::event::Event;
use lifeboat_core::ids::StepId;
use serde::Deserialize;

/// Bytes of one message. An event carries at most a plan and its text.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// Something that was told of a run.
#[derive(Clone, Debug)]
pub enum Told {
    /// An event.
    Event(u64, Arc<Event>),
    /// How far an attempt has come.
    Progress(Progress),
    /// A line of an attempt's log.
    Log(Log),
    /// The run rests.
    Rest(Resting),
}

/// How far an attempt has come.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// The step.
    pub step: StepId,
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// `bytes`, `files`, …
    pub unit: String,
    /// What is being worked on.
    pub note: String,
}

/// A line of an attempt's log.
#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    /// The step.
    pub step: StepId,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line.
    pub message: String,
}

/// Where a run rests.
#[derive(Clone, Debug, Deserialize)]
pub struct Resting {
    /// `ended`, `person` (it waits for one) or `stopped` (nobody carries it on).
    pub rest: String,
    /// The state of the run.
    pub status: String,
    /// Its last event.
    pub seq: u64,
}

/// A stream of what happens to a run.
pub struct Follow {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Follow {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: Vec::new() }
    }

    /// What comes next; `None` when the stream ended: with the run, or with the connection.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let message: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(told) = read(&String::from_utf8_lossy(&message)) {
                    return Some(told);
                }
            }
            if self.buffer.len() > MESSAGE_MAX {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// A message, if it is one of those that are known. Others are for later clients.
fn read(message: &str) -> Option<Told> {
    let (mut id, mut name, mut data) = (0, "", "");
    for line in message.lines() {
        match line.split_once(": ") {
            Some(("id", value)) => id = value.parse().ok()?,
            Some(("event", value)) => name = value,
            Some(("data", value)) => data = value,
            _ => {}
        }
    }
    match name {
        "event" => Some(Told::Event(id, Arc::new(Event::decode(data.as_bytes()).ok()?))),
        "progress" => Some(Told::Progress(serde_json::from_str(data).ok()?)),
        "log" => Some(Told::Log(serde_json::from_str(data).ok()?)),
        "rest" => Some(Told::Rest(serde_json::from_str(data).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_unknown_ones_passed_over() {
        let rest = "event: rest\ndata: {\"rest\":\"person\",\"status\":\"waiting\",\"seq\":4}\n\n";
        assert!(matches!(read(rest), Some(Told::Rest(Resting { seq: 4, .. }))));
        let event = "id: 7\nevent: event\ndata: {\"v\":1,\"at\":5,\"event\":\"wait-ended\",\"step\":\"s\"}\n\n";
        assert!(matches!(read(event), Some(Told::Event(7, _))));
        for other in [": here\n\n", "retry: 1000\n\n", "event: new\ndata: {}\n\n", "event: rest\ndata: x\n\n"] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
