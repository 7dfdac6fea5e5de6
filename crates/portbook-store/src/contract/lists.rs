//! Lists and histories, and the names in them.

use portbook_model::{
    Ask, Change, CommitId, Model, Policy, ReleaseCause, Revision, Space, Timestamp,
};

use super::agreement::{agrees_with_its_changes, exact};
use super::kit::{
    allocate, allocated, app, at, batch, command, commit, filter, granted, here, listed,
    pool_added, ports, promised, recorded_as, released, there,
};
use super::{Make, PATIENCE, commit_plan};
use crate::HistoryFilter;

/// The history of a space, of some models, of one app, or only its end, oldest first.
pub fn history_is_filtered_and_its_end_can_be_asked_for(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        vec![
            here(allocated("openai_gpt-4", 1, 5001, 8001)),
            here(pool_added("p", 7000, 7009)),
            here(allocated("openai_gpt-4", 2, 5003, 8003)),
            here(allocated("x-ai/grok-4", 1, 5005, 8005)),
            there(allocated("openai_gpt-4", 1, 5001, 8001)),
            here(released("openai_gpt-4", 1, 5001, 8001)),
            here(promised("a.json", &[("openai_gpt-4", 9, 5009, 8009)])),
        ],
    )
    .unwrap();
    let mut reading = store.read().unwrap();
    let mut history = |models: Option<&str>, number: Option<u32>, last: Option<usize>| {
        let filter = HistoryFilter {
            of: filter(models, number),
            last,
        };
        let recorded = reading.history(&filter).unwrap();
        recorded
            .iter()
            .map(|change| change.revision.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(history(None, None, None), [1, 2, 3, 4, 6, 7]);
    assert_eq!(history(None, None, Some(2)), [6, 7]);
    assert_eq!(history(None, None, Some(0)), [0; 0]);
    assert_eq!(history(None, None, Some(99)), [1, 2, 3, 4, 6, 7]);
    assert_eq!(history(Some("openai_*"), None, None), [1, 3, 6]);
    assert_eq!(history(Some("openai_*"), None, Some(2)), [3, 6]);
    assert_eq!(history(Some("openai/gpt-4"), Some(1), None), [1, 6]);
    assert_eq!(history(None, Some(1), None), [1, 4, 6]);
    assert_eq!(history(None, Some(1), Some(1)), [6]);
    assert_eq!(history(Some("nobody"), None, None), [0; 0]);
}

/// Lists are ordered by the model's identity, then by app number, not by text.
pub fn allocations_are_filtered_and_in_order(make: Make<'_>) {
    let store = make();
    let apps = [
        ("b", 2),
        ("a.b", 1),
        ("b", 10),
        ("a/b", 1),
        ("B", 1),
        ("b", 1),
        ("a-b", 3),
    ];
    let steps = apps.iter().zip((5001..).step_by(2));
    let steps =
        steps.map(|((model, number), port)| here(allocated(model, *number, port, port + 3000)));
    commit(&*store, steps.collect()).unwrap();
    let ask = |models: Option<&str>, number| listed(&*store, &filter(models, number));
    // Identities in the order of their bytes: `B` < `a-b` < `a.b` < `a_b` < `b`.
    assert_eq!(
        ask(None, None),
        [
            "B/app1", "a-b/app3", "a.b/app1", "a/b/app1", "b/app1", "b/app2", "b/app10"
        ]
    );
    assert_eq!(
        ask(None, Some(1)),
        ["B/app1", "a.b/app1", "a/b/app1", "b/app1"]
    );
    assert_eq!(ask(Some("b"), None), ["b/app1", "b/app2", "b/app10"]);
    assert_eq!(ask(Some("b"), Some(10)), ["b/app10"]);
    assert_eq!(ask(Some("a*"), None), ["a-b/app3", "a.b/app1", "a/b/app1"]);
    assert_eq!(ask(Some("a?b"), Some(1)), ["a.b/app1", "a/b/app1"]);
    assert_eq!(ask(Some("b"), Some(3)), [""; 0]);
}

/// Each model once, as it was first spelt, whether its apps hold ports or held them, in the order in
/// which they became known; other spaces' models are theirs.
pub fn every_model_is_listed_once_in_the_order_of_their_coming(make: Make<'_>) {
    let store = make();
    let models = |space: &Space| {
        let models = store.read().unwrap().models(space).unwrap();
        let spellings = models.iter().map(|model| model.spelling().to_owned());
        spellings.collect::<Vec<_>>()
    };
    let here_are = |expected: &[&str]| assert_eq!(models(&Space::default()), expected);
    let steps = vec![
        there(allocated("elsewhere", 1, 5001, 8001)),
        here(allocated("x-ai/grok-4", 1, 5001, 8001)),
        here(allocated("openai_gpt-4", 1, 5003, 8003)),
        here(allocated("x-ai/grok-4", 2, 5005, 8005)),
        here(allocated("a", 1, 5007, 8007)),
    ];
    commit(&*store, steps).unwrap();
    here_are(&["x-ai/grok-4", "openai_gpt-4", "a"]);
    // Neither going nor coming back moves a model in the order, nor a further app of it.
    let steps = vec![
        here(released("x-ai/grok-4", 1, 5001, 8001)),
        here(released("x-ai/grok-4", 2, 5005, 8005)),
        here(allocated("first/again", 1, 5001, 8001)),
    ];
    commit(&*store, steps).unwrap();
    here_are(&["x-ai/grok-4", "openai_gpt-4", "a", "first/again"]);
    let steps = vec![
        here(allocated("x-ai/grok-4", 2, 5009, 8009)),
        here(allocated("a", 2, 5011, 8011)),
    ];
    commit(&*store, steps).unwrap();
    here_are(&["x-ai/grok-4", "openai_gpt-4", "a", "first/again"]);
    assert_eq!(models(&"nowhere".parse().unwrap()), [""; 0]);
}

/// What other stores take for wildcards (`_`, `%`) or for quotes is a letter like any other.
pub fn a_models_name_is_no_pattern_beneath(make: Make<'_>) {
    let store = make();
    let names = [
        "my_app",
        "my-app",
        "myXapp",
        "50%",
        "50__",
        "it's \"so\"",
        "a[bc]",
        "ab",
    ];
    let steps = names.iter().zip((5001..).step_by(2));
    commit(
        &*store,
        steps
            .map(|(name, port)| here(allocated(name, 1, port, port + 3000)))
            .collect(),
    )
    .unwrap();
    let ask = |models: &str| listed(&*store, &filter(Some(models), None));
    assert_eq!(ask("my_app"), ["my_app/app1"]);
    assert_eq!(ask("my_*"), ["my_app/app1"]);
    // `%` is no letter of a directory's name, so this is the model `50_`; it is none of a pattern.
    assert_eq!(ask("50%"), ["50%/app1"]);
    assert_eq!(ask("%*"), [""; 0]);
    assert_eq!(ask("it's*"), ["it's \"so\"/app1"]);
    assert_eq!(ask("a[bc]"), ["a[bc]/app1"]);
    let one = Change::Released {
        app: app("my_app", 1),
        ports: ports(5001, 8001),
        cause: ReleaseCause::Asked,
    };
    commit(&*store, vec![here(one)]).unwrap();
    assert_eq!(ask("my*"), ["my-app/app1", "myXapp/app1"]);
    agrees_with_its_changes(&*store);
}

/// A model is found by every spelling of its identity and shown as it was first spelt.
pub fn the_first_spelling_is_the_one_shown(make: Make<'_>) {
    let store = make();
    commit(&*store, vec![here(allocated("x-ai/grok-4", 1, 5001, 8001))]).unwrap();
    let policy = Policy::default();
    for spelling in ["x-ai_grok-4", "x-ai:grok-4", "x-ai/grok-4"] {
        let record = store
            .read()
            .unwrap()
            .app(&Space::default(), &app(spelling, 1))
            .unwrap();
        assert_eq!(record.unwrap().app().to_string(), "x-ai/grok-4/app1");
        assert_eq!(
            listed(&*store, &filter(Some(spelling), None)),
            ["x-ai/grok-4/app1"]
        );
        let answers = commit_plan(&*store, &[allocate(spelling, 1)], &policy, at(1));
        let grant = granted(&answers);
        assert_eq!(
            (grant.app.to_string().as_str(), &grant.ports),
            ("x-ai/grok-4/app1", &ports(5001, 8001))
        );
    }
    assert_eq!(
        listed(&*store, &filter(Some("x-ai/*"), None)),
        ["x-ai/grok-4/app1"]
    );
    // Neither giving the ports back nor coming back by another spelling changes that.
    let release = Ask::Release {
        apps: vec![app("x-ai_grok-4", 1)],
    };
    commit_plan(&*store, &[command(release)], &policy, at(2));
    let former = store
        .read()
        .unwrap()
        .app(&Space::default(), &app("x-ai_grok-4", 1))
        .unwrap();
    assert_eq!(former.unwrap().app().to_string(), "x-ai/grok-4/app1");
    let answers = commit_plan(&*store, &[allocate("x-ai_grok-4", 1)], &policy, at(3));
    assert_eq!(granted(&answers).app.to_string(), "x-ai/grok-4/app1");
    // A further app of the model is shown by that spelling too.
    let answers = commit_plan(&*store, &[allocate("x-ai_grok-4", 2)], &policy, at(4));
    assert_eq!(granted(&answers).app.to_string(), "x-ai/grok-4/app2");
    agrees_with_its_changes(&*store);
}

/// Names keep every letter, and the numbers that an app can have are kept to the largest.
pub fn names_in_any_script_are_kept(make: Make<'_>) {
    let store = make();
    let long = "m".repeat(Model::LONGEST);
    let names = [
        "Модель/四",
        "ä ö\u{301}",
        "🦀",
        "'; DROP TABLE apps; --",
        &long,
    ];
    let steps = names.iter().zip((5001..).step_by(2));
    let steps = steps.map(|(name, port)| here(allocated(name, i32::MAX as u32, port, port + 3000)));
    commit(&*store, steps.collect()).unwrap();
    let mut batch = batch(vec![here(allocated("m", 1, 1, 65535))]);
    batch.changes[0].by = "cli:Алиса \"'%_\\".into();
    batch.commit = CommitId([0xff; 16]);
    batch.at = Timestamp::from_millis(253_402_300_799_999);
    store
        .turn(PATIENCE)
        .unwrap()
        .commit(Revision(5), &batch)
        .unwrap();
    let recorded = store.read().unwrap().changes_since(Revision(5)).unwrap();
    assert_eq!(
        exact(&recorded),
        exact(&vec![recorded_as(6, &batch, &batch.changes[0])])
    );
    assert_eq!(
        store.find_commit(CommitId([0xff; 16]), Revision(5)),
        Ok(true)
    );
    for name in names {
        let record = store
            .read()
            .unwrap()
            .app(&Space::default(), &app(name, i32::MAX as u32))
            .unwrap();
        assert_eq!(record.unwrap().app().model.spelling(), name);
    }
    agrees_with_its_changes(&*store);
}
