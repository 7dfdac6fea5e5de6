//! `/api/v1/events`: every change as it happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use portbook::Failure;
use portbook::model::{Revision, Space};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use crate::app::App;
use crate::auth::Reader;
use crate::events::Told;
use crate::extract::Params;
use crate::problem::Problem;

/// How often something is said, so that both sides notice when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many changes are read from the book for a reader that was away; further behind, the list is
/// quicker.
const MOST_MISSED: u64 = 10_000;
/// How long a reader may take to take what was written.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which changes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those of this port space; without it, all.
    space: Option<Space>,
    /// Those after this revision, as the header `Last-Event-ID` says it.
    #[param(minimum = 0)]
    after: Option<u64>,
}

/// Follow every change of the book, by whichever process, as server-sent events.
///
/// The id of an event is the change's revision, its name what happened, its data the record of the
/// history. `Last-Event-ID` continues after a revision. A reader that is too slow is dropped.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "book", params(Wanted,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last revision that was seen")),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 410, description = "The revision lies too far back, or the book was put back: read the list, and follow from now on", body = Problem),
        crate::openapi::Question,
    )
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    _: Reader,
    Params(wanted): Params<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(room) = app.streams.clone().try_acquire_owned() else {
        return Err(Problem::overloaded("too many follow the events already"));
    };
    let last_seen = match headers.get("last-event-id") {
        Some(id) => {
            let id = id
                .to_str()
                .ok()
                .and_then(|id| id.trim().parse::<u64>().ok());
            Some(id.ok_or_else(|| {
                Problem::bad_request("Last-Event-ID is a revision: a number of an event before")
            })?)
        }
        None => wanted.after,
    };
    // First the ear, then the look back: what happens in between is heard, and told once.
    let news = app.events.subscribe();
    let service = app.service.clone();
    let (at, missed) = app
        .question(move || {
            let head = service.head()?.revision;
            match last_seen {
                Some(seen) if seen < head.0 && head.0 - seen <= MOST_MISSED => {
                    Ok((head, Some(service.changes_since(Revision(seen))?)))
                }
                Some(seen) if seen != head.0 => Ok((head, None)),
                _ => Ok((head, Some(Vec::new()))),
            }
        })
        .await?;
    let Some(missed) = missed else {
        return Err(gone(at, last_seen));
    };
    let (told, stream) = mpsc::channel::<Result<Event, Infallible>>(1);
    let missed: Vec<Told> = missed.into_iter().filter_map(Told::of).collect();
    let space = wanted.space;
    let mut stopping = app.stopping.clone();
    tokio::spawn(async move {
        let _room = room;
        let tell = tell(told, at, missed, news, space);
        tokio::select! {
            () = tell => {}
            _ = stopping.wait_for(|stops| *stops) => {}
        }
    });
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Ok(Sse::new(ReceiverStream::new(stream))
        .keep_alive(alive)
        .into_response())
}

fn gone(at: Revision, last_seen: Option<u64>) -> Problem {
    let (code, detail) = match last_seen {
        Some(seen) if seen > at.0 => (
            "ahead-of-the-book",
            format!("the book is at revision {at}, and was put back if it ever was at {seen}"),
        ),
        _ => (
            "too-far-behind",
            format!(
                "the book is at revision {at}, and what happened since then is too much to be told"
            ),
        ),
    };
    Problem::new(StatusCode::GONE, code, Failure::No, detail)
        .with_hint("read the list of allocations, and follow the events from now on")
}

/// Tells a reader what it missed and then what happens, for as long as it takes it in.
async fn tell(
    told: mpsc::Sender<Result<Event, Infallible>>,
    at: Revision,
    missed: Vec<Told>,
    mut news: broadcast::Receiver<Told>,
    space: Option<Space>,
) {
    let begins = Event::default().comment(format!("the book is at revision {at}"));
    if send(&told, begins).await.is_none() {
        return;
    }
    let mut last = at;
    let wants = |change: &Told| space.as_ref().is_none_or(|space| change.is_of(space));
    for change in missed {
        last = last.max(change.revision);
        if wants(&change) && send(&told, change.event()).await.is_none() {
            return;
        }
    }
    loop {
        let change = tokio::select! {
            change = news.recv() => change,
            () = told.closed() => return,
        };
        // One that fell behind is dropped: it comes back with what it saw last.
        let Ok(change) = change else { return };
        if change.revision <= last {
            continue;
        }
        last = change.revision;
        if wants(&change) && send(&told, change.event()).await.is_none() {
            return;
        }
    }
}

async fn send(told: &mpsc::Sender<Result<Event, Infallible>>, event: Event) -> Option<()> {
    let sent = tokio::time::timeout(PATIENCE, told.send(Ok(event))).await;
    sent.ok()?.ok()
}
