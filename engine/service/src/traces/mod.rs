//! Traces: what runs do, sent to a collector by OTLP over HTTP in JSON. Nothing waits for it: what does not fit the queue is dropped,
//! what cannot be sent is dropped, and both are counted.

mod send;
mod span;
mod tracer;

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::service::Collector;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::send::Sender;
use self::span::body;
use crate::metrics::Metrics;

pub(crate) use self::span::Span;
pub(crate) use self::tracer::Tracer;

/// Spans that wait to be sent.
const QUEUE: usize = 8_192;
/// Spans of one request.
const BATCH: usize = 512;
/// How long the first span of a request waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the last spans have when the service is stopped.
const LAST: Duration = Duration::from_secs(3);

/// The queue to a collector.
pub(crate) struct Traces {
    queue: mpsc::Sender<Span>,
    metrics: Arc<Metrics>,
    task: JoinHandle<()>,
}

impl Traces {
    /// Begins to send what is queued.
    ///
    /// # Errors
    /// `LB1110` TLS cannot be set up.
    pub(crate) fn start(to: Collector, version: String, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let sender = Sender::new(to)?;
        let (queue, spans) = mpsc::channel(QUEUE);
        let task = tokio::spawn(carry(sender, spans, version, Arc::clone(&metrics)));
        Ok(Self { queue, metrics, task })
    }

    /// Queues spans; what does not fit is dropped and counted.
    pub(crate) fn queue(&self, spans: Vec<Span>) {
        for span in spans {
            if self.queue.try_send(span).is_err() {
                self.metrics.traced("dropped", 1);
            }
        }
    }

    /// Sends what is left, as far as there is time for it.
    pub(crate) async fn finish(self) {
        let Self { queue, mut task, .. } = self;
        drop(queue);
        if tokio::time::timeout(LAST, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn carry(sender: Sender, mut spans: mpsc::Receiver<Span>, version: String, metrics: Arc<Metrics>) {
    let mut failing = false;
    while let Some(first) = spans.recv().await {
        let mut batch = vec![first];
        let gather = tokio::time::sleep(GATHER);
        tokio::pin!(gather);
        while batch.len() < BATCH {
            tokio::select! {
                more = spans.recv() => match more {
                    Some(span) => batch.push(span),
                    None => break,
                },
                () = &mut gather => break,
            }
        }
        let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match sender.send(&body(&batch, &version)).await {
            Ok(refused) => {
                metrics.traced("sent", all.saturating_sub(refused));
                metrics.traced("failed", refused.min(all));
                failing = false;
            }
            Err(why) => {
                metrics.traced("failed", all);
                // Once, and not each second for as long as the collector is down.
                if !failing {
                    tracing::warn!(why, "traces cannot be sent; they are dropped until they can");
                }
                failing = true;
            }
        }
    }
}
