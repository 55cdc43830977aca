//! `canaryctl explain`: what would happen to a request, and why.

use std::fmt::Write as _;
use std::process::ExitCode;

use canary_routing::config::Config;
use canary_routing::explain::Question;
use canary_routing::table::Chance;
use canary_routing::{Draws, Fraction, Outcome, Request, RouteTable};
use clap::{Parser, ValueEnum};
use serde_json::Value;

use crate::console;
use crate::documents::{self, Document};

/// Show where requests would go, and why
///
/// A single request: `canaryctl explain --config FILE GET http://reviews:9080/reviews/1 -H 'end-user: jason'`.
/// A list of them: `--requests FILE`.
#[derive(Debug, Parser)]
pub struct Args {
    /// Configuration document or manifests, YAML or JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config: String,
    /// Requests to explain, YAML or JSON: a list, or a single one; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "url", "header", "draw"])]
    requests: Option<String>,
    /// The answer's form
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// A header line of the request, as `NAME: VALUE`
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// A draw of chance in [0, 1), as `split=0.95`; without it, text shows the odds and JSON takes 0
    #[arg(long, value_name = "NAME=NUMBER", value_parser = parse_draw)]
    draw: Vec<(DrawName, Fraction)>,
    /// The request's method
    #[arg(value_name = "METHOD", requires = "url", required_unless_present = "requests")]
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
}

impl Args {
    /// Runs the subcommand.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.explain() {
            Ok(text) => {
                console::say(text.trim_end());
                ExitCode::SUCCESS
            }
            Err(problems) => {
                console::complain(problems);
                ExitCode::FAILURE
            }
        }
    }

    fn explain(&self) -> Result<String, String> {
        let document = Document::load(&self.config)?;
        let (config, _) = document.read().map_err(|errors| errors.join("\n"))?;
        let (questions, is_list) = self.questions()?;
        match self.output {
            Output::Text => {
                Ok(questions.iter().map(|question| explain_as_text(&document, &config, question)).collect())
            }
            Output::Json => {
                let answers: Vec<Value> = questions
                    .iter()
                    .map(|question| question.answer(&RouteTable::compile(&question.config(&config))))
                    .collect();
                let answer = match answers.as_slice() {
                    [single] if !is_list => single.clone(),
                    _ => Value::from(answers),
                };
                serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())
            }
        }
    }

    /// The requests, and whether they came as a list.
    fn questions(&self) -> Result<(Vec<Question>, bool), String> {
        let Some(file) = &self.requests else { return Ok((vec![self.single_question()], false)) };
        let text = documents::read_text(file)?;
        let mut values = documents::parse(file, &text)?;
        let value = match (values.pop(), values.is_empty()) {
            (Some((_, value)), true) => value,
            _ => return Err(format!("{file}: expected one document with a list of requests")),
        };
        let questions = Question::read_all(&value)
            .map_err(|errors| errors.iter().map(|error| format!("{file}: {error}")).collect::<Vec<_>>().join("\n"))?;
        Ok((questions, value.is_array()))
    }

    fn single_question(&self) -> Question {
        let mut request = Request::get(self.url.as_deref().unwrap_or_default());
        request.method = self.method.clone().unwrap_or_default().into();
        for (name, value) in &self.header {
            request = match name.as_str() {
                "host" => Request { authority: value.clone().into(), ..request },
                name => request.with_header(name, value),
            };
        }
        let mut draws = Draws::default();
        for (name, fraction) in &self.draw {
            match name {
                DrawName::Split => draws.split = *fraction,
            }
        }
        Question { draws: (!self.draw.is_empty()).then_some(draws), ..Question::new(request) }
    }
}

/// One request's answer for people: a headline, and a line for each thing that may happen.
fn explain_as_text(document: &Document, config: &Config, question: &Question) -> String {
    let table = RouteTable::compile(&question.config(config));
    let request = &question.request;
    let mut text = String::new();
    if let Some(name) = &question.name {
        let _ = write!(text, "{name}: ");
    }
    let lossy = String::from_utf8_lossy;
    let _ = writeln!(text, "{} {}{}", lossy(&request.method), lossy(&request.authority), lossy(&request.path));
    let chances = match question.draws {
        Some(draws) => vec![Chance { weight: 1, total: 1, decision: table.decide(request, &draws) }],
        None => table.chances(request),
    };
    if let Some(route) = chances.first().and_then(|chance| chance.decision.route) {
        let name = if route.name.is_empty() { String::new() } else { format!(" ({})", route.name) };
        let _ = writeln!(text, "  rule     {}{name}", document.origin(&route.rule));
    }
    for chance in &chances {
        explain_chance(chance, &mut text);
    }
    text
}

fn explain_chance(chance: &Chance<'_>, text: &mut String) {
    let share = if chance.weight == chance.total { String::new() } else { format!("{} ", percentage(chance)) };
    let _ = match &chance.decision.outcome {
        Outcome::Forward(forward) => {
            let version = forward.destination.subset.as_deref().unwrap_or("(no subset)");
            writeln!(
                text,
                "  forward  {share}to {version} of {}, port {} (reason: {})\n           cluster {}",
                forward.destination.host,
                forward.port,
                forward.reason.as_str(),
                forward.cluster,
            )
        }
        Outcome::LocalReply(reply) => writeln!(text, "  reply    {share}{} ({})", reply.status, reply.details),
        Outcome::Untouched => {
            writeln!(text, "  untouched: no VirtualService takes this host, the proxy's own routes serve")
        }
    };
}

/// A share with two decimals at most.
fn percentage(chance: &Chance<'_>) -> String {
    let hundredths =
        u128::from(chance.weight).saturating_mul(10_000).checked_div(u128::from(chance.total)).unwrap_or(0);
    let (whole, rest) = (hundredths.wrapping_div(100), hundredths.wrapping_rem(100));
    match rest {
        0 => format!("{whole} %"),
        rest => format!("{whole}.{rest:02} %"),
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written NAME: VALUE")?;
    if name.trim().is_empty() {
        return Err("the header has no name".to_owned());
    }
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn parse_draw(text: &str) -> Result<(DrawName, Fraction), String> {
    let (name, number) = text.split_once('=').ok_or("a draw is written NAME=NUMBER")?;
    let name = match name {
        "split" => DrawName::Split,
        _ => return Err(format!("unknown draw {name}; known: split")),
    };
    Ok((name, Fraction::parse(number).map_err(|error| error.to_string())?))
}

fn parse_url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((_, rest)) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("an absolute URL is wanted, such as http://reviews:9080/reviews/1".to_owned()),
    }
}
