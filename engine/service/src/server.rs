//! The service as a whole: its start and its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_notify::{Dispatcher, Setting};
use tokio::task::JoinHandle;

use crate::app::{App, Parts};
use crate::intake::Door;
use crate::net::{Doors, Socket, Tls, bind, local, network};
use crate::notices::Notices;
use crate::traces::Traces;
use crate::watch::{Watch, Watching};

/// How often folders of runbooks and the files of TLS are looked at. By time of change and not by the system's notices: those
/// do not come from all kinds of file system.
const LOOK: Duration = Duration::from_secs(2);

/// A service that runs.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    doors: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    watching: Watching,
    taken_up: (usize, usize),
}

impl Server {
    /// Takes up the runs that have not ended, reads the runbooks, and begins to listen. All is ready when this returns.
    ///
    /// # Errors
    /// `LB1050` where it may not or cannot listen, `LB1051` for the files of TLS; the store's.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        parts.settings.safe()?;
        let tls = parts.settings.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
        let folder = parts.folder.clone();
        let listener = bind(parts.settings.listen).await?;
        let address = listener.local_addr().unwrap_or(parts.settings.listen);
        let socket = Socket::bind(&folder)?;
        let store = Arc::clone(&parts.store);
        let dispatcher = Dispatcher::start(Setting {
            courier: Arc::clone(&parts.courier),
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            rng: Arc::clone(&parts.rng),
            public_url: parts.settings.public_url.clone(),
        });
        let dispatcher = dispatcher.await?;
        let app = App::new(parts, dispatcher);
        let notices = app.runs.engine.watch();
        let mut others = vec![app.runs.listen()];
        let traces = app.settings.traces.clone();
        let traces = traces.map(|to| Traces::start(to, app.version.clone(), Arc::clone(&app.metrics))).transpose()?;
        let watching = Watch::new(store, Arc::clone(&app.metrics), traces).listen(&app.runs.engine);
        look(&app, tls.as_ref()).await;
        // Before anybody can speak to a run: a run has one actor.
        let taken_up = app.runs.take_up().await?;
        others.extend(crate::alerts::begin(&app).await);
        others.push(crate::schedules::begin(&app));
        others.extend(crate::readiness::begin(&app));
        others.push(crate::leftovers::begin(&app));
        others.push(Notices::follow(&app, notices));
        app.ready.store(true, Ordering::Release);
        let doors = Doors::new(&app, crate::http::router(&app));
        let (watched, files) = (Arc::clone(&app), tls.clone());
        others.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                look(&watched, files.as_ref()).await;
            }
        }));
        let doors = vec![tokio::spawn(network(doors.clone(), listener, tls)), tokio::spawn(local(doors, socket))];
        Ok(Self { app, address, doors, others, watching, taken_up })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many runs were taken up at the start, and how many more could not be.
    pub fn taken_up(&self) -> (usize, usize) {
        let (all, bad) = self.taken_up;
        (all - bad, bad)
    }

    /// How many runbooks can be run, and how many files are refused.
    pub fn runbooks(&self) -> (usize, usize) {
        let all = self.app.library.all();
        let good = all.iter().filter(|view| view.good).count();
        (good, all.len() - good)
    }

    /// Whether the store answers: what a watchdog wants to know.
    pub async fn is_well(&self) -> bool {
        self.app.runs.look(|_| ()).await.is_ok()
    }

    /// The way in for what starts runs without a person.
    pub fn door(&self) -> Door {
        Door::new(Arc::clone(&self.app))
    }

    /// Ends the service: nothing new is taken or begun, attempts under way have the time that the operator gives them, and what
    /// is left is handed back. The number of runs that were left with attempts under way.
    pub async fn stop(self) -> usize {
        self.app.stopping.send_replace(true);
        let doors = async {
            for door in self.doors {
                // A door that fell is closed.
                let _ = door.await;
            }
            // Nobody comes in any more.
            self.app.alerts.stop().await;
        };
        let ((), left) = tokio::join!(doors, self.app.runs.engine.close(self.app.settings.grace_ms));
        for other in self.others {
            other.abort();
            // It was cut off, as it was meant to be.
            let _ = other.await;
        }
        self.watching.finish().await;
        self.app.dispatcher.stop().await;
        left
    }
}

/// Looks at what the operator may have changed. To read and compile takes long, and is done where that does no harm.
async fn look(app: &Arc<App>, tls: Option<&Arc<Tls>>) {
    let (app, tls) = (Arc::clone(app), tls.cloned());
    let looked = tokio::task::spawn_blocking(move || {
        if let Some(tls) = tls {
            tls.look(&app);
        }
        app.library.look();
    });
    if let Err(cause) = looked.await {
        tracing::error!("to look at the runbooks came to a sudden end: {cause}");
    }
}
