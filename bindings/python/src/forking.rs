//! Before this process forks, every call into a book has come back and every book is closed.
//!
//! A child of `fork` has the memory of its parent and none of its threads. A lock that another thread
//! held stays locked for ever. SQLite believes that it holds the locks on the book's file that it had in
//! the parent, which the kernel does not pass on, and so does each connection that it opens later: the
//! parent, ending, would take itself for the last to have the book open, and remove a journal into which
//! the child still writes. So nothing of a book crosses a fork; parent and child open it anew when they
//! next ask. (SQLite, "How To Corrupt An SQLite Database File", 2.6.)
//!
//! Calls begin, and forks are announced, by threads that hold the interpreter's lock: that alone orders
//! them. There is no mutex here that a fork could find locked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::shelf;

/// The calls that are on their way.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// The threads that are about to fork.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// How often it is looked whether the others are done: a fork costs several times as much.
const BETWEEN_LOOKS: Duration = Duration::from_micros(500);

/// A call that is on its way: the process does not fork before it is dropped.
pub(crate) struct Passage(());

impl Passage {
    /// Begins a call, once no fork is about to happen.
    pub(crate) fn enter(py: Python<'_>) -> Self {
        while FORKS.load(Ordering::Acquire) > 0 {
            py.detach(|| thread::sleep(BETWEEN_LOOKS));
        }
        CALLS.fetch_add(1, Ordering::AcqRel);
        Passage(())
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Has the interpreter call what follows at each `os.fork`, where the system has one.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let os = py.import("os")?;
    if !os.hasattr("register_at_fork")? {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before, module)?)?;
    hooks.set_item(
        "after_in_parent",
        wrap_pyfunction!(after_in_parent, module)?,
    )?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, module)?)?;
    os.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

#[pyfunction]
fn before(py: Python<'_>) {
    FORKS.fetch_add(1, Ordering::AcqRel);
    // Each of these comes back by itself: the library waits for nothing without end.
    while CALLS.load(Ordering::Acquire) > 0 {
        py.detach(|| thread::sleep(BETWEEN_LOOKS));
    }
    let open = shelf::take_all();
    py.detach(|| drop(open));
}

#[pyfunction]
fn after_in_parent() {
    FORKS.fetch_sub(1, Ordering::AcqRel);
}

#[pyfunction]
fn after_in_child() {
    // Of the threads that were about to fork, only this one is here.
    FORKS.store(0, Ordering::Release);
}
