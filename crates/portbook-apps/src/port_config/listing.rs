//! What a file lists.

use portbook_model::{ImportEntry, Space};

use super::Problem;

/// The first row of portbook's CSV export.
pub(crate) const CSV_HEADER: &str =
    "model,app_num,backend_port,frontend_port,ports,is_available,space,created_at";

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `port_config.json`: a JSON array of objects with `model` or `model_name`, `app_number` or
    /// `app_num`, `backend_port` and `frontend_port`; what else they hold is not read.
    PortConfig,
    /// portbook's JSON export: at least one entry has `ports`, and `space` and `created_at` count.
    JsonExport,
    /// portbook's CSV export; the columns may come in any order, and all but the first four may be
    /// left out.
    CsvExport,
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The kind of file.
    pub format: Format,
    /// Every sound entry, in the order of the file.
    pub entries: Vec<ListedApp>,
    /// What is wrong with the other entries, in the order of the lines; at most
    /// [`MOST_PROBLEMS`](super::MOST_PROBLEMS).
    pub problems: Vec<Problem>,
    /// How many problems there are besides those listed.
    pub further_problems: usize,
}

/// One app that a file lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedApp {
    /// The app, its ports and, if the file says, when it got them.
    pub entry: ImportEntry,
    /// The port space, if the file names one.
    pub space: Option<Space>,
    /// The line, from 1, in which the entry begins.
    pub line: usize,
}
