//! The rules of sending: what may be sent again, after which pause, and when a request under way is given up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::Response;
use hyper::body::Incoming;
use lifeboat_core::ports::AttemptSink;

use super::Times;
use super::body::Fed;
use super::send::cancelled;
use super::url::Url;
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::guest_error;
use crate::voice::Voice;

/// From this size on, sending reports progress.
const REPORTED: u64 = 8 * 1024 * 1024;

/// Looks at a request under way.
pub struct Watch<'a> {
    /// The times.
    pub times: &'a Times,
    /// How long the server may think: what only reads takes no minutes.
    pub answer: Duration,
    /// Whether to stop.
    pub voice: &'a Voice,
    /// When its time is over.
    pub end: Instant,
    /// Bytes of the body.
    pub len: u64,
    /// Bytes that had moved when the time began.
    pub moved: u64,
    /// When it began.
    pub since: Instant,
    /// Bytes that were reported.
    pub told: u64,
}

impl Watch<'_> {
    /// Why to give up, where another sending may fare better.
    pub fn look(&mut self, fed: &Fed, url: &Url) -> Result<Option<GuestError>, GuestError> {
        if self.voice.cancelled() {
            return Err(cancelled());
        }
        let late =
            |what: String| guest_error(ErrorKind::Temporary, format!("LB0723: no answer from {}: {what}", url.shown()));
        let now = Instant::now();
        if now >= self.end {
            return Err(late("its time is over".to_owned()));
        }
        let moved = fed.moved.load(Ordering::Relaxed);
        if moved != self.told && self.len >= REPORTED {
            self.told = moved;
            self.voice.progress(moved, Some(self.len), "bytes", "");
        }
        // What is at its end waits for the answer from there on; what is not has to get ahead.
        let ended = moved >= self.len && self.moved < self.len;
        if ended || moved.saturating_sub(self.moved) >= self.times.floor() {
            (self.moved, self.since) = (moved, now);
        }
        let limit = if moved < self.len { self.times.idle } else { self.answer };
        let bytes = moved.saturating_sub(self.moved);
        Ok((now.duration_since(self.since) >= limit).then(|| match bytes {
            0 => late(format!("nothing moved for {} ms", limit.as_millis())),
            _ => late(format!("only {bytes} bytes moved in {} ms", limit.as_millis())),
        }))
    }
}

/// Whether the method changes nothing.
pub fn safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// Whether it does no harm to send it again.
pub fn idempotent(method: &str) -> bool {
    safe(method) || matches!(method, "PUT" | "DELETE")
}

/// The pause before the next sending: doubled each time, and somewhere in its upper half, so that many do not come at once.
pub fn backoff(times: &Times, sends: u32) -> Duration {
    let full = times.pause.saturating_mul(1 << sends.saturating_sub(1).min(16)).min(times.pause_max);
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    full / 2 + (full / 2).mul_f64(f64::from(nanos % 1_000) / 1_000.0)
}

/// How long the server asks to wait: seconds, or a date.
pub fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?;
    wait_of(text, jiff::Timestamp::now())
}

fn wait_of(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Duration::from_secs(u64::try_from(at.as_second().saturating_sub(now.as_second())).unwrap_or(0)))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_server_says_how_long_to_wait_in_seconds_or_by_a_date() {
        let now: jiff::Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        assert_eq!(wait_of("120", now), Some(Duration::from_secs(120)));
        assert_eq!(wait_of("Wed, 21 Oct 2015 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait_of("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait_of("soon", now), None);
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let times = Times::default();
        for (sends, full) in [(1, 200), (2, 400), (5, 3_200), (40, 30_000)] {
            let pause = backoff(&times, sends).as_millis();
            assert!((full / 2..=full).contains(&pause), "{sends}: {pause}");
        }
    }
}
