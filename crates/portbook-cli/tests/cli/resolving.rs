//! `resolve`: names that are spelt otherwise.

use insta::assert_snapshot;

use crate::kit::{Sandbox, keys};

fn book() -> Sandbox {
    let sandbox = Sandbox::new();
    for model in [
        "x-ai/grok-4",
        "openai_gpt-4.1",
        "anthropic_claude-3.7-sonnet",
    ] {
        sandbox.run_words(["allocate", model, "1"]).done();
    }
    sandbox
}

#[test]
fn each_of_the_five_ways_says_its_name() {
    let sandbox = book();
    for (wanted, found, way) in [
        ("x-ai/grok-4", "x-ai/grok-4", "exact"),
        ("x-ai_grok-4", "x-ai/grok-4", "identity"),
        ("x_ai/grok_4", "x-ai/grok-4", "separators"),
        ("Grok 4 X-AI", "x-ai/grok-4", "tokens"),
        ("XAIGrok4", "x-ai/grok-4", "letters"),
        (
            "anthropic/claude-3.7-sonnet",
            "anthropic_claude-3.7-sonnet",
            "identity",
        ),
    ] {
        let answer = sandbox
            .run_words(["resolve", wanted, "1", "--json"])
            .done()
            .json();
        assert_eq!(
            (&answer["model"], &answer["matched"]),
            (&found.into(), &way.into()),
            "{wanted}"
        );
        assert_eq!(
            keys(&answer),
            [
                "app_num",
                "backend",
                "created",
                "expires_at",
                "frontend",
                "matched",
                "model",
                "ports",
                "source",
                "space",
            ]
        );
    }
    assert_eq!(sandbox.changes(), 3);
}

#[test]
fn in_words_it_says_how_the_app_was_found() {
    let sandbox = book();
    assert_snapshot!(sandbox.text("resolve grok-4/X-AI 1 --explain"), @r"
    APP               BACKEND  FRONTEND
    x-ai/grok-4/app1  5001     8001      matched by tokens

    `grok-4/X-AI` was found as x-ai/grok-4: the same words
    ");
}

#[test]
fn digits_count() {
    let sandbox = book();
    for wanted in [
        "openai_gpt-4",
        "openai_gpt-5",
        "openai_gpt",
        "openai/gpt-4.11",
        "x-ai/grok",
    ] {
        let run = sandbox.run_words(["resolve", wanted, "1"]);
        run.failed_saying(1, &[wanted, "portbook list"]);
    }
    // Another app of the model is another app.
    sandbox.run("resolve openai_gpt-4.1 2").failed(1);
    sandbox.text("resolve openai/gpt-4-1 1");
}

#[test]
fn between_two_it_refuses_to_guess() {
    let sandbox = book();
    sandbox.text("allocate x_ai-grok-4 1");
    let run = sandbox.run("resolve x.ai.grok.4 1");
    run.failed_saying(1, &["x-ai/grok-4/app1", "x_ai-grok-4/app1"]);
    assert_eq!(
        sandbox.run("resolve x.ai.grok.4 1 --json").error(1)["code"],
        "ambiguous"
    );
    assert_eq!(sandbox.json("resolve x_ai-grok-4 1")["matched"], "exact");
}
