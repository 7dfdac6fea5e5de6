//! From Python's values to an app's key.

use portbook::Error;
use portbook::model::{AppKey, AppNumber, InvalidAppNumber, Model};
use pyo3::prelude::*;

use crate::complaint;

/// An app's key. Whatever names none is told as the command tells it, whatever its type.
pub(crate) fn app(model: &Bound<'_, PyAny>, number: &Bound<'_, PyAny>) -> PyResult<AppKey> {
    Ok(AppKey::new(self::model(model)?, self::number(number)?))
}

/// A model.
pub(crate) fn model(given: &Bound<'_, PyAny>) -> PyResult<Model> {
    let py = given.py();
    let name: String = match given.extract() {
        Ok(name) => name,
        Err(_) => return Err(complaint::of_model(py, &given.repr()?.to_string())),
    };
    Model::new(&name).map_err(|error| complaint::of(py, &error.into()))
}

/// An app number: anything that Python takes for a whole number.
pub(crate) fn number(given: &Bound<'_, PyAny>) -> PyResult<AppNumber> {
    let number = match given.extract::<i64>() {
        Ok(number) => AppNumber::try_from(number),
        Err(_) => Err(InvalidAppNumber(given.str()?.to_string())),
    };
    number.map_err(|error| complaint::of(given.py(), &Error::from(error)))
}
