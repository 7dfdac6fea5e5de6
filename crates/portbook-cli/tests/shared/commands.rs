//! What every command says of a book, wherever the book is kept.

use crate::desk::{Desk, Run};

/// Has two new books asked the same things, and compares the answers.
#[track_caller]
pub(crate) fn answer_alike(here: &Desk, there: &Desk) {
    for desk in [here, there] {
        let config = r#"[{"model": "promised", "app_number": 1, "backend_port": 5005, "frontend_port": 8005}]"#;
        std::fs::write(desk.path("port_config.json"), config).unwrap();
    }
    for line in [
        "get m 1",
        "allocate m 1-3",
        "allocate m 2 --json",
        "allocate x-ai/grok-4 1 --explain",
        "allocate promised 1 --json",
        "allocate m 9 --ports backend=7001,frontend=7002 --json",
        "allocate other 1 --ports backend=7001",
        "allocate m 1 --roles nonsense",
        "allocate leased 1 --ttl 2h",
        "renew leased 1",
        "renew m 1",
        "pool add gpus 20000-20009 openai_*",
        "allocate openai_gpt-4 1 --json",
        "pool list --json",
        "release m 2",
        "release m 2",
        "allocate m 4",
        "allocate m 2",
        "resolve openai-gpt-4 1",
        "resolve M 1",
        "list --csv",
        "list m*",
        "stats --json",
        "map",
        "check",
        "export --format port-config",
        "import port_config.json",
        "pool remove gpus",
        "store verify",
    ] {
        let (here, there) = (here.run(line), there.run(line));
        let told = |run: &Run| {
            (
                run.status,
                without_times(&run.stdout),
                without_times(&run.stderr),
            )
        };
        assert_eq!(told(&here), told(&there), "{line}");
    }
}

/// Two calls at different moments differ in the times that they tell.
fn without_times(text: &str) -> String {
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).count();
    let is_time = |word: &&str| digits(word) >= 6 && word.contains([':', '-']);
    text.split_inclusive([' ', '\n', ',', '"'])
        .map(|word| if is_time(&word) { "TIME " } else { word })
        .collect()
}
