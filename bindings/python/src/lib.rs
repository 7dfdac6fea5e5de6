//! The native part of the Python package `portbook`: the library's service, for `python/portbook` alone.
//!
//! What Python's callers see, with its names, types and documentation, is written in Python; here is
//! what has to be done beneath it. Every call that can block lets other threads of the interpreter run
//! meanwhile. Lists cross the border as the JSON that the command prints.
//!
//! | question | file |
//! | --- | --- |
//! | what can be asked | `book.rs` |
//! | what becomes of an open book at a fork | `shelf.rs`, `forking.rs` |
//! | which exception is raised | `complaint.rs` |
//! | what is taken for a model, for an app number | `naming.rs` |

mod book;
mod complaint;
mod forking;
mod naming;
mod shelf;

use pyo3::prelude::*;

/// See `python/portbook/_portbook.pyi`.
#[pymodule]
fn _portbook(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<book::Book>()?;
    module.add_class::<book::Claim>()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    forking::register(module)
}
