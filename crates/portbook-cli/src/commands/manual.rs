//! `portbook completions` and `portbook man`: what packages ship beside the program.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Answer, Ending};
use crate::arguments::Arguments;
use crate::output::Output;

pub(crate) fn completions(shell: Shell) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portbook", &mut script);
    write(&script)?;
    Ok(Answer::Yes)
}

pub(crate) fn pages(directory: Option<&Path>, output: &Output) -> Ending {
    let command = Arguments::command();
    match directory {
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            write(&page)?;
        }
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            clap_mangen::generate_to(command, directory)?;
            output.note(&format!(
                "the manual's pages are in {}",
                directory.display()
            ));
        }
    }
    Ok(Answer::Yes)
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
