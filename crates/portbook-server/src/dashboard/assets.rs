//! The files that the dashboard is made of, embedded.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file of the dashboard.
pub(super) struct Asset {
    path: &'static str,
    /// Its content.
    pub(super) content: &'static [u8],
    /// What it is: the value of `Content-Type`.
    pub(super) kind: &'static str,
    /// The value of `ETag`: another one for other content.
    pub(super) tag: String,
}

/// The file at this path below `assets/`, if the dashboard has it.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(path, content)| Asset {
            path,
            content,
            kind: kind(path),
            tag: tag(content),
        })
        .collect()
});

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

fn tag(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let hex: String = digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../assets/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = files![
    "announce.js",
    "api.js",
    "app.js",
    "book.js",
    "dialogs/allocate.js",
    "dialogs/dialog.js",
    "dialogs/release.js",
    "dialogs/token.js",
    "element.js",
    "fonts/LICENSE",
    "fonts/plex-mono-medium.woff2",
    "fonts/plex-mono.woff2",
    "fonts/plex-sans.woff2",
    "icon.svg",
    "index.html",
    "live.js",
    "long-table.js",
    "map/layout.js",
    "map/painter.js",
    "map/port-map.js",
    "panel.js",
    "states.js",
    "stream.js",
    "style/frame.css",
    "style/map.css",
    "style/parts.css",
    "style/tokens.css",
    "style/views.css",
    "theme.js",
    "views/apps.js",
    "views/conflicts.js",
    "views/curve.js",
    "views/figures.js",
    "views/history.js",
    "views/map.js",
    "views/use.js",
    "words.js",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in folder.read_dir().unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                below(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_is_embedded() {
        let mut found = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        below(&folder, "", &mut found);
        let embedded: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(found, embedded);
    }
}
