//! `/api/v1/pools`: stretches of ports that are reserved for models.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portbook::PoolRecord;
use portbook::model::{ModelPattern, Pool, PoolName, Port, PortStretch, Space};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{InSpace, Spaced};
use crate::app::App;
use crate::auth::{Admin, Reader};
use crate::extract::{Params, Payload};
use crate::problem::Problem;
use crate::scribe::Pieces;

/// The pools, by name.
#[utoipa::path(
    get, path = "/api/v1/pools", tag = "pools", params(InSpace),
    responses(
        (status = 200, description = "The pools with how full they are", body = [PoolRecord]),
        crate::openapi::Question,
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Params(query): Params<InSpace>,
) -> Result<Pieces, Problem> {
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let write = move |pieces: &mut Pieces| {
        let pools = service.stats()?.pools;
        pieces.json_list(pools.iter().map(PoolRecord::of_use))
    };
    Ok(app.write(write).await?.1)
}

/// A stretch of ports and the models that it is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPool {
    /// What the pool is to be called.
    name: PoolName,
    /// Its first port.
    first: Port,
    /// Its last port.
    last: Port,
    /// The models that it is for, as a glob.
    models: ModelPattern,
    /// The port space.
    space: Option<Space>,
}

/// Reserve a stretch of ports for the models that match a pattern.
#[utoipa::path(
    post, path = "/api/v1/pools", tag = "pools", params(InSpace), request_body = NewPool,
    responses(
        (status = 200, description = "The pool was there already, just so", body = PoolRecord),
        (status = 201, description = "The pool was made", body = PoolRecord),
        (status = 409, description = "Another pool has the name or some of the ports", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Params(query): Params<InSpace>,
    Payload(body): Payload<NewPool>,
) -> Result<(StatusCode, Json<PoolRecord>), Problem> {
    let service = app.service_for(&caller).spaced(query.space, body.space)?;
    let ports = PortStretch::new(body.first, body.last)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let pool = Pool {
        name: body.name,
        ports,
        models: body.models,
    };
    let record = PoolRecord::of(&pool);
    let made = app
        .change_for(service, move |service| service.add_pool(pool))
        .await?;
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(record)))
}

/// The pool that a path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PoolPath {
    /// The pool's name.
    #[param(value_type = PoolName)]
    name: String,
}

/// Give a pool up: its ports are anybody's again.
#[utoipa::path(
    delete, path = "/api/v1/pools/{name}", tag = "pools", params(PoolPath, InSpace),
    responses(
        (status = 200, description = "The pool that was given up", body = PoolRecord),
        (status = 404, description = "There is no such pool", body = Problem),
        crate::openapi::Change,
    )
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    path: Result<Path<PoolPath>, axum::extract::rejection::PathRejection>,
    Params(query): Params<InSpace>,
) -> Result<Json<PoolRecord>, Problem> {
    let Ok(Path(PoolPath { name })) = path else {
        return Err(Problem::bad_request(
            "the path is not UTF-8 in percent-encoding",
        ));
    };
    let name: PoolName = name
        .parse()
        .map_err(|error| Problem::bad_request(format!("{error}")))?;
    let service = app.service_for(&caller).spaced(query.space, None)?;
    let pool = app
        .change_for(service, move |service| service.remove_pool(name))
        .await?;
    Ok(Json(PoolRecord::of(&pool)))
}
