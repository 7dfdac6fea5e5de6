//! Engines that answer as real ones do on bad days. The good days are tested with real engines.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A helper of tests fails as a test does.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fs, thread};

use portbook_engine::{ContainerState, Endpoint, EngineError, Places, Survey, Wanted, survey};
use portbook_model::Port;
use tempfile::TempDir;

/// Answers each question with what `answer` makes of its path: a status line's end and a body.
fn engine(folder: &Path, answer: impl Fn(&str) -> (&str, String) + Send + 'static) -> PathBuf {
    let path = folder.join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for line in listener.incoming() {
            let mut line = line.unwrap();
            let mut request = vec![0; 4096];
            let length = line.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let (status, body) = answer(request.split(' ').nth(1).unwrap());
            // Whoever asked may have gone.
            let _ = write!(
                line,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    path
}

fn ask(path: &Path) -> Result<Survey, EngineError> {
    survey(&Places::Named(Endpoint::Unix(path.to_owned())))
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_container_that_is_removed_meanwhile_is_left_out() {
    let folder = folder();
    let path = engine(folder.path(), |path| {
        match path {
        "/containers/json?all=1" => ("200 OK", r#"[{"Id":"a"},{"Id":"gone"}]"#.to_owned()),
        "/containers/a/json" => (
            "200 OK",
            r#"{"Id":"a","Name":"/web","State":{"Status":"exited","Pid":0},
                "Config":{"Image":"nginx","Labels":null},
                "HostConfig":{"NetworkMode":"default","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"5001"}],
                    "81/tcp":null,"82/sctp":[{"HostIp":"","HostPort":"5002"}],"83/tcp":[{"HostIp":"::1","HostPort":"6000-6001"}]}},
                "NetworkSettings":{"Ports":null}}"#
                .to_owned(),
        ),
        _ => ("404 Not Found", r#"{"message":"No such container"}"#.to_owned()),
    }
    });
    let survey = ask(&path).unwrap();
    let [web] = survey.engines[0].containers.as_slice() else {
        panic!("{survey:?}");
    };
    assert_eq!(web.name, "web");
    assert_eq!(web.state, ContainerState::Exited);
    assert_eq!(web.pid, None);
    let wanted: Vec<Wanted> = web
        .published
        .iter()
        .map(|published| published.wanted)
        .collect();
    assert_eq!(
        wanted,
        [
            Wanted::Exactly(port(5001)),
            Wanted::OneOf(port(6000), port(6001)),
        ]
    );
}

#[test]
fn who_does_not_answer_and_who_refuses_are_told_apart() {
    let folder = folder();
    let refusing = engine(folder.path(), |_| {
        ("403 Forbidden", r#"{"message":"not you"}"#.to_owned())
    });
    let error = ask(&refusing).unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("not you"), "{error}");

    let abandoned = folder.path().join("abandoned.sock");
    drop(UnixListener::bind(&abandoned).unwrap());
    let error = ask(&abandoned).unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("DOCKER_HOST"));

    let error = ask(&folder.path().join("nowhere.sock")).unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
}

#[test]
fn an_engine_that_fails_and_one_that_is_none_say_so() {
    let folders = (folder(), folder());
    let failing = engine(folders.0.path(), |_| {
        (
            "500 Internal Server Error",
            r#"{"message":"disk full"}"#.to_owned(),
        )
    });
    let error = ask(&failing).unwrap_err().to_string();
    assert!(error.contains("status 500: disk full"), "{error}");

    let website = engine(folders.1.path(), |_| ("200 OK", "<html>".to_owned()));
    let error = ask(&website).unwrap_err();
    assert!(matches!(error, EngineError::Form { .. }), "{error}");
}

#[test]
fn of_the_usual_sockets_those_that_are_there_are_asked_once_each() {
    let folder = folder();
    let path = engine(folder.path(), |_| ("200 OK", "[]".to_owned()));
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let abandoned = folder.path().join("abandoned.sock");
    drop(UnixListener::bind(&abandoned).unwrap());
    let absent = folder.path().join("absent.sock");
    let usual = |paths: &[&PathBuf]| {
        let endpoints = paths.iter().map(|path| Endpoint::Unix((*path).clone()));
        survey(&Places::Usual(endpoints.collect()))
    };
    let survey = usual(&[&path, &link, &absent, &abandoned]).unwrap();
    assert_eq!(survey.engines.len(), 1);
    assert_eq!(survey.silent.len(), 1, "{:?}", survey.silent);
    let error = usual(&[&absent]).unwrap_err();
    assert!(matches!(error, EngineError::Nowhere(_)), "{error}");
    assert!(error.to_string().contains("absent.sock"), "{error}");
    let error = usual(&[&absent, &abandoned]).unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
}

/// Root may talk to every socket, so that only another user can show this.
#[test]
fn a_socket_that_this_user_may_not_open_refuses() {
    let folder = folder();
    let path = engine(folder.path(), |_| ("200 OK", "[]".to_owned()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match ask(&path) {
        Ok(_) => assert!(rustix::process::getuid().is_root()),
        Err(error) => assert!(matches!(error, EngineError::Refused { .. }), "{error}"),
    }
}
