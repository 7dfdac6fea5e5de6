//! How the words of this crate are written in an OpenAPI document.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::{
    AppNumber, BlockedBy, Model, ModelPattern, PoolName, Port, Revision, Role, Source, Space, Span,
    Timestamp,
};

macro_rules! schema {
    ($name:ident, $what:literal, $object:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let object: ObjectBuilder = $object;
                object.description(Some($what)).into()
            }
        }
        impl ToSchema for $name {}
    };
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn number(lowest: u64, highest: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(lowest))
        .maximum(Some(highest))
}

fn name(longest: usize, extra: &str) -> ObjectBuilder {
    let pattern = format!("^[a-z0-9][a-z0-9{extra}]*$");
    text()
        .min_length(Some(1))
        .max_length(Some(longest))
        .pattern(Some(pattern))
}

/// A model's name, in the regular expressions of ECMA-262: no control characters, no blank (Unicode's
/// White_Space) at either end, and neither directory.
fn model_name() -> String {
    const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
    const BLANK: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
    format!(r"(?!\.{{1,2}}$)[^{CONTROL}{BLANK}]([^{CONTROL}]*[^{CONTROL}{BLANK}])?")
}

schema!(Port, "A port.", number(1, 65_535));
schema!(
    AppNumber,
    "The number of an app among its model's.",
    number(1, 2_147_483_647)
);
schema!(
    Revision,
    "The number of a change; 0 stands before the first.",
    number(0, i64::MAX as u64)
);
schema!(
    Model,
    "A model's name; spellings with one identity are one model. No control characters, no blank at either end, not `.` or `..`.",
    text()
        .min_length(Some(1))
        .max_length(Some(Model::LONGEST))
        .pattern(Some(format!("^{}$", model_name())))
        .examples(["openai_gpt-4"])
);
schema!(
    ModelPattern,
    "A model's name, or a glob such as `openai_*`; of a pool also nothing, for no model.",
    text()
        .max_length(Some(Model::LONGEST))
        .pattern(Some(format!("^({})?$", model_name())))
        .examples(["openai_*"])
);
schema!(
    Role,
    "What a port is for: `backend`, `frontend`, or one that the configuration names.",
    name(32, "._-")
);
schema!(
    Space,
    "A port space: hosts that share one number line.",
    name(100, "._:-")
);
schema!(PoolName, "The name of a pool.", name(64, "._-"));
schema!(
    Timestamp,
    "A moment, RFC 3339 in UTC.",
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
);
schema!(
    Span,
    "A length of time: `90s`, `45m`, `2h`, `7d`, `1h30m`.",
    text()
        .pattern(Some("^([0-9]{1,9}(ms|s|m|h|d|w))+$"))
        .examples(["2h"])
);
schema!(
    BlockedBy,
    "Why a port is never given out on its own.",
    text().enum_values(Some(["browsers", "block-list"]))
);
schema!(
    Source,
    "How an allocation came to be.",
    text().enum_values(Some(Source::ALL.map(Source::as_str)))
);
