//! The rules of templates, held against a second reading of them that shares no code with the first,
//! and trees written from end to end.

#![allow(clippy::unwrap_used, reason = "what a test cannot have fails it")]

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use portbook_apps::ProjectNames;
use portbook_apps::template::{
    Destination, Existing, Placeholders, Survey, Template, TemplateError, fill, scaffold,
};
use portbook_model::{AppKey, Model, Port, Ports, Role};
use proptest::prelude::*;
use tempfile::TempDir;

const VALUES: [(&str, &str); 8] = [
    ("backend_port", "5007"),
    ("frontend_port", "8007"),
    ("web-socket_port", "15007"),
    ("db_port", "16007"),
    ("app_num", "4"),
    ("model", "x-ai/grok {{backend_port}}"),
    ("project_name", "x-ai_grok___backend_port_app4"),
    ("compose_project_name", "x-ai_grok___backend_port-app4"),
];

fn values() -> Placeholders {
    let ports = [
        ("backend", 5007_i64),
        ("frontend", 8007),
        ("web-socket", 15007),
        ("db", 16007),
    ];
    let ports: Ports = ports
        .map(|(role, port)| (Role::new(role).unwrap(), Port::try_from(port).unwrap()))
        .into();
    let model = Model::new("x-ai/grok {{backend_port}}").unwrap();
    let app = AppKey::new(model, "4".parse().unwrap());
    Placeholders::of_app(&app, &ports, &ProjectNames::of(&app, &[]))
}

/// The contract's rule word by word: at each place, is there a known name in braces, alone or with a
/// default that is not empty and has no `}` in it?
fn reference(text: &[u8]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = text;
    'places: while let Some((first, behind)) = rest.split_first() {
        for (name, value) in VALUES.iter().filter(|_| *first == b'{') {
            for name in [(*name).to_owned(), name.to_uppercase()] {
                let Some(after) = rest.strip_prefix(format!("{{{{{name}").as_bytes()) else {
                    continue;
                };
                let after_default = match after.strip_prefix(b"|") {
                    None => after,
                    Some(default) => {
                        let length = default.iter().take_while(|byte| **byte != b'}').count();
                        if length == 0 {
                            continue;
                        }
                        &default[length..]
                    }
                };
                if let Some(after) = after_default.strip_prefix(b"}}") {
                    filled.extend_from_slice(value.as_bytes());
                    rest = after;
                    continue 'places;
                }
            }
        }
        filled.push(*first);
        rest = behind;
    }
    filled
}

/// Texts made of what placeholders are made of, and nearly.
fn adversarial(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let names = VALUES.map(|(name, _)| name.to_owned());
    let piece = prop_oneof![
        4 => prop::sample::select(names.to_vec()).prop_map(String::into_bytes),
        2 => prop::sample::select(names.to_vec()).prop_map(|name| name.to_uppercase().into_bytes()),
        2 => prop::sample::select(names.to_vec()).prop_map(|name| format!("{{{{{name}}}}}").into_bytes()),
        2 => prop::sample::select(names.to_vec()).prop_map(|name| format!("{{{{{name}|5000}}}}").into_bytes()),
        4 => Just(b"{{".to_vec()),
        4 => Just(b"}}".to_vec()),
        2 => prop::sample::select(b"{}| \n\xe9_".to_vec()).prop_map(|byte| vec![byte]),
        1 => prop::collection::vec(1_u8..=255, 0..6),
    ];
    prop::collection::vec(piece, 0..longest).prop_map(|pieces| pieces.concat())
}

/// A template in a folder of its own, and where its copies go.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        fs::create_dir(desk.0.path().join("template")).unwrap();
        desk
    }

    fn template(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("template").join(name)
    }

    fn dest(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("dest").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.template(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn scaffold(&self, existing: Existing) -> Result<Vec<std::path::PathBuf>, TemplateError> {
        let go_on = &mut |_| ControlFlow::Continue(());
        let survey = Survey::of(&Template::Folder(self.template("")), go_on)?;
        let destination = Destination::of(&self.dest(""), &survey, existing)?;
        Ok(scaffold(&survey, &destination, &values(), go_on)?.kept)
    }
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

proptest! {
    #[test]
    fn filling_is_what_the_rule_says(text in adversarial(40)) {
        prop_assert_eq!(&*fill(&text, &values()), &*reference(&text));
    }

    #[test]
    fn a_text_without_known_placeholders_stays_as_it_is(text in any::<Vec<u8>>()) {
        prop_assert_eq!(&*fill(&text, &values()), &*text);
    }
}

proptest! {
    // Each case writes a file of several reads.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn where_a_file_is_cut_for_reading_makes_no_difference(
        text in adversarial(60),
        reads in 1_usize..3,
        before in 0_usize..600,
    ) {
        let mut file = vec![b'.'; (reads * 128 * 1024).saturating_sub(before)];
        file.extend(text.iter().map(|byte| (*byte).max(b' ')));
        file.extend_from_slice(&b" {{".repeat(200));
        let desk = Desk::new();
        desk.write("file", &file);
        desk.scaffold(Existing::Refuse).unwrap();
        prop_assert!(fs::read(desk.dest("file")).unwrap() == reference(&file));
    }
}

#[test]
fn what_others_put_in_braces_stays_as_it_is() {
    for text in [
        "<div style={{ color: 'red', width: `${w}px` }} onClick={() => go({{}})}>{{...props}}</div>",
        "{{ .Values.backend_port }} {{- range $i, $e := .Items }} {{ end -}} {{/* backend_port */}}",
        "{% for app in apps %}{{ app.backend_port }}{{ backend_port }}{{ model|upper }}{% endfor %}",
        "{{#each apps}}{{this.model}}{{/each}} {{{ model }}} {{> model}}",
        "\\frac{{a}{b}} \\textbf{{Backend}} ${{ secrets.MODEL }} ${{model}",
        "f\"{{backend_ports}}\" {{Model}} {{backend_port |5000}} {{backend_port|}} {{|5000}} {{MODEL_}}",
        "a\r\nb\rc\n\n\r\n{{\r\nbackend_port}}",
    ] {
        assert_eq!(&*fill(text.as_bytes(), &values()), text.as_bytes());
        assert_eq!(reference(text.as_bytes()), text.as_bytes());
    }
    let latin = b"caf\xe9 {{backend_port}} \xff\r\n";
    assert_eq!(&*fill(latin, &values()), b"caf\xe9 5007 \xff\r\n");
}

#[test]
fn a_tree_is_copied_with_its_modes_links_and_line_ends() {
    let desk = Desk::new();
    desk.write(
        "run.sh",
        "#!/bin/sh\r\nexec serve {{backend_port|5000}}\r\n",
    );
    desk.write("secret", "{{MODEL}}");
    desk.write("deep/er/.env.example", "PORT={{web-socket_port}}");
    desk.write("deep/.env.example/file", "a folder keeps its name");
    desk.write("logo.png", b"\x89PNG\r\n\x1a\n{{backend_port}}");
    desk.write("empty", "");
    let no_text = std::ffi::OsStr::from_bytes(b"caf\xe9 {{model}}\n");
    fs::write(desk.template("").join(no_text), "{{app_num}}").unwrap();
    desk.write(".git/config", "of the template");
    fs::create_dir(desk.template("hollow")).unwrap();
    symlink("deep/er/.env.example", desk.template("settings")).unwrap();
    symlink("../run.sh", desk.template("deep/run")).unwrap();
    symlink("gone", desk.template("dangling")).unwrap();
    for (name, mode) in [("run.sh", 0o755), ("secret", 0o400), ("hollow", 0o555)] {
        fs::set_permissions(desk.template(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(
        desk.scaffold(Existing::Refuse).unwrap(),
        [""; 0].map(Path::new)
    );

    let read = |name| fs::read(desk.dest(name)).unwrap();
    assert_eq!(read("run.sh"), b"#!/bin/sh\r\nexec serve 5007\r\n");
    assert_eq!(read("secret"), b"x-ai/grok {{backend_port}}");
    assert_eq!(read("deep/er/.env"), b"PORT=15007");
    assert_eq!(read("deep/.env.example/file"), b"a folder keeps its name");
    assert_eq!(read("logo.png"), b"\x89PNG\r\n\x1a\n{{backend_port}}");
    assert_eq!(read("empty"), b"");
    // Names are names, whatever is in them.
    assert_eq!(fs::read(desk.dest("").join(no_text)).unwrap(), b"4");
    assert!(!desk.dest(".git").exists() && !desk.dest("deep/er/.env.example").exists());
    assert_eq!(
        read("settings"),
        b"PORT=15007",
        "the link follows its file's new name"
    );
    assert_eq!(
        fs::read_link(desk.dest("deep/run")).unwrap(),
        Path::new("../run.sh")
    );
    assert_eq!(
        fs::read_link(desk.dest("dangling")).unwrap(),
        Path::new("gone")
    );
    for name in ["", "run.sh", "secret", "hollow", "deep/er"] {
        assert_eq!(mode(&desk.dest(name)), mode(&desk.template(name)), "{name}");
    }
}

#[test]
fn a_hole_stays_a_hole_and_makes_no_text() {
    let desk = Desk::new();
    const LENGTH: u64 = 1 << 40;
    desk.write("image", "{{backend_port}}".repeat(20_000));
    let image = fs::File::options().write(true).open(desk.template("image"));
    image.unwrap().set_len(LENGTH).unwrap();
    desk.scaffold(Existing::Refuse).unwrap();
    let copy = fs::File::open(desk.dest("image")).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!(metadata.len(), LENGTH);
    assert!(metadata.blocks() * 512 < 1 << 20, "{}", metadata.blocks());
    let mut start = vec![0; 320_000];
    std::io::Read::read_exact(&mut &copy, &mut start).unwrap();
    assert_eq!(start, "{{backend_port}}".repeat(20_000).as_bytes());
}

#[test]
fn what_is_replaced_is_kept_and_what_is_alike_is_left_alone() {
    let desk = Desk::new();
    desk.write(".env.example", "PORT={{backend_port}}");
    desk.write("deep/same", "same");
    desk.write("deep/new/file", "new");
    desk.write("becomes-folder/file", "file");
    desk.write("linked/file", "file");
    desk.scaffold(Existing::Refuse).unwrap();
    assert!(matches!(
        desk.scaffold(Existing::Refuse),
        Err(TemplateError::Occupied(_))
    ));
    assert_eq!(
        desk.scaffold(Existing::Keep).unwrap(),
        [""; 0].map(Path::new),
        "all alike"
    );

    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("file"), "a stranger's").unwrap();
    fs::write(desk.dest(".env"), "PORT=1 # mine").unwrap();
    fs::write(desk.dest("own"), "my own").unwrap();
    fs::remove_dir_all(desk.dest("deep/new")).unwrap();
    fs::remove_dir_all(desk.dest("becomes-folder")).unwrap();
    fs::write(desk.dest("becomes-folder"), "a file now").unwrap();
    fs::remove_dir_all(desk.dest("linked")).unwrap();
    symlink(elsewhere.path(), desk.dest("linked")).unwrap();
    let same = fs::metadata(desk.dest("deep/same")).unwrap().ino();

    let mut kept = desk.scaffold(Existing::Keep).unwrap();
    kept.sort();
    let names = ["/.env", "/becomes-folder", "/linked"];
    let expected = names.map(|name| desk.dest(&format!(".{name}.portbook-old")));
    let expected = expected.map(|path| {
        fs::canonicalize(path.parent().unwrap())
            .unwrap()
            .join(path.file_name().unwrap())
    });
    assert_eq!(kept, expected);
    let read = |name| fs::read_to_string(desk.dest(name)).unwrap();
    assert_eq!(
        (read(".env"), read(".env.portbook-old")),
        ("PORT=5007".into(), "PORT=1 # mine".into())
    );
    assert_eq!(
        (read("own"), read("deep/new/file")),
        ("my own".into(), "new".into())
    );
    assert_eq!(
        (
            read("becomes-folder/file"),
            read("becomes-folder.portbook-old")
        ),
        ("file".into(), "a file now".into())
    );
    // Nothing is written through a link that lies in the way.
    assert_eq!(
        fs::read_to_string(elsewhere.path().join("file")).unwrap(),
        "a stranger's"
    );
    assert!(fs::symlink_metadata(desk.dest("linked")).unwrap().is_dir());
    assert_eq!(fs::metadata(desk.dest("deep/same")).unwrap().ino(), same);

    // A second copy does not take the first one's place.
    fs::write(desk.dest(".env"), "PORT=2").unwrap();
    let kept = desk.scaffold(Existing::Keep).unwrap();
    assert!(kept[0].ends_with(".env.portbook-old.2"), "{kept:?}");
    assert_eq!(read(".env.portbook-old"), "PORT=1 # mine");
}

#[test]
fn a_folder_that_is_there_and_empty_stays_that_folder() {
    let desk = Desk::new();
    desk.write("a/file", "{{app_num}}");
    fs::create_dir_all(desk.dest("")).unwrap();
    let folder = fs::metadata(desk.dest("")).unwrap().ino();
    desk.scaffold(Existing::Refuse).unwrap();
    assert_eq!(fs::read_to_string(desk.dest("a/file")).unwrap(), "4");
    // Whoever stands in it still stands in the app.
    assert_eq!(fs::metadata(desk.dest("")).unwrap().ino(), folder);
}

#[test]
fn a_failure_on_the_way_leaves_nothing_and_takes_back_what_it_did() {
    let desk = Desk::new();
    for number in 0..20 {
        desk.write(&format!("{number}/file"), "new");
    }
    let before = || {
        let entries = fs::read_dir(desk.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    let there = before();
    let survey = Survey::of(&Template::Folder(desk.template("")), &mut |_| {
        ControlFlow::Continue(())
    });
    let survey = survey.unwrap();
    let dest = desk.0.path().join("a/b/c");
    let destination = Destination::of(&dest, &survey, Existing::Refuse).unwrap();
    let mut steps = 0;
    let result = scaffold(&survey, &destination, &values(), &mut |_| {
        steps += 1;
        match steps < 15 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    assert!(
        matches!(result, Err(TemplateError::Interrupted)),
        "{result:?}"
    );
    assert_eq!(before(), there, "not even the folders above");
}
