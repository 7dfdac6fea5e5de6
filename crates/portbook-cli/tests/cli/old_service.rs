//! The service that portbook replaces: its database comes in, its readers go on.

use serde_json::json;

use crate::kit::{Sandbox, each, python};

/// The table as SQLAlchemy made it.
const MAKE: &str = r"
import sqlite3, sys
from datetime import datetime
db = sqlite3.connect(sys.argv[1])
db.execute('''CREATE TABLE port_configurations (
    id INTEGER NOT NULL,
    model VARCHAR(200) NOT NULL,
    app_num INTEGER NOT NULL,
    frontend_port INTEGER NOT NULL,
    backend_port INTEGER NOT NULL,
    is_available BOOLEAN,
    metadata_json TEXT,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    CONSTRAINT unique_model_app_ports UNIQUE (model, app_num),
    UNIQUE (frontend_port), UNIQUE (backend_port))''')
rows = eval(sys.argv[2])
for number, (model, app, frontend, backend) in enumerate(rows):
    at = str(datetime(2025, 3, 1, 12, 0, number, 250000))
    db.execute('INSERT INTO port_configurations VALUES (NULL, ?, ?, ?, ?, 1, ?, ?, ?)',
               (model, app, frontend, backend, '{}', at, at))
db.commit()
";

fn old_database(sandbox: &Sandbox, rows: &str) -> String {
    let path = sandbox.path("thesis_app.db");
    let path = path.to_str().unwrap();
    python(MAKE, &[path, rows]);
    path.to_owned()
}

#[test]
fn its_database_is_imported_with_its_times() {
    let sandbox = Sandbox::new();
    let old = old_database(
        &sandbox,
        "[('openai_gpt-4', 1, 8001, 5001), ('x-ai_grok-4', 3, 8010, 5099)]",
    );
    let report = sandbox.json(&format!("import {old}"));
    assert_eq!(
        report,
        json!({"imported": 2, "unchanged": 0, "warnings": []})
    );
    let list = sandbox.json("list");
    assert_eq!(each(&list, "backend_port"), [5001, 5099]);
    assert_eq!(each(&list, "frontend_port"), [8001, 8010]);
    assert_eq!(
        each(&list, "created_at"),
        ["2025-03-01T12:00:00.250Z", "2025-03-01T12:00:01.250Z"]
    );
    let before = sandbox.history();
    assert_eq!(sandbox.json(&format!("import {old}"))["unchanged"], 2);
    assert_eq!(sandbox.history(), before);
}

#[test]
fn i3_of_a_database_with_a_bad_row_nothing_is_imported() {
    let sandbox = Sandbox::new();
    // What the old schema let through: one port as somebody's backend and somebody's frontend.
    let old = old_database(
        &sandbox,
        "[('one', 1, 8001, 5001), ('two', 1, 5001, 5003), ('three', 0, 8005, 5005), ('four', 1, 70000, 5007)]",
    );
    let run = sandbox.run(&format!("import {old}"));
    assert_eq!(run.ended(2).stdout, "");
    for line in ["line 2:", "line 3:", "line 4:"] {
        assert!(run.stderr.contains(line), "{}", run.stderr);
    }
    assert_eq!(sandbox.changes(), 0);
}

#[test]
fn other_databases_are_refused() {
    let sandbox = Sandbox::new();
    let other = sandbox.path("other.db");
    python(
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE x (y)')",
        &[other.to_str().unwrap()],
    );
    sandbox
        .run(&format!("import {}", other.display()))
        .failed_saying(2, &["port_configurations"]);
    sandbox.text("allocate one 1");
    let own = sandbox.book();
    sandbox
        .run(&format!("import {}", own.display()))
        .failed_saying(2, &["portbook book"]);
}

#[test]
fn i10_programs_that_read_the_old_table_read_the_books_view() {
    let sandbox = Sandbox::new();
    sandbox.text("allocate openai_gpt-4 1-2");
    sandbox.text("allocate gone 1");
    sandbox.text("release gone 1");
    let script = r"
import json, sqlite3, sys
from datetime import datetime, timezone
book = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
rows = book.execute('''SELECT model, app_num, frontend_port, backend_port, is_available, metadata_json,
    created_at, updated_at FROM port_configurations ORDER BY model, app_num''').fetchall()
for model, app, frontend, backend, available, metadata, created, updated in rows:
    # As SQLAlchemy's DateTime reads it: no zone, microseconds.
    at = datetime.strptime(created, '%Y-%m-%d %H:%M:%S.%f')
    datetime.strptime(updated, '%Y-%m-%d %H:%M:%S.%f')
    age = datetime.now(timezone.utc).replace(tzinfo=None) - at
    assert -2 < age.total_seconds() < 600, created
    json.loads(metadata)
    print(model, app, frontend, backend, available)
";
    let rows = python(script, &[sandbox.book().to_str().unwrap()]);
    assert_eq!(
        rows,
        "openai_gpt-4 1 8001 5001 1\nopenai_gpt-4 2 8003 5003 1\n"
    );
}
