//! What is shown against what was said.
//!
//! Times, process ids and the widths of columns (a home's path is longer here than a reader's) may be
//! others. `[..]` in a line is anything, a line `...` any lines.

/// Whether the lines are as the page shows them.
pub(crate) fn fits(shown: &[String], said: &[&str]) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| steadied(line)).collect();
    let said: Vec<String> = said.iter().map(|line| steadied(line)).collect();
    lines_fit(&shown, &said)
}

fn lines_fit(shown: &[String], said: &[String]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((dots, rest)) if dots == "..." => {
            (0..=said.len()).any(|passed| lines_fit(rest, &said[passed..]))
        }
        Some((line, rest)) => said
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && lines_fit(rest, others)),
    }
}

fn line_fits(shown: &str, said: &str) -> bool {
    let Some((before, after)) = shown.split_once("[..]") else {
        return shown == said;
    };
    let Some(rest) = said.strip_prefix(before) else {
        return false;
    };
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| line_fits(after, &rest[at..]))
}

/// A line with what differs from run to run replaced by what stands for it.
fn steadied(line: &str) -> String {
    let mut steadied = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (said, length) = if let Some(length) = time(rest) {
            ("(time)", length)
        } else if let Some(digits) = rest.strip_prefix("pid ") {
            let others = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            ("pid (number)", rest.len() - others.len())
        } else if rest.starts_with("  ") && !steadied.trim().is_empty() {
            ("  ", rest.len() - rest.trim_start_matches(' ').len())
        } else {
            (&rest[..c.len_utf8()], c.len_utf8())
        };
        steadied.push_str(said);
        rest = &rest[length..];
    }
    steadied.truncate(steadied.trim_end().len());
    steadied
}

/// The length of the time that a text begins with: `2026-11-24 20:26:29` or `2026-11-24T20:26:29.043Z`.
fn time(text: &str) -> Option<usize> {
    let begins_like = |pattern: &str| {
        text.len() >= pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(found, wanted)| match wanted {
                    b'd' => found.is_ascii_digit(),
                    _ => found == wanted,
                })
    };
    [
        "dddd-dd-ddTdd:dd:dd.dddZ",
        "dddd-dd-ddTdd:dd:ddZ",
        "dddd-dd-dd dd:dd:dd",
    ]
    .into_iter()
    .find(|pattern| begins_like(pattern))
    .map(str::len)
}

#[test]
fn what_varies_is_let_be_and_nothing_else() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (page, output, right) in [
        ("", vec![], true),
        ("", vec!["a"], false),
        ("a", vec![], false),
        ("by [..], in /", vec!["by nginx, in /"], true),
        ("by [..], in /", vec!["by nginx, in /srv"], false),
        ("a\n...\nc", vec!["a", "c"], true),
        ("a\n...\nc", vec!["a", "b", "b", "c"], true),
        ("a\n...", vec!["b"], false),
        ("pid 4242, in /", vec!["pid 7, in /"], true),
        (
            "at 2026-11-24 20:26:29",
            vec!["at 2031-01-02 03:04:05"],
            true,
        ),
        ("app  5001   8001", vec!["app       5001  8001"], true),
        ("app 5001", vec!["app 5003"], false),
        ("  \"port\": 1", vec!["\"port\": 1"], false),
    ] {
        assert_eq!(fits(&shown(page), &output), right, "{page:?} {output:?}");
    }
}
