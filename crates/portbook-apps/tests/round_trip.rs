//! What is written reads back as it was; what nobody wrote never brings the reader down.

// A helper of a test is not known for one: what it unwraps is what the test is about.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use portbook_apps::export::{PortConfiguration, write_csv, write_json, write_port_config};
use portbook_apps::{Listing, read};
use portbook_model::{AppKey, AppNumber, Model, Port, Ports, Role, Space, Timestamp};
use proptest::prelude::*;

const REAL: &[u8] = include_bytes!("data/port_config.json");

fn models() -> impl Strategy<Value = Model> {
    "[ -~äß漢=]{1,24}".prop_filter_map("no model", |name| Model::new(&name).ok())
}

/// Apps of up to two spaces, each port and each app once in its space.
fn apps() -> impl Strategy<Value = Vec<PortConfiguration>> {
    let app = (
        models(),
        1u32..5,
        any::<bool>(),
        prop::sample::select(vec!["default", "lab:2"]),
        0i64..4_000_000_000_000,
        prop::collection::btree_set("[a-z0-9][a-z0-9._-]{0,12}", 0..3),
    );
    (prop::collection::vec(app, 0..20), 1u16..60_000).prop_map(|(apps, base)| {
        let mut port = base;
        let mut next = || {
            port += 1;
            Port::new(port).unwrap()
        };
        let mut exported = BTreeMap::new();
        for (model, number, available, space, at, roles) in apps {
            let mut ports = Ports::from([(Role::backend(), next()), (Role::frontend(), next())]);
            for role in roles {
                ports
                    .entry(Role::new(&role).unwrap())
                    .or_insert_with(&mut next);
            }
            let app = AppKey::new(model, AppNumber::new(number).unwrap());
            let space = Space::new(space).unwrap();
            let key = (app.clone(), space.clone());
            let at = Timestamp::from_millis(at);
            let app = PortConfiguration::new(app, ports, available, space, at).unwrap();
            exported.insert(key, app);
        }
        exported.into_values().collect()
    })
}

/// Everything that both an export and a listing tell, with the spelling of the model, which equality
/// of models leaves out.
type Told = (String, u32, Ports, Option<Space>);

fn told(listing: &Listing) -> Vec<Told> {
    let entries = listing.entries.iter();
    entries
        .map(|listed| {
            let app = &listed.entry.app;
            (
                app.model.spelling().to_owned(),
                app.number.get(),
                listed.entry.ports.clone(),
                listed.space.clone(),
            )
        })
        .collect()
}

fn written(app: &PortConfiguration) -> Told {
    let key = &app.app;
    (
        key.model.spelling().to_owned(),
        key.number.get(),
        app.ports.clone(),
        Some(app.space.clone()),
    )
}

/// Reads and asks for all there is to ask; lines must lie in the file.
fn must_not_panic(bytes: &[u8]) {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    match read(bytes) {
        Ok(listing) => {
            for problem in &listing.problems {
                assert!((1..=lines).contains(&problem.line), "{problem:?}");
                assert!(!problem.to_string().is_empty());
            }
            assert!(
                listing
                    .entries
                    .iter()
                    .all(|listed| (1..=lines).contains(&listed.line))
            );
        }
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
}

#[test]
fn a_port_config_is_written_byte_for_byte_as_the_real_one() {
    let listing = read(REAL).unwrap();
    let mut apps: Vec<_> = listing
        .entries
        .into_iter()
        .map(|listed| {
            let (app, ports) = (listed.entry.app, listed.entry.ports);
            PortConfiguration::new(app, ports, true, Space::default(), Timestamp::EPOCH).unwrap()
        })
        .collect();
    apps.reverse();
    assert!(write_port_config(&apps).as_bytes() == REAL);
}

#[test]
fn each_format_is_laid_out_as_promised() {
    let app = AppKey::new(
        Model::new("x-ai/grok, 4").unwrap(),
        AppNumber::new(7).unwrap(),
    );
    let ports = [("backend", 5001), ("frontend", 8001), ("db", 15432)]
        .map(|(role, port)| (Role::new(role).unwrap(), Port::new(port).unwrap()));
    let space = Space::default();
    let export = |ports: Ports| {
        PortConfiguration::new(app.clone(), ports, true, space.clone(), Timestamp::EPOCH)
    };
    let apps = [export(Ports::from(ports.clone())).unwrap()];
    assert_eq!(
        write_csv(&apps),
        "model,app_num,backend_port,frontend_port,ports,is_available,space,created_at\n\
         \"x-ai/grok, 4\",7,5001,8001,backend=5001;db=15432;frontend=8001,true,default,1970-01-01T00:00:00.000Z\n"
    );
    assert_eq!(
        write_json(&apps),
        r#"[
  {
    "model": "x-ai/grok, 4",
    "app_num": 7,
    "backend_port": 5001,
    "frontend_port": 8001,
    "ports": {
      "backend": 5001,
      "db": 15432,
      "frontend": 8001
    },
    "is_available": true,
    "space": "default",
    "created_at": "1970-01-01T00:00:00.000Z"
  }
]"#
    );
    assert_eq!(write_json(&[]), "[]");
    let [backend, ..] = ports;
    assert_eq!(
        export(Ports::from([backend])).unwrap_err().to_string(),
        "x-ai/grok, 4/app7 has no frontend port"
    );
}

proptest! {
    #[test]
    fn an_export_reads_back_as_it_was_written(apps in apps()) {
        let expected: Vec<Told> = apps.iter().map(written).collect();
        for text in [write_json(&apps), write_csv(&apps)] {
            let listing = read(text.as_bytes()).unwrap();
            prop_assert_eq!(&listing.problems, &vec![]);
            prop_assert_eq!(told(&listing), expected.clone());
            // What was read and is written again is the same file.
            let again: Vec<_> = listing.entries.into_iter().zip(&apps).map(|(listed, app)| {
                let created_at = listed.entry.created_at.unwrap();
                let available = write_json(std::slice::from_ref(app)).contains("\"is_available\": true");
                let (app, ports) = (listed.entry.app, listed.entry.ports);
                PortConfiguration::new(app, ports, available, listed.space.unwrap(), created_at).unwrap()
            }).collect();
            prop_assert_eq!(&again, &apps);
        }
        let default = Space::default();
        let apps: Vec<_> = apps.into_iter().filter(|app| app.space == default).collect();
        let listing = read(write_port_config(&apps).as_bytes()).unwrap();
        prop_assert_eq!(&listing.problems, &vec![]);
        let expected: Vec<Told> = apps.iter().map(written).map(|(model, number, mut ports, _)| {
            ports.retain(|role, _| [Role::backend(), Role::frontend()].contains(role));
            (model, number, ports, None)
        }).collect();
        prop_assert_eq!(told(&listing), expected);
    }

    #[test]
    fn arbitrary_bytes_never_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        must_not_panic(&bytes);
        must_not_panic(&[b"[", &bytes[..]].concat());
        must_not_panic(&[b"model,app_num,backend_port,frontend_port\n", &bytes[..]].concat());
    }

    #[test]
    fn text_that_looks_like_a_listing_never_brings_the_reader_down(
        text in r#"[\[\]\{\}",:\\ \n0-9eE.+\-]{0,40}|(\[|\{|"model":|"a"|,|\}|\]|"ports":|1|"\\ud800"|null){0,30}"#
    ) {
        must_not_panic(text.as_bytes());
        must_not_panic(format!("[{text}]").as_bytes());
        must_not_panic(format!("[{{{text}}}]").as_bytes());
    }

    #[test]
    fn damaged_files_never_bring_the_reader_down(
        apps in apps(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        for text in [write_json(&apps), write_csv(&apps), write_port_config(&apps)] {
            let mut bytes = text.into_bytes();
            for (place, byte, way) in &hits {
                if bytes.is_empty() {
                    break;
                }
                let place = place.index(bytes.len());
                match way {
                    0 => bytes[place] = *byte,
                    1 => bytes.insert(place, *byte),
                    2 => drop(bytes.remove(place)),
                    _ => bytes.truncate(place),
                }
            }
            must_not_panic(&bytes);
        }
    }
}
