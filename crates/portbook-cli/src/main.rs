//! The command `portbook`: parses, calls the library, prints.

mod arguments;
mod commands;
mod interruption;
mod output;
mod progress;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::arguments::{Arguments, Global};
use crate::commands::{Answer, Ending};
use crate::output::{Complaint, Output};

fn main() -> ExitCode {
    if let Some(status) = commands::run::become_command() {
        return status;
    }
    match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            match error.print() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => end(Err(error.into()), &output_of_unparsed()),
            }
        }
        Err(error) => {
            let complaint = usage_complaint(&error);
            output_of_unparsed().fail(&complaint);
            ExitCode::from(complaint.exit_status())
        }
    }
}

fn run(arguments: Arguments) -> ExitCode {
    let output = Output::new(&arguments.global);
    end(commands::run(arguments, &output), &output)
}

/// The exit status of an ending; a failure is told. Whoever closed the pipe has read enough: that is
/// none.
fn end(ending: Ending, output: &Output) -> ExitCode {
    match ending {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Status(status)) => ExitCode::from(status),
        Err(complaint) if complaint.is_broken_pipe() => ExitCode::SUCCESS,
        Err(complaint) => {
            output.fail(&complaint);
            ExitCode::from(complaint.exit_status())
        }
    }
}

/// Clap's complaint as one sentence: its first paragraph, without its label and its usage.
fn usage_complaint(error: &clap::Error) -> Complaint {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let message = "no command was given".to_owned();
        let hint = format!("{} --help lists the commands", called(&error.to_string()));
        return Complaint::about_usage(message, Some(&hint));
    }
    // Our own sentences say what is due; clap's way of putting them would say the value twice.
    if let (Some(cause), Some(ContextValue::String(argument))) =
        (error.source(), error.get(ContextKind::InvalidArg))
    {
        let argument = argument.split(' ').next().unwrap_or(argument);
        let argument = argument.trim_matches(['<', '>', '[', ']']);
        return Complaint::about_usage(format!("{argument}: {cause}"), None);
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence = text.split("\n\n").next().unwrap_or(text);
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "));
    Complaint::about_usage(sentence, tip.or(Some("--help tells what can be said")))
}

/// The command that a help text is of: `portbook pool`.
fn called(help: &str) -> String {
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.unwrap_or("portbook").split(' ');
    let names: Vec<_> = words
        .take_while(|word| !word.starts_with(['[', '<']))
        .collect();
    names.join(" ")
}

/// How to complain about a command line that cannot be read: as far as it can be read.
fn output_of_unparsed() -> Output {
    let json = std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    Output::new(&Global {
        store: None,
        space: None,
        config: None,
        port_config: None,
        json,
        no_host_check: false,
        quiet: false,
        verbose: false,
        color: arguments::Color::Auto,
    })
}
