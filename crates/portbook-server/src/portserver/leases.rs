//! Who has which port, and who gets which next.

use std::collections::VecDeque;
use std::io;

use portbook::host::process_start_time;
use portbook::model::{Port, PortStretch};

use super::Ledger;
use super::ledger::{Lease, Tenant};

/// The ports of a pool in the order in which they come next: the one that was given out longest ago
/// first, so that a port rests as long as the pool allows.
pub(super) struct Leases {
    next: VecDeque<Place>,
    ledger: Ledger,
}

struct Place {
    port: Port,
    tenant: Option<Tenant>,
}

impl Tenant {
    /// The process of this number, if there is one.
    fn of(pid: u32) -> Option<Self> {
        let start_time = process_start_time(pid)?;
        Some(Self { pid, start_time })
    }

    fn is_running(self) -> bool {
        process_start_time(self.pid) == Some(self.start_time)
    }
}

impl Leases {
    /// The pool with the leases of the ledger that still run.
    pub(super) fn new(ports: PortStretch, mut ledger: Ledger) -> Self {
        let mut standing = ledger.standing();
        let next = ports.ports().map(|port| Place {
            port,
            tenant: standing.remove(&port).filter(|tenant| tenant.is_running()),
        });
        Self {
            next: next.collect(),
            ledger,
        }
    }

    /// How many ports somebody has who still runs.
    pub(super) fn running(&self) -> usize {
        let tenants = self.next.iter().filter_map(|place| place.tenant);
        tenants.filter(|tenant| tenant.is_running()).count()
    }

    /// Gives the process a port that nobody else has and for which `may_be_had` says yes; `None` where
    /// there is no such process or no such port. It is the process's once it is in the ledger.
    pub(super) fn lease<E: From<io::Error>>(
        &mut self,
        pid: u32,
        mut may_be_had: impl FnMut(Port) -> Result<bool, E>,
    ) -> Result<Option<Port>, E> {
        let Some(tenant) = Tenant::of(pid) else {
            return Ok(None);
        };
        for _ in 0..self.next.len() {
            let Some(mut place) = self.next.pop_front() else {
                break;
            };
            let port = place.port;
            let is_vacant = !place.tenant.is_some_and(Tenant::is_running);
            let granted = match is_vacant.then(|| may_be_had(port)).transpose() {
                Ok(answer) => answer.unwrap_or(false),
                Err(error) => {
                    self.next.push_front(place);
                    return Err(error);
                }
            };
            if granted {
                if let Err(error) = self.ledger.note(Lease { port, tenant }) {
                    self.next.push_front(place);
                    return Err(error.into());
                }
                place.tenant = Some(tenant);
            }
            self.next.push_back(place);
            if granted {
                self.compact()?;
                return Ok(Some(port));
            }
        }
        Ok(None)
    }

    /// Writes the ledger anew where most of what it says is over.
    fn compact(&mut self) -> io::Result<()> {
        if !self.ledger.is_long(self.next.len()) {
            return Ok(());
        }
        let running = self.next.iter().filter_map(|place| {
            let tenant = place.tenant.filter(|tenant| tenant.is_running())?;
            Some(Lease {
                port: place.port,
                tenant,
            })
        });
        let running: Vec<Lease> = running.collect();
        self.ledger.rewrite(&running)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Sleeper(Command::new("sleep").arg("600").spawn().unwrap())
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn stretch(first: i64, last: i64) -> PortStretch {
        let port = |number| Port::try_from(number).unwrap();
        PortStretch::new(port(first), port(last)).unwrap()
    }

    fn leases(folder: &std::path::Path, ports: PortStretch) -> Leases {
        Leases::new(ports, Ledger::open(folder, ports).unwrap())
    }

    fn all(_: Port) -> io::Result<bool> {
        Ok(true)
    }

    #[test]
    fn a_port_is_its_process_s_until_that_is_gone_and_then_the_last_to_be_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut leases = leases(folder.path(), stretch(20_000, 20_002));
        let (one, other) = (Sleeper::start(), Sleeper::start());
        let first = leases.lease(one.pid(), all).unwrap().unwrap();
        let second = leases.lease(one.pid(), all).unwrap().unwrap();
        let third = leases.lease(other.pid(), all).unwrap().unwrap();
        assert_eq!(
            [first.get(), second.get(), third.get()],
            [20_000, 20_001, 20_002]
        );
        assert_eq!(leases.lease(other.pid(), all).unwrap(), None);
        drop(one);
        assert_eq!(leases.lease(other.pid(), all).unwrap(), Some(first));
    }

    #[test]
    fn a_process_that_is_not_there_gets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut leases = leases(folder.path(), stretch(20_000, 20_001));
        let gone = Sleeper::start();
        let pid = gone.pid();
        drop(gone);
        assert_eq!(leases.lease(pid, all).unwrap(), None);
    }

    #[test]
    fn leases_outlive_the_server_and_its_death_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let ports = stretch(20_000, 20_003);
        let sleeper = Sleeper::start();
        let gone = Sleeper::start();
        let mut before = leases(folder.path(), ports);
        let held = before.lease(sleeper.pid(), all).unwrap().unwrap();
        before.lease(gone.pid(), all).unwrap().unwrap();
        drop((before, gone));
        let ledger = std::fs::read_dir(folder.path()).unwrap().flatten();
        let ledger = ledger.map(|entry| entry.path());
        let ledger = ledger.filter(|path| path.extension().is_some_and(|kind| kind == "leases"));
        let ledger: Vec<_> = ledger.collect();
        let torn = std::fs::read_to_string(&ledger[0]).unwrap() + "20003 12";
        std::fs::write(&ledger[0], torn).unwrap();
        let mut after = leases(folder.path(), ports);
        assert_eq!(after.running(), 1);
        let others: Vec<Port> =
            std::iter::from_fn(|| after.lease(sleeper.pid(), all).unwrap()).collect();
        assert_eq!(others.len(), 3);
        assert!(!others.contains(&held));
    }

    #[test]
    fn a_long_ledger_is_written_anew_and_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let ports = stretch(20_000, 20_001);
        let keeper = Sleeper::start();
        let mut many = leases(folder.path(), ports);
        let kept = many.lease(keeper.pid(), all).unwrap().unwrap();
        for _ in 0..Ledger::LONG + 20 {
            many.ledger
                .note(Lease {
                    port: kept,
                    tenant: Tenant {
                        pid: keeper.pid(),
                        start_time: 0,
                    },
                })
                .unwrap();
        }
        let second = many.lease(keeper.pid(), all).unwrap().unwrap();
        drop(many);
        let again = leases(folder.path(), ports);
        assert_eq!(again.running(), 2, "{kept} and {second} are held");
    }

    #[test]
    fn two_servers_never_give_out_the_same_ports() {
        let folder = tempfile::tempdir().unwrap();
        let ports = stretch(20_000, 20_001);
        let _first = leases(folder.path(), ports);
        let second = Ledger::open(folder.path(), ports);
        assert!(second.is_err_and(|error| error.to_string().contains("20000-20001")));
    }
}
