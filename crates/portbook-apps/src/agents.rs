//! What coding agents are told of portbook in a project's own files: a section for them to read, and their
//! programs' settings.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::CstRootNode;
use jsonc_parser::json;

/// Where the section begins and ends, so that it can be brought up to date. Markdown shows neither.
const BEGINNING: &str = "<!-- portbook: ports -->";
const END: &str = "<!-- /portbook -->";

const SECTION: &str = "\
## Ports

Ports come from portbook, the book of record for ports on this machine. Each checkout (git worktree) of this
project has its own, always the same ones; nobody else gets them.

- Never pick a port by hand, and never write a port's number into a file that is committed.
- Before a server is started or configured: `portbook allocate --here`, or the tool `allocate_ports`.
- To run one: `portbook run --here -- COMMAND` sets `PORT`, `BACKEND_PORT` and `FRONTEND_PORT`; a frontend's
  development server gets its own as `PORT` by `portbook run --here --role frontend -- COMMAND`.
- For Docker Compose and whatever reads `.env`: `portbook env --here --write .env`.
- \"Address already in use\": `portbook check --host` says who has the port. Do not kill whoever it is.
";

/// A program's settings file in which a Model Context Protocol server is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentSettings {
    /// The file, from the project's topmost directory.
    pub file: &'static str,
    /// What tells that the project is worked on with the program: one of these is there.
    pub signs: &'static [&'static str],
    /// The member of the file that has the servers by name.
    member: &'static str,
}

/// The programs whose settings are known.
pub const AGENT_SETTINGS: [AgentSettings; 4] = [
    AgentSettings {
        file: ".mcp.json",
        signs: &[".mcp.json", ".claude", "CLAUDE.md"],
        member: "mcpServers",
    },
    AgentSettings {
        file: ".cursor/mcp.json",
        signs: &[".cursor"],
        member: "mcpServers",
    },
    AgentSettings {
        file: ".gemini/settings.json",
        signs: &[".gemini"],
        member: "mcpServers",
    },
    AgentSettings {
        file: ".vscode/mcp.json",
        signs: &[".vscode/mcp.json"],
        member: "servers",
    },
];

/// A settings file is not as its program would write it, so it is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSettings {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    NoJson(String),
    /// Something else is where an object should be.
    #[error("{0} is no object")]
    NoObject(String),
}

/// The text with portbook's section in it: brought up to date where it stands, else at the end. Everything else
/// stays byte for byte.
pub fn with_section(text: &str) -> String {
    let section = format!("{BEGINNING}\n{SECTION}{END}");
    if let Some(beginning) = text.find(BEGINNING)
        && let Some(length) = text[beginning..].find(END)
    {
        let after = beginning + length + END.len();
        return format!("{}{section}{}", &text[..beginning], &text[after..]);
    }
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{text}{gap}{section}\n")
}

impl AgentSettings {
    /// The settings with portbook among the servers; a server of that name that is there already stays as it is.
    /// Comments and spaces stay.
    pub fn with_portbook(&self, settings: &str) -> Result<String, UnknownSettings> {
        let settings = match settings.trim() {
            "" => "{}\n",
            _ => settings,
        };
        let root = CstRootNode::parse(settings, &ParseOptions::default())
            .map_err(|error| UnknownSettings::NoJson(error.to_string()))?;
        let whole = root
            .object_value()
            .ok_or_else(|| UnknownSettings::NoObject("the whole of it".to_owned()))?;
        let servers = whole
            .object_value_or_create(self.member)
            .ok_or_else(|| UnknownSettings::NoObject(format!("`{}`", self.member)))?;
        if servers.get("portbook").is_none() {
            servers.append(
                "portbook",
                json!({ "command": "portbook", "args": ["mcp"] }),
            );
        }
        Ok(root.to_string())
    }
}

/// What would be written, line by line, as `diff -u` shows it.
pub fn difference(file: &str, before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .header(file, file)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_once_and_brought_up_to_date_where_it_stands() {
        let first = with_section("# Project\n");
        assert!(first.starts_with("# Project\n\n<!-- portbook: ports -->\n## Ports\n"));
        assert_eq!(with_section(&first), first);
        let moved = format!("{first}\n## Later\n").replace("Never pick", "Always pick");
        assert_eq!(with_section(&moved), format!("{first}\n## Later\n"));
        assert!(with_section("").starts_with(BEGINNING));
    }

    #[test]
    fn settings_keep_their_comments_and_other_servers() {
        let [settings, ..] = AGENT_SETTINGS;
        let before =
            "{\n  // ours\n  \"mcpServers\": {\n    \"other\": {\"command\": \"x\"}\n  }\n}\n";
        let after = settings.with_portbook(before).unwrap();
        assert!(after.contains("// ours") && after.contains("\"other\": {\"command\": \"x\"}"));
        assert!(after.contains("\"portbook\": {"));
        assert_eq!(settings.with_portbook(&after), Ok(after));
    }

    #[test]
    fn a_server_of_that_name_stays_as_somebody_set_it() {
        let [settings, ..] = AGENT_SETTINGS;
        let theirs = "{\"mcpServers\": {\"portbook\": {\"url\": \"http://localhost\"}}}";
        assert_eq!(settings.with_portbook(theirs), Ok(theirs.to_owned()));
    }

    #[test]
    fn what_is_no_settings_file_is_left_alone() {
        let [settings, ..] = AGENT_SETTINGS;
        for odd in ["[1]", "{\"mcpServers\": 3}", "{\"a\": "] {
            assert!(settings.with_portbook(odd).is_err(), "{odd}");
        }
        assert!(settings.with_portbook("").unwrap().contains("mcpServers"));
    }
}
