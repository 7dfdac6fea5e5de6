//! The files of an app that was moved: those that still say a port that it has left.
//!
//! What a file is to be follows from what the book and the file say now, whoever moved the app, and
//! when: a repair that was killed half-way is finished by the next one.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portbook_apps::ProjectNames;
use portbook_apps::compose::{Environment, Project, PublishedPort, Sources};
use portbook_apps::dot_env::DotEnv;
use portbook_apps::keeping::replace_and_keep;
use portbook_apps::refilling::refill;
use portbook_apps::template::{Placeholders, Survey, Template, TemplateError, TemplateText, fill};
use portbook_apps::variables::port_variable;
use portbook_apps::written::{Place, SourceFile};
use portbook_model::{AppKey, Port, Ports};
use serde::Serialize;

use super::stations::{Stations, Whereabouts};
use crate::error::command_words;

/// A file that says a port which its app has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileRepair {
    /// The app.
    #[serde(flatten)]
    pub app: AppKey,
    /// The file.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub file: PathBuf,
    /// How its new content comes about.
    pub how: FileChange,
    /// The lines that change, from 1.
    pub lines: Vec<usize>,
    /// Lines that somebody has to look at: the port there was the app's for one role, and is for another.
    pub unclear: Vec<usize>,
    /// Where the old file is kept, once it was replaced.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub kept: Option<PathBuf>,
    /// Why it could not be replaced.
    pub error: Option<String>,
}

/// How a file's new content comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is as the template makes it, and filled in anew.
    Refilled,
    /// It was edited since the template made it: merged line by line.
    Merged,
    /// Only digits are changed.
    Rewritten,
}

/// One app with its directory.
pub(super) struct AppFiles<'a> {
    pub(super) app: &'a AppKey,
    pub(super) directory: &'a Path,
    pub(super) template: Option<&'a str>,
    pub(super) names: &'a ProjectNames,
    pub(super) stations: &'a Stations,
}

/// What is to become of a file.
struct Draft {
    old: Vec<u8>,
    new: Vec<u8>,
    how: FileChange,
    unclear: Vec<usize>,
}

/// What is to be done to the files of an app, and what is worth saying beside it.
#[derive(Default)]
pub(super) struct FilePlan {
    drafts: BTreeMap<PathBuf, Draft>,
    pub(super) notes: Vec<String>,
}

/// What tools put into an app's directory by the thousand, and nobody writes ports in.
const PASSED_OVER: [&str; 6] = [
    ".git",
    "node_modules",
    "target",
    ".venv",
    "venv",
    "__pycache__",
];
/// More folders than any app that people write has.
const MOST_FOLDERS: usize = 20_000;

impl FilePlan {
    /// Looks at the files.
    pub(super) fn of(files: &AppFiles<'_>) -> Self {
        let mut plan = Self::default();
        if files.stations.past.is_empty() {
            return plan;
        }
        plan.find_written_ports(files);
        match files.template_texts() {
            Ok(texts) => texts.iter().for_each(|text| plan.refill(files, text)),
            Err(error) => plan.notes.push(format!(
                "{}: {error}; only its .env and compose files are looked at",
                files.app
            )),
        }
        plan.drafts
            .retain(|_, draft| draft.old != draft.new || !draft.unclear.is_empty());
        plan
    }

    fn find_written_ports(&mut self, files: &AppFiles<'_>) {
        let mut found = WrittenPorts::default();
        let (folders, unread) = folders(files.directory);
        self.notes.extend(unread);
        if folders.len() == MOST_FOLDERS {
            self.notes.push(format!(
                "{} has {MOST_FOLDERS} folders and more: not every one was looked at",
                files.directory.display()
            ));
        }
        for folder in &folders {
            found.look_at_folder(folder, files);
        }
        for (path, spans) in found.spans {
            match SourceFile::read(&path) {
                Ok(file) => {
                    let draft = self.draft(&path, file.bytes());
                    draft.new = spliced(file.bytes(), &spans);
                }
                Err(error) => self.notes.push(format!("{}: {error}", path.display())),
            }
        }
        for place in found.unclear {
            if let Ok(file) = SourceFile::read(&place.file) {
                let draft = self.draft(&place.file, file.bytes());
                draft.unclear.push(place.line);
            }
        }
        self.notes.extend(found.notes);
    }

    fn draft(&mut self, path: &Path, content: &[u8]) -> &mut Draft {
        self.drafts.entry(path.to_owned()).or_insert_with(|| Draft {
            old: content.to_vec(),
            new: content.to_vec(),
            how: FileChange::Rewritten,
            unclear: Vec::new(),
        })
    }

    /// A file that the template made is filled in anew, whatever of it was found already.
    fn refill(&mut self, files: &AppFiles<'_>, text: &TemplateText) {
        let filled = |ports: &Ports| {
            let values = Placeholders::of_app(files.app, ports, files.names);
            fill(&text.content, &values).into_owned()
        };
        let stations = files.stations;
        let fillings: Vec<_> = stations
            .past
            .iter()
            .rev()
            .map(|past| {
                let now = filled(&stations.now_for(past));
                (filled(past), now, stations.moved_since(past))
            })
            .filter(|(before, now, _)| before != now)
            .collect();
        if fillings.is_empty() {
            return;
        }
        let path = files.directory.join(&text.path);
        let Some(path) = inside(&path, files.directory) else {
            return;
        };
        let Ok(file) = SourceFile::read(&path) else {
            return;
        };
        let draft = self.draft(&path, file.bytes());
        if fillings.iter().any(|(_, now, _)| *now == draft.old) {
            draft.new.clone_from(&draft.old);
            draft.unclear.clear();
            return;
        }
        let unedited = fillings.iter().find(|(before, ..)| *before == draft.old);
        if let Some((_, now, _)) = unedited {
            draft.new.clone_from(now);
            draft.how = FileChange::Refilled;
            draft.unclear.clear();
            return;
        }
        draft.how = FileChange::Merged;
        for (before, now, moved) in &fillings {
            let refilled = refill(before, now, &draft.new, moved);
            draft.new = refilled.text;
            draft.unclear.extend(refilled.unclear);
        }
    }

    /// What would be done, file by file.
    pub(super) fn preview(self, app: &AppKey) -> Vec<FileRepair> {
        let drafts = self.drafts.into_iter();
        drafts
            .map(|(path, draft)| draft.record(app, path))
            .collect()
    }

    /// Replaces the files, each with the old one kept beside it.
    pub(super) fn apply(self, app: &AppKey) -> Vec<FileRepair> {
        let replaced = |(path, draft): (PathBuf, Draft)| {
            let outcome = match draft.old == draft.new {
                true => None,
                false => Some(replace_and_keep(&path, &draft.old, &draft.new)),
            };
            let mut record = draft.record(app, path);
            match outcome {
                Some(Ok(kept)) => record.kept = Some(kept),
                Some(Err(error)) => record.error = Some(error.to_string()),
                None => {}
            }
            record
        };
        self.drafts.into_iter().map(replaced).collect()
    }
}

impl Draft {
    fn record(mut self, app: &AppKey, file: PathBuf) -> FileRepair {
        self.unclear.sort_unstable();
        self.unclear.dedup();
        let lines = |text: &[u8]| -> Vec<Vec<u8>> {
            let lines = text.split(|byte| *byte == b'\n');
            lines.map(<[u8]>::to_vec).collect()
        };
        let pairs = lines(&self.old).into_iter().zip(lines(&self.new));
        let changed = pairs
            .enumerate()
            .filter(|(_, (old, new))| old != new)
            .map(|(index, _)| index + 1);
        FileRepair {
            app: app.clone(),
            file,
            how: self.how,
            lines: changed.collect(),
            unclear: self.unclear,
            kept: None,
            error: None,
        }
    }
}

impl AppFiles<'_> {
    fn template_texts(&self) -> Result<Vec<TemplateText>, TemplateError> {
        let Some(template) = self.template.and_then(Template::remembered) else {
            return Ok(Vec::new());
        };
        let survey = Survey::of(&template, &mut |_| std::ops::ControlFlow::Continue(()))?;
        survey.texts()
    }
}

/// Digits that say a port of the past.
struct Span {
    bytes: Range<usize>,
    says: Port,
    to: Port,
}

/// Ports of the past where files say them.
#[derive(Default)]
struct WrittenPorts {
    spans: BTreeMap<PathBuf, Vec<Span>>,
    unclear: Vec<Place>,
    notes: Vec<String>,
}

impl WrittenPorts {
    fn look_at_folder(&mut self, folder: &Folder, files: &AppFiles<'_>) {
        if folder.names.iter().any(|name| name == ".env") {
            self.look_at_dot_env(&folder.path.join(".env"), files);
        }
        let names = folder.names.iter().map(OsString::as_os_str);
        if let Some(sources) = Sources::among(&folder.path, names) {
            let project = Project::read(&sources, &Environment::new());
            for (_, port) in project.ports() {
                self.look_at_published(port, files);
            }
            // The defaults that stand in while no variable says otherwise: an empty one does not.
            let uses = project.ports().flat_map(|(_, port)| &port.wording.uses);
            let unset: Environment = uses
                .map(|used| (used.name.clone(), String::new()))
                .collect();
            for (_, port) in Project::read(&sources, &unset).ports() {
                self.look_at_published(port, files);
            }
            let problems = project.problems.iter();
            self.notes.extend(problems.map(ToString::to_string));
        }
    }

    fn look_at_dot_env(&mut self, path: &Path, files: &AppFiles<'_>) {
        let read = SourceFile::read(path).map_err(|error| error.to_string());
        let file = match read {
            Ok(file) => Arc::new(file),
            Err(error) => {
                return self.notes.push(format!("{}: {error}", path.display()));
            }
        };
        let read = match DotEnv::read(&file, &|_| None) {
            Ok(read) => read,
            Err(problem) => {
                let place = &problem.place;
                return self.notes.push(format!("{place}: {problem}"));
            }
        };
        let roles: HashMap<String, _> = files
            .stations
            .now
            .keys()
            .map(|role| (port_variable(role), role))
            .collect();
        for entry in read.entries() {
            let Some(role) = roles.get(&entry.name) else {
                continue;
            };
            let Ok(port) = entry.value.as_str().parse::<Port>() else {
                continue;
            };
            let Some(to) = files.stations.of_role(role, port) else {
                // Whose mistake it is cannot be told.
                let due = files.stations.now.get(role).filter(|due| **due != port);
                self.notes.extend(due.map(|due| {
                    let (place, name) = (&entry.value_place, &entry.name);
                    let words = command_words(files.app);
                    format!(
                        "{place}: {name} is {port}, which {} never had, and stays: its {role} is {due} (`portbook env {words} --write FILE` writes that)",
                        files.app
                    )
                }));
                continue;
            };
            match entry.value.place(0..entry.value.as_str().len()) {
                Some(digits) => self.note_span(&digits, port, to, files),
                None => self.notes.push(format!(
                    "{}: {} is put together to {port}, which {} has left, and stays: write {to} there",
                    entry.value_place, entry.name, files.app
                )),
            }
        }
    }

    fn look_at_published(&mut self, port: &PublishedPort, files: &AppFiles<'_>) {
        let stretch = port.published.stretch();
        let Some(stretch) = stretch.filter(|stretch| stretch.first() == stretch.last()) else {
            return;
        };
        match (
            files.stations.of_port(stretch.first()),
            &port.wording.number,
        ) {
            (None, _) => {}
            (Some(Whereabouts::Moved(to)), Some(place)) => {
                self.note_span(place, stretch.first(), to, files);
            }
            (Some(_), _) => self.unclear.push(port.wording.place.clone()),
        }
    }

    fn note_span(&mut self, place: &Place, says: Port, to: Port, files: &AppFiles<'_>) {
        match inside(&place.file, files.directory) {
            Some(path) => {
                let spans = self.spans.entry(path).or_default();
                let bytes = place.bytes.clone();
                if !spans.iter().any(|known| known.bytes == bytes) {
                    spans.push(Span { bytes, says, to });
                }
            }
            None => {
                let app = files.app;
                let note =
                    format!("{place} says a port that {app} has left, and is not only {app}'s");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }
}

/// The text with other digits where it says what was found there.
fn spliced(text: &[u8], spans: &[Span]) -> Vec<u8> {
    let mut spans: Vec<_> = spans.iter().collect();
    spans.sort_by_key(|span| span.bytes.start);
    let mut spliced = Vec::with_capacity(text.len());
    let mut copied = 0;
    for Span { bytes, says, to } in spans {
        let stands = text.get(bytes.clone()) == Some(says.to_string().as_bytes());
        if stands && bytes.start >= copied {
            spliced.extend_from_slice(&text[copied..bytes.start]);
            spliced.extend_from_slice(to.to_string().as_bytes());
            copied = bytes.end;
        }
    }
    spliced.extend_from_slice(&text[copied..]);
    spliced
}

/// The file's path without links, if it lies in the directory and is no link itself: what is shared
/// with others is not the app's to change.
fn inside(file: &Path, directory: &Path) -> Option<PathBuf> {
    let name = file.file_name()?;
    let folder = file.parent()?.canonicalize().ok()?;
    let is_inside = folder.starts_with(directory.canonicalize().ok()?);
    let path = folder.join(name);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    (is_inside && is_file).then_some(path)
}

struct Folder {
    path: PathBuf,
    names: Vec<OsString>,
}

/// The folders of an app that may have files with ports in them, and a sentence for each that cannot be
/// read; links are not followed.
fn folders(directory: &Path) -> (Vec<Folder>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) => {
                unread.push(format!(
                    "{} cannot be read: {error}; what its files say is not known",
                    path.display()
                ));
                continue;
            }
        };
        let mut names = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder {
                names.push(name);
            } else if !PASSED_OVER.iter().any(|passed_over| name == *passed_over) {
                waiting.push(entry.path());
            }
        }
        found.push(Folder { path, names });
        if found.len() == MOST_FOLDERS {
            break;
        }
    }
    (found, unread)
}
