//! The served OpenAPI document against the server: whatever the document allows is taken, whatever it
//! forbids is refused, and each answer is one that it names. Schemathesis, as PyPI has it, makes the
//! requests from the document.

use std::fs;
use std::process::Command;

use crate::installed;
use crate::kit::Sandbox;
use crate::serving::Serving;

/// What is asked differs from the document in no more than `schemathesis.toml` says. `PORTBOOK_SEED`
/// asks other things than the usual ones.
#[test]
fn the_server_keeps_to_its_openapi_document() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let serving = Serving::of(command);
    let rules = sandbox.write(
        "schemathesis.toml",
        fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/service/schemathesis.toml"
        ))
        .unwrap(),
    );
    let seed = std::env::var("PORTBOOK_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut tester = Command::new(installed("bin/schemathesis"));
    sandbox.furnish(&mut tester);
    let run = tester
        .arg("--config-file")
        .arg(rules)
        .args(["run", "--no-color", "--seed", &seed])
        .arg(format!("{}/openapi.json", serving.address))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complained = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{complained}");
    assert!(said.contains("19 selected / 20 total"), "{said}");
    assert!(serving.stop().success());
}
