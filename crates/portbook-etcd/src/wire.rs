//! What etcd's JSON gateway takes and gives (etcd's documentation, "gRPC gateway").
//!
//! Keys and values are base64, whole numbers are strings, and what is 0, empty or false is left out.

use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Serialize)]
pub(crate) struct Transaction {
    pub(crate) compare: Vec<Compare>,
    pub(crate) success: Vec<Operation>,
    pub(crate) failure: Vec<Operation>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Compare {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range_end: Option<String>,
    pub(crate) target: &'static str,
    pub(crate) result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mod_revision: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) enum Operation {
    #[serde(rename = "request_range")]
    Range(RangeRequest),
    #[serde(rename = "request_put")]
    Put(PutRequest),
    #[serde(rename = "request_delete_range")]
    Delete(DeleteRequest),
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct RangeRequest {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range_end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort_order: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort_target: Option<&'static str>,
    pub(crate) serializable: bool,
    pub(crate) keys_only: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct PutRequest {
    pub(crate) key: String,
    pub(crate) value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DeleteRequest {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range_end: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TransactionAnswer {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) succeeded: bool,
    #[serde(default)]
    pub(crate) responses: Vec<OperationAnswer>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    #[serde(deserialize_with = "number")]
    pub(crate) revision: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OperationAnswer {
    #[serde(default)]
    pub(crate) response_range: Option<RangeAnswer>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RangeAnswer {
    #[serde(default)]
    pub(crate) kvs: Vec<KeyValue>,
    #[serde(default)]
    pub(crate) more: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
    #[serde(default, deserialize_with = "number")]
    pub(crate) create_revision: i64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) mod_revision: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LeaseAnswer {
    #[serde(default, rename = "ID", deserialize_with = "number")]
    pub(crate) id: i64,
    #[serde(default, rename = "TTL", deserialize_with = "number")]
    pub(crate) ttl: i64,
}

/// What comes as a stream is wrapped once more.
#[derive(Debug, Deserialize)]
pub(crate) struct Streamed<T> {
    pub(crate) result: T,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WatchAnswer {
    #[serde(default)]
    pub(crate) canceled: bool,
    #[serde(default)]
    pub(crate) events: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TokenAnswer {
    pub(crate) token: String,
}

/// Why etcd did not do what it was asked; the code is gRPC's.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorAnswer {
    /// Some versions say it under `error` as well, and some no longer do.
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) code: i32,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
