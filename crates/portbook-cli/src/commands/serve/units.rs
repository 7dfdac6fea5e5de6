//! The files that make `portbook serve` a service of systemd's (systemd.service(5), systemd.socket(5),
//! sysusers.d(5)), as the command line wants them.
//!
//! The sockets are systemd's: they are there before the server is, and stay while it is started anew. One
//! unit has the interface's sockets and another one the portserver's, since all sockets of a unit share
//! one name, and the server knows the portserver's by its own (`FileDescriptorName=`).

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use portbook_server::{Address, portserver};

use super::DEFAULT_ADDRESS;
use crate::arguments::{Global, LogFormat, Serve};
use crate::output::Complaint;

/// The folder that the service has for itself in `/run`, or in the user's runtime folder.
const RUNTIME_FOLDER: &str = "portbook";
/// Descriptors besides those of connections: the book, the log, what reads the host.
const OTHER_DESCRIPTORS: usize = 4096;

/// Whose service manager runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    /// The machine's.
    System,
    /// The one of the user who asks.
    User,
}

/// What a file is to systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unit,
    /// The user that the service runs as.
    User,
}

/// A file with its name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitFile {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// What the files are made from.
pub(super) struct Wanted<'a> {
    pub(super) manager: Manager,
    pub(super) arguments: &'a Serve,
    pub(super) global: &'a Global,
    /// The program to start.
    pub(super) program: PathBuf,
    /// Where the manager has its runtime folders: `/run`, or the user's.
    pub(super) runtime: Option<PathBuf>,
}

impl Wanted<'_> {
    /// Every file, the service first.
    pub(super) fn files(&self) -> Result<Vec<UnitFile>, Complaint> {
        let unit = |name, text| UnitFile {
            kind: Kind::Unit,
            name,
            text,
        };
        let mut files = vec![
            unit("portbook.service", self.service()?),
            unit("portbook.socket", self.socket()?),
        ];
        if let Some(address) = &self.arguments.portserver {
            let text = self.portserver_socket(address)?;
            files.push(unit("portbook-portserver.socket", text));
        }
        if self.manager == Manager::System {
            files.push(UnitFile {
                kind: Kind::User,
                name: "portbook.conf",
                text: USER.to_owned(),
            });
        }
        Ok(files)
    }

    /// The sockets that start the server when somebody comes.
    pub(super) fn sockets(&self) -> Vec<&'static str> {
        let portserver = self.arguments.portserver.as_ref();
        let portserver = portserver.map(|_| "portbook-portserver.socket");
        std::iter::once("portbook.socket")
            .chain(portserver)
            .collect()
    }

    /// Where the server is asked, as `--store` takes it.
    pub(super) fn addresses(&self) -> Vec<String> {
        let scheme = match self.arguments.tls_cert {
            Some(_) => "https",
            None => "http",
        };
        if self.arguments.listen.is_empty() {
            return vec![format!("{scheme}://{DEFAULT_ADDRESS}")];
        }
        let told = |address: &Address| match address {
            Address::Tcp(address) => format!("{scheme}://{address}"),
            Address::Unix(path) => format!("unix:{}", absolute(path).display()),
        };
        self.arguments.listen.iter().map(told).collect()
    }

    fn service(&self) -> Result<String, Complaint> {
        let sockets = self.sockets().join(" ");
        let command = self.command()?;
        let descriptors = self.arguments.max_connections.unwrap_or(4096) + OTHER_DESCRIPTORS;
        let mut text = format!(
            "\
# Written by `portbook serve --install`. To change something: {systemctl} edit portbook.service
[Unit]
Description=The book of ports
Requires={sockets}
After={sockets} network.target postgresql.service

[Service]
Type=notify
ExecStart={command}
# Ranges, roles, blocked ports, the delay and the certificate are taken up without a restart.
ExecReload=kill -HUP $MAINPID
Restart=on-failure
# A server that hangs is started anew; one whose database is away is not.
WatchdogSec=30s
# It finishes what it accepted, for at most 10 seconds.
TimeoutStopSec=20s
# A descriptor for each connection (--max-connections), and some for the book.
LimitNOFILE={descriptors}
Sockets={sockets}
# The portserver's leases outlive the server, as the processes do that have them.
RuntimeDirectory={RUNTIME_FOLDER}
RuntimeDirectoryPreserve=yes
",
            systemctl = self.systemctl(),
        );
        text.push_str(match self.manager {
            Manager::System => OF_THE_SYSTEM,
            Manager::User => OF_A_USER,
        });
        Ok(text)
    }

    fn socket(&self) -> Result<String, Complaint> {
        let mut text = format!(
            "\
# Written by `portbook serve --install`. To change something: {systemctl} edit portbook.socket
[Unit]
Description=The book of ports: REST, dashboard and portbook's own commands

[Socket]
",
            systemctl = self.systemctl(),
        );
        let default = [Address::Tcp(DEFAULT_ADDRESS.to_owned())];
        let listen = match self.arguments.listen.as_slice() {
            [] => default.as_slice(),
            listen => listen,
        };
        for address in listen {
            text.push_str(&format!("ListenStream={}\n", self.place(address)?));
        }
        text.push_str(match self.manager {
            Manager::System => {
                "\
# Whoever may open a unix socket of these may do everything: root, and the group portbook.
SocketMode=0660
SocketGroup=portbook
"
            }
            Manager::User => {
                "\
# Whoever may open a unix socket of these may do everything: you alone.
SocketMode=0600
"
            }
        });
        text.push_str("\n[Install]\nWantedBy=sockets.target\n");
        Ok(text)
    }

    fn portserver_socket(&self, address: &portserver::Address) -> Result<String, Complaint> {
        let place = match address {
            portserver::Address::Path(path) => {
                let path = self.outside_of_runtime_folder(path)?;
                told(&path)?
            }
            portserver::Address::Abstract(name) => told(Path::new(&format!("@{name}")))?,
        };
        let mode = match self.manager {
            Manager::System => {
                "# Whoever runs a process here may have a port for it.\nSocketMode=0666\n"
            }
            Manager::User => "SocketMode=0600\n",
        };
        Ok(format!(
            "\
# Written by `portbook serve --install`. To change something: {systemctl} edit portbook-portserver.socket
[Unit]
Description=The book of ports: ports for as long as a process runs

[Socket]
ListenStream={place}
# By this name the server knows it from the others.
FileDescriptorName=portserver
Service=portbook.service
{mode}
[Install]
WantedBy=sockets.target
",
            systemctl = self.systemctl(),
        ))
    }

    fn systemctl(&self) -> &'static str {
        match self.manager {
            Manager::System => "systemctl",
            Manager::User => "systemctl --user",
        }
    }

    /// Where a socket unit listens for an address.
    fn place(&self, address: &Address) -> Result<String, Complaint> {
        match address {
            Address::Unix(path) => told(&self.outside_of_runtime_folder(path)?),
            Address::Tcp(text) => {
                let Ok(address) = text.parse::<SocketAddr>() else {
                    let message = format!(
                        "`{text}` is a name, and a unit's socket is found by a number: write 127.0.0.1:7678 or [::1]:7678"
                    );
                    return Err(Complaint::about_usage(message, None));
                };
                if address.port() == 0 {
                    let message = format!(
                        "`{text}` is another port each time: name one for the unit, as in 127.0.0.1:7678"
                    );
                    return Err(Complaint::about_usage(message, None));
                }
                if !address.ip().is_loopback() && self.arguments.token_file.is_none() {
                    let message = format!(
                        "{address} can be reached from other machines, and nothing says who may ask: name the tokens with --token-file, or listen at 127.0.0.1"
                    );
                    return Err(Complaint::about_usage(message, None));
                }
                Ok(address.to_string())
            }
        }
    }

    /// A socket in the service's own folder could be opened by nobody else, and would go with the folder.
    fn outside_of_runtime_folder(&self, path: &Path) -> Result<PathBuf, Complaint> {
        let path = absolute(path);
        let own = self.runtime.as_ref().map(|run| run.join(RUNTIME_FOLDER));
        let Some(own) = own.filter(|own| path.starts_with(own)) else {
            return Ok(path);
        };
        let message = format!(
            "{} is in {}, which is the service's own: listen at {}.sock",
            path.display(),
            own.display(),
            own.display()
        );
        Err(Complaint::about_usage(message, None))
    }

    /// The command line that serves, without what the socket units say.
    fn command(&self) -> Result<String, Complaint> {
        let mut words = vec![OsString::from(&self.program), "serve".into()];
        let mut say = |flag: &str, value: OsString| words.extend([flag.into(), value]);
        let Serve {
            token_file,
            tls_cert,
            tls_key,
            allow_host,
            allow_origin,
            portserver,
            portserver_ports,
            max_connections,
            log_format,
            ..
        } = self.arguments;
        let Global {
            store,
            space,
            config,
            port_config,
            no_host_check,
            ..
        } = self.global;
        if let Some(store) = store {
            say("--store", self.store(store)?.into());
        }
        if let Some(space) = space {
            say("--space", space.into());
        }
        for (flag, file) in [
            ("--config", config),
            ("--port-config", port_config),
            ("--token-file", token_file),
            ("--tls-cert", tls_cert),
            ("--tls-key", tls_key),
        ] {
            if let Some(file) = file {
                say(flag, absolute(file).into());
            }
        }
        for host in allow_host {
            say("--allow-host", host.into());
        }
        for origin in allow_origin {
            say("--allow-origin", origin.into());
        }
        if portserver.is_some() {
            say("--portserver-ports", portserver_ports.to_string().into());
        }
        if let Some(most) = max_connections {
            say("--max-connections", most.to_string().into());
        }
        if *log_format == LogFormat::Json {
            say("--log-format", "json".into());
        }
        if *no_host_check {
            words.push("--no-host-check".into());
        }
        let words: Vec<String> = words
            .iter()
            .map(|word| Ok(quoted(&told(Path::new(word))?)))
            .collect::<Result<_, Complaint>>()?;
        Ok(words.join(" "))
    }

    /// The book's address as it is found from anywhere. Units are for everybody to read.
    fn store(&self, store: &str) -> Result<String, Complaint> {
        if portbook::without_password(store) != store {
            let message = "the store's address has a password in it, and everybody may read a unit: leave --store away and \
                 write it as PORTBOOK_STORE=... into the file that EnvironmentFile= of the unit names";
            return Err(Complaint::about_usage(message.to_owned(), None));
        }
        if ["http://", "https://", "unix:"]
            .iter()
            .any(|server| store.starts_with(server))
        {
            let message = format!("{store} is a server's book, which that server answers for");
            return Err(Complaint::about_usage(message, None));
        }
        Ok(match portbook::sqlite_path(store) {
            Ok(path) => format!("sqlite:{}", absolute(&path).display()),
            Err(_) => store.to_owned(),
        })
    }
}

/// The path from the root on, without `.`; what does not exist yet can be named, too.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// Text as a unit can have it: UTF-8 without control characters, and `%` for what it is (systemd.unit(5),
/// "Specifiers").
fn told(path: &Path) -> Result<String, Complaint> {
    let text = path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control));
    let Some(text) = text else {
        let message = format!("{} cannot be written into a unit", path.display());
        return Err(Complaint::about_usage(message, None));
    };
    Ok(text.replace('%', "%%"))
}

/// One word of a unit's command line (systemd.service(5), "Command lines").
fn quoted(word: &str) -> String {
    let word = word.replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,[]".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The rest of the service where the machine's manager runs it: a user that owns nothing but the book.
const OF_THE_SYSTEM: &str = "\
User=portbook
StateDirectory=portbook
StateDirectoryMode=0700
WorkingDirectory=%S/portbook
# The configuration is /etc/portbook/config.toml, the book /var/lib/portbook/portbook.db.
Environment=XDG_CONFIG_HOME=/etc XDG_DATA_HOME=%S
# For what nobody else may read, such as PORTBOOK_STORE=postgres://... with its password.
EnvironmentFile=-/etc/portbook/environment
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# Not ProtectProc=invisible: whether a process still runs that has a port would be hidden. AF_NETLINK is how
# the kernel tells which ports are in use.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
";

/// The rest of the service where a user's manager runs it: the book is the one of the user's commands.
const OF_A_USER: &str = "\
EnvironmentFile=-%E/portbook/environment
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
";

/// For systemd-sysusers(8).
const USER: &str = "\
# Written by `portbook serve --install`: the user that portbook.service runs as. Who is in its group may use
# the service's unix sockets.
u portbook - \"The book of ports\" /var/lib/portbook
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_systemd_is_written_for_what_it_is() {
        let word = |text: &str| quoted(&told(Path::new(text)).unwrap());
        assert_eq!(word("/usr/bin/portbook"), "/usr/bin/portbook");
        assert_eq!(word("/a b/100%"), "\"/a b/100%%\"");
        assert_eq!(word("$HOME\\\""), "\"$$HOME\\\\\\\"\"");
        assert_eq!(word(""), "\"\"");
        assert!(told(Path::new("a\nExecStart=b")).is_err());
    }
}
