//! The books that this process has, open or to be opened at the next call.

use std::path::absolute;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use portbook::{Configuration, Environment, Error, Flags, PortAllocationService, sqlite_path};
use pyo3::prelude::*;

use crate::complaint;
use crate::forking::Passage;

/// Every place that there is. As those of a place, its lock is held by threads only that hold the
/// interpreter's, and for as long as that: nobody ever waits for it, and no fork finds it locked.
static PLACES: Mutex<Vec<Weak<Place>>> = Mutex::new(Vec::new());

/// Where one book is, and the service for it while it is open.
pub(crate) struct Place {
    configuration: Configuration,
    open: Mutex<Option<Open>>,
}

struct Open {
    service: Arc<PortAllocationService>,
    /// The process that opened it.
    pid: u32,
}

/// Takes every open service away: whoever asks next opens the book anew.
pub(crate) fn take_all() -> Vec<impl Send> {
    let mut places = lock(&PLACES);
    places.retain(|place| place.strong_count() > 0);
    let open = places.iter().filter_map(Weak::upgrade);
    open.filter_map(|place| lock(&place.open).take()).collect()
}

impl Place {
    /// The place that the flags and this process's surroundings name; its book is opened, so that what
    /// is wrong with it is told now.
    pub(crate) fn new(py: Python<'_>, flags: &Flags) -> PyResult<Arc<Self>> {
        let loaded = Configuration::load(flags, &Environment::of_process());
        let mut configuration = loaded.map_err(|error| complaint::of(py, &error.into()))?;
        // Opened anew after a change of directory, it still has to be the same book.
        if let Ok(path) = sqlite_path(&configuration.store.value)
            && let Ok(path) = absolute(path)
            && let Some(path) = path.to_str()
        {
            configuration.store.value = format!("sqlite:{path}");
        }
        let place = Arc::new(Self {
            configuration,
            open: Mutex::new(None),
        });
        lock(&PLACES).push(Arc::downgrade(&place));
        place.ask(py, |_| Ok(()))?;
        Ok(place)
    }

    /// Asks the book something while other threads run.
    pub(crate) fn ask<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&PortAllocationService) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let passage = Passage::enter(py);
        let open = self.open_here(py)?;
        let answer = match open {
            Some(service) => py.detach(move || {
                let answer = ask(&service);
                // A fork that waits for this call closes the book: nothing of it may be left here.
                drop((service, passage));
                answer
            }),
            None => {
                let opened = py.detach(|| PortAllocationService::open(&self.configuration));
                let service =
                    self.keep(Arc::new(opened.map_err(|error| complaint::of(py, &error))?));
                py.detach(move || {
                    let answer = ask(&service);
                    drop((service, passage));
                    answer
                })
            }
        };
        answer.map_err(|error| complaint::of(py, &error))
    }

    /// The service, if this process has the book open.
    fn open_here(&self, py: Python<'_>) -> PyResult<Option<Arc<PortAllocationService>>> {
        let mut open = lock(&self.open);
        match &*open {
            Some(Open { service, pid }) if *pid == std::process::id() => Ok(Some(service.clone())),
            None => Ok(None),
            // A fork that the interpreter was not told of. What the parent had open is left as it is:
            // closing it would be as wrong as using it.
            Some(_) if self.is_file() => Err(complaint::forked_unseen(py)),
            Some(_) => {
                std::mem::forget(open.take());
                Ok(None)
            }
        }
    }

    /// Keeps a service that was just opened, unless another thread was quicker.
    fn keep(&self, service: Arc<PortAllocationService>) -> Arc<PortAllocationService> {
        let mut open = lock(&self.open);
        let kept = open.get_or_insert_with(|| Open {
            service,
            pid: std::process::id(),
        });
        kept.service.clone()
    }

    fn is_file(&self) -> bool {
        sqlite_path(&self.configuration.store.value).is_ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
