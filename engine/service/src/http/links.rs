//! Links in messages: a page that shows a question, and takes the answer, once. To look at the page answers nothing, since programs for
//! mail open links by themselves.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use lifeboat_core::Error;
use lifeboat_core::event::{EventKind, Said};
use lifeboat_core::notify::About;
use lifeboat_core::state::{Phase, RunState};
use lifeboat_notify::link::Link;
use lifeboat_runtime::{Loaded, Verb};

use super::ask;
use super::page::{self, Html};
use super::verbs::{different_people, spoken_since};
use crate::access::{Person, Right, Role};
use crate::app::App;
use crate::once::{Answer, Begun, Found, Note};
use crate::problem::Problem;

/// The route, and how its paths begin.
pub(crate) const ROUTE: &str = "/v1/links/{token}";
const BEGIN: &str = "/v1/links/";
/// Bytes of a reason that is written on the page.
const REASON_MAX: usize = 1_000;

/// Reads the link of a path.
///
/// # Errors
/// `LB1096` it is none of ours, `LB1097` its time is over.
pub(crate) fn open(app: &App, path: &str) -> Result<Link, Error> {
    Link::open(path.strip_prefix(BEGIN).unwrap_or_default(), app.dispatcher.key(), app.now())
}

/// Who speaks by a link: the person that it was made for, who answers and does nothing else. The operator vouches for the address.
pub(crate) fn person(link: &Link) -> Person {
    Person {
        name: link.person.clone(),
        known_by: format!("link {}", link.id()),
        roles: [Role::Approver].into(),
        drill: true,
        failover: true,
        runbooks: Vec::new(),
    }
}

/// What a link is called in records: the link itself answers, and is not written down.
pub(crate) fn call(link: &Link) -> String {
    format!("POST {BEGIN}{}", link.id())
}

async fn used(app: &App, link: &Link) -> Result<Box<Begun>, Error> {
    match app.once.begin(&link.id(), "link", b"", app.now()).await? {
        Found::Begun(begun) => Ok(begun),
        Found::Answered(_) => {
            Err(Error::new("LB1098", "this link was used").hint("the run tells what was answered with it"))
        }
    }
}

/// Whether the question of the link is the one that is asked now.
fn asked(loaded: &Loaded, link: &Link) -> Result<(), Error> {
    let over = || {
        Error::new("LB1099", "what this link is for is not asked any more")
            .with("run", &link.run)
            .with("step", &link.step)
            .hint("'lifeboat show' tells what the run asks now")
    };
    let asks = |event: &lifeboat_core::event::Event| matches!(&event.kind, EventKind::ApprovalRequested { step, .. } if *step == link.step);
    let newest = loaded.events.iter().rposition(asks).and_then(|place| u64::try_from(place + 1).ok());
    let phase = loaded.state.step(&link.step).map(|(_, now)| &now.phase);
    let open = matches!(phase, Some(Phase::Approval { .. })) && loaded.state.result.is_none();
    if open && newest == Some(link.seq) && loaded.state.fingerprint == link.fingerprint {
        return Ok(());
    }
    Err(over())
}

/// The link of a call. The guard lets nobody in without one.
fn link_of(request: &Request) -> Result<Arc<Link>, Problem> {
    let link = request.extensions().get::<Arc<Link>>();
    link.cloned().ok_or_else(|| Error::new("LB1096", "there is no link").into())
}

/// Show the question that a link of a message is for, as a page with a form. Answers nothing. Needs no token.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/links/{token}", operation_id = "show-link", tag = "notifications", security(()),
    params(("token" = String, Path, description = "The signed part of the link.")), responses(
    (status = 200, description = "The page.", body = String, content_type = "text/html"),
    (status = "default", description = "Why there is none.", body = String, content_type = "text/html"),
)))]
pub(crate) async fn show(State(app): State<Arc<App>>, request: Request) -> Response {
    let link = link_of(&request);
    let shown = async {
        let link = link?;
        let loaded = app.runs.engine.load(&link.run).await?;
        drop(used(&app, &link).await?);
        asked(&loaded, &link)?;
        Ok::<Html, Problem>(question(&loaded.state, &link))
    };
    page::of(shown.await)
}

/// Answer the question that a link of a message is for: once, in the name of the person that it was made for. Needs no token.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/links/{token}", operation_id = "answer-link", tag = "notifications", security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`answer=approve` or `answer=deny`, and `reason`."),
    params(("token" = String, Path, description = "The signed part of the link.")), responses(
    (status = 200, description = "What was answered.", body = String, content_type = "text/html"),
    (status = "default", description = "Why it was not.", body = String, content_type = "text/html"),
)))]
pub(crate) async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    page::of(answered(&app, request).await)
}

async fn answered(app: &App, request: Request) -> Result<Html, Problem> {
    let link = link_of(&request)?;
    let person = person(&link);
    let form = page::form(&ask::body(request.into_body()).await?);
    let field = |name: &str| form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let reason = field("reason").unwrap_or_default();
    ask::plain("the reason", &reason)?;
    if reason.len() > REASON_MAX {
        return Err(Error::new("LB1055", "the reason is too long").hint("a sentence is enough").into());
    }
    let roles = app.workshop.roles_of(&person.name);
    let (step, fingerprint) = (link.step.clone(), link.fingerprint.clone());
    let (verb, word) = match field("answer").as_deref() {
        Some("approve") => (Verb::Approve { step, fingerprint, roles }, "approved"),
        Some("deny") => (Verb::Deny { step, roles }, "denied"),
        _ => return Err(Error::new("LB1055", "the answer is neither yes nor no").hint("go back to the page").into()),
    };
    let said = Said { by: person.name.clone(), why: reason };
    let turn = app.runs.turn(&link.run).await;
    let mut begun = used(app, &link).await?;
    let loaded = turn.load().await?;
    person.may_on(Right::Answer, &loaded.state.plan.runbook, loaded.state.plan.mode)?;
    let was_said = matches!(begun.earlier(), Some(Note::Seq(seq)) if spoken_since(&loaded, *seq, &verb, &said));
    if !was_said {
        asked(&loaded, &link)?;
        if !app.settings.sole_approver {
            different_people(&loaded.state, &verb, &said)?;
        }
        begun.note(Note::Seq(loaded.head.seq)).await?;
        drop(loaded);
        turn.say(verb, said).await?;
    }
    begun.answer(Answer { status: StatusCode::OK.as_u16(), location: None, body: String::new() }).await?;
    Ok(Html::new(&format!("{word}: {}", link.step))
        .line("It is recorded in your name. This link answers nothing more.")
        .row("run", link.run.as_str())
        .row("step", link.step.as_str())
        .row("by", &link.person))
}

fn question(state: &RunState, link: &Link) -> Html {
    let plan = &state.plan;
    let step = plan.step(&link.step);
    let approval = step.and_then(|step| step.approval.as_ref());
    let given = state.step(&link.step).map(|(_, now)| match &now.phase {
        Phase::Approval { given, .. } => given.iter().map(|said| said.by.clone()).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    });
    let drill = if plan.mode == lifeboat_core::plan::Mode::Drill { " (a drill)" } else { "" };
    let mut html = Html::new(&format!("{} asks for {}: {}{drill}", plan.runbook, About::Approval.as_str(), link.step))
        .line(&plan.description)
        .row("run", state.run.as_str())
        .row("mode", plan.mode.as_str())
        .row("started by", &state.said.by)
        .row("because", &state.said.why)
        .row("role", approval.map(|approval| approval.role.as_str()).unwrap_or_default())
        .row("yes needed", &approval.map_or(1, |approval| approval.quorum).to_string())
        .row("yes so far", &given.unwrap_or_default())
        .row("plan", &state.fingerprint.to_string())
        .row("you are", &link.person)
        .row("until", &lifeboat_notify::rfc3339(link.until));
    for (step, now) in state.steps() {
        let what = format!("{} {} · {} · {}", step.kind.as_str(), step.id, step.effect.as_str(), now.phase.as_str());
        html = html.item(&what);
    }
    html.ask()
}

/// A refusal as a page: who opens a link has a browser.
pub(crate) fn refused(problem: Problem) -> Response {
    page::of(Err(problem))
}

/// A request without a body, as the next one in the row sees it.
pub(crate) fn with(link: Link, request: Request<Body>) -> Request<Body> {
    let mut request = request;
    request.extensions_mut().insert(Arc::new(link));
    request
}
