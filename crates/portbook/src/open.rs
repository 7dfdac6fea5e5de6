//! From a store's address to the open store.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use portbook_etcd::EtcdStore;
use portbook_postgres::PostgresStore;
use portbook_sqlite::{Creation, SqliteStore};
use portbook_store::{Store, StoreError};

use crate::Error;
use crate::configuration::without_password;
use crate::sightings::Sightings;

/// What a store's address names.
#[derive(Debug, Clone)]
pub(crate) enum StoreAddress {
    /// `sqlite:PATH`, or a path.
    Sqlite(PathBuf),
    /// `postgres://...`
    Postgres(Box<portbook_postgres::Address>),
    /// `etcd://...`
    Etcd(Box<portbook_etcd::Address>),
}

impl FromStr for StoreAddress {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self, Error> {
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Ok(StoreAddress::Postgres(Box::new(postgres_address(address)?)));
        }
        if address.starts_with("etcd://") || address.starts_with("etcds://") {
            return Ok(StoreAddress::Etcd(Box::new(etcd_address(address)?)));
        }
        sqlite_path(address).map(StoreAddress::Sqlite)
    }
}

/// A database's address; a password that it does not say is `PGPASSWORD`'s, as for PostgreSQL's own programs.
fn postgres_address(address: &str) -> Result<portbook_postgres::Address, Error> {
    let parsed = address.parse::<portbook_postgres::Address>();
    let parsed = parsed.map_err(|error| Error::StoreAddress {
        given: without_password(address),
        reason: error.to_string(),
    })?;
    Ok(match std::env::var("PGPASSWORD") {
        Ok(password) => parsed.with_password(&password),
        Err(_) => parsed,
    })
}

/// A cluster's address; a password that it does not say is `ETCDCTL_PASSWORD`'s, as for etcd's own client.
fn etcd_address(address: &str) -> Result<portbook_etcd::Address, Error> {
    let parsed = address.parse::<portbook_etcd::Address>();
    let parsed = parsed.map_err(|error| Error::StoreAddress {
        given: without_password(address),
        reason: error.to_string(),
    })?;
    Ok(match std::env::var("ETCDCTL_PASSWORD") {
        Ok(password) => parsed.with_password(&password),
        Err(_) => parsed,
    })
}

/// Opens the book at this address. A file that is not there is made by whoever is the first to write.
pub(crate) fn store(address: &str) -> Result<Box<dyn Store>, Error> {
    store_made(address, Creation::Writing)
}

/// Opens the book at this address; `creation` says when a file that is not there is made.
pub(crate) fn store_made(address: &str, creation: Creation) -> Result<Box<dyn Store>, Error> {
    match address.parse()? {
        StoreAddress::Sqlite(path) => {
            refuse_network_file_system(&path)?;
            let options = portbook_sqlite::Options {
                creation,
                ..portbook_sqlite::Options::default()
            };
            Ok(Box::new(SqliteStore::open(&path, options)?))
        }
        StoreAddress::Postgres(database) => {
            let options = portbook_postgres::Options::default();
            Ok(Box::new(PostgresStore::open(*database, options)?))
        }
        StoreAddress::Etcd(cluster) => {
            let options = portbook_etcd::Options::default();
            Ok(Box::new(EtcdStore::open(*cluster, options)?))
        }
    }
}

/// Where it is noted how far the book at this address was seen.
pub(crate) fn sightings(
    address: &str,
    store: &dyn Store,
    state: Option<&Path>,
) -> Result<Sightings, Error> {
    Ok(match address.parse()? {
        StoreAddress::Sqlite(path) => Sightings::of_file(&path),
        StoreAddress::Postgres(_) | StoreAddress::Etcd(_) => {
            Sightings::of_location(&store.location(), state)
        }
    })
}

/// The file that an address names.
pub fn sqlite_path(address: &str) -> Result<PathBuf, Error> {
    let wrong = |reason: &str| {
        Err(Error::StoreAddress {
            given: address.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let scheme = address.split_once(':').map(|(scheme, _)| scheme);
    let path = match scheme {
        Some("sqlite") => {
            let path = &address["sqlite:".len()..];
            path.strip_prefix("//").unwrap_or(path)
        }
        Some("postgres" | "postgresql" | "etcd" | "etcds") => {
            return wrong("a database is there, and no file: write sqlite:PATH");
        }
        Some("http" | "https" | "unix") => {
            return wrong("a portbook server is there, and no file: write sqlite:PATH");
        }
        Some(other) if !other.contains('/') && !Path::new(address).exists() => {
            return wrong(&format!("`{other}:` is unknown: write sqlite:PATH"));
        }
        _ => address,
    };
    if path.is_empty() {
        return wrong("it names no file: write sqlite:PATH");
    }
    if path == ":memory:" {
        return wrong("a book in memory would be gone with the command: write sqlite:PATH");
    }
    // What a shell has left as it is would become a book of its own in each directory.
    if path.starts_with(['~', '$']) {
        return wrong("`~` and variables are for the shell: write the path in full");
    }
    Ok(PathBuf::from(path))
}

/// SQLite's locks and its shared memory do not work between the machines of a network file system.
fn refuse_network_file_system(path: &Path) -> Result<(), Error> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.exists());
    let kind = existing.and_then(|folder| portbook_host::network_file_system(folder).ok()?);
    match kind {
        Some(kind) => Err(StoreError::NetworkFileSystem {
            location: path.display().to_string(),
            kind,
        }
        .into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file() {
        let path = |address| sqlite_path(address).ok();
        assert_eq!(path("sqlite:/a/b.db"), Some("/a/b.db".into()));
        assert_eq!(path("sqlite:///a/b.db"), Some("/a/b.db".into()));
        assert_eq!(path("sqlite:b.db"), Some("b.db".into()));
        assert_eq!(path("./b.db"), Some("./b.db".into()));
        for bad in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:~/b.db",
            "mysql://host/x",
            "etcd://host:2379/x",
        ] {
            assert_eq!(path(bad), None, "{bad:?} was taken for a file");
        }
    }
}
