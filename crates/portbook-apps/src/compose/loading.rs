//! How the files of a project become one: `include`, `extends` and files one over the other.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::problem::{Fault, Problem};
use super::scope::{Scope, start_of, unreadable};
use super::service::{Draft, Extends, MOST_PORTS, Services};
use super::yaml::{Merge, NodeId, Pair, Tree};
use crate::written::{Place, SourceFile};

/// How many files a project may have, and how deep they and its services may lie in one another.
pub(super) const MOST_FILES: usize = 500;
const DEEPEST: usize = 50;

/// The services of files, by name.
type Drafts = BTreeMap<String, Draft>;

/// Reads the files of one project.
#[derive(Default)]
pub(super) struct Loader {
    pub(super) problems: Vec<Problem>,
    /// Every file that was read.
    pub(super) files: Vec<Arc<SourceFile>>,
    /// How many entries of `ports` were read.
    ports: usize,
}

/// One document of a file.
struct Document {
    includes: Vec<Include>,
    services: Drafts,
    merge: Merge,
}

/// Another model that a document takes in.
struct Include {
    /// A file, and those that are merged over it.
    paths: Vec<String>,
    project_directory: Option<String>,
    env_files: Vec<String>,
    place: Place,
}

/// Files that are read together: one over the other, with one directory and one set of variables.
pub(super) struct Model<'m> {
    pub(super) files: &'m [Tree<'m>],
    /// What relative paths start from.
    pub(super) directory: &'m Path,
    pub(super) scope: &'m Scope<'m>,
    /// The files that include these.
    pub(super) including: &'m [PathBuf],
}

/// Files that services extend, as they were read for one model.
type Extended = HashMap<PathBuf, Drafts>;

impl Loader {
    /// Notes a problem, and goes on with nothing.
    pub(super) fn excused<T: Default>(&mut self, problem: Problem) -> T {
        self.problems.push(problem);
        T::default()
    }

    pub(super) fn services(&mut self, model: &Model<'_>) -> Result<Drafts, Problem> {
        let mut services = Drafts::new();
        let mut extended = Extended::new();
        for tree in model.files {
            let path = tree.file.path();
            let mut including = model.including.to_vec();
            including.push(path.to_owned());
            for document in self.documents(tree, model.scope)? {
                let mut own = document.services;
                for include in &document.includes {
                    for (name, included) in self.included(include, model, &including)? {
                        let merged = match own.remove(&name) {
                            Some(own) => own.over(included),
                            None => included,
                        };
                        own.insert(name, merged);
                    }
                }
                self.extend(&mut own, path, model, &mut extended);
                merge(&mut services, own, document.merge);
            }
        }
        Ok(services)
    }

    /// Reads files; `named_at` is where another file names them.
    pub(super) fn open(
        &mut self,
        paths: &[PathBuf],
        named_at: Option<&Place>,
    ) -> Result<Vec<Arc<SourceFile>>, Problem> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let named_at = || named_at.cloned().unwrap_or_else(|| start_of(path));
            if self.files.len() >= MOST_FILES {
                return Err(Problem::at(named_at(), Fault::TooManyFiles));
            }
            let file = SourceFile::read(path);
            let file = Arc::new(file.map_err(|error| unreadable(named_at(), path, &error))?);
            self.files.push(Arc::clone(&file));
            files.push(file);
        }
        Ok(files)
    }

    fn documents(&mut self, tree: &Tree<'_>, scope: &Scope<'_>) -> Result<Vec<Document>, Problem> {
        let roots = tree.roots().iter();
        roots
            .map(|root| self.document(tree, *root, scope))
            .collect()
    }

    fn document(
        &mut self,
        tree: &Tree<'_>,
        root: NodeId,
        scope: &Scope<'_>,
    ) -> Result<Document, Problem> {
        let lookup = |name: &str| scope.get(name);
        let mut ports_left = MOST_PORTS - self.ports;
        let mut reader = Services {
            tree,
            lookup: &lookup,
            problems: &mut self.problems,
            ports_left: &mut ports_left,
        };
        let mut document = Document {
            includes: Vec::new(),
            services: Drafts::new(),
            merge: Merge::Usual,
        };
        let pairs = tree.pairs(root)?;
        let pairs = pairs.ok_or_else(|| tree.problem(root, Fault::NotAComposeFile))?;
        for Pair { key, value, .. } in pairs {
            match key {
                "include" => document.includes = includes(&reader, value)?,
                "services" => {
                    document.merge = tree.node(value).merge;
                    document.services = reader.read(value)?;
                }
                _ => {}
            }
        }
        self.ports = MOST_PORTS - ports_left;
        Ok(document)
    }

    fn included(
        &mut self,
        include: &Include,
        model: &Model<'_>,
        including: &[PathBuf],
    ) -> Result<Drafts, Problem> {
        let problem = |fault| Problem::at(include.place.clone(), fault);
        if let Some(remote) = include.paths.iter().find(|path| is_remote(path)) {
            return Err(problem(Fault::Remote(remote.clone())));
        }
        let paths = include.paths.iter();
        let paths: Vec<PathBuf> = paths.map(|path| resolved(model.directory, path)).collect();
        let Some(first) = paths.first() else {
            return Ok(Drafts::new());
        };
        if including.contains(first) {
            return Err(problem(Fault::IncludesItself(first.clone())));
        }
        if including.len() > DEEPEST {
            return Err(problem(Fault::TooManyFiles));
        }
        let directory = match &include.project_directory {
            Some(directory) => resolved(model.directory, directory),
            None => first.parent().unwrap_or(Path::new("")).to_owned(),
        };
        let mut scope = Scope::within(model.scope);
        if include.env_files.is_empty() {
            scope.take_default(&directory)?;
        }
        for file in include.env_files.iter().filter(|file| *file != "/dev/null") {
            scope.take(&resolved(model.directory, file), include.place.clone())?;
        }
        let files = self.open(&paths, Some(&include.place))?;
        self.services(&Model {
            files: &trees(&files)?,
            directory: &directory,
            scope: &scope,
            including,
        })
    }

    /// Lets every service begin with the one that it extends.
    fn extend(
        &mut self,
        own: &mut Drafts,
        path: &Path,
        model: &Model<'_>,
        extended: &mut Extended,
    ) {
        let names: Vec<String> = own.keys().cloned().collect();
        for name in names {
            let mut chain = Vec::new();
            let home = Home {
                file: path,
                directory: model.directory,
            };
            if let Err(problem) = self.extend_one(&name, own, home, model, extended, &mut chain) {
                self.problems.push(problem);
            }
        }
    }

    fn extend_one(
        &mut self,
        name: &str,
        services: &mut Drafts,
        home: Home<'_>,
        model: &Model<'_>,
        extended: &mut Extended,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<(), Problem> {
        let Some(extends) = services
            .get_mut(name)
            .and_then(|draft| draft.extends.take())
        else {
            return Ok(());
        };
        let problem = |fault| Err(Problem::at(extends.place.clone(), fault));
        let own = (home.file.to_owned(), name.to_owned());
        let wanted = match &extends.file {
            Some(file) => (resolved(home.directory, file), extends.service.clone()),
            None => (home.file.to_owned(), extends.service.clone()),
        };
        if wanted == own || chain.contains(&wanted) {
            return problem(Fault::ExtendsItself(wanted.1));
        }
        if chain.len() > DEEPEST {
            return problem(Fault::TooManyFiles);
        }
        chain.push(own);
        let base = match &extends.file {
            None => {
                self.extend_one(&extends.service, services, home, model, extended, chain)?;
                services.get(&extends.service).cloned()
            }
            Some(file) => self.extended_from(&wanted.0, file, &extends, model, extended, chain)?,
        };
        let Some(base) = base else {
            return problem(Fault::NothingToExtend(extends.service));
        };
        if let Some(draft) = services.remove(name) {
            services.insert(name.to_owned(), draft.over(base));
        }
        Ok(())
    }

    /// A service of another file, with what it extends itself.
    fn extended_from(
        &mut self,
        path: &Path,
        named: &str,
        extends: &Extends,
        model: &Model<'_>,
        extended: &mut Extended,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<Option<Draft>, Problem> {
        if is_remote(named) {
            return Err(Problem::at(
                extends.place.clone(),
                Fault::Remote(named.to_owned()),
            ));
        }
        let mut services = match extended.remove(path) {
            Some(services) => services,
            None => {
                let mut services = Drafts::new();
                let files = self.open(&[path.to_owned()], Some(&extends.place))?;
                for tree in trees(&files)? {
                    for document in self.documents(&tree, model.scope)? {
                        merge(&mut services, document.services, document.merge);
                    }
                }
                services
            }
        };
        let home = Home {
            file: path,
            directory: path.parent().unwrap_or(Path::new("")),
        };
        let done = self.extend_one(
            &extends.service,
            &mut services,
            home,
            model,
            extended,
            chain,
        );
        let found = services.get(&extends.service).cloned();
        extended.insert(path.to_owned(), services);
        done.map(|()| found)
    }
}

/// The YAML of files.
pub(super) fn trees(files: &[Arc<SourceFile>]) -> Result<Vec<Tree<'_>>, Problem> {
    files.iter().map(Tree::parse).collect()
}

/// Where an `extends` is written.
#[derive(Clone, Copy)]
struct Home<'h> {
    file: &'h Path,
    /// What its paths start from.
    directory: &'h Path,
}

/// Puts the services of a file over those of the files before it.
fn merge(services: &mut Drafts, own: Drafts, how: Merge) {
    if how != Merge::Usual {
        services.clear();
    }
    for (name, draft) in own {
        let merged = match services.remove(&name) {
            Some(earlier) => draft.over(earlier),
            None => draft,
        };
        services.insert(name, merged);
    }
}

fn includes(reader: &Services<'_, '_>, node: NodeId) -> Result<Vec<Include>, Problem> {
    let items = reader.items("include", node)?.iter();
    items.map(|item| include(reader, *item)).collect()
}

fn include(reader: &Services<'_, '_>, item: NodeId) -> Result<Include, Problem> {
    let mut include = Include {
        paths: Vec::new(),
        project_directory: None,
        env_files: Vec::new(),
        place: reader.tree.file.place(reader.tree.bytes(item)),
    };
    if reader.tree.text(item).is_some() {
        include.paths.push(reader.string("include", item)?);
        return Ok(include);
    }
    for Pair { key, value, .. } in reader.pairs("include", item)? {
        match key {
            "path" => include.paths = one_or_several(reader, key, value)?,
            "env_file" => include.env_files = one_or_several(reader, key, value)?,
            "project_directory" => include.project_directory = Some(reader.string(key, value)?),
            _ => {}
        }
    }
    Ok(include)
}

fn one_or_several(
    reader: &Services<'_, '_>,
    key: &str,
    node: NodeId,
) -> Result<Vec<String>, Problem> {
    if reader.tree.is_null(node) {
        return Ok(Vec::new());
    }
    if reader.tree.text(node).is_some() {
        return Ok(vec![reader.string(key, node)?]);
    }
    let items = reader.items(key, node)?.iter();
    items.map(|item| reader.string(key, *item)).collect()
}

/// What Compose would fetch from a registry or a repository.
fn is_remote(path: &str) -> bool {
    let schemes = [
        "oci://",
        "https://",
        "http://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ];
    schemes.iter().any(|scheme| path.starts_with(scheme))
}

/// A path as it is written in a file, from the directory that it starts from; `..` taken away by the text,
/// as Compose does.
pub(super) fn resolved(directory: &Path, path: &str) -> PathBuf {
    cleaned(&directory.join(path))
}

/// A path without `.`, and without `..` where the part before it is a name.
pub(super) fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir) => {}
                _ => cleaned.push(".."),
            },
            other => cleaned.push(other),
        }
    }
    cleaned
}
