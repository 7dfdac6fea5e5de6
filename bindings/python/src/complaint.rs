//! Whatever goes wrong becomes an exception that says what the command would say.

use portbook::{Error, Failure};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The exception for an error of the library's.
pub(crate) fn of(py: Python<'_>, error: &Error) -> PyErr {
    let problems = match error {
        Error::Entries { problems, .. } => {
            let problem = |problem: &portbook::FileProblem| {
                format!("line {}: {}", problem.line, problem.message)
            };
            problems.iter().map(problem).collect()
        }
        _ => Vec::new(),
    };
    raise(
        py,
        error.failure(),
        error.code(),
        &error.to_string(),
        error.hint(),
        problems,
    )
}

/// The exception for an argument that cannot be read, which the command calls wrong usage.
pub(crate) fn of_usage(py: Python<'_>, message: &str) -> PyErr {
    raise(py, Failure::Input, "usage", message, None, Vec::new())
}

/// The exception for an argument of another type than a model's.
pub(crate) fn of_model(py: Python<'_>, given: &str) -> PyErr {
    let message = format!("{given} is not a model's name: write it as openai_gpt-4");
    raise(py, Failure::Input, "bad-model", &message, None, Vec::new())
}

/// The exception for a process that was forked while the book was open.
pub(crate) fn forked_unseen(py: Python<'_>) -> PyErr {
    raise(
        py,
        Failure::Book,
        "forked",
        "this process was forked, unseen by Python, while the book was open, and SQLite does not outlast that",
        Some("open the book after the fork, or fork by os.fork".to_owned()),
        Vec::new(),
    )
}

fn raise(
    py: Python<'_>,
    failure: Failure,
    code: &str,
    message: &str,
    hint: Option<String>,
    problems: Vec<String>,
) -> PyErr {
    static COMPLAINT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let complaint = COMPLAINT.get_or_try_init(py, || {
        let errors = py.import("portbook.errors")?;
        errors.getattr("complaint").map(Bound::unbind)
    });
    let status = failure.exit_status();
    let raised = complaint
        .and_then(|complaint| complaint.call1(py, (status, code, message, hint, problems)));
    match raised {
        Ok(exception) => PyErr::from_value(exception.into_bound(py)),
        Err(error) => error,
    }
}
