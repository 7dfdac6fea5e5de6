//! One directory is one model, shown as it was first spelt.

use portbook_model::{Ask, Outcome};

use crate::kit::{Desk, app};

#[test]
fn two_spellings_of_one_directory_are_one_app() {
    let mut desk = Desk::new();
    assert_eq!(desk.pair("x-ai/grok-4", 1), (5001, 8001));
    let grant = desk.grant("x-ai_grok-4", 1);
    assert!(!grant.created);
    assert_eq!(grant.allocation.app.to_string(), "x-ai/grok-4/app1");
    assert_eq!(desk.space().taken.count(), 2);
    assert!(desk.release("x-ai:grok-4", 1).is_some());
}

#[test]
fn an_app_that_returns_by_another_spelling_keeps_its_first() {
    let mut desk = Desk::new();
    desk.pair("x-ai/grok-4", 1);
    desk.release("x-ai_grok-4", 1);
    assert_eq!(
        desk.grant("x-ai_grok-4", 1).allocation.app.to_string(),
        "x-ai/grok-4/app1"
    );
    desk.release("x-ai_grok-4", 1);
    let outcome = desk.import(&[("x-ai_grok-4", 1, &[("backend", 9001), ("frontend", 9002)])]);
    assert_eq!(
        outcome,
        Ok(Outcome::Imported {
            registered: 1,
            unchanged: 0
        })
    );
    let held = desk
        .space()
        .allocation(&app("x-ai_grok-4", 1))
        .unwrap()
        .app
        .to_string();
    assert_eq!(held, "x-ai/grok-4/app1");
}

#[test]
fn likeness_is_not_identity() {
    let mut desk = Desk::new();
    let names = ["gpt-4", "gpt-4.1", "gpt-5", "gpt_4", "GPT-4", "gpt-4-"];
    let pairs: std::collections::BTreeSet<_> =
        names.iter().map(|name| desk.pair(name, 1)).collect();
    assert_eq!(pairs.len(), names.len());
}

#[test]
fn spaces_are_number_lines_of_their_own() {
    let mut desk = Desk::new();
    let mut planned = Vec::new();
    for space in ["default", "elsewhere", "default"] {
        let command = portbook_model::Command::new(
            space.parse().unwrap(),
            Ask::Allocate(portbook_model::AllocationRequest::plain(vec![app("m", 1)])),
        );
        let now = desk.wall;
        planned.extend(
            portbook_model::plan(&mut desk.book, &[command], &desk.host, &desk.policy, now).changes,
        );
    }
    assert_eq!(planned.len(), 2);
    assert_eq!(planned[0].change, planned[1].change);
    assert_ne!(planned[0].space, planned[1].space);
}
