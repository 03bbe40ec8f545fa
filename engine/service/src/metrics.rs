//! What is counted, and how Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::held::lock;

/// Upper ends of the buckets of quick things, in seconds.
const QUICK: [f64; 11] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0];
/// Upper ends of the buckets of steps, in seconds.
const SLOW: [f64; 12] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];
/// Series of one measure. What comes after is counted under `other`.
const SERIES_MAX: usize = 300;

struct Histogram {
    ends: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Histogram {
    fn new(ends: &'static [f64]) -> Self {
        Self { ends, counts: vec![0; ends.len()], sum: 0.0, count: 0 }
    }

    fn add(&mut self, seconds: f64) {
        for (count, end) in self.counts.iter_mut().zip(self.ends) {
            *count += u64::from(seconds <= *end);
        }
        self.sum += seconds;
        self.count += 1;
    }

    fn print(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        for (end, count) in self.ends.iter().zip(&self.counts) {
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {count}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(out, "{name}_sum{braces} {}", self.sum);
        let _ = writeln!(out, "{name}_count{braces} {}", self.count);
    }
}

#[derive(Default)]
struct Inner {
    steps: BTreeMap<String, Histogram>,
    calls: BTreeMap<String, u64>,
    ended: BTreeMap<String, u64>,
    traced: BTreeMap<&'static str, u64>,
    alerts: BTreeMap<String, u64>,
    schedules: BTreeMap<String, u64>,
    paged: BTreeMap<String, u64>,
    writes: Option<Histogram>,
}

/// All that is counted.
#[derive(Default)]
pub struct Metrics {
    inner: Mutex<Inner>,
    failed_writes: AtomicU64,
    refused: AtomicU64,
    limited: AtomicU64,
    connections: AtomicU64,
    missed: AtomicU64,
    /// Whether the store refused the last write.
    refusing: AtomicBool,
}

/// A number that is looked up when it is asked for.
pub(crate) struct Gauge<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) values: Vec<(String, f64)>,
}

/// A label's value, as the text format writes it.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// A durable write took so long.
    pub(crate) fn wrote(&self, took: Duration, good: bool) {
        self.inner().writes.get_or_insert_with(|| Histogram::new(&QUICK)).add(took.as_secs_f64());
        self.failed_writes.fetch_add(u64::from(!good), Ordering::Relaxed);
        self.refusing.store(!good, Ordering::Release);
    }

    /// Whether the store took the last write.
    pub(crate) fn writes(&self) -> bool {
        !self.refusing.load(Ordering::Acquire)
    }

    /// An attempt of a step of a runbook ended.
    pub(crate) fn stepped(&self, runbook: &str, kind: &str, plugin: &str, outcome: &str, took_ms: u64) {
        let mut inner = self.inner();
        let rest = format!("kind=\"{kind}\",plugin=\"{}\",outcome=\"{outcome}\"", quoted(plugin));
        let mut labels = format!("runbook=\"{}\",{rest}", quoted(runbook));
        if inner.steps.len() >= SERIES_MAX && !inner.steps.contains_key(&labels) {
            labels = format!("runbook=\"other\",kind=\"{kind}\",plugin=\"other\",outcome=\"{outcome}\"");
        }
        let seconds = Duration::from_millis(took_ms).as_secs_f64();
        inner.steps.entry(labels).or_insert_with(|| Histogram::new(&SLOW)).add(seconds);
    }

    /// A run ended.
    pub(crate) fn ended(&self, runbook: &str, mode: &str, result: &str) {
        let mut inner = self.inner();
        let mut labels = format!("runbook=\"{}\",mode=\"{mode}\",result=\"{result}\"", quoted(runbook));
        if inner.ended.len() >= SERIES_MAX && !inner.ended.contains_key(&labels) {
            labels = format!("runbook=\"other\",mode=\"{mode}\",result=\"{result}\"");
        }
        *inner.ended.entry(labels).or_default() += 1;
    }

    /// What became of spans: `sent`, `failed` or `dropped`.
    pub(crate) fn traced(&self, result: &'static str, spans: u64) {
        *self.inner().traced.entry(result).or_default() += spans;
    }

    /// The listener fell behind, and did not count so many things.
    pub(crate) fn missed(&self, count: u64) {
        self.missed.fetch_add(count, Ordering::Relaxed);
    }

    /// A call was answered. The route is one of ours, and not what the caller wrote.
    pub(crate) fn called(&self, method: &str, route: &str, status: u16) {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        *self.inner().calls.entry(labels).or_default() += 1;
    }

    /// Somebody came without a good token.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A message of a hook was judged. The words and codes are ours.
    pub(crate) fn alert(&self, word: &str, code: &str) {
        *self.inner().alerts.entry(format!("word=\"{word}\",code=\"{code}\"")).or_default() += 1;
    }

    /// A schedule was due, and so many times this was decided.
    pub(crate) fn scheduled(&self, decision: &str, count: u64) {
        *self.inner().schedules.entry(format!("decision=\"{decision}\"")).or_default() += count;
    }

    /// A person has to look.
    pub(crate) fn paged(&self, code: &str) {
        *self.inner().paged.entry(format!("code=\"{}\"", quoted(code))).or_default() += 1;
    }

    /// Somebody called too often.
    pub(crate) fn limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The text for Prometheus.
    pub(crate) fn print(&self, gauges: &[Gauge<'_>]) -> String {
        let mut out = String::new();
        for gauge in gauges {
            let kind = if gauge.name.ends_with("_total") { "counter" } else { "gauge" };
            head(&mut out, gauge.name, kind, gauge.help);
            for (labels, value) in &gauge.values {
                // Rust writes `inf`, the format of Prometheus `+Inf`.
                let value = if value.is_finite() { value.to_string() } else { "+Inf".to_owned() };
                let _ = writeln!(out, "{}{labels} {value}", gauge.name);
            }
        }
        let counted = [
            ("lifeboat_refused_total", "Calls without a good token.", &self.refused),
            ("lifeboat_limited_total", "Calls that came too often.", &self.limited),
            ("lifeboat_store_failed_writes_total", "Writes that the store refused.", &self.failed_writes),
            ("lifeboat_uncounted_total", "Happenings of runs that came too fast to be counted.", &self.missed),
        ];
        for (name, help, value) in counted {
            head(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        head(&mut out, "lifeboat_connections", "gauge", "Connections over the network and the socket.");
        let _ = writeln!(out, "lifeboat_connections {}", self.connections.load(Ordering::Relaxed));
        let inner = self.inner();
        head(&mut out, "lifeboat_calls_total", "counter", "Calls by route and status.");
        for (labels, count) in &inner.calls {
            let _ = writeln!(out, "lifeboat_calls_total{{{labels}}} {count}");
        }
        let more = [
            ("lifeboat_runs_ended_total", "Runs that ended since the start of the service.", &inner.ended),
            (
                "lifeboat_alerts_total",
                "Messages of hooks by what became of them; with a code, they were refused.",
                &inner.alerts,
            ),
            ("lifeboat_schedules_total", "Due times of schedules by what was decided.", &inner.schedules),
            (
                "lifeboat_pages_total",
                "Incidents that a person has to look at, by the code of the reason.",
                &inner.paged,
            ),
        ];
        for (name, help, counts) in more {
            head(&mut out, name, "counter", help);
            for (labels, count) in counts {
                let _ = writeln!(out, "{name}{{{labels}}} {count}");
            }
        }
        head(&mut out, "lifeboat_trace_spans_total", "counter", "Spans of traces by what became of them.");
        for result in ["sent", "failed", "dropped"] {
            let count = inner.traced.get(result).copied().unwrap_or(0);
            let _ = writeln!(out, "lifeboat_trace_spans_total{{result=\"{result}\"}} {count}");
        }
        head(&mut out, "lifeboat_step_seconds", "histogram", "How long attempts of steps took.");
        for (labels, histogram) in &inner.steps {
            histogram.print(&mut out, "lifeboat_step_seconds", labels);
        }
        head(&mut out, "lifeboat_store_write_seconds", "histogram", "How long a durable write took.");
        if let Some(histogram) = &inner.writes {
            histogram.print(&mut out, "lifeboat_store_write_seconds", "");
        }
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_labels_are_quoted() {
        let metrics = Metrics::new();
        metrics.stepped("a\"b", "verify", "s3", "done", 200);
        metrics.stepped("a\"b", "verify", "s3", "done", 2_000);
        metrics.ended("a\"b", "drill", "succeeded");
        metrics.traced("sent", 3);
        metrics.wrote(Duration::from_micros(300), true);
        metrics.wrote(Duration::from_secs(9), false);
        metrics.called("GET", "/v1/runs", 200);
        let gauge = Gauge {
            name: "g",
            help: "h.",
            values: vec![("{x=\"1\"}".to_owned(), 7.0), (String::new(), f64::INFINITY)],
        };
        let text = metrics.print(&[gauge]);
        for line in [
            "g{x=\"1\"} 7",
            "g +Inf",
            "lifeboat_runs_ended_total{runbook=\"a\\\"b\",mode=\"drill\",result=\"succeeded\"} 1",
            "lifeboat_trace_spans_total{result=\"sent\"} 3",
            "lifeboat_trace_spans_total{result=\"dropped\"} 0",
            "lifeboat_step_seconds_bucket{runbook=\"a\\\"b\",kind=\"verify\",plugin=\"s3\",outcome=\"done\",le=\"0.5\"} 1",
            "lifeboat_step_seconds_bucket{runbook=\"a\\\"b\",kind=\"verify\",plugin=\"s3\",outcome=\"done\",le=\"+Inf\"} 2",
            "lifeboat_step_seconds_sum{runbook=\"a\\\"b\",kind=\"verify\",plugin=\"s3\",outcome=\"done\"} 2.2",
            "lifeboat_store_write_seconds_bucket{le=\"0.0005\"} 1",
            "lifeboat_store_write_seconds_count 2",
            "lifeboat_store_failed_writes_total 1",
            "lifeboat_calls_total{method=\"GET\",route=\"/v1/runs\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn names_without_end_make_no_series_without_end() {
        let metrics = Metrics::new();
        for name in 0..1_000 {
            metrics.stepped(&name.to_string(), "wait", "", "done", 1);
            metrics.ended(&name.to_string(), "drill", "failed");
        }
        assert!(metrics.inner().steps.len() <= SERIES_MAX + 1);
        assert!(metrics.inner().ended.len() <= SERIES_MAX + 1);
    }
}
