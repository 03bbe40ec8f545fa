//! What people say to a run. The name that is recorded is the caller's, whatever the body says.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use lifeboat_core::Error;
use lifeboat_core::event::{EventKind, EvidenceFile, Said};
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::state::{Phase, RunState};
use lifeboat_runtime::{Loaded, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer;
use super::ask::{self, Json, Place, Slot};
use super::views::RunView;
use crate::access::{Person, Right};
use crate::app::App;
use crate::once::Note;
use crate::problem::Problem;

/// Why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SaidBody {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Yes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// The fingerprint of the plan that was looked at.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fingerprint: Option<Digest>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// How a run is cancelled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Whether what was done is undone, in reverse order.
    #[serde(default)]
    pub compensate: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A step that was done by hand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MarkDoneBody {
    /// Its outputs, as its plugin would have given them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub outputs: Value,
    /// Files in the data folder that show it. Over the socket only: who sends it has put them there.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>, max_items = 0))]
    pub evidence: Vec<EvidenceFile>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// That a switch may use what is suspect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AttestBody {
    /// Files in the data folder that show what was looked at, one at least. Over the socket only, as for mark-done.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub evidence: Vec<EvidenceFile>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// One call: who says it, to what, under which key.
struct Call {
    app: Arc<App>,
    person: Person,
    slot: Slot,
    headers: HeaderMap,
    run: String,
}

/// What is said, once the run is known.
type Make = Box<dyn FnOnce(&RunState) -> Result<Verb, Problem> + Send>;

impl Call {
    async fn speak(self, right: Right, reason: String, make: Make) -> Result<Response, Problem> {
        let Self { app, person, slot, headers, run } = self;
        ask::plain("the reason", &reason)?;
        let run = ask::run_id(&run)?;
        person.may(right)?;
        let turn = app.runs.turn(&run).await;
        let loaded = turn.load().await?;
        person.may_on(right, &loaded.state.plan.runbook, loaded.state.plan.mode)?;
        let verb = make(&loaded.state)?;
        let said = Said { by: person.name, why: reason };
        let earlier = slot.earlier().await;
        let was_said = matches!(earlier, Some(Note::Seq(seq)) if spoken_since(&loaded, seq, &verb, &said));
        if !was_said {
            unchanged(&headers, loaded.state.seq)?;
            if !app.settings.sole_approver {
                different_people(&loaded.state, &verb, &said)?;
            }
            if earlier.is_none() {
                slot.note(Note::Seq(loaded.head.seq)).await?;
            }
            drop(loaded);
            turn.say(verb, said).await?;
        }
        let state = turn.load().await?.state;
        answer::of_run(StatusCode::OK, &RunView::of(&app, &state), state.seq)
    }
}

/// Whether the verb is among the events since then: the service died after it was durable, and before it was said so.
pub(super) fn spoken_since(loaded: &Loaded, seq: u64, verb: &Verb, said: &Said) -> bool {
    let skip = usize::try_from(seq).unwrap_or(usize::MAX);
    loaded.events.iter().skip(skip).any(|event| match (&event.kind, verb) {
        (EventKind::StepRetried { step, said: by }, Verb::Retry(of))
        | (EventKind::StepSkipped { step, said: by }, Verb::Skip(of))
        | (EventKind::Approved { step, said: by, .. }, Verb::Approve { step: of, .. })
        | (EventKind::Denied { step, said: by }, Verb::Deny { step: of, .. })
        | (EventKind::SuspectAttested { step, said: by, .. }, Verb::Attest { step: of, .. })
        | (EventKind::StepMarkedDone { step, said: by, .. }, Verb::MarkDone { step: of, .. }) => {
            step == of && by == said
        }
        (EventKind::RunPaused { said: by }, Verb::Pause)
        | (EventKind::RunUnpaused { said: by }, Verb::Unpause)
        | (EventKind::CleanupStarted { said: Some(by), .. }, Verb::Cleanup)
        | (EventKind::RunAbandoned { said: by }, Verb::Abandon)
        | (EventKind::CancelRequested { said: by, .. }, Verb::Cancel { .. }) => by == said,
        _ => false,
    })
}

/// A verb that names a state is spoken in that state only.
pub(super) fn unchanged(headers: &HeaderMap, seq: u64) -> Result<(), Problem> {
    match ask::if_match(headers)? {
        Some(named) if named != seq => Err(Error::new("LB1063", "the run has changed since it was looked at")
            .with("named", named)
            .with("is", seq)
            .hint("look at it again, and send its new ETag")
            .into()),
        _ => Ok(()),
    }
}

/// Who started a run may be one of several to approve it, and not the only one.
pub(super) fn different_people(state: &RunState, verb: &Verb, said: &Said) -> Result<(), Error> {
    let Verb::Approve { step, .. } = verb else { return Ok(()) };
    let Some((plan, now)) = state.step(step) else { return Ok(()) };
    let Phase::Approval { given, .. } = &now.phase else { return Ok(()) };
    let starter = &state.said.by;
    let quorum = plan.approval.as_ref().map_or(1, |approval| approval.quorum);
    // Who says yes twice counts once; the engine refuses the second one.
    let yes: BTreeSet<&String> = given.iter().map(|given| &given.by).chain([&said.by]).collect();
    let others = yes.iter().any(|by| *by != starter);
    if others || yes.len() < usize::try_from(quorum).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Error::new("LB1054", format!("{starter} started this run, and cannot be the only one to approve it"))
        .with("run", &state.run)
        .with("step", step)
        .hint("somebody else has to say yes; 'sole-approver #true' in the operator's file lets one person do both"))
}

macro_rules! call {
    ($app:ident, $person:ident, $slot:ident, $headers:ident, $run:ident) => {
        Call { app: $app, person: $person, slot: $slot, headers: $headers, run: $run }
    };
}

/// A verb on a step, with a reason and nothing else.
macro_rules! on_step {
    ($name:ident, $path:literal, $id:literal, $right:expr, $doc:literal, $verb:expr) => {
        #[doc = $doc]
        #[cfg_attr(feature = "openapi", utoipa::path(post, path = $path, operation_id = $id, tag = "verbs", request_body = SaidBody,
            params(("run" = String, Path, description = "The run."), ("step" = String, Path, description = "The step."),
                ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
                ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
            responses(
            (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
            (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
        )))]
        pub(crate) async fn $name(
            State(app): State<Arc<App>>,
            person: Person,
            slot: Slot,
            headers: HeaderMap,
            Place((run, step)): Place<(String, String)>,
            Json(body): Json<SaidBody>,
        ) -> Result<Response, Problem> {
            let make: fn(&App, &Person, StepId) -> Verb = $verb;
            let verb = make(&app, &person, StepId(step));
            call!(app, person, slot, headers, run).speak($right, body.reason, Box::new(|_| Ok(verb))).await
        }
    };
}

/// A verb on a run, with a reason and nothing else.
macro_rules! on_run {
    ($name:ident, $path:literal, $id:literal, $doc:literal, $verb:expr) => {
        #[doc = $doc]
        #[cfg_attr(feature = "openapi", utoipa::path(post, path = $path, operation_id = $id, tag = "verbs", request_body = SaidBody,
            params(("run" = String, Path, description = "The run."),
                ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
                ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
            responses(
            (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
            (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
        )))]
        pub(crate) async fn $name(
            State(app): State<Arc<App>>,
            person: Person,
            slot: Slot,
            headers: HeaderMap,
            Place(run): Place<String>,
            Json(body): Json<SaidBody>,
        ) -> Result<Response, Problem> {
            call!(app, person, slot, headers, run).speak(Right::Steer, body.reason, Box::new(|_| Ok($verb))).await
        }
    };
}

on_step!(
    retry,
    "/v1/runs/{run}/steps/{step}/retry",
    "retry-step",
    Right::Steer,
    "Try a failed or in-doubt step again.",
    |_, _, step| Verb::Retry(step)
);
on_step!(skip, "/v1/runs/{run}/steps/{step}/skip", "skip-step", Right::Steer, "Go on without a step.", |_, _, step| {
    Verb::Skip(step)
});
on_step!(
    deny,
    "/v1/runs/{run}/steps/{step}/deny",
    "deny-step",
    Right::Answer,
    "Say no to an approval.",
    |app, person, step| Verb::Deny { step, roles: app.workshop.roles_of(&person.name) }
);
on_run!(pause, "/v1/runs/{run}/pause", "pause-run", "Begin nothing new in a run.", Verb::Pause);
on_run!(unpause, "/v1/runs/{run}/unpause", "unpause-run", "Let a paused run go on.", Verb::Unpause);
on_run!(
    cleanup,
    "/v1/runs/{run}/cleanup",
    "clean-up-run",
    "Remove what a run that has ended left behind.",
    Verb::Cleanup
);
on_run!(
    abandon,
    "/v1/runs/{run}/abandon",
    "abandon-run",
    "Take over by hand: the run ends as it is, and nothing is undone.",
    Verb::Abandon
);

/// Say yes to an approval, to the plan with that fingerprint.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/steps/{step}/approve", operation_id = "approve-step", tag = "verbs",
    request_body = ApproveBody,
    params(("run" = String, Path, description = "The run."), ("step" = String, Path, description = "The step."),
        ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
    responses(
    (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    person: Person,
    slot: Slot,
    headers: HeaderMap,
    Place((run, step)): Place<(String, String)>,
    Json(body): Json<ApproveBody>,
) -> Result<Response, Problem> {
    let roles = app.workshop.roles_of(&person.name);
    let local = person.is_local();
    let make = move |state: &RunState| match body.fingerprint {
        Some(fingerprint) => Ok(Verb::Approve { step: StepId(step), fingerprint, roles }),
        // At the machine itself the plan is shown by the command before; over the network the caller says what was looked at.
        None if local => Ok(Verb::Approve { step: StepId(step), fingerprint: state.fingerprint.clone(), roles }),
        None => Err(Error::new("LB1055", "an approval names the fingerprint of the plan that was looked at")
            .hint("GET /v1/runs/{run} gives it")
            .into()),
    };
    call!(app, person, slot, headers, run).speak(Right::Answer, body.reason, Box::new(make)).await
}

/// Say that a step was done by hand.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/steps/{step}/mark-done", operation_id = "mark-step-done", tag = "verbs",
    request_body = MarkDoneBody,
    params(("run" = String, Path, description = "The run."), ("step" = String, Path, description = "The step."),
        ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
    responses(
    (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn mark_done(
    State(app): State<Arc<App>>,
    person: Person,
    slot: Slot,
    headers: HeaderMap,
    Place((run, step)): Place<(String, String)>,
    Json(body): Json<MarkDoneBody>,
) -> Result<Response, Problem> {
    let MarkDoneBody { outputs, evidence, reason } = body;
    attached_here(&evidence, &person, "mark-done")?;
    let outputs = if outputs.is_null() { Value::Object(serde_json::Map::new()) } else { outputs };
    let verb = Verb::MarkDone { step: StepId(step), outputs, evidence };
    call!(app, person, slot, headers, run).speak(Right::Steer, reason, Box::new(|_| Ok(verb))).await
}

/// Files are kept by who attaches them, in the data folder.
fn attached_here(evidence: &[EvidenceFile], person: &Person, verb: &str) -> Result<(), Problem> {
    if evidence.is_empty() || person.is_local() {
        return Ok(());
    }
    Err(Error::new("LB1053", "files are attached at the machine of the service only")
        .hint(format!("'lifeboat {verb} --evidence FILE' there keeps them"))
        .into())
}

/// Attest that a switch may use a snapshot that is suspect.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/steps/{step}/attest", operation_id = "attest-step", tag = "verbs",
    request_body = AttestBody,
    params(("run" = String, Path, description = "The run."), ("step" = String, Path, description = "The step."),
        ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
    responses(
    (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn attest(
    State(app): State<Arc<App>>,
    person: Person,
    slot: Slot,
    headers: HeaderMap,
    Place((run, step)): Place<(String, String)>,
    Json(body): Json<AttestBody>,
) -> Result<Response, Problem> {
    let AttestBody { evidence, reason } = body;
    attached_here(&evidence, &person, "attest")?;
    let verb = Verb::Attest { step: StepId(step), evidence };
    call!(app, person, slot, headers, run).speak(Right::Steer, reason, Box::new(|_| Ok(verb))).await
}

/// End a run.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/cancel", operation_id = "cancel-run", tag = "verbs", request_body = CancelBody,
    params(("run" = String, Path, description = "The run."),
        ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
    responses(
    (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    person: Person,
    slot: Slot,
    headers: HeaderMap,
    Place(run): Place<String>,
    Json(body): Json<CancelBody>,
) -> Result<Response, Problem> {
    let CancelBody { compensate, reason } = body;
    let make = Box::new(move |_: &RunState| Ok(Verb::Cancel { compensate }));
    call!(app, person, slot, headers, run).speak(Right::Steer, reason, make).await
}

/// Take a run up that nobody carries on: what kept it from that was mended.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/resume", operation_id = "resume-run", tag = "verbs",
    params(("run" = String, Path, description = "The run.")), responses(
    (status = 200, description = "The run, as it is now.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    person: Person,
    Place(run): Place<String>,
) -> Result<Response, Problem> {
    let run = ask::run_id(&run)?;
    person.may(Right::Steer)?;
    let turn = app.runs.turn(&run).await;
    let state = turn.load().await?.state;
    person.may_on(Right::Steer, &state.plan.runbook, state.plan.mode)?;
    turn.take_up().await?;
    let state = turn.load().await?.state;
    answer::of_run(StatusCode::OK, &RunView::of(&app, &state), state.seq)
}
