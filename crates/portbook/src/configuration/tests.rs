//! The promises of the configuration.

use std::fs;
use std::path::{Path, PathBuf};

use portbook_model::{BlockedBy, Port, Role};
use tempfile::TempDir;

use super::{Configuration, ConfigurationError, Environment, Flags, Origin, Value};

/// A home with a working directory in it.
struct Home {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Self {
            folder,
            variables: vec![("HOME", home)],
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// A file in the working directory.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self, flags: &Flags) -> Result<Configuration, ConfigurationError> {
        let work = self.folder.path().join("work");
        Configuration::load(flags, &Environment::new(work, self.variables.clone()))
    }

    fn plain(&self) -> Configuration {
        self.load(&Flags::default()).unwrap()
    }

    /// What is wrong with a `portbook.toml` of this content, without the folder's name.
    fn complaint(&self, content: impl AsRef<[u8]>) -> String {
        self.write("portbook.toml", content);
        let complaint = self.load(&Flags::default()).unwrap_err().to_string();
        complaint.replace(&format!("{}/work/", self.folder.path().display()), "")
    }
}

fn role(name: &str) -> Role {
    Role::new(name).unwrap()
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn file(path: &Path, line: usize) -> Origin {
    Origin::File {
        path: path.to_owned(),
        line,
    }
}

#[test]
fn nothing_needs_configuring() {
    let home = Home::new();
    let configuration = home.plain();
    assert_eq!(configuration.file, None);
    assert_eq!(configuration.port_config, None);
    let store = home.path(".local/share/portbook/portbook.db");
    assert_eq!(
        configuration.store.value,
        format!("sqlite:{}", store.display())
    );
    let told: Vec<_> = configuration
        .describe()
        .into_iter()
        .filter(|(key, ..)| key != "store")
        .map(|(key, value, origin)| format!("{key} = {value} ({origin})"))
        .collect();
    assert_eq!(
        told,
        [
            "config = none (default)",
            "space = default (default)",
            "port_config = none (default)",
            "host_check = true (default)",
            "reuse_delay = 0s (default)",
            "block = none (default)",
            "roles = backend, frontend (default)",
            "ranges.backend.base = 5001 (default)",
            "ranges.backend.step = 2 (default)",
            "ranges.backend.max = 65535 (default)",
            "ranges.frontend.base = 8001 (default)",
            "ranges.frontend.step = 2 (default)",
            "ranges.frontend.max = 65535 (default)",
        ]
    );
}

#[test]
fn the_data_folder_may_be_elsewhere_and_must_be_somewhere() {
    let home = Home::new().with("XDG_DATA_HOME", "/data");
    assert_eq!(
        home.plain().store.value,
        "sqlite:/data/portbook/portbook.db"
    );
    let relative = Home::new().with("XDG_DATA_HOME", "data");
    assert!(
        relative
            .plain()
            .store
            .value
            .ends_with("/.local/share/portbook/portbook.db")
    );
    let homeless = Home::new().with("HOME", "");
    let error = homeless.load(&Flags::default()).unwrap_err();
    assert_eq!(error, ConfigurationError::NoHome);
    let flags = Flags {
        store: Some("sqlite:book.db".to_owned()),
        ..Flags::default()
    };
    assert_eq!(homeless.load(&flags).unwrap().store.value, "sqlite:book.db");
}

#[test]
fn every_key_of_the_file_is_read_with_its_line() {
    let home = Home::new();
    home.write("settings/misc/port_config.json", "[]");
    let path = home.write(
        "settings/portbook.toml",
        r#"store = "sqlite:/var/lib/portbook/portbook.db"
space = "lab"
port_config = "misc/port_config.json"
host_check = false
reuse_delay = "10m"
block = [3306, "6000-6063"]
roles = ["db"]
[ranges.backend]
base = 6001
step = 3
max = 7000
[ranges.db]
base = 15432
"#,
    );
    let flags = Flags {
        config: Some("settings/portbook.toml".into()),
        ..Flags::default()
    };
    let configuration = home.load(&flags).unwrap();
    let Configuration {
        store,
        space,
        host_check,
        reuse_delay,
        block,
        roles,
        ..
    } = &configuration;
    let origin = Origin::Flag("--config");
    assert_eq!(
        configuration.file,
        Some(Value {
            value: path.clone(),
            origin
        })
    );
    assert_eq!(store.value, "sqlite:/var/lib/portbook/portbook.db");
    assert_eq!(store.origin, file(&path, 1));
    assert_eq!(
        (space.value.as_str(), &space.origin),
        ("lab", &file(&path, 2))
    );
    let port_config = configuration.port_config.clone().unwrap();
    assert_eq!(
        port_config.value,
        home.path("work/settings/misc/port_config.json")
    );
    assert_eq!(port_config.origin, file(&path, 3));
    assert_eq!(
        (host_check.value, &host_check.origin),
        (false, &file(&path, 4))
    );
    assert_eq!(
        (reuse_delay.value.to_string(), &reuse_delay.origin),
        ("10m".to_owned(), &file(&path, 5))
    );
    assert_eq!((block.value.len(), &block.origin), (2, &file(&path, 6)));
    assert_eq!((roles.value.len(), &roles.origin), (3, &file(&path, 7)));
    let db = &configuration.ranges[&role("db")];
    assert_eq!(
        (db.base.value, &db.base.origin),
        (port(15432), &file(&path, 13))
    );
    assert_eq!((db.step.value, db.max.value), (2, Port::MAX));
    assert_eq!(db.step.origin, Origin::Default);

    let policy = configuration.policy();
    assert_eq!(policy.range(&role("backend")).unwrap().step(), 3);
    assert_eq!(policy.range(&role("frontend")).unwrap().base(), port(8001));
    assert!(policy.base_roles().contains(&role("db")));
    assert_eq!(policy.blocked(port(6063)), Some(BlockedBy::BlockList));
    assert_eq!(policy.blocked(port(3306)), Some(BlockedBy::BlockList));
    assert_eq!(policy.blocked(port(6064)), None);
    assert_eq!(policy.reuse_delay().as_secs(), 600);
}

#[test]
fn a_flag_goes_before_the_environment_that_before_the_file() {
    let mut home = Home::new();
    let path = home.write(
        "portbook.toml",
        "store = 'sqlite:file'\nspace = 'file'\nhost_check = true",
    );
    let layers = |configuration: &Configuration| {
        [
            (
                configuration.store.value.clone(),
                configuration.store.origin.to_string(),
            ),
            (
                configuration.space.value.to_string(),
                configuration.space.origin.to_string(),
            ),
            (
                configuration.host_check.value.to_string(),
                configuration.host_check.origin.to_string(),
            ),
        ]
    };
    let row = |value: &str, origin: String| (value.to_owned(), origin);
    let line = |line: usize| format!("{}:{line}", path.display());
    assert_eq!(
        layers(&home.plain()),
        [
            // A relative path in a file means a file beside it.
            row(
                &format!("sqlite:{}", path.with_file_name("file").display()),
                line(1)
            ),
            row("file", line(2)),
            row("true", line(3))
        ]
    );
    home = home
        .with("PORTBOOK_STORE", "sqlite:variable")
        .with("PORTBOOK_SPACE", "variable")
        .with("PORTBOOK_HOST_CHECK", "0")
        .with("PORTBOOK_REUSE_DELAY", "2h");
    let configuration = home.plain();
    assert_eq!(
        layers(&configuration),
        [
            row("sqlite:variable", "PORTBOOK_STORE".to_owned()),
            row("variable", "PORTBOOK_SPACE".to_owned()),
            row("false", "PORTBOOK_HOST_CHECK".to_owned()),
        ]
    );
    assert_eq!(configuration.policy().reuse_delay().as_secs(), 7200);
    home = home.with("PORTBOOK_HOST_CHECK", "true");
    let flags = Flags {
        store: Some("sqlite:flag".to_owned()),
        space: Some("flag".to_owned()),
        no_host_check: true,
        ..Flags::default()
    };
    assert_eq!(
        layers(&home.load(&flags).unwrap()),
        [
            row("sqlite:flag", "--store".to_owned()),
            row("flag", "--space".to_owned()),
            row("false", "--no-host-check".to_owned()),
        ]
    );
}

#[test]
fn one_configuration_file_is_read_the_first_that_there_is() {
    let space = |home: &Home, flags: &Flags| home.load(flags).unwrap().space.value.to_string();
    let none = Flags::default();
    let mut home = Home::new();
    home.write("../.config/portbook/config.toml", "space = 'home'");
    assert_eq!(space(&home, &none), "home");
    home.write("../xdg/portbook/config.toml", "space = 'xdg'");
    let xdg = home.path("xdg").to_str().unwrap().to_owned();
    home = home.with("XDG_CONFIG_HOME", xdg);
    assert_eq!(space(&home, &none), "xdg");
    home.write("portbook.toml", "");
    assert_eq!(space(&home, &none), "default");
    home.write("variable.toml", "space = 'variable'");
    home = home.with("PORTBOOK_CONFIG", "variable.toml");
    assert_eq!(space(&home, &none), "variable");
    home.write("flag.toml", "space = 'flag'");
    let flag = Flags {
        config: Some("flag.toml".into()),
        ..none
    };
    assert_eq!(space(&home, &flag), "flag");
}

#[test]
fn the_file_of_pre_configured_ports_is_named_or_found() {
    let found = |home: &Home, flags: &Flags| {
        let Value { value, origin } = home.load(flags).unwrap().port_config.unwrap();
        let path = value.strip_prefix(home.path("work")).unwrap().to_owned();
        (path.display().to_string(), origin.to_string())
    };
    let told = |path: &str, origin: &str| (path.to_owned(), origin.to_owned());
    let none = Flags::default();
    let mut home = Home::new();
    home.write("misc/port_config.json", "[]");
    assert_eq!(
        found(&home, &none),
        told("misc/port_config.json", "default")
    );
    home.write("port_config.json", "[]");
    assert_eq!(found(&home, &none), told("port_config.json", "default"));
    let path = home.write(
        "portbook.toml",
        "port_config = './misc/../misc/port_config.json'",
    );
    let line = format!("{}:1", path.display());
    assert_eq!(found(&home, &none), told("misc/port_config.json", &line));
    home.write("variable.json", "[]");
    home = home.with("PORTBOOK_PORT_CONFIG", "variable.json");
    assert_eq!(
        found(&home, &none),
        told("variable.json", "PORTBOOK_PORT_CONFIG")
    );
    home.write("flag.json", "[]");
    let flags = |path: &str| Flags {
        port_config: Some(path.into()),
        ..Flags::default()
    };
    assert_eq!(
        found(&home, &flags("./flag.json")),
        told("flag.json", "--port-config")
    );
    assert_eq!(
        home.load(&flags("gone.json")).unwrap_err(),
        ConfigurationError::Missing {
            origin: Origin::Flag("--port-config"),
            path: home.path("work/gone.json"),
        }
    );
}

#[cfg(unix)]
#[test]
fn a_linked_file_keeps_the_name_of_its_link() {
    let home = Home::new();
    home.write("v1/port_config.json", "[]");
    std::os::unix::fs::symlink("v1/port_config.json", home.path("work/port_config.json")).unwrap();
    std::os::unix::fs::symlink("work/v1", home.path("current")).unwrap();
    let file = |path: Option<&str>| {
        let flags = Flags {
            port_config: path.map(PathBuf::from),
            ..Flags::default()
        };
        home.load(&flags).unwrap().port_config.unwrap().value
    };
    assert_eq!(file(None), home.path("work/port_config.json"));
    let above_the_end = fs::canonicalize(home.path("work")).unwrap();
    assert_eq!(
        file(Some("../current/../port_config.json")),
        above_the_end.join("port_config.json")
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let home = Home::new();
    let flags = Flags {
        config: Some("gone.toml".into()),
        ..Flags::default()
    };
    assert_eq!(
        home.load(&flags).unwrap_err().to_string(),
        format!(
            "--config names the file {}, which does not exist",
            home.path("work/gone.toml").display()
        )
    );
    let home = home.with("PORTBOOK_CONFIG", "/gone/portbook.toml");
    assert_eq!(
        home.load(&Flags::default()).unwrap_err().to_string(),
        "PORTBOOK_CONFIG names the file /gone/portbook.toml, which does not exist"
    );
}

#[test]
fn a_directory_in_the_place_of_a_file_is_told() {
    for (name, what) in [
        ("portbook.toml", "configuration file"),
        ("port_config.json", "file of pre-configured ports"),
    ] {
        let home = Home::new();
        let path = home.path("work").join(name);
        fs::create_dir(&path).unwrap();
        assert_eq!(
            home.load(&Flags::default()).unwrap_err().to_string(),
            format!("{} is a directory, where a {what} is due", path.display())
        );
    }
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    let home = Home::new();
    for (content, complaint) in [
        (
            "space = 'lab'\nstroe = 'x'",
            "2:1: unknown key `stroe`: did you mean `store`?",
        ),
        (
            "\nzzz = 1",
            "2:1: unknown key `zzz`: the known ones are `store`, `space`, `port_config`, `host_check`, `reuse_delay`, `block`, `roles`, `ranges`",
        ),
        (
            "host-check = true",
            "1:1: unknown key `host-check`: did you mean `host_check`?",
        ),
        (
            "[ranges.backend]\n  bsae = 1",
            "2:3: unknown key `ranges.backend.bsae`: did you mean `base`?",
        ),
        (
            "store = 5",
            "1:9: `store` is a whole number, where a text such as \"sqlite:PATH\" is due",
        ),
        (
            "store = ''",
            "1:9: `store` is empty: give it a value, or leave it out",
        ),
        (
            "host_check = 'yes'",
            "1:14: `host_check` is a text, where true or false is due",
        ),
        (
            "space = 'A B'",
            "1:9: \"A B\" cannot name a port space: a space has 1 to 100 lower-case letters, digits, `-`, `_`, `.` or `:`, and begins with a letter or digit",
        ),
        (
            "reuse_delay = 10",
            "1:15: `reuse_delay` is a whole number, where a text such as \"10m\" is due",
        ),
        (
            "reuse_delay = '10'",
            "1:15: `10` is not a length of time: write it as 90s, 45m, 2h, 7d or 1h30m, at most 100 years",
        ),
        (
            "block = 3306",
            "1:9: `block` is a whole number, where an array of ports and stretches such as [3306, \"6000-6063\"] is due",
        ),
        (
            "block = [\n  3306,\n  '6063-6000']",
            "3:3: `block[1]`: `6063-6000` runs backwards: write the lower port first",
        ),
        (
            "block = [70000]",
            "1:10: `block[0]`: `70000` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "block = [-5]",
            "1:10: `block[0]`: `-5` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "block = [1.5]",
            "1:10: `block[0]` is a number with a fraction, where a port such as 3306 or a stretch such as \"6000-6063\" is due",
        ),
        (
            "roles = [1]",
            "1:10: `roles[0]` is a whole number, where a role such as \"db\" is due",
        ),
        (
            "roles = ['DB']",
            "1:10: \"DB\" cannot name a role: a role has 1 to 32 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit",
        ),
        (
            "roles = ['backend', 'db']",
            "1:21: the role `db` has no range: add one, as [ranges.db] base = 15001",
        ),
        (
            "ranges = 1",
            "1:10: `ranges` is a whole number, where a table such as [ranges.db] is due",
        ),
        (
            "[ranges]\nbackend = 5001",
            "2:11: `ranges.backend` is a whole number, where a table with base, step and max is due",
        ),
        (
            "[ranges.DB]\nbase = 1",
            "1:9: \"DB\" cannot name a role: a role has 1 to 32 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit",
        ),
        (
            "[ranges.db]\nstep = 1",
            "1:9: the range of `db` has no `base`: add one, as base = 15001",
        ),
        (
            "[ranges.backend]\nbase = '5001'",
            "2:8: `ranges.backend.base` is a text, where a port number is due",
        ),
        (
            "[ranges.backend]\nbase = 0",
            "2:8: `ranges.backend.base`: `0` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "[ranges.backend]\nbase = 99999999999999999999",
            "2:8: `ranges.backend.base`: `99999999999999999999` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "[ranges.backend]\nstep = 0",
            "2:8: `ranges.backend`: a range's step is at least 1",
        ),
        (
            "[ranges.backend]\nstep = -1",
            "2:8: `ranges.backend.step`: `-1` is not a step: a step is a number from 1 to 65535",
        ),
        (
            "[ranges.backend]\nmax = 80",
            "2:7: `ranges.backend`: a range's base 5001 lies above its max 80",
        ),
        (
            "[ranges.backend]\nmax = 80\nbase = 81",
            "3:8: `ranges.backend`: a range's base 81 lies above its max 80",
        ),
        (
            "[ranges.backend]\nbase = 8001",
            "1:9: the ranges of `backend` and `frontend` can never meet: there is no slot in which every role has a port of its own",
        ),
        ("space = 'lab'\nspace = 'x'", "2:1: duplicate key"),
        (
            "space = 'ä' 1",
            "1:13: unexpected key or value, expected newline, `#`",
        ),
    ] {
        assert_eq!(
            home.complaint(content),
            format!("portbook.toml:{complaint}"),
            "{content}"
        );
    }
    for content in [
        "space =",
        "space = \"lab",
        "[ranges",
        "= 1",
        "a = [[[[",
        &"a = [".repeat(9999),
        "\0",
        "space = 'lab'\r x",
    ] {
        let complaint = home.complaint(content);
        assert!(complaint.starts_with("portbook.toml:"), "{complaint}");
        assert!(
            !complaint.contains('\n') && complaint.len() < 200,
            "{complaint}"
        );
    }
}

#[test]
fn a_file_in_another_encoding_is_told() {
    let home = Home::new();
    let utf16: Vec<u8> = "a = 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&b"\xFF\xFE"[..], &utf16].concat();
    for (content, complaint) in [
        (
            &b"\xEF\xBB\xBFspace = 'lab'"[..],
            "1:1: the file begins with a byte order mark: save it as UTF-8 without one",
        ),
        (&utf16, "1:1: the file is UTF-16: save it as UTF-8"),
        (&with_mark, "1:1: the file is UTF-16: save it as UTF-8"),
        (
            b"space = 'lab'\n# \xE4",
            "2:3: this is not UTF-8: write it in UTF-8",
        ),
    ] {
        assert_eq!(
            home.complaint(content),
            format!("portbook.toml:{complaint}")
        );
    }
    assert!(
        home.complaint(vec![b'#'; (1 << 20) + 1])
            .ends_with("is larger than 1 MiB, which no configuration file is")
    );
}

#[test]
fn what_is_wrong_around_the_file_is_told_with_its_name() {
    for (name, value, complaint) in [
        (
            "PORTBOOK_HOST_CHECK",
            "maybe",
            "PORTBOOK_HOST_CHECK: `maybe` is neither true nor false: write true, false, 1 or 0",
        ),
        (
            "PORTBOOK_REUSE_DELAY",
            "soon",
            "PORTBOOK_REUSE_DELAY: `soon` is not a length of time: write it as 90s, 45m, 2h, 7d or 1h30m, at most 100 years",
        ),
        (
            "PORTBOOK_SPACE",
            "A",
            "PORTBOOK_SPACE: \"A\" cannot name a port space: a space has 1 to 100 lower-case letters, digits, `-`, `_`, `.` or `:`, and begins with a letter or digit",
        ),
    ] {
        let error = Home::new()
            .with(name, value)
            .load(&Flags::default())
            .unwrap_err();
        assert_eq!(error.to_string(), complaint);
        assert!(Home::new().with(name, "").load(&Flags::default()).is_ok());
    }
    let mended = Flags {
        space: Some("lab".to_owned()),
        no_host_check: true,
        ..Flags::default()
    };
    let broken = Home::new()
        .with("PORTBOOK_SPACE", "A")
        .with("PORTBOOK_HOST_CHECK", "maybe");
    assert_eq!(broken.load(&mended).unwrap().space.value.as_str(), "lab");
    let flags = Flags {
        store: Some(String::new()),
        ..Flags::default()
    };
    let error = Home::new().load(&flags).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--store: `store` is empty: give it a value, or leave it out"
    );
}

#[test]
fn the_example_is_complete_and_says_the_defaults() {
    let home = Home::new().with("HOME", "/home/alice");
    home.write("port_config.json", "[]");
    let defaults = home.plain();
    let set: String = Configuration::EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    home.write("portbook.toml", set);
    let example = home.plain();
    let told = |configuration: &Configuration| {
        let rows = configuration.describe().into_iter().skip(1);
        rows.map(|(key, value, _)| (key, value)).collect::<Vec<_>>()
    };
    assert_eq!(told(&example), told(&defaults));
    for (key, _, origin) in example.describe().into_iter().skip(1) {
        assert!(
            matches!(origin, Origin::File { .. }),
            "the example does not set {key}"
        );
    }
    // As it is, it sets nothing.
    home.write("portbook.toml", Configuration::EXAMPLE);
    assert!(
        home.plain()
            .describe()
            .iter()
            .skip(1)
            .all(|(.., origin)| *origin == Origin::Default)
    );
}

#[test]
fn a_password_is_not_told() {
    let home = Home::new();
    for (store, told) in [
        (
            "postgres://alice:s3cr@t@db/book?x=a:b@c",
            "postgres://alice:***@db/book?x=a:b@c",
        ),
        ("postgres://alice@db/book", "postgres://alice@db/book"),
        ("sqlite:/a:b@c/book.db", "sqlite:/a:b@c/book.db"),
    ] {
        let flags = Flags {
            store: Some(store.to_owned()),
            ..Flags::default()
        };
        let configuration = home.load(&flags).unwrap();
        assert_eq!(configuration.describe()[1].1, told);
        assert_eq!(configuration.store.value, store);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in r#"[ -~\n]{0,80}|((ranges|roles|block|base|db|store)( = |\.|\n)|\[|\]|"|1|-|'x'|,|\{|\}|\n){0,25}"#) {
        let path = Path::new("portbook.toml");
        if let Err(error) = super::settings::Settings::read(path, &text) {
            proptest::prop_assert!(error.to_string().starts_with("portbook.toml:"));
        }
    }
}
