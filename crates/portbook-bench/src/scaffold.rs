//! (h) The whole process `portbook scaffold` against `cp -r` of the same tree.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Benchmark, Bound, Failure, Outcome, median, timed};
use crate::process::{portbook, program};

const ROUNDS: usize = 15;
const FOLDERS: usize = 100;
const FILES: usize = 20;
/// About what a file of source code has.
const BYTES: usize = 4 * 1024;

pub fn run() -> Outcome {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let tree = root.join("tree");
    write_tree(&tree)?;
    let small = root.join("small");
    write_small(&small)?;

    let book = root.join("book.db");
    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 1..=ROUNDS {
        for (index, tree) in [&tree, &small].into_iter().enumerate() {
            let (copy, app) = (root.join("copy"), root.join("app"));
            times[2 * index].push(timed(|| cp(tree, &copy))?);
            let number = (2 * round + index).to_string();
            let paths = (text(tree)?, text(&app)?);
            let arguments = ["scaffold", paths.0, paths.1, "bench/new", &number];
            times[2 * index + 1].push(timed(|| portbook(&program, &book, &arguments))?);
            fs::remove_dir_all(&copy)?;
            fs::remove_dir_all(&app)?;
        }
    }
    let [cp, scaffold, cp_small, scaffold_small] = times.map(median);
    println!(
        "           ms: cp -r of {} files {:.1}, scaffold {:.1}; cp -r of 15 files {:.1}, scaffold {:.1}",
        FOLDERS * FILES,
        cp * 1e3,
        scaffold * 1e3,
        cp_small * 1e3,
        scaffold_small * 1e3
    );
    Ok(vec![Benchmark {
        what: "`portbook scaffold` / `cp -r` of the same tree".into(),
        ratio: scaffold / cp,
        bound: Bound::AtMost(3.0),
    }])
}

/// A tree as applications have one: mostly text, with a placeholder in every other file.
fn write_tree(tree: &Path) -> Result<(), Failure> {
    for folder in 0..FOLDERS {
        let folder = tree.join(format!("package-{folder}"));
        fs::create_dir_all(&folder)?;
        for file in 0..FILES {
            let line = match file % 10 {
                9 => "binary \0 data\n",
                even if even % 2 == 0 => "const port = {{backend_port|5000}}; // style={{ x }}\n",
                _ => "const plain = (argument) => ({ value: argument });\n",
            };
            fs::write(
                folder.join(format!("file-{file}.js")),
                line.repeat(BYTES / line.len()),
            )?;
        }
    }
    Ok(())
}

/// As large as the template that comes along: what counts there is the book.
fn write_small(tree: &Path) -> Result<(), Failure> {
    for folder in ["backend", "frontend", "frontend/public"] {
        fs::create_dir_all(tree.join(folder))?;
        for file in 0..5 {
            let content = "PORT={{backend_port|5000}}\n".repeat(40);
            fs::write(tree.join(folder).join(file.to_string()), content)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str, Failure> {
    Ok(path.to_str().ok_or("a path that is no text")?)
}

fn cp(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut command = Command::new("cp");
    command.arg("-r").arg(from).arg(to).stdin(Stdio::null());
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("cp ended with {status}").into()),
    }
}
