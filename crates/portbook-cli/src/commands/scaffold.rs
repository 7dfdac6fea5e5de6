//! `portbook scaffold`: an app made from a template.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use portbook::apps::template::{Existing, SHIPPED, Step, Template};
use portbook::model::AppKey;
use portbook::{ScaffoldRecord, ScaffoldRequest};
use serde::Serialize;

use super::{Answer, Ending};
use crate::arguments::{Global, Scaffold};
use crate::interruption::interruption;
use crate::output::{Output, counted, on_one_line};
use crate::progress::Progress;

pub(crate) fn run(arguments: &Scaffold, global: &Global, output: &Output) -> Ending {
    // Either of the two is said: the command line is refused otherwise.
    let (Some(template), Some(dest), Some(model), Some(number)) = (
        &arguments.template,
        &arguments.dest,
        &arguments.model,
        arguments.app,
    ) else {
        return list(output);
    };
    let request = ScaffoldRequest {
        template: Template::named(template),
        destination: dest.clone(),
        existing: match arguments.force {
            true => Existing::Keep,
            false => Existing::Refuse,
        },
        app: AppKey::new(model.clone(), number),
        roles: arguments.roles.iter().cloned().collect(),
    };
    let service = super::open(global, output)?;
    let interrupted = interruption()?;
    let progress = Progress::of(output, &format!("writing {}", dest.display()));
    let made = service.scaffold(&request, &mut |step| {
        match step {
            Step::Found(found) => progress.tell(found, None),
            Step::Written(written, total) => progress.tell(written, Some(total)),
        }
        match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    drop(progress);
    let made = made?;
    super::allocate::warn(&made.grant, &service, output);
    if output.is_json() {
        output.answer_json(&ScaffoldRecord::of(&made, service.space()))?;
        return Ok(Answer::Yes);
    }
    super::allocate::table(std::slice::from_ref(&made.grant), output)?;
    let files = counted(made.files, "file");
    let directory = on_one_line(&made.directory.path);
    output.answer(&format!("{files} in {directory}"))?;
    for kept in &made.kept {
        let kept = kept.display().to_string();
        output.answer(&format!("kept {}", on_one_line(&kept)))?;
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct TemplateRecord {
    name: &'static str,
    about: &'static str,
}

fn list(output: &Output) -> Ending {
    let templates = SHIPPED.iter().map(|template| TemplateRecord {
        name: template.name,
        about: template.about,
    });
    if output.is_json() {
        output.answer_json(&templates.collect::<Vec<_>>())?;
        return Ok(Answer::Yes);
    }
    let mut table = output.table(["TEMPLATE", "IS"]);
    for template in templates {
        table.add_row([template.name, template.about]);
    }
    output.answer_table(table)?;
    Ok(Answer::Yes)
}
