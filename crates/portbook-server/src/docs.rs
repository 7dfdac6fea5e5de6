//! `/docs`: the OpenAPI document as a page for people, made once from the document itself. No script, and
//! nothing that comes from anywhere else.

use std::fmt::Write;

use serde_json::Value;

/// The page may load its own style, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: .9em ui-monospace, monospace }
h2 { margin-top: 2.5rem }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .4rem; margin: .5rem 0; padding: .5rem .8rem }
summary { cursor: pointer }
summary b { display: inline-block; min-width: 4.5rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent) }
.faint { opacity: .7 }";

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// The page.
pub(crate) fn page(document: &Value) -> String {
    let mut page = String::new();
    let title = text(&document["info"]["title"]);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}: REST</title><style>{STYLE}</style><body><main>\
         <h1>{title} {}</h1><p>{}</p>\
         <p>The same for programs: <a href=\"/openapi.json\">/openapi.json</a>. Dashboard: <a href=\"/\">/</a>.</p>",
        text(&document["info"]["version"]),
        text(&document["info"]["description"]),
    );
    for tag in items(&document["tags"]) {
        let _ = write!(
            page,
            "<h2>{}</h2><p>{}</p>",
            text(&tag["name"]),
            text(&tag["description"])
        );
        for (path, methods) in members(&document["paths"]) {
            for method in METHODS {
                let operation = &methods[method];
                if items(&operation["tags"]).any(|name| name == &tag["name"]) {
                    describe(&mut page, method, path, operation);
                }
            }
        }
    }
    page.push_str("<h2>Objects</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let _ = write!(
            page,
            "<details id=\"{0}\"><summary><code>{0}</code> <span class=\"faint\">{1}</span></summary>",
            escaped(name),
            text(&schema["description"])
        );
        fields(&mut page, schema);
        page.push_str("</details>");
    }
    page.push_str("</main></body></html>");
    page
}

fn describe(page: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = write!(
        page,
        "<details><summary><b>{}</b> <code>{}</code> {}</summary><p>{}</p>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["summary"]),
        text(&operation["description"])
    );
    let parameters: Vec<&Value> = items(&operation["parameters"]).collect();
    if !parameters.is_empty() {
        page.push_str("<table><tr><th>Parameter<th>In<th>Type<th>Meaning");
        for parameter in parameters {
            let _ = write!(
                page,
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}",
                text(&parameter["name"]),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                text(&parameter["description"])
            );
        }
        page.push_str("</table>");
    }
    for (_, content) in members(&operation["requestBody"]["content"]) {
        let _ = write!(page, "<p>Body: {}</p>", kind(&content["schema"]));
    }
    page.push_str("<table><tr><th>Status<th>Body<th>Meaning");
    for (status, response) in members(&operation["responses"]) {
        let bodies: Vec<String> = members(&response["content"])
            .map(|(_, content)| kind(&content["schema"]))
            .collect();
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}",
            escaped(status),
            bodies.join(" or "),
            text(&response["description"])
        );
    }
    page.push_str("</table></details>");
}

fn fields(page: &mut String, schema: &Value) {
    for part in items(&schema["allOf"]).chain(items(&schema["oneOf"])) {
        if part.get("properties").is_some() {
            fields(page, part);
        } else {
            let _ = write!(page, "<p>{}</p>", kind(part));
        }
    }
    let required: Vec<&Value> = items(&schema["required"]).collect();
    let mut properties = members(&schema["properties"]).peekable();
    if properties.peek().is_none() {
        if schema.get("type").is_some() {
            let _ = write!(page, "<p>{}</p>", kind(schema));
        }
        return;
    }
    page.push_str("<table><tr><th>Member<th>Type<th>Meaning");
    for (name, property) in properties {
        let mark = if required.iter().any(|required| *required == name) {
            ""
        } else {
            " <span class=\"faint\">may be missing</span>"
        };
        let _ = write!(
            page,
            "<tr><td><code>{}</code>{mark}<td>{}<td>{}",
            escaped(name),
            kind(property),
            text(&property["description"])
        );
    }
    page.push_str("</table>");
}

/// A schema in a few words, with links to the objects it names.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("<a href=\"#{0}\">{0}</a>", escaped(name));
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let parts: Vec<String> = items(&schema[several]).map(kind).collect();
        if !parts.is_empty() {
            return parts.join(" or ");
        }
    }
    let choices: Vec<String> = items(&schema["enum"]).map(text).collect();
    if !choices.is_empty() {
        return choices.join(", ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        several => items(several).filter_map(Value::as_str).collect(),
    };
    let words: Vec<String> = types
        .into_iter()
        .map(|name| match name {
            "array" => format!("array of {}", kind(&schema["items"])),
            name => escaped(name),
        })
        .collect();
    words.join(" or ")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// A text that means nothing but itself in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
