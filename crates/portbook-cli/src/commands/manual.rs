//! `portbook completions` and `portbook man`: what packages ship beside the program.

use std::io::Write;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Answer, Ending, reference};
use crate::arguments::Arguments;
use crate::output::Output;

pub(crate) fn completions(shell: Shell) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portbook", &mut script);
    write(&script)?;
    Ok(Answer::Yes)
}

/// Writes the page of the program, or with `markdown` the reference of all commands.
pub(crate) fn page(markdown: bool) -> Ending {
    let command = described();
    let mut page = Vec::new();
    if markdown {
        page = reference::page(command).into_bytes();
    } else {
        Man::new(command).render(&mut page)?;
    }
    write(&page)?;
    Ok(Answer::Yes)
}

/// Writes the page of every command into a directory.
pub(crate) fn pages(directory: &Path, output: &Output) -> Ending {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(described(), directory)?;
    output.note(&format!(
        "the manual's pages are in {}",
        directory.display()
    ));
    Ok(Answer::Yes)
}

/// The command without what only this build of it is.
fn described() -> Command {
    Arguments::command().long_version(env!("CARGO_PKG_VERSION"))
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
