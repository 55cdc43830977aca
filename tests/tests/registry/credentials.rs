//! Credentials for push and pull.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
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
                    assert!(!outcome.stderr.contains("trying again"), "{row}: {outcome:?}");
                    assert!(!outcome.stderr.contains("let me pass"), "{row} tells the password: {outcome:?}");
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
    let message = json!({"ServerURL": address, "Username": USER, "Secret": PASSWORD});
    for (row, script, expected) in [
        ("knows", format!("test \"$host\" = {address} && echo '{message}'"), None),
        (
            "does not know",
            "echo 'credentials not found in native keychain'; exit 1".to_owned(),
            Some("asks who you are"),
        ),
        ("fails", "echo locked >&2; exit 1".to_owned(), Some("locked")),
    ] {
        let stale = json!({address.as_str(): {"auth": STANDARD.encode("canary:of old")}});
        for configuration in [
            json!({"credsStore": "tested"}),
            json!({"credsStore": "tested", "auths": stale}),
            json!({"credHelpers": {address.as_str(): "tested"}}),
        ] {
            let tool = Tool::new().configured(&configuration);
            let folder = tool.path("bin");
            helper(&folder, &script);
            let outcome = tool.with("PATH", &before_path(&folder)).push(&image, &[]);
            match expected {
                None => assert!(outcome.succeeded, "{row}: {outcome:?}"),
                Some(expected) => {
                    assert!(!outcome.succeeded && outcome.stderr.contains(expected), "{row}: {outcome:?}")
                }
            }
        }
    }
}

/// What helpers write to their output may be a secret, whole or in part.
pub(crate) fn from_a_helper_that_fails_tell_no_secret() {
    let registry = Registry::start();
    let image = image(registry.address(), ":1");
    for (row, script, expected) in [
        ("says why", "echo s3cret; echo locked >&2; exit 3", "`docker-credential-tested get`: exit status: 3: locked"),
        (
            "says nothing",
            "echo s3cret; exit 1",
            "exit status: 1, and nothing on its standard error; `echo 127.0.0.1:PORT | docker-credential-tested get` shows",
        ),
        ("is ended", "echo s3cret; kill -9 $$", "signal: 9"),
        (
            "answers in part",
            r#"echo '{"Secret": "s3cret"}'"#,
            "`docker-credential-tested get`: it answers something else",
        ),
        ("answers no JSON", "echo s3cret", "`docker-credential-tested get`: it answers something else"),
        ("says what no terminal should see", r"printf 'a\033[2Jb\0c\nd' >&2; exit 1", "exit status: 1: a [2Jb c d"),
        ("says too much", r"head -c 100000 /dev/zero | tr '\0' x >&2; exit 1", "xxx…"),
    ] {
        let tool = Tool::new().configured(&json!({"credsStore": "tested"}));
        let folder = tool.path("bin");
        helper(&folder, script);
        let outcome = tool.with("PATH", &before_path(&folder)).push(&image, &[]);
        let expected = expected.replace("127.0.0.1:PORT", &registry.address().to_string());
        outcome.has_failed_with(row, &expected);
        assert!(!outcome.stderr.contains("s3cret"), "{row} tells the secret: {outcome:?}");
        assert!(outcome.stderr.len() < 1000, "{row}: {} bytes", outcome.stderr.len());
    }
}

/// By a proxy, so that a registry of any name is on this machine.
pub(crate) fn are_warned_of_where_they_go_in_clear() {
    let registry = locked();
    let proxy = PathBuf::from(format!("http://{}", registry.address()));
    let tool = || Tool::new().with("http_proxy", &proxy);
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let far = "registry.test:5000";
    let warning = format!("warning: --plain-http: the password for {far} goes over the network in clear");
    for (row, tool, host, is_let_in, expected) in [
        ("far away", tool().configured(&json!({"auths": {far: {"auth": auth}}})), far, true, true),
        ("far away, nobody", tool(), far, false, false),
        (
            "on this machine",
            Tool::new().logged_in(registry.address(), PASSWORD),
            &*registry.address().to_string(),
            true,
            false,
        ),
    ] {
        let image = format!("oci://{host}/canary-filter:1");
        for (operation, outcome) in [("push", tool.push(&image, &[])), ("pull", tool.pull(&image))] {
            assert_eq!(outcome.succeeded, is_let_in, "{row}, {operation}: {outcome:?}");
            assert_eq!(outcome.stderr.contains(&warning), expected, "{row}, {operation}: {outcome:?}");
            assert!(!outcome.stderr.contains(PASSWORD), "{row}, {operation}: {outcome:?}");
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
    let (seller, scopes) = sell_tokens(&[]);
    let registry = sends_to(seller);
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

fn sends_to(seller: SocketAddr) -> Registry {
    let realm = Some(format!("http://{seller}/token"));
    Registry::start_with(&Options { token_realm: realm, ..Options::default() })
}

/// Its failures are not reported as a wrong password.
pub(crate) fn wait_for_who_sells_tokens() {
    const DENIED: &str = r#"{"errors": [{"code": "DENIED", "message": "requested access is denied"}]}"#;
    for (row, first, tries, expected) in [
        ("none", &[][..], 0, None),
        ("some that pass", &[("503 Service Unavailable", "not now"), ("429 Too Many Requests", "not now")], 2, None),
        (
            "broken",
            &[("500 Internal Server Error", "not now"); 5],
            4,
            Some("answers 500: not now; given up at the 5th try"),
        ),
        ("made for something else", &[("404 Not Found", "not now")], 0, Some("answers 404: not now")),
        ("no token", &[("200 OK", "not now")], 0, Some("answers without a token")),
        ("forbidden", &[("403 Forbidden", DENIED)], 0, Some("does not allow it: requested access is denied")),
        ("refused", &[("401 Unauthorized", DENIED)], 0, Some("refuses the user")),
    ] {
        let (seller, _scopes) = sell_tokens(first);
        let registry = sends_to(seller);
        let tool = Tool::new().logged_in(registry.address(), PASSWORD);
        let outcome = tool.push(&image(registry.address(), ":1"), &[]);
        assert_eq!(outcome.stderr.matches("trying again").count(), tries, "{row}: {outcome:?}");
        match expected {
            None => assert!(outcome.succeeded, "{row}: {outcome:?}"),
            Some("refuses the user") => {
                outcome.has_failed_with(row, "refuses the user");
                outcome.has_failed_with(row, "; it says: requested access is denied");
            }
            Some(expected) => {
                let service = format!("http://{seller}/token (the token service of {}) ", registry.address());
                outcome.has_failed_with(row, &format!("{service}{expected}"));
            }
        }
    }
}

/// An expired token is not reported as a wrong password, even if the token service does not give another at once.
pub(crate) fn buy_another_token() {
    // Between the two dots is `{"exp":1}`.
    const EXPIRED: (&str, &str) = ("200 OK", r#"{"token": "a.eyJleHAiOjF9.b"}"#);
    const LATER: (&str, &str) = ("503 Service Unavailable", "not now");
    let (seller, _scopes) = sell_tokens(&[EXPIRED, LATER, LATER]);
    let registry = sends_to(seller);
    let tool = Tool::new().logged_in(registry.address(), PASSWORD);
    let image = image(registry.address(), ":1");
    assert_eq!(tool.push(&image, &[]).digest(), tool.pull(&image).digest());
}

/// With a proxy, so that the token service has another host.
pub(crate) fn are_warned_of_where_a_token_is_bought_in_clear() {
    let (seller, _scopes) = sell_tokens(&[]);
    let proxy = PathBuf::from(format!("http://{seller}"));
    for (row, realm, is_far) in [
        ("far away", "http://auth.test/token".to_owned(), true),
        ("on this machine", format!("http://{seller}/token"), false),
    ] {
        let token_realm = Some(realm.clone());
        let registry = Registry::start_with(&Options { token_realm, ..Options::default() });
        let tool = Tool::new().with("http_proxy", &proxy).logged_in(registry.address(), PASSWORD);
        let pushed = tool.push(&image(registry.address(), ":1"), &[]);
        let warning = format!("warning: {} wants its password at {realm}: it goes over", registry.address());
        assert!(pushed.succeeded, "{row}: {pushed:?}");
        assert_eq!(pushed.stderr.contains(&warning), is_far, "{row}: {pushed:?}");
    }
}

/// A server that answers so first, then gives [`USER`] tokens and tells their scopes. It ends with the test.
fn sell_tokens(first: &'static [(&'static str, &'static str)]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
    let address = listener.local_addr().expect("an address");
    let (sender, scopes) = mpsc::channel();
    let right = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    thread::spawn(move || {
        let mut first = first.iter();
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let is_right = head.iter().any(|line| line.split_once(": ").is_some_and(|(_, value)| value == right));
            if let Some((status, body)) = first.next() {
                answer(&stream, status, body);
                continue;
            }
            let (status, body) = if is_right { ("200 OK", r#"{"token": "sold"}"#) } else { ("401 Unauthorized", "{}") };
            let query = head.first().and_then(|line| line.split_once("scope=")).expect("a scope").1;
            let scope = query.split(['&', ' ']).next().unwrap_or_default().replace("%3A", ":").replace("%2C", ",");
            if is_right && sender.send(scope).is_err() {
                return;
            }
            answer(&stream, status, body);
        }
    });
    (address, scopes)
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).expect("answer");
}
