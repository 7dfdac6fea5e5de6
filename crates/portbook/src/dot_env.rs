//! An app's variables in its `.env` file.

use std::path::Path;
use std::sync::Arc;

use portbook_apps::dot_env::{Absent, update};
use portbook_apps::replacement::replace;
use portbook_apps::written::{NoText, SourceFile};
use portbook_model::Allocation;

use crate::{Error, PortAllocationService};

impl PortAllocationService {
    /// Brings an app's variables up to date in a file, which is made if it is not there, and says which
    /// had another value or none. Everything else in it stays byte for byte; it is replaced in one
    /// step, and not at all where nothing changes.
    pub fn write_variables(
        &self,
        allocation: &Allocation,
        path: &Path,
        absent: Absent,
    ) -> Result<Vec<String>, Error> {
        self.refuse_own_book(path)?;
        let variables = self.variables(allocation)?;
        let file = match SourceFile::read(path) {
            Ok(file) => file,
            Err(NoText::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                SourceFile::new(path, [])
            }
            Err(error) => {
                return Err(Error::File {
                    path: path.to_owned(),
                    reason: error.to_string(),
                });
            }
        };
        let updated = update(&Arc::new(file), &variables, absent)?;
        if !updated.changed.is_empty() {
            replace(path, &updated.bytes).map_err(|source| Error::NotWritten {
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(updated.changed)
    }
}
