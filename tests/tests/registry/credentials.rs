//! Who may push and pull.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::registry::{Options, PASSWORD, Registry, USER};
use serde_json::json;

use crate::tool::{Tool, image};

fn locked() -> Registry {
    Registry::start_with(&Options { asks_who_it_is: true, ..Options::default() })
}

pub(crate) fn are_those_of_docker() {
    let registry = locked();
    let (address, image) = (registry.address(), image(registry.address(), ":1"));
    let none = format!("{address} asks who you are, and ");
    let wrong = format!("{address} refuses the user \"{USER}\" and the password");
    for (row, tool, expected) in [
        ("none", Tool::new(), Some(&none)),
        ("of another registry", Tool::new().logged_in(([127, 0, 0, 1], 1).into(), PASSWORD), Some(&none)),
        ("a wrong password", Tool::new().logged_in(address, "let me pass"), Some(&wrong)),
        ("the right password", Tool::new().logged_in(address, PASSWORD), None),
    ] {
        for (operation, outcome) in [("push", tool.push(&image, &[])), ("pull", tool.pull(&image))] {
            let row = format!("{row}, {operation}");
            match expected {
                None => assert!(outcome.succeeded, "{row}: {outcome:?}"),
                Some(expected) => {
                    outcome.has_failed_with(&row, expected);
                    outcome.has_failed_with(&row, &format!("`docker login {address}`"));
                    assert!(!outcome.told.contains("trying again"), "{row}: {outcome:?}");
                    assert!(!outcome.told.contains("let me pass"), "{row} tells the password: {outcome:?}");
                }
            }
        }
    }
    let elsewhere = Tool::new().logged_in(address, PASSWORD);
    let tool = Tool::new().with("DOCKER_CONFIG", &elsewhere.path(".docker"));
    assert!(tool.pull(&image).succeeded, "DOCKER_CONFIG is not heeded");
}

pub(crate) fn come_from_a_helper() {
    let registry = locked();
    let image = image(registry.address(), ":1");
    let address = registry.address().to_string();
    let told = json!({"ServerURL": address, "Username": USER, "Secret": PASSWORD});
    for (row, script, expected) in [
        ("knows", format!("test \"$host\" = {address} && echo '{told}'"), None),
        (
            "does not know",
            "echo 'credentials not found in native keychain'; exit 1".to_owned(),
            Some("asks who you are"),
        ),
        ("fails", "echo locked >&2; exit 1".to_owned(), Some("locked")),
    ] {
        for configuration in [json!({"credsStore": "tested"}), json!({"credHelpers": {address.as_str(): "tested"}})] {
            let tool = Tool::new().configured(&configuration);
            let folder = tool.path("bin");
            helper(&folder, &script);
            let outcome = tool.with("PATH", &before_path(&folder)).push(&image, &[]);
            match expected {
                None => assert!(outcome.succeeded, "{row}: {outcome:?}"),
                Some(expected) => assert!(!outcome.succeeded && outcome.told.contains(expected), "{row}: {outcome:?}"),
            }
        }
    }
}

fn helper(folder: &Path, script: &str) {
    let file = folder.join("docker-credential-tested");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(&file, format!("#!/bin/sh\nread host\n{script}\n")).expect("write the helper");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("make it executable");
}

fn before_path(folder: &Path) -> PathBuf {
    let mut path = OsString::from(folder);
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    path.into()
}

/// Where a registry sends its clients elsewhere for a token, as those of the large providers do.
pub(crate) fn buy_a_token() {
    let (seller, scopes) = sell_tokens();
    let realm = Some(format!("http://{seller}/token"));
    let registry = Registry::start_with(&Options { token_realm: realm, ..Options::default() });
    let (address, image) = (registry.address(), image(registry.address(), ":1"));
    Tool::new().push(&image, &[]).has_failed_with("none", &format!("{address} asks who you are"));
    Tool::new()
        .logged_in(address, "let me pass")
        .push(&image, &[])
        .has_failed_with("a wrong password", "refuses the user");
    assert_eq!(scopes.try_iter().count(), 0, "no token is sold");
    let tool = Tool::new().logged_in(address, PASSWORD);
    assert_eq!(tool.push(&image, &[]).digest(), tool.pull(&image).digest());
    // One for all that a push asks for, and one to look.
    let scopes: Vec<_> = scopes.try_iter().collect();
    assert_eq!(scopes, ["repository:canary-filter:pull,push", "repository:canary-filter:pull"]);
}

/// A server that gives [`USER`] tokens, and tells their scopes. It ends with the test.
fn sell_tokens() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
    let address = listener.local_addr().expect("an address");
    let (sender, scopes) = mpsc::channel();
    let right = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let is_right = head.iter().any(|line| line.split_once(": ").is_some_and(|(_, value)| value == right));
            let (status, body) = if is_right { ("200 OK", r#"{"token": "sold"}"#) } else { ("401 Unauthorized", "{}") };
            let query = head.first().and_then(|line| line.split_once("scope=")).expect("a scope").1;
            let scope = query.split(['&', ' ']).next().unwrap_or_default().replace("%3A", ":").replace("%2C", ",");
            if is_right && sender.send(scope).is_err() {
                return;
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).expect("answer");
        }
    });
    (address, scopes)
}
