//! Server-sent events of a run. What has an id is durable and read from the store, so nothing is missed; the notices of the
//! engine only say when to look.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_runtime::{Notice, Rest, RunHandle};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};

use crate::app::App;
use crate::problem::Problem;

/// Pieces that a slow reader may be behind. Then the stream waits for it; nothing is lost.
const BEHIND: usize = 64;
/// How often a silent stream says that it is there.
const PING: Duration = Duration::from_secs(15);
/// The longest life of a stream. Who comes back shows the token anew, which may have been revoked.
const LIFE: Duration = Duration::from_secs(3_600);
/// How often the store is looked at, whatever the engine says.
const LOOK: Duration = Duration::from_secs(2);

/// A body that is written piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Why a stream is over.
struct Over;

struct Stream {
    app: Arc<App>,
    run: RunId,
    last: u64,
    out: mpsc::Sender<Bytes>,
    notices: broadcast::Receiver<Notice>,
    stopping: watch::Receiver<bool>,
    handle: Option<RunHandle>,
    /// What was said last of where the run rests.
    rest: Option<String>,
    _permit: OwnedSemaphorePermit,
}

/// The events of a run after that number, and what comes.
///
/// # Errors
/// `LB1060` too many streams.
pub(crate) fn of_run(app: &Arc<App>, run: RunId, after: u64) -> Result<Body, Problem> {
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let error = Error::new("LB1060", "there are too many streams").hint("close some, or raise 'connections'");
        Problem { retry_after_s: Some(10), ..Problem::from(error) }
    })?;
    let (out, pieces) = mpsc::channel(BEHIND);
    let stream = Stream {
        // Listened to before the first look, so that nothing falls between.
        notices: app.runs.engine.watch(),
        stopping: app.stopping.subscribe(),
        handle: None,
        app: Arc::clone(app),
        run,
        last: after,
        out,
        rest: None,
        _permit: permit,
    };
    tokio::spawn(async move { drop(tokio::time::timeout(LIFE, stream.live()).await) });
    Ok(Body::new(Pieces(pieces)))
}

impl Stream {
    async fn live(mut self) {
        // A reader that went away, and the end of the run, are ends like any other.
        let _ = self.go_on().await;
    }

    async fn go_on(&mut self) -> Result<(), Over> {
        self.send("retry: 1000\n\n".to_owned()).await?;
        loop {
            self.tell_events().await?;
            self.tell_rest().await?;
            self.wait().await?;
        }
    }

    async fn send(&self, text: String) -> Result<(), Over> {
        self.out.send(Bytes::from(text)).await.map_err(|_| Over)
    }

    async fn tell_events(&mut self) -> Result<(), Over> {
        let events = self.app.runs.events(&self.run, self.last).await.map_err(|_| Over)?;
        for event in events {
            // A stored event is one line of JSON.
            let text = String::from_utf8_lossy(&event.bytes);
            self.send(format!("id: {}\nevent: event\ndata: {text}\n\n", event.seq)).await?;
            self.last = event.seq;
        }
        Ok(())
    }

    /// Says where the run rests, when that changed. The end of the run ends the stream.
    async fn tell_rest(&mut self) -> Result<(), Over> {
        self.handle = self.app.runs.handle(&self.run);
        let row = self.app.runs.row(&self.run).await.map_err(|_| Over)?;
        let status = row.summary.status;
        let word = if status.is_final() {
            Some("ended")
        } else {
            match self.handle.as_ref().map(RunHandle::resting) {
                // Right after a verb the rest is still the one that the verb ends.
                Some(Some(Rest::Person(state))) if state.seq == row.seq => Some("person"),
                Some(_) => None,
                None => self.app.runs.why_stopped(&self.run).map(|_| "stopped"),
            }
        };
        let Some(word) = word else {
            self.rest = None;
            return Ok(());
        };
        let said = json!({ "rest": word, "status": status.as_str(), "seq": row.seq }).to_string();
        if row.seq == self.last && self.rest.as_ref() != Some(&said) {
            self.send(format!("event: rest\ndata: {said}\n\n")).await?;
            self.rest = Some(said);
        }
        let over = word == "ended" && row.seq == self.last;
        if over { Err(Over) } else { Ok(()) }
    }

    /// Waits until there may be something new, and passes on what is not durable meanwhile.
    async fn wait(&mut self) -> Result<(), Over> {
        let look = tokio::time::sleep(LOOK);
        let ping = tokio::time::sleep(PING);
        tokio::pin!(look, ping);
        loop {
            let handle = &mut self.handle;
            let changed = async move {
                match handle {
                    Some(handle) => {
                        handle.changed().await;
                    }
                    None => std::future::pending().await,
                }
            };
            let passed = tokio::select! {
                notice = self.notices.recv() => match notice {
                    Ok(Notice::Event { run, .. }) if run == self.run => return Ok(()),
                    Ok(notice) => passing(&self.run, &notice),
                    Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
                    Err(broadcast::error::RecvError::Closed) => return Err(Over),
                },
                () = changed => return Ok(()),
                () = &mut look => return Ok(()),
                () = self.out.closed() => return Err(Over),
                _ = self.stopping.wait_for(|stopping| *stopping) => return Err(Over),
                () = &mut ping => Some(": here\n\n".to_owned()),
            };
            if let Some(text) = passed {
                self.send(text).await?;
            }
        }
    }
}

/// Progress and log lines of the run, as they are sent.
fn passing(run: &RunId, notice: &Notice) -> Option<String> {
    let (name, value) = match notice {
        Notice::Progress { run: of, step, done, total, unit, note } if of == run => {
            ("progress", json!({ "step": step, "done": done, "total": total, "unit": unit, "note": note }))
        }
        Notice::Log { run: of, step, level, message } if of == run => {
            ("log", json!({ "step": step, "level": level, "message": message }))
        }
        _ => return None,
    };
    Some(format!("event: {name}\ndata: {value}\n\n"))
}
