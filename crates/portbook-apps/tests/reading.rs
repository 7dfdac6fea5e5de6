//! What a file that lists apps gives: its entries, and everything that is wrong with it.

// A helper of a test is not known for one: what it unwraps is what the test is about.
#![allow(clippy::unwrap_used)]

use portbook_apps::{Fault, Format, Listing, Unreadable, read};
use portbook_model::{Port, Role};

const REAL: &[u8] = include_bytes!("data/port_config.json");

fn listing(text: &str) -> Listing {
    read(text.as_bytes()).unwrap()
}

/// Each problem as `LINE: message`.
fn problems(text: &str) -> Vec<String> {
    let problems = listing(text).problems;
    problems
        .iter()
        .map(|problem| format!("{}: {problem}", problem.line))
        .collect()
}

/// One entry on line 2 in which the keys are as given.
fn entry(members: &str) -> String {
    format!("[\n{{{members}}}\n]")
}

fn with_backend(backend: &str) -> String {
    entry(&format!(
        r#""model": "m", "app_num": 1, "backend_port": {backend}, "frontend_port": 8001"#
    ))
}

#[test]
fn a_real_configuration_is_read_whole() {
    let listing = read(REAL).unwrap();
    assert_eq!(listing.format, Format::PortConfig);
    assert_eq!((listing.entries.len(), listing.problems.len()), (750, 0));
    let third = &listing.entries[2];
    assert_eq!(
        third.entry.app.to_string(),
        "anthropic_claude-3.7-sonnet/app3"
    );
    assert_eq!(
        third.entry.ports[&Role::backend()],
        Port::new(6055).unwrap()
    );
    assert_eq!(third.line, 14);
    assert_eq!(third.space, None);
}

#[test]
fn both_spellings_of_the_keys_are_known_and_further_keys_ignored() {
    let listing = listing(
        r#"[{"model": "a", "app_num": 1, "backend_port": 1, "frontend_port": 2, "created_at": 7, "x": [{}]},
            {"model_name": "a", "app_number": 2, "backend_port": 3, "frontend_port": 4, "space": "A B"}]"#,
    );
    assert_eq!(listing.problems, []);
    assert_eq!(listing.entries.len(), 2);
    assert_eq!(listing.entries[1].space, None);
}

#[test]
fn spellings_that_are_both_there_must_agree() {
    let text = |second: &str| {
        entry(&format!(
            r#""model": "x/y", "model_name": "{second}", "app_num": 1, "backend_port": 1, "frontend_port": 2"#
        ))
    };
    assert_eq!(problems(&text("x_y")), [""; 0]);
    assert_eq!(
        problems(&text("z")),
        ["2: `model` and `model_name` are both there and disagree: leave one of them out"]
    );
}

#[test]
fn every_value_that_is_no_port_is_told_as_what_it_is() {
    let cases = [
        (
            "0",
            "`backend_port`: `0` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "70000",
            "`backend_port`: `70000` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "-5",
            "`backend_port`: `-5` is not a port: a port is a number from 1 to 65535",
        ),
        (
            "80.5",
            "`backend_port` is 80.5, which is not written as a whole number",
        ),
        (
            "5001.0",
            "`backend_port` is 5001.0, which is not written as a whole number",
        ),
        (
            "1e3",
            "`backend_port` is 1e3, which is not written as a whole number",
        ),
        (
            "\"5001\"",
            "`backend_port` is the text \"5001\": write the number without quotation marks",
        ),
        ("\"http\"", "`backend_port` is a text where a number is due"),
        ("null", "`backend_port` is null where a number is due"),
        (
            "true",
            "`backend_port` is a truth value where a number is due",
        ),
        ("[5001]", "`backend_port` is an array where a number is due"),
        ("{}", "`backend_port` is an object where a number is due"),
        (
            "8001",
            "port 8001 is given for two roles of one app, backend and frontend",
        ),
    ];
    for (value, message) in cases {
        assert_eq!(problems(&with_backend(value)), [format!("2: {message}")]);
    }
    let huge = "9".repeat(100_000);
    let [problem] = &listing(&with_backend(&huge)).problems[..] else {
        panic!("a huge number is one problem");
    };
    assert!(matches!(problem.fault, Fault::Port { .. }));
    assert!(problem.to_string().len() < 300, "a message holds no file");
}

#[test]
fn every_problem_of_a_file_is_told_with_its_line() {
    let text = r#"[
  {
    "model": "openai/gpt-4",
    "app_num": 1,
    "backend_port": 5001,
    "frontend_port": 8001
  },
  17,
  {},
  {
    "model": " padded",
    "app_num": 0,
    "backend_port": 70000,
    "frontend_port": 8003
  },
  {
    "model": "openai_gpt-4",
    "app_num": 1,
    "backend_port": 5009,
    "frontend_port": 8009
  },
  {
    "model": "b",
    "app_num": 1,
    "backend_port": 8001,
    "frontend_port": 8003
  },
  {"model": "c", "app_num": 1, "app_num": 1, "backend_port": 1, "frontend_port": 2},
  {"model": "\ud800", "app_num": 1, "backend_port": 3, "frontend_port": 4}
]"#;
    assert_eq!(
        problems(text),
        [
            "8: the entry is a number where an object with model, app number and ports is due",
            "9: the entry has neither `model` nor `model_name`",
            "9: the entry has neither `app_num` nor `app_number`",
            "9: the entry has no `backend_port`",
            "9: the entry has no `frontend_port`",
            "11: the model's name \" padded\" begins or ends with a space",
            "12: `0` is not an app number: app numbers run from 1 to 2147483647",
            "13: `backend_port`: `70000` is not a port: a port is a number from 1 to 65535",
            "16: openai_gpt-4/app1 is listed in line 2 already",
            "25: port 8001 is listed in line 6 already, as openai/gpt-4/app1's",
            "26: port 8003 is listed in line 14 already",
            "28: the key `app_num` comes twice in one object: leave one of them out",
            "29: a text of the entry is not Unicode: half a surrogate pair stands in it",
        ]
    );
    assert_eq!(listing(text).entries.len(), 1);
}

#[test]
fn an_export_of_ours_tells_roles_space_and_time() {
    let export = |ports: &str, rest: &str| {
        entry(&format!(
            r#""model": "m", "app_num": 1, "backend_port": 5001, "frontend_port": 8001,
               "ports": {ports}{rest}"#
        ))
    };
    let text = export(
        r#"{"backend": 5001, "frontend": 8001, "db": 15432}"#,
        r#", "is_available": true, "space": "lab", "created_at": "2026-01-31T12:00:00.000Z""#,
    );
    let found = listing(&text);
    assert_eq!(
        (found.format, found.problems.len()),
        (Format::JsonExport, 0)
    );
    let listed = &found.entries[0];
    assert_eq!(listed.entry.ports.len(), 3);
    assert_eq!(listed.space.as_ref().unwrap().as_str(), "lab");
    assert_eq!(
        listed.entry.created_at.unwrap().to_string(),
        "2026-01-31T12:00:00.000Z"
    );

    for (ports, rest, message) in [
        (
            r#"{"backend": 5003}"#,
            "",
            "3: `ports` has 5003 for backend, but `backend_port` is 5001",
        ),
        (
            r#"{"db": 8001}"#,
            "",
            "2: port 8001 is given for two roles of one app, db and frontend",
        ),
        (
            r#"{"d b": 7}"#,
            "",
            r#"3: "d b" cannot name a role: a role has 1 to 32 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit"#,
        ),
        (
            r#"{"db": 0}"#,
            "",
            "3: `ports.db`: `0` is not a port: a port is a number from 1 to 65535",
        ),
        (
            r#"{"db": 7, "db": 7}"#,
            "",
            "3: the key `db` comes twice in one object: leave one of them out",
        ),
        (
            "[1]",
            "",
            "3: `ports` is an array where an object of roles and ports is due",
        ),
        (
            "{}",
            r#", "created_at": "yesterday""#,
            "3: `created_at`: `yesterday` is not a time: write it as 2026-01-31T12:00:00Z",
        ),
        (
            "{}",
            r#", "is_available": 1"#,
            "3: `is_available` is a number where a truth value is due",
        ),
    ] {
        assert_eq!(problems(&export(ports, rest)), [message]);
    }
}

#[test]
fn a_port_may_be_listed_again_in_another_space() {
    let text = r#"[
      {"model":"m","app_num":1,"backend_port":1,"frontend_port":2,"ports":{},"space":"a"},
      {"model":"m","app_num":1,"backend_port":1,"frontend_port":2,"ports":{},"space":"b"},
      {"model":"n","app_num":1,"backend_port":2,"frontend_port":3,"ports":{},"space":"b"}
    ]"#;
    assert_eq!(
        problems(text),
        ["4: port 2 is listed in line 3 already, as m/app1's"]
    );
}

#[test]
fn csv_is_read_with_quotes_empty_lines_and_columns_in_any_order() {
    let text = "frontend_port,model,app_num,backend_port,ports,note\r\n\
        \r\n\
        8001,\"a, \"\"b\"\"\",1,5001,backend=5001;db=7000,\"two\r\nlines\"\r\n\
        8003,c,2,5003,,\r\n\
        8003,d,x,5005.5,db;ws=0;ws=9,\r\n\
        1,2\r\n";
    let found = listing(text);
    assert_eq!(found.format, Format::CsvExport);
    let apps: Vec<_> = found
        .entries
        .iter()
        .map(|e| (e.entry.app.to_string(), e.line))
        .collect();
    assert_eq!(
        apps,
        [("a, \"b\"/app1".to_owned(), 3), ("c/app2".to_owned(), 5)]
    );
    assert_eq!(
        problems(text),
        [
            "6: `x` is not an app number: app numbers run from 1 to 2147483647",
            "6: `backend_port`: `5005.5` is not a port: a port is a number from 1 to 65535",
            "6: `ports` has \"db\" in it where `role=port` is due, one after the other with `;` between",
            "6: `ports.ws`: `0` is not a port: a port is a number from 1 to 65535",
            "6: port 8003 is listed in line 5 already, as c/app2's",
            "7: the row has 2 fields where its first row names 6",
        ]
    );
}

#[test]
fn a_file_that_is_no_listing_says_why() {
    let utf16: Vec<u8> = "[{}]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: Vec<(&[u8], &str)> = vec![
        (
            b"",
            "the file is empty: a list without entries is written `[]`",
        ),
        (
            b" \n\t",
            "the file is empty: a list without entries is written `[]`",
        ),
        (
            b"\xEF\xBB\xBF[]",
            "the file begins with a byte order mark: save it as UTF-8 without one",
        ),
        (b"\xFF\xFE[\0]\0", "the file is UTF-16: save it as UTF-8"),
        (&utf16, "the file is UTF-16: save it as UTF-8"),
        (
            b"[\n\"\xFF\"]",
            "the file is not UTF-8 from byte 3 on, in line 2: save it as UTF-8",
        ),
        (
            b"[\n  {\"model\": \"a\"",
            "the JSON ends too early, at line 2, column 15: the file is cut short",
        ),
        (
            b"[\n  {\"model\": \"\xC3\xA4\" 1}]",
            "the JSON is broken at line 2, column 17: expected `,` or `}`",
        ),
        (
            b"[1,]",
            "the JSON is broken at line 1, column 4: trailing comma",
        ),
        (
            b"[] []",
            "the JSON is broken at line 1, column 4: trailing characters",
        ),
        (
            b"{\"apps\": []}",
            "the file holds one JSON object where an array of objects is due: put `[` and `]` around the entries",
        ),
        (
            b"null",
            "the file holds nothing but null where a JSON array of objects is due",
        ),
        (
            b"\"a\"",
            "the file holds nothing but a text where a JSON array of objects is due",
        ),
        (
            b"SQLite format 3\0\x10\x00",
            "the file is an SQLite database, not a list of ports",
        ),
        (
            b"hello",
            "the file is neither a JSON array nor CSV with a first row `model,app_num,backend_port,frontend_port,ports,is_available,space,created_at`",
        ),
        (
            b"model,app_num\n",
            "the CSV has no column `backend_port`, `frontend_port`: its first row names `model,app_num,backend_port,frontend_port,ports,is_available,space,created_at`",
        ),
        (
            b"model,model\n",
            "the CSV has the column `model` twice: leave one of them out",
        ),
        (
            b"model,app_num,backend_port,frontend_port,x\na,1,2,3,\"\nb,1,4,5,\n",
            "the CSV has a quotation mark without its counterpart, in the row that begins at line 2: a `\"` in a field is written `\"\"`",
        ),
    ];
    for (bytes, message) in cases {
        let problem = read(bytes).expect_err(&String::from_utf8_lossy(bytes));
        assert_eq!(problem.to_string(), message);
    }
}

#[test]
fn an_empty_list_lists_nothing() {
    for text in [
        "[]",
        " [\n] \n",
        "model,app_num,backend_port,frontend_port\n",
    ] {
        assert_eq!(
            (listing(text).entries.len(), listing(text).problems.len()),
            (0, 0)
        );
    }
}

#[test]
fn a_file_that_is_too_large_or_too_deep_is_refused_at_once() {
    let began = std::time::Instant::now();
    let deep = vec![b'['; 100 << 20];
    assert_eq!(read(&deep), Err(Unreadable::TooLarge));
    assert_eq!(
        read(&deep[..60 << 20]),
        Err(Unreadable::TooDeep { line: 1 })
    );
    let nested = format!("[\n{}{}]", "[".repeat(60), "]".repeat(60));
    assert_eq!(problems(&nested).len(), 1);
    let quoted = format!(r#"["\"{}"]"#, "[".repeat(1000));
    assert_eq!(problems(&quoted).len(), 1);
    assert!(began.elapsed().as_secs() < 20, "took {:?}", began.elapsed());
}

#[test]
fn problems_past_the_most_are_only_counted() {
    let many = format!("[{}1]", "1,".repeat(20_000));
    let listing = listing(&many);
    assert_eq!(
        (listing.problems.len(), listing.further_problems),
        (10_000, 10_001)
    );
    let most = format!("[{}1]", "1,".repeat(1_000_000));
    assert_eq!(read(most.as_bytes()), Err(Unreadable::TooMany));
}

#[test]
fn an_entry_of_countless_keys_is_one_problem() {
    let keys = "\"a\": 1, ".repeat(100_000);
    assert_eq!(
        problems(&entry(&format!("{keys}\"b\": 1"))),
        ["2: the entry has more than 1000 keys, which no listed app has"]
    );
    let roles: String = (0..100_000).map(|n| format!("r{n}=1;")).collect();
    let text = format!("model,app_num,backend_port,frontend_port,ports\nm,1,5001,8001,{roles}\n");
    let found = listing(&text);
    assert!(found.entries.is_empty());
    let told = "`ports` has more than 1000 roles, which no listed app has";
    assert!(
        found
            .problems
            .iter()
            .any(|problem| problem.to_string() == told)
    );
}
