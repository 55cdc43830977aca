use std::fs;

use canary_config::{ConfigErrorKind, WarningCode};
use serde_json::{Value, json};

use super::located::Position;
use super::{CODES, Document, Format, printed, text};

fn values(text: &str) -> Vec<Value> {
    text::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}")).into_iter().map(|one| one.value).collect()
}

/// What kubectl's go-yaml makes of a text (`sigs.k8s.io/yaml`), checked by hand against its tables.
#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    for (row, text, expected) in [
        ("two documents and an empty one", "a: 1\n---\n---\nb: 2\n", json!([{"a": 1}, {"b": 2}])),
        ("comments alone", "# nothing\n", json!([])),
        (
            "words that are booleans",
            "a: [yes, Off, y, N, true, FALSE]",
            json!([{"a": [true, false, true, false, true, false]}]),
        ),
        ("quoted words", "a: ['yes', \"n\", !!str on]", json!([{"a": ["yes", "n", "on"]}])),
        ("null", "a: [~, null, '', ]\nb:", json!([{"a": [null, null, ""], "b": null}])),
        ("integers", "a: [1, -2, 0x1F, 0o17, 017, 1_000, 0b11, +3]", json!([{"a": [1, -2, 31, 15, 15, 1000, 3, 3]}])),
        ("whole floats", "a: [90.0, 1e2, -0.5, .5, 1.5e3]", json!([{"a": [90, 100, -0.5, 0.5, 1500]}])),
        (
            "texts that begin like numbers",
            "a: [1.2.3, 10s, 0xg, 2026-11-21, '-', +, 09]",
            json!([{"a": ["1.2.3", "10s", "0xg", "2026-11-21", "-", "+", 9]}]),
        ),
        ("keys that are no texts", "80: a\ntrue: b\non: c\n", json!([{"80": "a", "true": "b", "on": "c"}])),
        ("an anchor and its alias", "a: &x {b: 1}\nc: *x\n", json!([{"a": {"b": 1}, "c": {"b": 1}}])),
        (
            "a merge, own keys win",
            "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n",
            json!([{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}]),
        ),
        (
            "merges, the first wins",
            "a: [&x {b: 1}, &y {b: 2, c: 2}]\nd: {<<: [*x, *y]}\n",
            json!([{"a": [{"b": 1}, {"b": 2, "c": 2}], "d": {"b": 1, "c": 2}}]),
        ),
        ("a quoted text at a low indent", "a:\n  b: \"x\n\n y\"\n", json!([{"a": {"b": "x\ny"}}])),
        ("a block text", "a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!([{"a": "x\ny\n", "b": "x y"}])),
        ("carriage returns", "a: 1\r\nb: x\r\n", json!([{"a": 1, "b": "x"}])),
        ("a flow mapping", "{a: b, c: [d]}", json!([{"a": "b", "c": ["d"]}])),
        ("JSON", r#"{"a": "\ud83d\ude00 \/", "b": 1.0}"#, json!([{"a": "😀 /", "b": 1.0}])),
        ("JSON, one after the other", "{\"a\": 1}\n{\"b\": 2} [3]", json!([{"a": 1}, {"b": 2}, [3]])),
    ] {
        assert_eq!(Value::from(values(text)), expected, "{row}");
    }
}

#[test]
fn syntax_errors_name_place_and_way_out() {
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    for (row, text, line, column, message) in [
        ("a second colon", "a: b: c\n", 1, 5, "a second \": \" in this line"),
        ("a tab", "a:\n\t- b\n", 2, 1, "indent by spaces, not tabs"),
        ("a reserved character", "a: @b\n", 1, 4, "quote the text"),
        ("a key out of place", "a:\n  - b\n c: d\n", 3, 2, "this line does not fit the block of line 1"),
        ("a key in a list", "- a\nb: c\n", 2, 1, "this line does not fit the list of line 1"),
        ("an open quote", "a: 'x\n", 2, 1, "the quote of line 1 is not closed"),
        ("an open list", "a: [1, 2\nb: 3\n", 2, 2, "the list of line 1 is not closed by \"]\""),
        ("a key without a value", "a: x\nb\n", 3, 1, "no \": \" after the key of line 2"),
        ("an unknown escape", "a: \"\\z\"\n", 1, 5, "double the backslash"),
        ("an unknown alias", "a: *x\n", 1, 4, "no anchor &x before this alias"),
        ("a key twice", "a: 1\nb: 2\na: 3\n", 3, 1, "key \"a\" is given twice, first in line 1"),
        ("a key twice in JSON", "{\"a\": 1,\n \"a\": 2}", 2, 7, "key \"a\" is given twice, first in line 1"),
        ("JSON without a comma", "{\"a\": 1\n \"b\": 2}", 2, 2, "a comma or a closing bracket is missing"),
        ("JSON that ends too early", "{\"a\": [1,", 1, 9, "it ends too early"),
        ("too deep in YAML", &format!("a: {deep}"), 1, 104, "more than 100 deep"),
        ("too deep in JSON", &deep, 1, 102, "more than 100 deep"),
        ("aliases of aliases", bomb, 7, 50, "values, aliases replaced"),
        ("a template", "a: {{ .Values.a }}\nb: c: d\n", 1, 4, "render it first, such as with `helm template`"),
        (
            "a template's control line",
            "a: b\n{{- if .Values.a }}\nc: d\n{{- end }}\n",
            2,
            1,
            "this is a template, not YAML",
        ),
    ] {
        let error = text::parse(text).err().unwrap_or_else(|| panic!("{row}: accepted"));
        assert!(error.message.contains(message), "{row}: {}", error.message);
        let library = ["did not find", "while parsing", "while scanning", "recursion limit", "EOF", "Options"];
        assert!(library.iter().all(|words| !error.message.contains(words)), "{row}: {}", error.message);
        if row != "aliases of aliases" {
            assert_eq!(error.at, Some(Position { line, column }), "{row}");
        }
    }
}

/// What `canaryctl validate` says of a VirtualService with this rule, which is the seventh line of its file.
fn advice_on(rule: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews, namespace: shop}\nspec:\n  hosts: [reviews]\n  http:\n";
    fs::write(&file, format!("{head}  - {rule}\n")).unwrap();
    let loaded = Document::load_files(&[file.display().to_string()]);
    assert!(loaded.problems.is_empty(), "{rule}: {:?}", loaded.problems);
    let problems = loaded.documents[0].check().map_or_else(|errors| errors, |(_, warnings)| warnings);
    let text = problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
    text.replace(&file.display().to_string(), "a.yaml")
}

#[test]
fn known_mistakes_come_with_their_fix() {
    let route = "route: [{destination: {host: reviews}}]";
    for (row, rule, expected) in [
        (
            "a duration without its unit",
            format!("{{timeout: 10, {route}}}"),
            "a.yaml:7:15: error: VirtualService shop/reviews: /spec/http/0/timeout: expected a string, found a number [wrong-type]\n  found: 10\n  allowed: a duration is a number with its unit, such as 1.5s or 200ms\n  fix: 10s\n",
        ),
        ("a quoted one", format!("{{timeout: '10', {route}}}"), "\n  fix: 10s\n"),
        (
            "a bare percentage",
            format!("{{mirror: {{host: a}}, mirrorPercentage: 10, {route}}}"),
            "\n  fix: {value: 10}\n",
        ),
        (
            "a percentage with its sign",
            format!("{{mirror: {{host: a}}, mirrorPercentage: '10%', {route}}}"),
            "\n  fix: {value: 10}\n",
        ),
        (
            "a word that is a boolean",
            format!("{{match: [{{headers: {{a: {{exact: y}}}}}}], {route}}}"),
            "/headers/a/exact: expected a string, found a boolean [wrong-type]\n  found: y\n  fix: \"y\"; YAML reads y without quotes as a boolean\n",
        ),
        ("a number as a text", format!("{{match: [{{headers: {{a: {{exact: 1}}}}}}], {route}}}"), "\n  fix: \"1\"\n"),
        (
            "a text as a match",
            format!("{{match: [{{headers: {{a: jason}}}}], {route}}}"),
            "\n  fix: {exact: \"jason\"}\n",
        ),
        (
            "look-around",
            format!("{{match: [{{headers: {{a: {{regex: '(?!b)c'}}}}}}], {route}}}"),
            "\n  fix: RE2 has no look-around and no back references: match the opposite under withoutHeaders, or order two rules\n",
        ),
        (
            "a host with its port",
            "{route: [{destination: {host: 'reviews:9080'}}]}".to_owned(),
            "\n  fix: host: reviews with port: {number: 9080} beside it\n",
        ),
        (
            "a bare port",
            "{route: [{destination: {host: reviews, port: 9080}}]}".to_owned(),
            "\n  fix: {number: 9080}\n",
        ),
        (
            "a weight as a text",
            "{route: [{destination: {host: reviews}, weight: '90'}]}".to_owned(),
            "\n  allowed: integer, 0 to 2147483647\n  fix: 90\n",
        ),
        (
            "a removed field",
            format!("{{websocketUpgrade: true, {route}}}"),
            "[unknown-field]\n  fix: remove it: Istio 1.5 removed the field",
        ),
        (
            "another removed field",
            format!("{{append_headers: {{a: b}}, {route}}}"),
            "\n  fix: headers: {request: {add: {NAME: VALUE}}}",
        ),
        (
            "a misspelt field",
            format!("{{mach: [], {route}}}"),
            "a.yaml:7:6: error: VirtualService shop/reviews: /spec/http/0/mach: unknown field; known here: name, match, ",
        ),
        ("its fix", format!("{{mach: [], {route}}}"), "\n  fix: write match\n"),
        ("another field's name", format!("{{match: [{{path: {{exact: /}}}}], {route}}}"), "\n  fix: write uri\n"),
        (
            "a list that is an object",
            "{route: {destination: {host: reviews}}}".to_owned(),
            "\n  fix: a list: begin each element with \"- \"\n",
        ),
        (
            "a warning",
            format!("{{mirrorPercent: 5, mirror: {{host: a}}, {route}}}"),
            "a.yaml:7:21: warning: VirtualService shop/reviews: /spec/http/0/mirrorPercent: using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead [deprecated]\n",
        ),
    ] {
        let said = advice_on(&rule);
        assert!(said.contains(expected), "{row}: {said}");
    }
}

#[test]
fn every_file_and_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let service = "kind: VirtualService\nspec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}\n";
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(service.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    file("b/utf16.yml", &little);
    file("b/marked.yaml", format!("\u{feff}{service}").as_bytes());
    file("a.yaml", service.as_bytes());
    file("misspelt.yaml", b"kind: VirtualServce\n");
    file(".hidden.yaml", b"a: b: c");
    file("notes.txt", b"a: b: c");
    let name = |below: &str| folder.path().join(below).display().to_string();
    let loaded = Document::load_files(&[name("")]);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    assert_eq!(loaded.documents[0].value["virtualServices"].as_array().unwrap().len(), 3);
    let skipped = loaded.documents[0].notes().join("\n");
    assert!(
        skipped.contains("kind VirtualServce is unknown and skipped [unknown-kind]\n  fix: kind: VirtualService"),
        "{skipped}"
    );
    file("c.yaml", b"a: b: c");
    file("d.yaml", &[b'a', b':', b' ', 0xe4, b'\n']);
    let loaded = Document::load_files(&[name(""), name("nowhere.yaml")]);
    let problems = printed(&loaded.problems, Format::Github);
    for expected in [
        "c.yaml,line=1,col=5,title=syntax::a second",
        "d.yaml,title=syntax::neither UTF-8 nor UTF-16 with a byte order mark",
        "nowhere.yaml,title=syntax::no such file",
    ] {
        assert!(problems.contains(expected), "{expected}: {problems}");
    }
    assert_eq!(loaded.documents[0].value["virtualServices"].as_array().unwrap().len(), 3, "the others are read");
}

#[test]
fn every_code_is_documented() {
    let errors = [
        ConfigErrorKind::Syntax(String::new()),
        ConfigErrorKind::UnknownField(&[]),
        ConfigErrorKind::DuplicateField(""),
        ConfigErrorKind::Missing(""),
        ConfigErrorKind::WrongType { expected: "", found: "" },
        ConfigErrorKind::Invalid(String::new()),
    ];
    let used = errors.iter().map(ConfigErrorKind::code).chain(WarningCode::ALL.map(WarningCode::code));
    for code in used.chain(["render", "run", "skipped", "unknown-kind", "nothing-found"]) {
        assert_eq!(CODES.iter().filter(|(known, ..)| *known == code).count(), 1, "{code}");
    }
}

#[test]
fn each_form_has_the_same_parts() {
    let document = Document::named("a,b:c", json!({"mode": "both"}));
    let errors = document.check().unwrap_err();
    assert_eq!(
        printed(&errors, Format::Github),
        "::error file=a%2Cb%3Ac,title=invalid-value::/mode: mode is cluster or version, not \"both\"%0A  allowed: cluster, version\n"
    );
    let parsed: Value = serde_json::from_str(&printed(&errors, Format::Json)).unwrap();
    assert_eq!(
        parsed,
        json!([{
            "severity": "error", "code": "invalid-value", "file": "a,b:c", "line": null, "column": null, "kind": null,
            "namespace": null, "name": null, "pointer": "/mode", "message": "mode is cluster or version, not \"both\"",
            "found": "\"both\"", "allowed": "cluster, version", "fix": null,
        }])
    );
}
