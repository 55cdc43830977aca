//! `canaryctl explain`: what would happen to a request, and why.

mod expectation;
mod outage;
mod text;

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use canary_config::MAX_MIRRORS;
use canary_config::{Config, Timestamp};
use canary_routing::explain::Question;
use canary_routing::{Draws, Fraction, Request, RouteTable};
use clap::{Parser, ValueEnum};
use serde_json::Value;

pub(crate) use text::explain as explained;

use crate::console;
use crate::documents::{self, Document};

/// Show where requests would go, and why
///
/// A single request: `canaryctl explain --config FILE GET http://reviews:9080/reviews/1 -H 'end-user: jason'`.
/// A list of them: `--requests FILE`.
#[derive(Debug, Parser)]
pub struct Args {
    /// Configuration document or manifests, YAML or JSON; `-` is standard input. Several files are one configuration
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<String>,
    /// Explain as the proxy of this gateway, NAME or NAMESPACE/NAME; `mesh` is a sidecar
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// The namespace of manifests that name none, and of the proxy's workload
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Requests to explain, YAML or JSON: a list, or a single one; `-` is standard input. With `expect` in them, exit code 1 on
    /// a difference
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "url", "header", "draw", "unavailable", "source_ip", "principal", "now"])]
    requests: Option<String>,
    /// The answer's form
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// A header of the request, as `NAME: VALUE`
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// A draw in [0, 1), as `split=0.95`: split, abort, delay or mirror, where the i-th mirror is for the rule's i-th. Draws
    /// that are not given count as 0. Without any, text shows the odds
    #[arg(long, value_name = "NAME=NUMBER", value_parser = parse_draw)]
    draw: Vec<(DrawName, Fraction)>,
    /// A cluster that counts as missing, so that the policies' fallback orders act; may be repeated
    #[arg(long, value_name = "CLUSTER")]
    unavailable: Vec<String>,
    /// The client's address, with or without its port
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    source_ip: Option<String>,
    /// The first URI of the client's certificate, such as `spiffe://cluster.local/ns/test/sa/qa`
    #[arg(long, value_name = "URI")]
    principal: Option<String>,
    /// When the request comes, in RFC 3339, such as 2026-11-21T08:00:00Z; by default now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
    /// The request's method
    #[arg(value_name = "METHOD", requires = "url", required_unless_present = "requests", value_parser = parse_method)]
    method: Option<String>,
    /// The request's absolute URL
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// The decisions as data
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DrawName {
    Split,
    Abort,
    Delay,
    Mirror,
}

impl Args {
    /// Runs the subcommand.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.explain() {
            Ok(explained) => {
                console::say(wrapped(explained.text.trim_end()));
                explained.differences.iter().for_each(console::complain);
                if explained.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(problems) => {
                console::complain(problems);
                ExitCode::FAILURE
            }
        }
    }

    fn explain(&self) -> Result<Explained, String> {
        let mut document = self.document()?;
        if let Some(namespace) = &self.namespace {
            document.set_namespace(namespace);
        }
        let (config, _) = document.read().map_err(|errors| errors.join("\n"))?;
        let (mut questions, is_list) = self.questions()?;
        for question in &mut questions {
            question.request.now = question.request.now.or_else(clock);
            question.gateway = question.gateway.take().or_else(|| self.gateway.clone());
            outage::check_clusters(&config, &question.unavailable)?;
        }
        let (mut text, mut answers, mut test) = (String::new(), Vec::new(), Test::default());
        for (index, question) in questions.iter().enumerate() {
            let mut answer = answer(&config, question);
            let passed = test.check(index, question, &answer)?;
            if let (Value::Object(fields), Some(passed)) = (&mut answer, passed) {
                fields.insert("passed".to_owned(), passed.into());
            }
            match self.output {
                Output::Text => text.push_str(&explained(&document, &config, question)),
                Output::Json => answers.push(answer),
            }
        }
        if self.output == Output::Json {
            let answer = if is_list { Value::from(answers) } else { answers.pop().unwrap_or_default() };
            text = format!("{answer:#}");
        } else if let Some(summary) = test.summary() {
            text.push_str(&summary);
        }
        Ok(Explained { text, differences: test.differences })
    }

    fn document(&self) -> Result<Document, String> {
        let mut documents = Document::load_all(&self.config)?;
        match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => Ok(document),
            _ => Err(format!(
                "{}: more than one configuration document; manifests of several files are one configuration, documents are not",
                self.config.join(", ")
            )),
        }
    }

    /// The requests, and whether they came as a list.
    fn questions(&self) -> Result<(Vec<Question>, bool), String> {
        let Some(file) = &self.requests else { return Ok((vec![self.single_question()?], false)) };
        let mut values = documents::values(file)?;
        let value = match (values.pop(), values.is_empty()) {
            (Some((_, value)), true) => value,
            _ => return Err(format!("{file}: expected one document with a list of requests")),
        };
        let questions = Question::read_all(&value)
            .map_err(|errors| errors.iter().map(|error| format!("{file}: {error}")).collect::<Vec<_>>().join("\n"))?;
        Ok((questions, value.is_array()))
    }

    fn single_question(&self) -> Result<Question, String> {
        let method = self.method.as_deref().unwrap_or_default();
        let mut request = request(method, self.url.as_deref().unwrap_or_default(), &self.header);
        request.remote_address.clone_from(&self.source_ip);
        request.principal.clone_from(&self.principal);
        request.now = self.now;
        let unavailable = self.unavailable.clone();
        Ok(Question { draws: self.draws()?, unavailable, ..Question::new(request) })
    }

    /// What the flags say about chance; `None` where there are none.
    fn draws(&self) -> Result<Option<Draws>, String> {
        let mut draws = Draws::default();
        let mut mirrors = draws.mirror.iter_mut();
        for (name, fraction) in &self.draw {
            let draw = match name {
                DrawName::Split => &mut draws.split,
                DrawName::Abort => &mut draws.abort,
                DrawName::Delay => &mut draws.delay,
                DrawName::Mirror => {
                    mirrors.next().ok_or_else(|| format!("--draw mirror=… is given more than {MAX_MIRRORS} times"))?
                }
            };
            *draw = *fraction;
        }
        Ok((!self.draw.is_empty()).then_some(draws))
    }
}

/// What is printed.
struct Explained {
    text: String,
    /// Expectations that do not hold, a line for each.
    differences: Vec<String>,
}

/// The requests with expectations so far.
#[derive(Debug, Default)]
struct Test {
    passed: u32,
    failed: u32,
    differences: Vec<String>,
}

impl Test {
    /// Whether the expectation of a request holds; `None` where it has none.
    ///
    /// # Errors
    /// The expectation has fields that no answer has.
    fn check(&mut self, index: usize, question: &Question, answer: &Value) -> Result<Option<bool>, String> {
        let Some(expected) = &question.expect else { return Ok(None) };
        let differences = expectation::compare(&format!("/{index}"), expected, answer)?;
        let name = question.name.clone().unwrap_or_else(|| format!("request {}", index.saturating_add(1)));
        let count = if differences.is_empty() { &mut self.passed } else { &mut self.failed };
        *count = count.saturating_add(1);
        let line = |one: &expectation::Difference| {
            format!("{name}: {}: expected {}, found {}", one.pointer, one.expected, one.found)
        };
        self.differences.extend(differences.iter().map(line));
        Ok(Some(differences.is_empty()))
    }

    fn summary(&self) -> Option<String> {
        let all = self.passed.saturating_add(self.failed);
        (all > 0)
            .then(|| format!("{all} request(s) with expectations: {} passed, {} failed\n", self.passed, self.failed))
    }
}

/// Long lines broken at the width of the terminal. Where there is none, lines stay whole.
fn wrapped(text: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    let width = textwrap::termwidth();
    let lines = text.lines().map(|line| {
        let indent = if line.starts_with("  ") { "             " } else { "  " };
        textwrap::fill(line, textwrap::Options::new(width).subsequent_indent(indent).break_words(false))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The answer as data: draws that the question does not give count as 0.
pub(crate) fn answer(config: &Config, question: &Question) -> Value {
    let config = question.config(config);
    let table = RouteTable::compile(&config);
    let mut answer = question.answer(&table);
    let decision = question.request.decide(&table, &question.draws.unwrap_or_default(), &question.unavailable);
    if let Value::Object(fields) = &mut answer {
        fields.insert("ifUnavailable".to_owned(), outage::next_versions(&config, question, &decision).into());
    }
    answer
}

/// A request as flags say it; a header `host` is the authority.
pub(crate) fn request(method: &str, url: &str, headers: &[(String, String)]) -> Request {
    let request = Request { method: method.into(), ..Request::get(url) };
    headers.iter().fold(request, |request, (name, value)| match name.as_str() {
        "host" => Request { authority: value.clone().into(), ..request },
        name => request.with_header(name, value),
    })
}

/// Reads `NAME: VALUE`; the name comes in lower case.
///
/// # Errors
/// Why it is none.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written NAME: VALUE")?;
    if name.trim().is_empty() {
        return Err("the header has no name".to_owned());
    }
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn parse_method(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a method is needed, such as GET".to_owned()) } else { Ok(text.to_owned()) }
}

fn parse_address(text: &str) -> Result<String, String> {
    let is_address = text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    if is_address { Ok(text.to_owned()) } else { Err("an IP address is needed".to_owned()) }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "an RFC 3339 time is needed, such as 2026-11-21T08:00:00Z".to_owned())
}

/// This machine's clock; `None` before 1970.
pub(crate) fn clock() -> Option<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    since.as_millis().try_into().ok().map(Timestamp::from_millis)
}

fn parse_draw(text: &str) -> Result<(DrawName, Fraction), String> {
    let (name, number) = text.split_once('=').ok_or("a draw is written NAME=NUMBER")?;
    let name = match name {
        "split" => DrawName::Split,
        "abort" => DrawName::Abort,
        "delay" => DrawName::Delay,
        "mirror" => DrawName::Mirror,
        _ => return Err(format!("unknown draw {name}; known: split, abort, delay, mirror")),
    };
    Ok((name, Fraction::parse(number).map_err(|error| error.to_string())?))
}

/// Checks that a URL is absolute.
///
/// # Errors
/// What is wanted.
pub(crate) fn parse_url(text: &str) -> Result<String, String> {
    if text.contains('#') {
        return Err("clients do not send the part after #: leave it out".to_owned());
    }
    match text.split_once("://") {
        Some((_, rest)) if rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) => {
            Err("clients do not send a user's name in a URL: use -H 'authorization: …'".to_owned())
        }
        Some((_, rest)) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("an absolute URL is needed, such as http://reviews:9080/reviews/1".to_owned()),
    }
}
