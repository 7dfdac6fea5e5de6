//! Which app `--here` means.

use std::path::Path;

use portbook::model::AppKey;
use portbook::{Checkout, Error, PortAllocationService};

use crate::arguments::{OneAppOrHere, SeveralAppsOrHere};

/// The checkout that the command is run in.
pub(super) fn checkout() -> Result<Checkout, Error> {
    Checkout::of(Path::new("."))
}

/// The app that was named, or that the checkout is.
pub(super) fn app(named: &OneAppOrHere, service: &PortAllocationService) -> Result<AppKey, Error> {
    match (&named.model, named.app) {
        (Some(model), Some(number)) => Ok(AppKey::new(model.clone(), number)),
        _ => service.here(&checkout()?),
    }
}

/// The apps that were named; `None`: the one that the checkout is.
pub(super) fn apps(named: &SeveralAppsOrHere) -> Option<Vec<AppKey>> {
    let (model, numbers) = (named.model.as_ref()?, named.apps.as_ref()?);
    Some(numbers.of(model))
}
