//! TLS with an engine, by the files that Docker's own command reads: `ca.pem`, `cert.pem` and `key.pem`.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection that nobody in between can read or change.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Whom one trusts, and who one is.
pub(crate) struct Terms {
    configuration: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Terms {
    /// Reads the files of a folder; the error is a sentence. As for Docker, each may be missing: the
    /// system's authorities vouch for the engine then, and one that wants to know who asks refuses.
    pub(crate) fn read(host: &str, folder: &Path) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| format!("no certificate bears the name `{host}`"))?;
        let authorities = authorities(&folder.join("ca.pem"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities);
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let configuration = if certificate.exists() || key.exists() {
            let own = certificates(&certificate)?;
            let secret = PrivateKeyDer::from_pem_file(&key).map_err(|error| wrong(&key, &error))?;
            let known = builder.with_client_auth_cert(own, secret);
            known.map_err(|error| wrong(&key, &error))?
        } else {
            builder.with_no_client_auth()
        };
        Ok(Self {
            configuration: Arc::new(configuration),
            name,
        })
    }

    /// Secures a connection, whose time limits hold for each step.
    pub(crate) fn agree(&self, mut stream: TcpStream) -> io::Result<Stream> {
        let configuration = Arc::clone(&self.configuration);
        let connection = ClientConnection::new(configuration, self.name.clone());
        let mut connection = connection.map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(connection, stream))
    }
}

/// Whether TLS itself failed, not what carries it.
pub(crate) fn is_about_trust(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

fn authorities(file: &PathBuf) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if file.exists() {
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(file, &error))?;
        }
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(format!(
            "there is no {}, and this system has no certificate authorities",
            file.display()
        )),
        false => Ok(roots),
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(file, &error))?;
    let read: Result<Vec<_>, _> = read.collect();
    let read = read.map_err(|error| wrong(file, &error))?;
    match read.is_empty() {
        true => Err(format!("{}: there is no certificate in it", file.display())),
        false => Ok(read),
    }
}

fn wrong(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}
