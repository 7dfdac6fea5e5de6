//! Compose and `.env` files that nobody wrote: read as a plain reading would, or refused, never a crash.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use portbook_apps::compose::{Environment, Project, Published, Sources};
use portbook_apps::dot_env::DotEnv;
use portbook_apps::interpolation::{Origin, Variable, interpolate};
use portbook_apps::written::{SourceFile, Text};
use proptest::prelude::*;

fn read(compose: &[u8], dot_env: Option<&[u8]>) -> Project {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    if let Some(dot_env) = dot_env {
        fs::write(folder.path().join(".env"), dot_env).unwrap();
    }
    let sources = Sources::in_directory(folder.path()).unwrap().unwrap();
    Project::read(&sources, &Environment::new())
}

/// A text in which `A` is `5001`, `E` is empty and `U` is not set, with what it comes to. Within braces,
/// braces are left out, since they would count.
fn template() -> impl Strategy<Value = (String, String)> {
    let plain = "[a-z0-9:. -]{0,5}".prop_map(|text: String| (text.clone(), text));
    let dollar = Just(("$$".to_owned(), "$".to_owned()));
    let bare = prop_oneof![Just("A"), Just("E"), Just("U")].prop_map(|name| {
        (
            format!("${{{name}}}"),
            value_of(name).unwrap_or_default().to_owned(),
        )
    });
    let leaf = prop_oneof![plain, dollar, bare];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![Just("A"), Just("E"), Just("U")];
        let operator = prop_oneof![Just(":-"), Just("-"), Just(":+"), Just("+")];
        let braced = (name, operator, inner.clone()).prop_map(|(name, operator, inner)| {
            let (text, meant) = inner;
            let value = value_of(name);
            let counts = match operator.starts_with(':') {
                true => value.is_some_and(|value| !value.is_empty()),
                false => value.is_some(),
            };
            let is_default = operator.ends_with('-');
            let meant = match (is_default, counts) {
                (true, false) | (false, true) => meant,
                _ => value.unwrap_or_default().to_owned(),
            };
            (format!("${{{name}{operator}{text}}}"), meant)
        });
        let joined = prop::collection::vec(inner, 1..4).prop_map(|parts| {
            let texts = parts.iter().map(|(text, _)| text.as_str());
            (
                texts.collect(),
                parts.iter().map(|(_, meant)| meant.as_str()).collect(),
            )
        });
        prop_oneof![braced, joined]
    })
}

fn value_of(name: &str) -> Option<&'static str> {
    match name {
        "A" => Some("5001"),
        "E" => Some(""),
        _ => None,
    }
}

proptest! {
    #[test]
    fn variables_come_to_what_the_specification_says((text, meant) in template()) {
        let lookup = |name: &str| value_of(name).map(|value| Variable {
            value: Text::unplaced(value),
            origin: Origin::Environment,
        });
        let done = interpolate(&Text::unplaced(text.as_str()), &lookup).unwrap();
        prop_assert_eq!(done.text.as_str(), meant, "{}", text);
    }

    #[test]
    fn a_port_is_what_a_plain_reading_makes_of_it(
        host in prop::option::of(prop_oneof![Just("127.0.0.1"), Just("[::1]"), Just("0.0.0.0")]),
        published in 1_u16..=60_000,
        further in 0_u16..5,
        target in 1_u16..=60_000,
        is_stretch in any::<bool>(),
        protocol in prop_oneof![Just(""), Just("/tcp"), Just("/udp")],
        quote in prop_oneof![Just("'"), Just("\"")],
    ) {
        let numbers = |first: u16, further: u16| match further {
            0 => first.to_string(),
            further => format!("{first}-{}", first + further),
        };
        let host_part = host.map_or(String::new(), |host| format!("{host}:"));
        let targets = if is_stretch { further } else { 0 };
        let entry = format!("{host_part}{}:{}{protocol}", numbers(published, further), numbers(target, targets));
        let project = read(format!("services: {{a: {{ports: [{quote}{entry}{quote}]}}}}\n").as_bytes(), None);
        prop_assert!(project.problems.is_empty(), "{entry}: {:?}", project.problems);
        let (_, port) = project.ports().next().unwrap();
        let host = host.map(|host| host.trim_matches(['[', ']']).parse().unwrap());
        prop_assert_eq!(port.host, host);
        prop_assert_eq!(&port.target, &(target..=target + targets));
        prop_assert_eq!(port.protocol.as_str(), if protocol == "/udp" { "udp" } else { "tcp" });
        let is_choice = matches!(port.published, Published::OneOf(_));
        prop_assert_eq!(is_choice, further > 0 && !is_stretch);
        let stretch = port.published.stretch().unwrap();
        prop_assert_eq!((stretch.first().get(), stretch.last().get()), (published, published + further));
        let place = port.wording.number.as_ref().unwrap();
        prop_assert_eq!(place.bytes.len(), numbers(published, further).len());
    }

    #[test]
    fn a_value_of_an_env_file_is_found_where_it_stands(
        before in "(#[ -~]{0,20}\n|[A-F]=[0-9]{1,4}\n|\n){0,4}",
        port in 1_u16..,
        quote in prop_oneof![Just(""), Just("'"), Just("\"")],
        after in "( #[ -~]{0,10})?(\r?\n[G-K]=.{0,9})?",
    ) {
        let text = format!("{before}PORT={quote}{port}{quote}{after}");
        let file = Arc::new(SourceFile::new(Path::new(".env"), text.as_str()));
        // What follows may be wrong in its own way; then there is nothing to find.
        if let Ok(read) = DotEnv::read(&file, &|_| None) {
            let entry = read.get("PORT").unwrap();
            let digits = port.to_string();
            prop_assert_eq!(entry.value.as_str(), &digits);
            let place = entry.value.place(0..digits.len()).unwrap();
            prop_assert_eq!(&text[place.bytes.clone()], &digits);
            prop_assert_eq!(place.line, text[..place.bytes.start].matches('\n').count() + 1);
        }
    }

    #[test]
    fn no_bytes_bring_the_readers_down(
        compose in prop::collection::vec(any::<u8>(), 0..200),
        dot_env in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        read(&compose, Some(&dot_env));
    }

    #[test]
    fn nothing_like_a_compose_file_brings_the_reader_down(
        words in prop::collection::vec(prop_oneof![
            Just("services:"), Just("  a:"), Just("    ports:"), Just("      - "), Just("&x "), Just("*x"),
            Just("<<: "), Just("\n"), Just("!reset "), Just("!override "), Just("'80:80'"), Just("${A:-"),
            Just("}"), Just("{"), Just("["), Just("]"), Just("extends: a"), Just("include: [compose.yaml]"),
            Just("- "), Just("|\n"), Just("\""), Just("target: 80"), Just("published: "), Just(": "), Just("---\n"),
        ], 0..40),
    ) {
        read(words.concat().as_bytes(), Some(words.join("=").as_bytes()));
    }
}
