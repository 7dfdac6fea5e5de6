//! `portbook list`: what is allocated.

use std::collections::BTreeSet;

use portbook::apps::export::write_csv;
use portbook::model::Role;
use portbook::{PortAllocationService, PortConfiguration};

use super::{Answer, Ending};
use crate::arguments::List;
use crate::output::{BAD, FAINT, Output, to_the_second};

pub(crate) fn run(arguments: &List, service: &PortAllocationService, output: &Output) -> Ending {
    let models = arguments.model.clone();
    let apps = match arguments.all_spaces {
        true => service.configurations_everywhere(models)?,
        false => service.configurations(models)?,
    };
    if output.is_json() {
        output.answer_json(&apps)?;
    } else if arguments.csv {
        output.answer(&write_csv(&apps))?;
    } else if apps.is_empty() {
        let of = arguments.model.as_ref();
        let of = of.map_or_else(String::new, |models| format!(" to models like `{models}`"));
        let place = match arguments.all_spaces {
            true => "in any space".to_owned(),
            false => format!("in the space `{}`", service.space()),
        };
        output.note(&format!("nothing is allocated{of} {place}"));
    } else {
        table(&apps, arguments.all_spaces, output)?;
    }
    Ok(Answer::Yes)
}

fn table(apps: &[PortConfiguration], all_spaces: bool, output: &Output) -> std::io::Result<()> {
    let roles: BTreeSet<&Role> = apps.iter().flat_map(|app| app.ports.keys()).collect();
    let mut headings = vec!["MODEL".to_owned(), "APP".to_owned()];
    headings.extend(all_spaces.then(|| "SPACE".to_owned()));
    headings.extend(roles.iter().map(|role| role.as_str().to_uppercase()));
    headings.extend(["SINCE".to_owned(), String::new()]);
    let mut table = output.table(headings.iter().map(String::as_str));
    for app in apps {
        let mut cells = vec![app.app.model.to_string(), app.app.number.to_string()];
        cells.extend(all_spaces.then(|| app.space.to_string()));
        cells.extend(roles.iter().map(|role| {
            let port = app.ports.get(*role);
            port.map_or_else(|| "-".to_owned(), ToString::to_string)
        }));
        cells.push(format!(
            "{FAINT}{}{FAINT:#}",
            to_the_second(&app.created_at)
        ));
        cells.push(if app.is_available {
            String::new()
        } else {
            format!("{BAD}unusable{BAD:#}")
        });
        table.add_row(cells);
    }
    output.answer_table(table)
}
