//! `/api/v1/allocations`: get or allocate, look up, list, renew, release.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portbook::model::{
    AllocationRequest, AppKey, AppNumber, Model, ModelPattern, Port, Role, Space, Span,
};
use portbook::{
    AllocationRecord, Error, GrantRecord, PortAllocationService, PortConfiguration, ReleaseRecord,
};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::{Reader, Writer};
use crate::extract::{NamedApp, OptionalPayload, Params, Payload};
use crate::problem::Problem;
use crate::scribe::Pieces;

/// Which apps get ports, and which ones.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allocate {
    /// One app's model.
    model: Option<Model>,
    /// One app's number.
    app_num: Option<AppNumber>,
    /// Several apps: all of them get ports, or none.
    #[schema(min_items = 1, max_items = 16384)]
    apps: Option<Vec<AppKey>>,
    /// Roles besides backend and frontend, as the configuration names them.
    #[serde(default)]
    roles: BTreeSet<Role>,
    /// Exactly these ports by role, or none; for one app.
    #[serde(default)]
    ports: BTreeMap<Role, Port>,
    /// How long the allocation lasts unless it is renewed.
    ttl: Option<Span>,
    /// The port space.
    space: Option<Space>,
    /// Whether to say what was passed over, and why.
    #[serde(default)]
    explain: bool,
    /// `false`: ports that the host uses are given out, too.
    #[serde(default = "yes")]
    #[schema(default = true)]
    host_check: bool,
}

/// `Allocate` names one app or several: what its members do not say of themselves.
pub(crate) struct AllocateOneOrSeveral;

impl PartialSchema for AllocateOneOrSeveral {
    fn schema() -> RefOr<Schema> {
        let nothing = || ObjectBuilder::new().schema_type(Type::Null);
        let one = ObjectBuilder::new()
            .property("model", Model::schema())
            .property("app_num", AppNumber::schema())
            .property("apps", nothing())
            .required("model")
            .required("app_num");
        let several = ObjectBuilder::new()
            .property("apps", ObjectBuilder::new().schema_type(Type::Array))
            .property("model", nothing())
            .property("app_num", nothing())
            .required("apps");
        AllOfBuilder::new()
            .item(Allocate::schema())
            .item(OneOfBuilder::new().item(one).item(several))
            .into()
    }
}

impl ToSchema for AllocateOneOrSeveral {
    fn name() -> Cow<'static, str> {
        Allocate::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Allocate::schemas(schemas);
    }
}

fn yes() -> bool {
    true
}

/// One app's ports, or those of several in the order in which they were named.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Granted {
    One(Box<GrantRecord>),
    Several(Vec<GrantRecord>),
}

impl Allocate {
    /// The apps, and whether it was one that was named by itself.
    fn apps(&self, most: usize) -> Result<(Vec<AppKey>, bool), Problem> {
        match (&self.model, self.app_num, &self.apps) {
            (Some(model), Some(number), None) => {
                Ok((vec![AppKey::new(model.clone(), number)], true))
            }
            (None, None, Some(apps)) if apps.len() > most => Err(Problem::too_large(format!(
                "{} apps are asked for at once, and the most is {most}",
                apps.len()
            ))),
            (None, None, Some(apps)) if apps.is_empty() => {
                Err(Problem::bad_request("`apps` names no app"))
            }
            (None, None, Some(apps)) => {
                let mut seen = BTreeSet::new();
                let apps = apps.iter().filter(|app| seen.insert(*app)).cloned();
                Ok((apps.collect(), false))
            }
            _ => Err(Problem::bad_request(
                "name one app by `model` and `app_num`, or several by `apps`",
            )),
        }
    }
}

/// Get ports for apps, allocating them where they have none.
///
/// Idempotent: an app that has ports keeps them. Several apps are one atomic step.
#[utoipa::path(
    post, path = "/api/v1/allocations", tag = "allocations", params(InSpace),
    request_body = AllocateOneOrSeveral,
    responses(
        (status = 200, description = "All had their ports already", body = Granted),
        (status = 201, description = "At least one allocation was made", body = Granted),
        (status = 409, description = "A pinned port is taken, or the app has another", body = Problem),
        (status = 507, description = "No eligible port is left", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn allocate(
    State(app): State<Arc<App>>,
    Writer(caller): Writer,
    Params(query): Params<InSpace>,
    Payload(body): Payload<Allocate>,
) -> Result<Response, Problem> {
    let (apps, is_one) = body.apps(app.limits.apps)?;
    let mut service = app
        .service_for(&caller)
        .spaced(query.space, body.space.clone())?;
    if !body.host_check {
        service = service.without_host_check();
    }
    let request = AllocationRequest {
        apps,
        roles: body.roles,
        pins: body.ports,
        ttl: body.ttl,
        explain: body.explain,
    };
    let (records, made) = app
        .change_for(service, move |service| {
            let grants = service.allocate(&request)?;
            let made = grants
                .iter()
                .any(|grant| grant.created || !grant.added.is_empty());
            let record = |grant| GrantRecord::of(grant, service.space());
            Ok((grants.iter().map(record).collect::<Vec<_>>(), made))
        })
        .await?;
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut records = records;
    let granted = match records.pop() {
        Some(record) if is_one => Granted::One(Box::new(record)),
        last => {
            records.extend(last);
            Granted::Several(records)
        }
    };
    Ok((status, Json(granted)).into_response())
}

/// Which part of the list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only this model, or the models that match a glob.
    model: Option<ModelPattern>,
    /// The port space.
    space: Option<Space>,
    /// At most so many.
    #[param(minimum = 1, maximum = 65535)]
    limit: Option<u32>,
    /// Those after the place that an earlier answer's `Portbook-Cursor` names.
    #[param(pattern = "^[0-9]{1,10}~")]
    cursor: Option<String>,
}

/// List what is allocated, by model, then app number.
#[utoipa::path(
    get, path = "/api/v1/allocations", tag = "allocations", params(Page),
    responses(
        (status = 200, description = "The allocations", body = [PortConfiguration], headers(
            ("Link" = String, description = "The next page, where there is one"),
            ("Portbook-Cursor" = String, description = "Where the next page begins, where there is one"),
        )),
        crate::openapi::Question,
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let after = page.cursor.as_deref().map(Place::parse).transpose()?;
    let limit = match page.limit {
        Some(0 | 65_536..) => {
            return Err(Problem::bad_request("`limit` is a number from 1 to 65535"));
        }
        limit => limit.map_or(usize::MAX, |limit| limit as usize),
    };
    let service = app.service_for(&caller).spaced(page.space.clone(), None)?;
    let models = page.model.clone();
    let write = move |pieces: &mut Pieces| {
        let apps = service.configurations(models)?;
        let begin = after.map_or(0, |place| {
            apps.partition_point(|listed| Place::of(&listed.app) <= place)
        });
        let end = begin.saturating_add(limit).min(apps.len());
        pieces.json(&&apps[begin..end])?;
        let last = apps[..end].last().filter(|_| end < apps.len());
        Ok(last.map(|last| Place::of(&last.app)))
    };
    let (next, list) = app.write(write).await?;
    let mut headers = HeaderMap::new();
    if let Some(place) = next {
        page.point_to(&place, &mut headers);
    }
    Ok((headers, list).into_response())
}

/// A place in the list: behind an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    identity: String,
    number: u64,
}

impl Place {
    fn of(app: &AppKey) -> Self {
        Self {
            identity: app.model.identity().to_owned(),
            number: app.number.get().into(),
        }
    }

    fn parse(cursor: &str) -> Result<Self, Problem> {
        let parts = cursor.split_once('~');
        let place = parts.and_then(|(number, identity)| {
            Some(Self {
                identity: identity.to_owned(),
                number: number.parse().ok()?,
            })
        });
        place.ok_or_else(|| {
            Problem::bad_request("`cursor` is none that an answer's Portbook-Cursor named")
        })
    }

    /// The cursor, percent-encoded.
    fn cursor(&self) -> String {
        format!("{}~{}", self.number, encoded(&self.identity))
    }
}

impl Page {
    fn point_to(&self, place: &Place, headers: &mut HeaderMap) {
        let cursor = place.cursor();
        let mut query = format!("cursor={cursor}");
        if let Some(model) = &self.model {
            query.push_str(&format!("&model={}", encoded(model.as_str())));
        }
        if let Some(space) = &self.space {
            query.push_str(&format!("&space={}", encoded(space.as_str())));
        }
        if let Some(limit) = self.limit {
            query.push_str(&format!("&limit={limit}"));
        }
        let link = format!("</api/v1/allocations?{query}>; rel=\"next\"");
        if let (Ok(link), Ok(cursor)) =
            (HeaderValue::from_str(&link), HeaderValue::from_str(&cursor))
        {
            headers.insert(header::LINK, link);
            headers.insert("portbook-cursor", cursor);
        }
    }
}

/// A text in percent-encoding: all but unreserved characters (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Look an app's ports up; nothing is allocated.
#[utoipa::path(
    get, path = "/api/v1/allocations/{model}/{app_num}", tag = "allocations",
    params(super::AppPath, InSpace),
    responses(
        (status = 200, description = "The app's ports", body = AllocationRecord),
        (status = 404, description = "The app has no ports", body = Problem),
        crate::openapi::Question,
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    NamedApp(key): NamedApp,
    Params(query): Params<InSpace>,
) -> Result<Json<AllocationRecord>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    // One row read from memory mapped in: shorter than a change of threads would be.
    let allocation = service.get(&key)?;
    Ok(Json(AllocationRecord::of(&allocation, service.space())))
}

/// Give an app's ports back.
#[utoipa::path(
    delete, path = "/api/v1/allocations/{model}/{app_num}", tag = "allocations",
    params(super::AppPath, InSpace),
    responses(
        (status = 200, description = "What the app gave back", body = ReleaseRecord),
        (status = 404, description = "The app has no ports", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Writer(caller): Writer,
    NamedApp(key): NamedApp,
    Params(query): Params<InSpace>,
) -> Result<Json<ReleaseRecord>, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let record = app
        .change_for(service, move |service| {
            let released = service.release(vec![key.clone()])?;
            match released.first() {
                Some(released @ (_, Some(_))) => Ok(ReleaseRecord::of(released)),
                _ => Err(Error::NothingToRelease(vec![key])),
            }
        })
        .await?;
    Ok(Json(record))
}

/// How long a lease is to last.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renew {
    /// From now; without it, as long as it was asked for.
    ttl: Option<Span>,
}

/// Move the end of an app's lease.
#[utoipa::path(
    post, path = "/api/v1/allocations/{model}/{app_num}/renew", tag = "allocations",
    params(super::AppPath, InSpace), request_body = Option<Renew>,
    responses(
        (status = 200, description = "The app's ports with their new end", body = AllocationRecord),
        (status = 404, description = "The app has no ports", body = Problem),
        (status = 409, description = "The app has its ports for good", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn renew(
    State(app): State<Arc<App>>,
    Writer(caller): Writer,
    NamedApp(key): NamedApp,
    Params(query): Params<InSpace>,
    OptionalPayload(body): OptionalPayload<Renew>,
) -> Result<Json<AllocationRecord>, Problem> {
    let service: PortAllocationService = app.service_for(&caller).spaced(query.space, None)?;
    let record = app
        .change_for(service, move |service| {
            let allocation = service.renew(key, body.ttl)?;
            Ok(AllocationRecord::of(&allocation, service.space()))
        })
        .await?;
    Ok(Json(record))
}
