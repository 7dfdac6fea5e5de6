//! What is read of the book, and what it says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use portbook_model::{
    AppDirectory, AppRecord, Ask, Change, Needs, Notes, Policy, ProcessIdentity, ReleaseCause,
    Revision, Role, Run, Source, Space,
};

use super::agreement::{agrees_with_its_changes, replay, same_space};
use super::kit::{
    allocated, app, at, command, commit, commit_at, filter, here, leased, listed, pool_added,
    pool_removed, port, ports, ports_of, promised, released, renewed, there,
};
use super::{Make, commit_plan};
use crate::{Filter, HistoryFilter};

/// A new book is at revision 0, holds nothing, and is told from every other by its name.
pub fn a_new_book_is_empty_and_has_a_name_of_its_own(make: Make<'_>) {
    let store = make();
    let mut reading = store.read().unwrap();
    let head = reading.head().unwrap();
    assert_eq!(head.revision, Revision(0));
    assert!(!head.book.0.is_empty(), "the book has no name");
    assert_eq!(reading.changes_since(Revision(0)).unwrap(), []);
    assert_eq!(reading.history(&HistoryFilter::default()).unwrap(), []);
    assert_eq!(reading.spaces().unwrap(), []);
    assert_eq!(reading.allocations(&Filter::default()).unwrap(), []);
    assert_eq!(
        reading.audit(&Space::default()).unwrap(),
        crate::Audit::default()
    );
    assert_eq!(reading.app(&Space::default(), &app("m", 1)).unwrap(), None);
    assert!(!store.location().is_empty());
    drop(reading);
    let name = store.read().unwrap().head().unwrap().book;
    assert_eq!(name, head.book, "the book's name changed");
    assert_ne!(make().read().unwrap().head().unwrap().book, name);
}

/// A reading shows the book of one moment, whatever is committed while it lasts.
pub fn a_reading_stays_as_it_was(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
        ],
    )
    .unwrap();
    let mut early = store.read().unwrap();
    assert_eq!(early.head().unwrap().revision, Revision(2));
    commit(
        &*store,
        vec![
            here(allocated("m", 2, 5003, 8003)),
            here(released("m", 1, 5001, 8001)),
            here(pool_removed("p", 7000, 7009)),
            there(allocated("m", 1, 5001, 8001)),
        ],
    )
    .unwrap();
    let mut late = store.read().unwrap();
    assert_eq!(early.head().unwrap().revision, Revision(2));
    assert_eq!(late.head().unwrap().revision, Revision(6));
    let before = replay(&early.changes_since(Revision(0)).unwrap());
    assert_eq!(
        before.len(),
        1,
        "the reading shows changes that came after it"
    );
    same_space(&mut *early, &Space::default(), &before[&Space::default()]);
    let after = replay(&late.changes_since(Revision(0)).unwrap());
    same_space(&mut *late, &Space::default(), &after[&Space::default()]);
}

/// The allocations whose lease has ended are found, whatever their space, and held until a command
/// reclaims them.
pub fn lapsed_leases_are_found_in_every_space(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(leased("m", 1, 5001, 8001, 100)),
            here(leased("m", 2, 5003, 8003, 101)),
            here(allocated("m", 3, 5005, 8005)),
            there(leased("x/y", 1, 5001, 8001, 50)),
            here(leased("m", 4, 5007, 8007, 10)),
            here(renewed("m", 4, 500)),
            here(leased("m", 5, 5009, 8009, 10)),
            here(released("m", 5, 5009, 8009)),
        ],
    )
    .unwrap();
    let lapsed = |now| {
        let lapsed = store.read().unwrap().lapsed(at(now)).unwrap();
        lapsed
            .iter()
            .map(|(space, app)| format!("{space} {app}"))
            .collect::<BTreeSet<_>>()
    };
    let are = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(lapsed(49), are(&[]));
    assert_eq!(lapsed(50), are(&["elsewhere x/y/app1"]));
    assert_eq!(lapsed(100), are(&["elsewhere x/y/app1", "default m/app1"]));
    assert_eq!(
        lapsed(499),
        are(&["elsewhere x/y/app1", "default m/app1", "default m/app2"])
    );
    assert!(lapsed(500).contains("default m/app4"));
    assert_eq!(listed(&*store, &filter(Some("m"), None)).len(), 4);
    commit_plan(
        &*store,
        &[command(Ask::Expire)],
        &Policy::default(),
        at(100),
    );
    assert_eq!(
        listed(&*store, &filter(Some("m"), None)),
        ["m/app2", "m/app3", "m/app4"]
    );
    assert_eq!(lapsed(100), are(&["elsewhere x/y/app1"]));
    agrees_with_its_changes(&*store);
}

/// A space is read with the releases after a moment: the moment itself is no more among them.
pub fn rests_reach_back_as_far_as_asked(make: Make<'_>) {
    let store = make();
    for (number, released_at) in [(1, 10), (2, 20), (3, 30)] {
        let port = 5001 + 2 * u16::try_from(number).unwrap();
        commit_at(
            &*store,
            0,
            vec![here(allocated("m", number, port, port + 3000))],
        )
        .unwrap();
        commit_at(
            &*store,
            released_at,
            vec![here(released("m", number, port, port + 3000))],
        )
        .unwrap();
    }
    let rests = |after| {
        let book = store
            .read()
            .unwrap()
            .space(&Space::default(), at(after))
            .unwrap();
        book.rests
            .keys()
            .map(|port| port.get())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(rests(0), [5003, 8003, 5005, 8005, 5007, 8007].into());
    assert_eq!(rests(9), rests(0));
    assert_eq!(rests(10), [5005, 8005, 5007, 8007].into());
    assert_eq!(rests(29), [5007, 8007].into());
    assert_eq!(rests(30), [].into());
}

/// A port rests since its last release, for whoever gave it back then, and not while somebody holds
/// it.
pub fn the_last_release_of_a_port_counts(make: Make<'_>) {
    let store = make();
    commit_at(&*store, 10, vec![here(allocated("m", 1, 5001, 8001))]).unwrap();
    commit_at(&*store, 20, vec![here(released("m", 1, 5001, 8001))]).unwrap();
    // Within one moment another app has the backend and gives it back, and the first returns elsewhere.
    commit_at(
        &*store,
        20,
        vec![
            here(allocated("m", 2, 5001, 8005)),
            here(released("m", 2, 5001, 8005)),
            here(allocated("m", 1, 5007, 8007)),
            here(allocated("m", 3, 8005, 5009)),
        ],
    )
    .unwrap();
    let book = store
        .read()
        .unwrap()
        .space(&Space::default(), at(0))
        .unwrap();
    let rests: BTreeMap<u16, String> = book
        .rests
        .iter()
        .map(|(port, rest)| (port.get(), rest.by.to_string()))
        .collect();
    assert_eq!(
        rests,
        [(5001, "m/app2".to_owned()), (8001, "m/app1".to_owned())].into()
    );
    agrees_with_its_changes(&*store);
}

/// A file's promises replace those that it made before, go with it, and leave other files' alone.
pub fn promises_are_replaced_file_by_file(make: Make<'_>) {
    let store = make();
    let promises = || {
        let book = store
            .read()
            .unwrap()
            .space(&Space::default(), at(0))
            .unwrap();
        let files = book.promises.files();
        files
            .map(|file| format!("{} {} {}", file.source, file.digest, file.promises.len()))
            .collect::<Vec<_>>()
    };
    commit(
        &*store,
        vec![
            here(promised(
                "/b.json",
                &[("x/y", 1, 5001, 8001), ("x_y", 2, 5003, 8003)],
            )),
            here(promised("/a.json", &[("m", 1, 5001, 8003)])),
            there(promised("/a.json", &[])),
        ],
    )
    .unwrap();
    assert_eq!(promises(), ["/a.json digest 1", "/b.json digest 2"]);
    commit(
        &*store,
        vec![here(promised("/b.json", &[("x/y", 1, 6001, 9001)]))],
    )
    .unwrap();
    assert_eq!(promises(), ["/a.json digest 1", "/b.json digest 1"]);
    agrees_with_its_changes(&*store);
    let forget = Change::Unpromised {
        source: "/a.json".to_owned(),
    };
    commit(&*store, vec![here(forget)]).unwrap();
    assert_eq!(promises(), ["/b.json digest 1"]);
    agrees_with_its_changes(&*store);
}

/// A space is read without its apps; those that are needed are loaded, and the owners of ports.
pub fn what_is_needed_is_loaded_and_no_more(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("m", 1, 5001, 8001)),
            here(allocated("m", 2, 5003, 8003)),
            here(allocated("m", 3, 5005, 8005)),
            here(released("m", 3, 5005, 8005)),
            there(allocated("m", 4, 5007, 8007)),
        ],
    )
    .unwrap();
    let mut reading = store.read().unwrap();
    let space = Space::default();
    let read = reading.space(&space, at(0)).unwrap();
    assert_eq!(
        read.taken,
        [5001, 8001, 5003, 8003].map(port).into_iter().collect()
    );
    assert!(read.apps.is_empty() && read.owners.is_empty());
    let mut book = read.clone();
    let needs = Needs {
        apps: [app("m", 1), app("m", 3), app("m", 4), app("m", 9)].into(),
        owners: [port(8003), port(5005)].into_iter().collect(),
        every_owner: false,
    };
    reading.load(&space, &needs, &mut book).unwrap();
    assert_eq!(
        book.apps.keys().cloned().collect::<BTreeSet<_>>(),
        [app("m", 1), app("m", 3)].into()
    );
    assert!(matches!(book.apps[&app("m", 3)], AppRecord::Former(_)));
    assert_eq!(
        book.allocation(&app("m", 1)).unwrap().ports,
        ports(5001, 8001)
    );
    let owner = &book.owners[&port(8003)];
    assert_eq!(
        (owner.app.to_string(), owner.role.clone()),
        ("m/app2".to_owned(), Role::frontend())
    );
    assert!(!book.owners.contains_key(&port(5005)) && !book.owners.contains_key(&port(5003)));
    let mut book = read;
    let needs = Needs {
        every_owner: true,
        ..Needs::default()
    };
    reading.load(&space, &needs, &mut book).unwrap();
    assert_eq!(book.owners.len(), 4);
    assert!(book.apps.is_empty());
}

/// What the store tells of the book is what its changes come to, for every kind of change.
pub fn every_kind_of_change_reads_back(make: Make<'_>) {
    let store = make();
    let steps = [
        allocated("x-ai/grok-4", 1, 5001, 8001),
        leased("m", 1, 5003, 8003, 1000),
        Change::Allocated {
            app: app("m", 2),
            ports: ports_of(&[
                ("backend", 1),
                ("frontend", 65535),
                ("db", 60000),
                ("web-socket", 2),
            ]),
            source: Source::Import,
            created_at: Some(at(-5)),
            lease: None,
        },
        Change::Extended {
            app: app("x-ai_grok-4", 1),
            ports: ports_of(&[("db", 15001)]),
        },
        renewed("m", 1, 2000),
        Change::Noted {
            app: app("m", 2),
            notes: Notes {
                directory: Some(AppDirectory {
                    path: "/srv/m/app2".to_owned(),
                    template: Some("/srv/templates/web".to_owned()),
                    branch: None,
                }),
                run: Some(Run {
                    process: ProcessIdentity {
                        pid: 7,
                        start_time: u64::MAX,
                        boot: "b".to_owned(),
                    },
                    release_on_exit: true,
                }),
                missing_since: Some(at(-7)),
            },
        },
        Change::Noted {
            app: app("m", 2),
            notes: Notes::default(),
        },
        Change::Moved {
            app: app("x-ai_grok-4", 1),
            from: ports_of(&[("backend", 5001), ("db", 15001)]),
            to: ports_of(&[("backend", 5011), ("db", 5001)]),
            why: "somebody else uses it".to_owned(),
        },
        promised("/a.json", &[("m", 7, 6665, 9001)]),
        promised("/b.json", &[("m", 8, 6667, 9003)]),
        Change::Unpromised {
            source: "/a.json".to_owned(),
        },
        pool_added("p", 7000, 7009),
        pool_added("q", 65535, 65535),
        pool_removed("p", 7000, 7009),
        Change::Accepted,
        Change::Released {
            app: app("m", 1),
            ports: ports(5003, 8003),
            cause: ReleaseCause::LeaseEnded,
        },
        Change::Released {
            app: app("x-ai/grok-4", 1),
            ports: ports_of(&[("backend", 5011), ("frontend", 8001), ("db", 5001)]),
            cause: ReleaseCause::Asked,
        },
    ];
    let kinds: HashSet<&str> = steps.iter().map(Change::name).collect();
    assert_eq!(
        kinds.len(),
        11,
        "a kind of change is missing here: {kinds:?}"
    );
    let sources = Source::ALL.into_iter().zip((30_001..).step_by(2));
    let sourced = sources.map(|(source, port)| Change::Allocated {
        app: app(source.as_str(), 1),
        ports: ports(port, port + 1),
        source,
        created_at: None,
        lease: None,
    });
    for (moment, step) in (100..).zip(steps.into_iter().chain(sourced)) {
        commit_at(&*store, moment, vec![here(step.clone()), there(step)]).unwrap();
        agrees_with_its_changes(&*store);
    }
}
