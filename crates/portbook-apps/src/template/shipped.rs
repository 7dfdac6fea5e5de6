//! The templates that portbook brings along, for those who have nothing but the program.

use std::path::{Path, PathBuf};

/// A template in the program itself.
#[derive(Debug, PartialEq, Eq)]
pub struct ShippedTemplate {
    /// What to call it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its files, each folder's together, folders before those in them.
    pub(super) files: &'static [ShippedFile],
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShippedFile {
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) content: &'static [u8],
}

/// Every shipped template.
pub const SHIPPED: &[&ShippedTemplate] = &[&PYTHON_WEB];

macro_rules! file {
    ($template:literal, $mode:literal, $path:literal) => {
        ShippedFile {
            path: $path,
            mode: $mode,
            content: include_bytes!(concat!("../../templates/", $template, "/", $path)),
        }
    };
}

static PYTHON_WEB: ShippedTemplate = ShippedTemplate {
    name: "python-web",
    about: "a backend and a frontend in Python's standard library, with docker-compose.yml",
    files: &[
        file!("python-web", 0o644, ".env.example"),
        file!("python-web", 0o644, ".gitignore"),
        file!("python-web", 0o644, "README.md"),
        file!("python-web", 0o644, "docker-compose.yml"),
        file!("python-web", 0o755, "start"),
        file!("python-web", 0o644, "backend/Dockerfile"),
        file!("python-web", 0o644, "backend/main.py"),
        file!("python-web", 0o644, "backend/notes.py"),
        file!("python-web", 0o644, "backend/settings.py"),
        file!("python-web", 0o644, "frontend/Dockerfile"),
        file!("python-web", 0o644, "frontend/main.py"),
        file!("python-web", 0o644, "frontend/settings.py"),
        file!("python-web", 0o644, "frontend/public/app.js"),
        file!("python-web", 0o644, "frontend/public/index.html"),
        file!("python-web", 0o644, "frontend/public/style.css"),
    ],
};

/// Where a template is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// In this folder.
    Folder(PathBuf),
    /// In the program.
    Shipped(&'static ShippedTemplate),
}

impl Template {
    /// What marks a shipped template where the book remembers one.
    const SHIPPED_MARK: &'static str = "portbook:";

    /// The folder of that path; where there is none, the shipped template of that name.
    pub fn named(text: &Path) -> Self {
        let shipped = SHIPPED
            .iter()
            .find(|shipped| text == Path::new(shipped.name));
        match shipped {
            Some(shipped) if !text.exists() => Template::Shipped(shipped),
            _ => Template::Folder(text.to_owned()),
        }
    }

    /// The template that the book remembers so.
    pub fn remembered(record: &str) -> Option<Self> {
        match record.strip_prefix(Self::SHIPPED_MARK) {
            Some(name) => {
                let shipped = SHIPPED.iter().find(|shipped| shipped.name == name)?;
                Some(Template::Shipped(shipped))
            }
            None => Some(Template::Folder(PathBuf::from(record))),
        }
    }

    /// How the book is to remember it: a folder by its absolute path. `None` where no text says it.
    pub fn record(&self) -> Option<String> {
        match self {
            Template::Folder(path) => Some(path.to_str()?.to_owned()),
            Template::Shipped(shipped) => Some(format!("{}{}", Self::SHIPPED_MARK, shipped.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The files of a folder, below `folder`, with who may execute them.
    fn listed(folder: &Path, below: &Path) -> Vec<(String, u32)> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(listed(&path, below));
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                let name = path.strip_prefix(below).unwrap().to_str().unwrap();
                files.push((name.to_owned(), mode & 0o111));
            }
        }
        files.sort();
        files
    }

    #[test]
    fn a_shipped_template_is_its_folder_whole() {
        for shipped in SHIPPED {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
            let folder = folder.join("templates").join(shipped.name);
            let files = shipped.files.iter();
            let mut files: Vec<_> = files
                .map(|file| (file.path.to_owned(), file.mode & 0o111))
                .collect();
            files.sort();
            assert_eq!(files, listed(&folder, &folder));
        }
    }

    #[test]
    fn a_template_is_remembered_as_it_was_named() {
        let shipped = Template::named(Path::new("python-web"));
        assert_eq!(shipped.record().as_deref(), Some("portbook:python-web"));
        assert_eq!(Template::remembered("portbook:python-web"), Some(shipped));
        assert_eq!(Template::remembered("portbook:gone"), None);
        let folder = Template::named(Path::new("/srv/template"));
        assert_eq!(folder.record().as_deref(), Some("/srv/template"));
        assert_eq!(Template::remembered("/srv/template"), Some(folder));
    }
}
