//! Links within the book, and from the README, lead to files and headings that are there.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::{pages, source};

#[test]
fn every_link_leads_somewhere() {
    let root = source().join("../../..").canonicalize().unwrap();
    let book = source().canonicalize().unwrap();
    let mut files: Vec<PathBuf> = pages().iter().map(|page| book.join(page)).collect();
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "bindings/python/README.md",
    ] {
        files.push(root.join(file));
    }
    let mut headings = HashMap::new();
    let mut faults = Vec::new();
    for file in files {
        for link in links(&without_code(&text_of(&file))) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                file.clone()
            } else {
                plain(&file.parent().unwrap().join(path))
            };
            let there = target.exists()
                // What is outside of the book's folder is not in the book that is built.
                && (!file.starts_with(&book) || target.starts_with(&book));
            let found = anchor.is_empty()
                || there
                    && headings
                        .entry(target.clone())
                        .or_insert_with(|| anchors(&text_of(&target)))
                        .iter()
                        .any(|heading| heading == anchor);
            if !there || !found {
                faults.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "lead nowhere:\n{}", faults.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = fs::read_to_string(source().join("SUMMARY.md")).unwrap();
    let listed = links(&contents);
    for page in pages() {
        assert!(
            page == "SUMMARY.md" || listed.contains(&page),
            "{page} is not in SUMMARY.md"
        );
    }
}

/// A file's text; the reference of the commands is what the program makes of it.
fn text_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    if !text.contains("{{commands}}") {
        return text;
    }
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("portbook"));
    let output = command.args(["man", "--markdown"]).output().unwrap();
    assert!(output.status.success());
    text.replace("{{commands}}", &String::from_utf8(output.stdout).unwrap())
}

/// The text without blocks and spans of code.
fn without_code(text: &str) -> String {
    let mut kept = String::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            kept.extend(line.split('`').step_by(2));
            kept.push('\n');
        }
    }
    kept
}

/// Where the links and pictures of a text lead.
fn links(text: &str) -> Vec<String> {
    let written = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let pictures = text
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    written.chain(pictures).map(str::to_owned).collect()
}

/// The anchors of a text's headings, as mdBook and GitHub name them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        let Some((_, title)) = line
            .split_once("# ")
            .filter(|(marks, _)| !in_block && marks.chars().all(|mark| mark == '#'))
        else {
            continue;
        };
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        anchors.push(slug);
    }
    anchors
}

/// A path without `.` and `..`, also of what is not there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
