//! Writes what `portbook --version` says of this build, from the second line on: the commit, if the
//! sources are a checkout of portbook's repository, the target, and what is compiled in.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut lines = Vec::new();
    if let Some(commit) = commit() {
        lines.push(format!("commit: {commit}"));
    }
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|features| features.split(',').any(|feature| feature == "crt-static"));
    let linking = if is_static { ", static" } else { "" };
    lines.push(format!("target: {}{linking}", env::var("TARGET")?));
    lines.push("stores: sqlite, postgres, etcd, http, https, unix".to_owned());
    let mut features = vec!["serve".to_owned(), "mcp".to_owned()];
    if env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        features.extend(["run".to_owned(), "listen".to_owned()]);
    }
    // Cargo's own, those that a build may have or lack.
    let chosen = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    features.extend(chosen.filter(|feature| feature != "default"));
    lines.push(format!("features: {}", features.join(", ")));
    let text: String = lines.iter().map(|line| format!("\n{line}")).collect();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("version.txt"), text)?;
    Ok(())
}

/// The commit and its day. A package of the sources that lies in somebody else's repository has none.
fn commit() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?)
        .canonicalize()
        .ok()?
        != root.canonicalize().ok()?
    {
        return None;
    }
    // What the next commit writes.
    let head = git(&["symbolic-ref", "-q", "HEAD"]).unwrap_or_else(|| "HEAD".to_owned());
    for name in ["HEAD", &head, "packed-refs"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["log", "-1", "--format=%h (%cs)", "--abbrev=12"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}
