//! What people were told, and what could not be told.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use lifeboat_core::notify::About;
use lifeboat_notify::{Dispatcher, Entry, State};
use serde::{Deserialize, Serialize};

use super::answer;
use super::ask::{self, Params, Place};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;

/// A message to one reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationView {
    /// Its number, from 1.
    pub number: u64,
    /// When it was intended, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The channel.
    pub channel: String,
    /// The address, in mail.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// What it is about.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "approval"))]
    pub about: About,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// One line.
    pub title: String,
    /// The run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// `waiting`, `sent`, or `failed`: given up after all retries, or refused for good.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "sent"))]
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<u64>,
    /// What became of the last attempt that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
    /// The number of the message in which this one was told, where many were collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<u64>,
}

impl From<Entry> for NotificationView {
    fn from(entry: Entry) -> Self {
        let Entry { number, at, channel, to, message, state, attempts, next_at, error, done_at, with, .. } = entry;
        Self {
            number,
            at,
            channel,
            to,
            about: message.about,
            severity: message.severity,
            title: message.title,
            run: message.run,
            step: message.step,
            state,
            attempts,
            next_at: (state == State::Waiting).then_some(next_at),
            error,
            done_at,
            with,
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NotificationsPage {
    /// The messages, newest first.
    notifications: Vec<NotificationView>,
    /// The cursor of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Which messages.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<u64>,
    /// Those in this state alone: `waiting`, `sent` or `failed`.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    state: Option<State>,
}

/// Whom a test reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tested {
    /// The channel.
    pub channel: String,
    /// The addresses, in mail; one without a name otherwise.
    pub told: Vec<String>,
}

/// List what people were told, newest first, and what could not be told. The last thousand or so are kept.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/notifications", operation_id = "list-notifications", tag = "notifications", params(Wanted), responses(
    (status = 200, description = "A page of messages.", body = NotificationsPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    Shared(app): Shared<Arc<App>>,
    person: Person,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let limit = ask::page(wanted.limit)?;
    let all = app.dispatcher.outbox().all().await.into_iter();
    let mine = all
        .filter(|entry| wanted.cursor.is_none_or(|cursor| entry.number < cursor))
        .filter(|entry| wanted.state.is_none_or(|state| entry.state == state))
        .filter(|entry| person.sees(&entry.message.runbook));
    let found: Vec<NotificationView> = mine.take(limit + 1).map(NotificationView::from).collect();
    let (notifications, next) = ask::cut(found, limit, |last| last.number);
    answer::plain(StatusCode::OK, &NotificationsPage { notifications, next })
}

/// Send a test by a channel, and tell whether it was taken. Who does so proves that the pager works.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/notifications/{channel}/test", operation_id = "test-channel", tag = "notifications",
    params(("channel" = String, Path, description = "The channel, as the operator's file names it.")), responses(
    (status = 200, description = "All readers of the channel have taken it.", body = Tested, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn test(
    Shared(app): Shared<Arc<App>>,
    person: Person,
    Place(channel): Place<String>,
) -> Result<Response, Problem> {
    person.may(Right::Steer)?;
    let told = Dispatcher::test(app.dispatcher.courier(), &channel, &person.name, app.now()).await?;
    answer::plain(StatusCode::OK, &Tested { channel, told })
}
