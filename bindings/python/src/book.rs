//! What can be asked of a book.

use std::path::PathBuf;
use std::sync::Arc;

use portbook::engine::Surroundings;
use portbook::model::{Allocation, AllocationRequest, ModelPattern, ReleaseCause};
use portbook::{CleanupRequest, Error, Flags, PortAllocationService, PortPair};
use pyo3::prelude::*;
use serde::Serialize;

use crate::shelf::Place;
use crate::{complaint, naming};

/// Backend, frontend, model and app number, in the order of the dataclass `PortPair`.
type Pair = (u16, u16, String, u32);

/// A book, open in this process or to be opened at the next call.
#[pyclass(frozen, module = "portbook._portbook")]
pub(crate) struct Book {
    place: Arc<Place>,
}

/// An allocation that a call made, as it was made.
#[pyclass(frozen, module = "portbook._portbook")]
pub(crate) struct Claim {
    allocation: Allocation,
}

#[pymethods]
impl Book {
    #[new]
    #[pyo3(signature = (*, store, space, config, port_config, no_host_check))]
    fn new(
        py: Python<'_>,
        store: Option<String>,
        space: Option<String>,
        config: Option<PathBuf>,
        port_config: Option<PathBuf>,
        no_host_check: bool,
    ) -> PyResult<Self> {
        let flags = Flags {
            config,
            store,
            space,
            port_config,
            no_host_check,
        };
        let place = Place::new(py, &flags)?;
        Ok(Self { place })
    }

    /// Where the book is, without passwords.
    fn location(&self, py: Python<'_>) -> PyResult<String> {
        self.place.ask(py, |service| Ok(service.location()))
    }

    fn get_or_allocate_ports(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        app_num: &Bound<'_, PyAny>,
    ) -> PyResult<Pair> {
        let request = AllocationRequest::plain(vec![naming::app(model, app_num)?]);
        let mut pairs = self
            .place
            .ask(py, move |service| pairs(service, &request))?;
        pairs.pop().ok_or_else(|| {
            let error = Error::Internal("a grant expected, none found".to_owned());
            complaint::of(py, &error)
        })
    }

    /// The pairs of several apps of a model, in one atomic step.
    fn allocate_all(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        app_nums: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Pair>> {
        let apps = app_nums.iter().map(|number| naming::app(model, number));
        let request = AllocationRequest::plain(apps.collect::<PyResult<_>>()?);
        self.place.ask(py, move |service| pairs(service, &request))
    }

    /// The app's pair, and what was made for it; nothing was if it was there.
    #[pyo3(signature = (model, app_num, ttl))]
    fn claim(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        app_num: &Bound<'_, PyAny>,
        ttl: Option<&str>,
    ) -> PyResult<(Pair, Option<Claim>)> {
        let mut request = AllocationRequest::plain(vec![naming::app(model, app_num)?]);
        request.ttl = match ttl.map(str::parse).transpose() {
            Ok(ttl) => ttl,
            Err(error) => return Err(complaint::of_usage(py, &format!("ttl: {error}"))),
        };
        self.place.ask(py, move |service| {
            let grant = service.allocate(&request)?.pop();
            let grant = grant.ok_or_else(|| Error::Internal("no grant came".to_owned()))?;
            let pair = pair(PortPair::of(&grant.allocation)?);
            let claim = grant.created.then_some(Claim {
                allocation: grant.allocation,
            });
            Ok((pair, claim))
        })
    }

    /// Gives back what was made, unless it was released meanwhile: then it is another's, or nobody's.
    fn give_back(&self, py: Python<'_>, claim: &Claim) -> PyResult<bool> {
        let made = &claim.allocation;
        self.place.ask(py, move |service| {
            loop {
                let held = match service.get(&made.app) {
                    Ok(held) if held.created_at == made.created_at => held,
                    Ok(_) | Err(Error::NotFound(_) | Error::Lapsed { .. }) => return Ok(false),
                    Err(error) => return Err(error),
                };
                // In vain where its lease was renewed since that look, or something noted: once more.
                if !service
                    .reclaim(vec![(held, ReleaseCause::Asked)])?
                    .is_empty()
                {
                    return Ok(true);
                }
            }
        })
    }

    fn get_ports(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        app_num: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Pair>> {
        let app = naming::app(model, app_num)?;
        self.place.ask(py, move |service| match service.get(&app) {
            Ok(allocation) => Ok(Some(pair(PortPair::of(&allocation)?))),
            Err(Error::NotFound(_) | Error::Lapsed { .. }) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn release_ports(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        app_num: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let apps = vec![naming::app(model, app_num)?];
        let released = self.place.ask(py, move |service| service.release(apps))?;
        Ok(released.iter().any(|(_, ports)| ports.is_some()))
    }

    /// Every conflict, as `portbook check --json` tells it.
    fn conflicts(&self, py: Python<'_>) -> PyResult<String> {
        let asked = |service: &PortAllocationService| json(&service.check_port_conflicts()?);
        self.place.ask(py, asked)
    }

    /// Every app's ports, as `portbook list --json` tells them.
    fn allocations(&self, py: Python<'_>) -> PyResult<String> {
        let asked = |service: &PortAllocationService| json(&service.get_all_allocations()?);
        self.place.ask(py, asked)
    }

    /// Releases the apps that are gone; what was found, as `portbook cleanup --json` tells it.
    #[pyo3(signature = (model, apps_dir, grace, max_share))]
    fn clean_up(
        &self,
        py: Python<'_>,
        model: Option<&Bound<'_, PyAny>>,
        apps_dir: Option<PathBuf>,
        grace: &str,
        max_share: &str,
    ) -> PyResult<String> {
        let wrong = |name: &str, error: &dyn std::fmt::Display| {
            complaint::of_usage(py, &format!("{name}: {error}"))
        };
        let models = match model {
            Some(model) => {
                let pattern = ModelPattern::new(naming::model(model)?.spelling());
                Some(pattern.map_err(|error| wrong("model_name", &error))?)
            }
            None => None,
        };
        let request = CleanupRequest {
            models,
            apps_directory: apps_dir,
            grace: grace.parse().map_err(|error| wrong("grace", &error))?,
            max_share: max_share
                .parse()
                .map_err(|error| wrong("max_share", &error))?,
            engines: Some(Surroundings::of_process()),
        };
        let asked = move |service: &PortAllocationService| json(&service.clean_up(&request)?);
        self.place.ask(py, asked)
    }
}

fn pairs(service: &PortAllocationService, request: &AllocationRequest) -> Result<Vec<Pair>, Error> {
    let grants = service.allocate(request)?;
    let pairs = grants
        .iter()
        .map(|grant| Ok(pair(PortPair::of(&grant.allocation)?)));
    pairs.collect()
}

fn pair(pair: PortPair) -> Pair {
    (
        pair.backend.get(),
        pair.frontend.get(),
        pair.model,
        pair.app_num,
    )
}

fn json(answer: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(answer)
        .map_err(|error| Error::Internal(format!("no JSON could be made: {error}")))
}
