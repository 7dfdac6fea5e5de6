//! `portbook man --markdown`: the reference of the commands as one page, from what `--help` is made of.

use clap::{Arg, Command};

/// The page of a program: what all commands take, and each command in the order of `--help`.
pub(crate) fn page(mut program: Command) -> String {
    program.build();
    let mut page = String::new();
    let global: Vec<&Arg> = shown_arguments(&program).collect();
    page.push_str("## Options of every command\n\nBefore the command's name or after it.\n\n");
    push_table(&mut page, "option", &global);
    for command in shown_commands(&program) {
        push_command(&mut page, command, &global);
    }
    page
}

fn push_command(page: &mut String, command: &Command, global: &[&Arg]) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    page.push_str(&format!("## {name}\n\n"));
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        page.push_str(&format!("{}\n\n", escaped(&about.to_string())));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    page.push_str(&format!("```text\n{usage}\n```\n\n"));
    let own = |argument: &&Arg| {
        !global
            .iter()
            .any(|other| other.get_id() == argument.get_id())
    };
    let (words, options): (Vec<&Arg>, Vec<&Arg>) = shown_arguments(command)
        .filter(own)
        .partition(|argument| argument.is_positional());
    push_table(page, "argument", &words);
    push_table(page, "option", &options);
    if let Some(more) = command.get_after_help() {
        page.push_str(&format!(
            "```text\n{}\n```\n\n",
            more.to_string().trim_end()
        ));
    }
    for inner in shown_commands(command) {
        push_command(page, inner, global);
    }
}

fn push_table(page: &mut String, heading: &str, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    page.push_str(&format!("| {heading} | |\n| --- | --- |\n"));
    for argument in arguments {
        let meaning = meaning(argument).replace('|', "\\|");
        page.push_str(&format!("| `{}` | {meaning} |\n", spelling(argument)));
    }
    page.push('\n');
}

/// How an argument is written: `--ttl <TIME>`.
fn spelling(argument: &Arg) -> String {
    // Clap's own, which leaves the short one out.
    let long = argument.to_string();
    match argument.get_short() {
        Some(short) if argument.get_long().is_some() => format!("-{short}, {long}"),
        _ => long,
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut meaning = escaped(&help.split_whitespace().collect::<Vec<_>>().join(" "));
    if !argument.get_action().takes_values() {
        return meaning;
    }
    let values = argument.get_possible_values();
    let values: Vec<String> = values
        .iter()
        .filter(|value| !argument.is_hide_possible_values_set() && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        meaning.push_str(&format!(": {}", values.join(", ")));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() {
        meaning.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    meaning
}

/// A text in which nothing is taken for a mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn shown_commands(command: &Command) -> impl Iterator<Item = &Command> {
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(shown)
}

fn shown_arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let shown = |argument: &&Arg| {
        !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
    };
    command.get_arguments().filter(shown)
}
