//! SIGHUP: a running server takes new rules up, says what changed, and goes on where they are none.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::Sandbox;
use crate::serving::Serving;
use crate::systemd::Told;

/// A server that the test is the service manager of.
struct Served<'s> {
    sandbox: &'s Sandbox,
    serving: Serving,
    told: Told,
}

impl<'s> Served<'s> {
    fn start(sandbox: &'s Sandbox) -> Self {
        let notify = sandbox.path("notify");
        let told = Told::listen(&notify);
        let mut command = sandbox.command();
        command
            .args(["serve", "--listen"])
            .arg(format!("unix:{}", sandbox.path("api").display()))
            .env("NOTIFY_SOCKET", &notify)
            .env("NO_COLOR", "1")
            .stderr(File::create(sandbox.path("log")).unwrap());
        let serving = Serving::of(command);
        assert_eq!(told.next_news(), "READY=1");
        Self {
            sandbox,
            serving,
            told,
        }
    }

    /// Has it read its configuration anew, and gives what it logs of that.
    #[track_caller]
    fn reload(&self) -> String {
        let log = self.sandbox.path("log");
        let before = fs::read_to_string(&log).unwrap().len();
        self.serving.signal(Signal::HUP);
        let reloading = self.told.next_news();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(
            since.is_some_and(|usec| usec.parse::<u64>().is_ok()),
            "{reloading}"
        );
        assert_eq!(self.told.next_news(), "READY=1");
        fs::read_to_string(&log).unwrap()[before..].to_owned()
    }

    /// Runs a command that asks it.
    #[track_caller]
    fn pair(&self, line: &str) -> (u64, u64) {
        let store = &self.serving.address;
        self.sandbox.pair(&format!("{line} --store {store}"))
    }
}

/// The log's lines without their times.
fn lines(log: &str) -> Vec<&str> {
    log.lines()
        .map(|line| &line[line.find("the ").unwrap_or(0)..])
        .collect()
}

#[test]
fn new_rules_count_at_once_and_are_told_key_by_key() {
    let sandbox = Sandbox::configured("block = [5005]\n");
    let served = Served::start(&sandbox);
    assert_eq!(served.pair("allocate model_a 1"), (5001, 8001));
    sandbox.write(
        "portbook.toml",
        "reuse_delay = \"1h\"\n[ranges.backend]\nbase = 6101\n",
    );
    let log = served.reload();
    assert_eq!(
        lines(&log),
        [
            "the configuration changed key=\"reuse_delay\" before=\"0s\" after=\"1h\"",
            "the configuration changed key=\"block\" before=\"5005\" after=\"none\"",
            "the configuration changed key=\"ranges.backend.base\" before=\"5001\" after=\"6101\"",
        ]
    );
    assert_eq!(served.pair("allocate model_a 2"), (6103, 8003));
    assert_eq!(served.pair("get model_a 1"), (5001, 8001));
    assert_eq!(
        lines(&served.reload()),
        ["the configuration was read anew, and nothing in it changed"]
    );
    assert!(served.serving.stop().success());
}

#[test]
fn rules_that_are_none_are_refused_and_the_old_ones_go_on() {
    let sandbox = Sandbox::configured("[ranges.backend]\nbase = 6101\n");
    let served = Served::start(&sandbox);
    sandbox.write("portbook.toml", "[ranges.backend]\nbase = 7101\nmax = 1\n");
    let log = served.reload();
    let (line, further) = log.split_once('\n').unwrap();
    assert!(line.contains("ERROR"), "{line}");
    let start = "the new configuration is refused, and the old one goes on: ";
    let reason = line.split_once(start).unwrap().1;
    assert!(reason.contains("portbook.toml:2"), "{reason}");
    assert_eq!(further, "");
    // The command reads it, too.
    sandbox.write("portbook.toml", "");
    assert_eq!(served.pair("allocate model_a 1").0, 6101);
}

#[test]
fn what_takes_a_restart_is_told_and_stays() {
    let sandbox = Sandbox::configured("");
    let served = Served::start(&sandbox);
    sandbox.write("portbook.toml", "space = \"lab\"\nhost_check = true\n");
    for _ in 0..2 {
        assert_eq!(
            lines(&served.reload()),
            [
                "the configuration changed, and this takes a restart key=\"space\" before=\"default\" after=\"lab\"",
            ],
            "PORTBOOK_HOST_CHECK goes before the file"
        );
    }
    served.pair("allocate model_a 1 --space default");
}

#[test]
fn a_longer_delay_counts_for_what_was_released_before() {
    let sandbox = Sandbox::configured("");
    // Another process releases: the server has not seen it when it reads the space.
    assert_eq!(sandbox.pair("allocate model_a 1"), (5001, 8001));
    sandbox.run("release model_a 1").done();
    let served = Served::start(&sandbox);
    served.pair("allocate model_b 1 --ports backend=7001,frontend=9001");
    sandbox.write("portbook.toml", "reuse_delay = \"1h\"\n");
    served.reload();
    assert_eq!(served.pair("allocate model_b 2"), (5003, 8003));
}

#[test]
fn a_server_whose_terminal_is_gone_ends() {
    let sandbox = Sandbox::new();
    let pid = sandbox.path("pid");
    // `script` has a terminal of its own for what it runs, and takes it away when it is killed.
    let mut command = std::process::Command::new("script");
    sandbox.furnish(&mut command);
    command
        .args(["--quiet", "--flush", "--command"])
        .arg(format!(
            "echo $$ > {}; exec {} serve --listen unix:{} > {}",
            pid.display(),
            assert_cmd::cargo::cargo_bin!("portbook").display(),
            sandbox.path("api").display(),
            sandbox.path("answer").display(),
        ))
        .arg("/dev/null");
    let mut terminal = command.spawn().unwrap();
    let answer = || fs::read_to_string(sandbox.path("answer")).unwrap_or_default();
    wait_until(|| answer().contains("listening at"));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let pid = fs::read_to_string(pid).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    wait_until(|| {
        let state = fs::read_to_string(process.join("stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
}

#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
}
