//! Who looks at the estate without changing anything: plugins, secrets, vaults and disks asked, for readiness and for what is in a
//! vault. The command line and the service look through the same.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::grants::Operator;
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Mode, Plan, Target};
use lifeboat_core::ports::{Attempt, BoxFuture, Clock, Rng};
use lifeboat_core::verified::Policy;
use lifeboat_core::{Error, Failure, RunId};
use lifeboat_host::ports::{ObjectStore, Secret, Secrets};
use lifeboat_host::{Host, OperatorSecrets};
use lifeboat_readiness::{Asks, Finding, Newest, Past, Question, Row};
use lifeboat_service::{SnapshotView, too_long};
use serde_json::Value;

use crate::clock::{SystemClock, SystemRng};

/// Who looks, with what the operator grants.
#[derive(Clone)]
pub struct Eyes {
    host: Host,
    operator: Arc<Operator>,
    secrets: Arc<dyn Secrets>,
}

/// What is looked at.
pub struct Sight<'a> {
    /// The plan.
    pub plan: &'a Arc<Plan>,
    /// How often its runbook wants to be drilled.
    pub verification: Option<Policy>,
    /// What earlier runs say.
    pub past: &'a Past,
    /// The site that is taken for lost.
    pub site_lost: Option<&'a str>,
    /// How long it may take; `None`: as long as it takes.
    pub limit: Option<Duration>,
}

/// A store and the password of the vault in it.
pub type Place = (Arc<dyn ObjectStore>, Secret);

impl Eyes {
    /// Looks by that sandbox, which was made of that operator's file.
    pub fn new(host: Host, operator: Operator) -> Self {
        let secrets = Arc::new(OperatorSecrets::new(&operator));
        Self { host, operator: Arc::new(operator), secrets }
    }

    /// Looks whether a plan could be carried out now.
    ///
    /// # Errors
    /// `LB1155` the plan has nothing at the site that is taken for lost.
    pub async fn look(&self, sight: &Sight<'_>) -> Result<Vec<Row>, Error> {
        let Sight { plan, verification, past, site_lost, limit } = *sight;
        let graph = PlanGraph::new(plan)
            .map_err(|cause| Error::new("LB0503", "the plan is no graph").with("cause", format!("{cause:?}")))?;
        let eyes = match site_lost {
            Some(site) => self.without(lifeboat_readiness::lost(plan, site)?),
            None => self.clone(),
        };
        let now = SystemClock.now_ms();
        let run = RunId::new(now, SystemRng.next_u64());
        let operator = &eyes.operator;
        let question = Question { plan, graph: &graph, operator, site_lost, verification, past, run: &run, now };
        let mut rows = Vec::new();
        let look = lifeboat_readiness::look(&eyes, &question, &mut rows);
        match limit {
            None => look.await,
            Some(limit) => {
                if tokio::time::timeout(limit, look).await.is_err() {
                    rows.push(Row::bad("readiness", too_long(limit)));
                }
            }
        }
        Ok(rows)
    }

    /// The same eyes, which cannot reach what is lost.
    fn without(&self, lost: lifeboat_core::grants::Lost) -> Self {
        let operator = Operator { lost, ..Operator::clone(&self.operator) };
        Self {
            host: self.host.under(operator.clone()),
            operator: Arc::new(operator),
            secrets: Arc::clone(&self.secrets),
        }
    }

    /// Reads a secret. Programs and servers that keep secrets may take their time.
    async fn read(&self, name: &str) -> Result<Secret, Error> {
        let (secrets, name) = (Arc::clone(&self.secrets), name.to_owned());
        let read = tokio::task::spawn_blocking(move || secrets.get(&name)).await;
        read.map_err(|cause| Error::new("LB0904", "to read a secret came to a sudden end").with("cause", cause))?
    }

    /// The store and the password of a vault that a plan names.
    ///
    /// # Errors
    /// `LB0902` the plan has no such target, or it is no vault; what the operator file has against it.
    pub async fn vault(&self, plan: &Plan, vault: &str) -> Result<Place, Error> {
        let target = plan.targets.get(vault).ok_or_else(|| {
            let names: Vec<&str> = plan.targets.keys().map(String::as_str).collect();
            Error::new("LB0902", format!("the runbook has no target '{vault}'"))
                .hint(format!("its targets are: {}", names.join(", ")))
        })?;
        let secret = target.secrets.get("password").ok_or_else(|| {
            Error::new("LB0902", format!("target '{vault}' is no vault: it names no password"))
                .hint("a vault's target has a line: password secret=\"NAME\"")
        })?;
        let password = self.read(secret).await?;
        let store = self.host.object_store(target, target.settings.clone(), plan.mode)?;
        Ok((lifeboat_vault::slowed(store, target.upload_limit()), password))
    }

    /// The snapshots of a vault that a plan names, oldest first, with what is suspect.
    ///
    /// # Errors
    /// As [`Eyes::vault`]; what the vault has against it.
    pub async fn snapshots(&self, plan: &Plan, vault: &str) -> Result<Vec<SnapshotView>, Error> {
        let (store, password) = self.vault(plan, vault).await?;
        let failed = |failure| of_vault(failure, vault);
        let opened = lifeboat_vault::open(store, password, false).await.map_err(failed)?;
        let all = Arc::clone(&opened).snapshots(None).await.map_err(failed)?;
        let mut doubts = Arc::clone(&opened).doubts(None).await.map_err(failed)?;
        let view = |found: lifeboat_host::ports::SnapshotInfo| SnapshotView {
            suspect: doubts.remove(&found.id).unwrap_or_default(),
            id: found.id,
            time_ms: found.time_ms,
            label: found.label,
            tags: found.tags,
            files: found.files,
            bytes: found.bytes,
            bytes_added: found.bytes_added,
            parent: found.parent,
        };
        Ok(all.into_iter().map(view).collect())
    }

    async fn find_newest(&self, target: &Target, settings: Value, mode: Mode) -> Result<Option<Newest>, Error> {
        let name = target.secrets.get("password").map_or("", String::as_str);
        let password = self.read(name).await?;
        let store = self.host.object_store(target, settings, mode)?;
        let failed = |failure| error_of(failure, "LB0806");
        let vault = lifeboat_vault::open(store, password, false).await.map_err(failed)?;
        let newest = vault.snapshots(None).await.map_err(failed)?.pop();
        Ok(newest.map(|found| Newest { id: found.id, time_ms: found.time_ms, bytes: found.bytes }))
    }
}

impl Asks for Eyes {
    fn step<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Vec<Finding>, Error>> {
        Box::pin(async move {
            let found = self.host.readiness(attempt).await.map_err(|failure| error_of(failure, "LB1159"))?;
            Ok(found.into_iter().map(|one| Finding { ok: one.ok, message: one.message }).collect())
        })
    }

    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.read(name).await.map(drop) })
    }

    fn newest<'a>(
        &'a self,
        target: &'a Target,
        settings: Value,
        mode: Mode,
    ) -> BoxFuture<'a, Result<Option<Newest>, Error>> {
        Box::pin(self.find_newest(target, settings, mode))
    }

    fn free<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<u64>> {
        let root = root.to_owned();
        // A disk that hangs holds up one thread, and not the others' work.
        Box::pin(async move { tokio::task::spawn_blocking(move || free(&root)).await.ok().flatten() })
    }
}

/// Bytes that are free on the disk of a folder that may not be there yet.
fn free(root: &Path) -> Option<u64> {
    let there = root.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// An error that a failure of the sandbox or of a vault stands for.
fn error_of(failure: Failure, otherwise: &'static str) -> Error {
    let mut error = Error::new(otherwise, failure.message);
    if let Some(code) = failure.code {
        error.code = code;
    }
    error.hint = failure.hint;
    error
}

/// A failure of a vault as an error for a person. What the store says itself has no code.
pub fn of_vault(failure: Failure, vault: &str) -> Error {
    error_of(failure, "LB0760").with("vault", vault)
}
