//! `portbook export`: what is allocated, for other programs.

use portbook::PortAllocationService;
use portbook::apps::export::{write_csv, write_json, write_port_config};

use super::{Answer, Ending};
use crate::arguments::{Export, ExportFormat};
use crate::output::{Output, counted};

pub(crate) fn run(arguments: &Export, service: &PortAllocationService, output: &Output) -> Ending {
    match arguments.format {
        ExportFormat::Json => output.answer(&write_json(&service.get_all_allocations()?))?,
        ExportFormat::Csv => output.answer(&write_csv(&service.get_all_allocations()?))?,
        ExportFormat::PortConfig => {
            let apps = service.get_all_allocations()?;
            let further = apps.iter().filter(|app| app.ports.len() > 2).count();
            if further > 0 {
                output.note(&format!(
                    "{} with ports for further roles, which port_config.json cannot hold",
                    counted(further, "app")
                ));
            }
            output.answer(&write_port_config(&apps))?;
        }
    }
    Ok(Answer::Yes)
}
