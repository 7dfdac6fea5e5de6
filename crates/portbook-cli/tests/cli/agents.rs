//! `init`: what a project says to coding agents.

use std::fs;

use crate::kit::Sandbox;

#[test]
fn it_shows_the_change_first_and_makes_it_when_told_to() {
    let sandbox = Sandbox::new();
    let agents = sandbox.write("AGENTS.md", "# Ours\n\nBe kind.\n");
    let shown = sandbox.text("init");
    assert!(shown.contains("+## Ports") && shown.contains(" Be kind."));
    assert_eq!(fs::read_to_string(&agents).unwrap(), "# Ours\n\nBe kind.\n");

    assert_eq!(sandbox.text("init --yes").trim(), "AGENTS.md written");
    let written = fs::read_to_string(&agents).unwrap();
    assert!(written.starts_with("# Ours\n\nBe kind.\n\n") && written.contains("## Ports"));
    assert_eq!(sandbox.text("init --yes").trim(), "AGENTS.md is up to date");
    assert_eq!(fs::read_to_string(&agents).unwrap(), written);
}

#[test]
fn the_programs_whose_traces_are_there_get_their_settings() {
    let sandbox = Sandbox::new();
    sandbox.write("CLAUDE.md", "Read AGENTS.md.\n");
    let cursor = sandbox.write(
        ".cursor/mcp.json",
        "{\n  // ours\n  \"mcpServers\": {}\n}\n",
    );
    let answer = sandbox.json("init --yes");
    let files: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["file"])
        .collect();
    assert_eq!(files, ["AGENTS.md", ".mcp.json", ".cursor/mcp.json"]);
    let made: serde_json::Value =
        serde_json::from_slice(&fs::read(sandbox.path(".mcp.json")).unwrap()).unwrap();
    assert_eq!(made["mcpServers"]["portbook"]["args"][0], "mcp");
    let edited = fs::read_to_string(cursor).unwrap();
    assert!(edited.contains("// ours") && edited.contains("\"portbook\""));
    assert!(!sandbox.path(".gemini").exists());
}

#[test]
fn settings_that_are_not_understood_are_left_alone() {
    let sandbox = Sandbox::new();
    let broken = sandbox.write(".mcp.json", "{\"mcpServers\": [");
    let run = sandbox.run("init --yes");
    assert!(run.done().stderr.contains(".mcp.json is left alone"));
    assert_eq!(fs::read_to_string(broken).unwrap(), "{\"mcpServers\": [");
}
