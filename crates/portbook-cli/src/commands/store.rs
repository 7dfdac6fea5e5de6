//! `portbook store`: a book as a whole, wherever it lies.

use std::path::Path;
use std::sync::atomic::Ordering;

use portbook::{Prepared, back_up, bring_up_to_date, copy, preparation, prepare, restore, verify};

use super::{Answer, Ending, configure, open};
use crate::arguments::{Global, StoreCommand};
use crate::interruption::interruption;
use crate::output::{BAD, FAINT, GOOD, Output, counted};
use crate::progress::Progress;

pub(crate) fn run(command: &StoreCommand, global: &Global, output: &Output) -> Ending {
    match command {
        StoreCommand::Init { print } => init(*print, &place(global)?, output),
        StoreCommand::Upgrade => upgrade(&place(global)?, output),
        StoreCommand::Copy { from, to } => copied(from, to, output),
        StoreCommand::Verify => verified(&place(global)?, output),
        StoreCommand::Backup { file } => backed_up(file, &place(global)?, output),
        StoreCommand::Restore { file } => restored(file, &place(global)?, output),
        StoreCommand::Accept => accepted(global, output),
    }
}

fn place(global: &Global) -> Result<String, crate::output::Complaint> {
    Ok(configure(global)?.store.value)
}

fn init(print: bool, place: &str, output: &Output) -> Ending {
    if print {
        match preparation(place)? {
            Some(statements) => output.answer(&statements)?,
            None => output.note("nothing needs doing: the file is made at its first use"),
        }
        return Ok(Answer::Yes);
    }
    let made = prepare(place)? == Prepared::Made;
    if output.is_json() {
        output.answer_json(&serde_json::json!({ "made": made }))?;
    } else {
        output.answer(match made {
            true => "a new, empty book was made",
            false => "there is a book already: nothing was changed",
        })?;
    }
    Ok(Answer::Yes)
}

fn upgrade(place: &str, output: &Output) -> Ending {
    let upgraded = bring_up_to_date(place)?;
    if output.is_json() {
        output.answer_json(&serde_json::json!({ "upgraded": upgraded }))?;
    } else {
        output.answer(match upgraded {
            true => "the book has this portbook's schema now",
            false => "the book has this portbook's schema already: nothing was changed",
        })?;
    }
    Ok(Answer::Yes)
}

fn copied(from: &str, to: &str, output: &Output) -> Ending {
    let interrupted = interruption()?;
    let progress = Progress::of(output, "copying changes");
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let copied = copy(from, to, &mut |done, total| {
        progress.tell(count(done), Some(count(total)));
        !interrupted.load(Ordering::Relaxed)
    });
    drop(progress);
    let copied = copied?;
    if output.is_json() {
        output.answer_json(&copied)?;
        return Ok(Answer::Yes);
    }
    let resumed = match copied.resumed_after {
        0 => String::new(),
        after => format!(", {after} of which were there already"),
    };
    output.answer(&format!(
        "{} with {} were copied{resumed}, and both books say the same",
        counted(count(copied.changes), "change"),
        counted(copied.apps, "app"),
    ))?;
    Ok(Answer::Yes)
}

fn backed_up(file: &Path, place: &str, output: &Output) -> Ending {
    let progress = Progress::of(output, "writing the backup");
    let backup = back_up(place, file);
    drop(progress);
    let backup = backup?;
    if output.is_json() {
        output.answer_json(&backup)?;
        return Ok(Answer::Yes);
    }
    output.answer(&format!(
        "the book at revision {} is in {}",
        backup.revision,
        file.display()
    ))?;
    Ok(Answer::Yes)
}

fn restored(file: &Path, place: &str, output: &Output) -> Ending {
    let interrupted = interruption()?;
    let progress = Progress::of(output, "restoring changes");
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let restored = restore(file, place, &mut |done, total| {
        progress.tell(count(done), Some(count(total)));
        !interrupted.load(Ordering::Relaxed)
    });
    drop(progress);
    let restored = restored?;
    if output.is_json() {
        output.answer_json(&restored)?;
        return Ok(Answer::Yes);
    }
    output.answer(&format!(
        "the book is as it was at revision {}, and was verified",
        restored.revision
    ))?;
    output.note(
        "whoever saw later changes writes nothing until somebody says `portbook store accept`",
    );
    Ok(Answer::Yes)
}

fn accepted(global: &Global, output: &Output) -> Ending {
    let revision = open(global, output)?.accept()?;
    if output.is_json() {
        output.answer_json(&serde_json::json!({ "revision": revision }))?;
    } else {
        output.answer(&format!(
            "the book is accepted as it lies: it goes on from revision {revision}"
        ))?;
    }
    Ok(Answer::Yes)
}

fn verified(place: &str, output: &Output) -> Ending {
    let progress = Progress::of(output, "verifying the book");
    let verified = verify(place)?;
    drop(progress);
    let answer = match verified.conflicts.is_empty() {
        true => Answer::Yes,
        false => Answer::No,
    };
    if output.is_json() {
        output.answer_json(&verified)?;
        return Ok(answer);
    }
    let mut text = String::new();
    for conflict in &verified.conflicts {
        text.push_str(&format!(
            "{BAD}{}{BAD:#} {}\n  {FAINT}{}{FAINT:#}\n",
            conflict.kind.as_str(),
            conflict.message,
            conflict.hint
        ));
    }
    if verified.conflicts.is_empty() {
        text = format!(
            "{GOOD}the book is whole{GOOD:#}: revision {}, {}",
            verified.revision,
            counted(verified.spaces.len(), "space")
        );
    }
    output.answer(&text)?;
    Ok(answer)
}
