//! The same rules by Istio alone and by the filter, in one Envoy: requests from the boundaries of the rules get equal answers, and
//! upstreams get equal requests.
//!
//! - [`case`]: an example as rules of a gateway
//! - [`requests`], [`near`]: what is asked
//! - [`ground`], [`exchange`]: the gateway, and what comes of a request
//! - [`compare`], [`rules`], [`shares`]: what must be equal, and what chance decides
//! - [`intended`]: what differs on purpose

mod case;
mod compare;
mod exchange;
mod ground;
mod intended;
mod near;
mod requests;
mod rules;
mod shares;

use std::{collections::BTreeSet, env, fs, sync::Arc};

use canary_config::Config;
use e2e::{binaries, example, istio::mesh::Mesh};
use fastrand::Rng;
use serde_json::{Value, json};

pub(crate) use self::case::Case;
use self::{
    case::{Side, TAG},
    compare::Deviation,
    exchange::Exchange,
    ground::Ground,
    rules::Rule,
};

/// Of which [`SEED`] in the environment is another.
const FIRST_SEED: u64 = 9;
const SEED: &str = "DIFFERENTIAL_SEED";
const LEAST: usize = 300;
/// Requests at the same time where rules let them wait; where nothing waits, one after the other.
const WAITING: usize = 64;
/// Deviations that are shown of those found.
const SHOWN: usize = 12;

/// Every example, as each of the proxies that it is about sees it.
pub(crate) fn cases() -> Vec<Case> {
    example::groups().iter().flat_map(|group| example::of_group(group)).flat_map(|example| Case::of(&example)).collect()
}

/// An example's rules do the same natively, in mode cluster and in mode version.
pub(crate) async fn is_the_same(mesh: &Mesh, case: &Case) {
    let unlisted = case.unlisted();
    assert!(unlisted.is_empty(), "{}: {unlisted:?}: compare them, or list them as left out", case.name);
    let mut documents =
        vec![(Side::Native, case.document(Side::Native)), (Side::Cluster, case.document(Side::Cluster))];
    let version = case.document(Side::Version);
    let expressible = ground::in_mode_version(&version);
    let is_listed = intended::is_not_in_mode_version(&case.name);
    assert_eq!(expressible.is_err(), is_listed, "{}: in mode version: {expressible:?}", case.name);
    if expressible.is_ok() {
        documents.push((Side::Version, version));
    }
    let deviations = compare(mesh, case, &documents).await;
    let shown: String = deviations.iter().take(SHOWN).map(ToString::to_string).collect();
    assert!(deviations.is_empty(), "{}: {} deviations, such as\n{shown}", case.name, deviations.len());
}

/// A rule of the filter's side that is not the native one is found, and nothing else is.
pub(crate) async fn a_planted_deviation_is_reported(mesh: &Mesh) {
    let case = Case::of(&example::Example::read("bookinfo/03-jason")).remove(0).copy("planted");
    let mut planted = case.document(Side::Cluster);
    let matcher = "/virtualServices/3/spec/http/0/match/0/headers/end-user";
    assert_eq!(planted.pointer(matcher), Some(&json!({"exact": "jason"})));
    *planted.pointer_mut(matcher).expect("it is there") = json!({"prefix": "jason"});
    let documents = [(Side::Native, case.document(Side::Native)), (Side::Cluster, planted)];
    let deviations = compare(mesh, &case, &documents).await;
    let single = |name: &str| name.rsplit(": ").next().unwrap_or_default().to_owned();
    let of_one: BTreeSet<_> =
        deviations.iter().filter(|found| !found.ask.contains(" + ")).map(|found| single(&found.ask)).collect();
    let expected = [
        "one more character",
        "before a comma",
        "with a blank inside",
        "before a byte that is no text",
        "with an umlaut",
        "and very much more",
    ];
    let expected = expected.map(|why| format!("header end-user {why}"));
    assert_eq!(of_one, BTreeSet::from(expected), "{deviations:?}");
    let shown = deviations[0].to_string();
    assert!(shown.contains("served by: reviews.") && shown.contains("/v1 natively"), "{shown}");
}

/// Intended differences are documented, and their examples exist.
pub(crate) async fn intended_differences_are_documented(_: &Mesh) {
    let path = binaries::workspace().join("docs/differences.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.contains(&intended::tables()), "{} should hold\n{}", path.display(), intended::tables());
    for name in intended::examples() {
        assert!(example::path(name).is_dir(), "there is no example {name}");
    }
}

async fn compare(mesh: &Mesh, case: &Case, documents: &[(Side, Value)]) -> Vec<Deviation> {
    let seed = env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(FIRST_SEED);
    let (_, native_document) = &documents[0];
    let config = Config::read(native_document).expect("it has been read").0;
    let rules = Rule::all(native_document, &config);
    let asks: Arc<[_]> = requests::generate(&config, case.is_grpc(), &mut Rng::with_seed(seed)).into();
    assert!(asks.len() >= LEAST, "{}: {} requests only", case.name, asks.len());
    let ground = Ground::start(mesh, case, documents).await;
    let _log = ground.proxy.envoy.show_log_on_panic();
    let at_once = if rules.iter().any(|rule| !rule.delay.is_zero()) { WAITING } else { 1 };
    let is_met = |ask: &&requests::Ask| ask.name.contains("rule 0") && ask.name.ends_with("match 0");
    let probe = asks.iter().find(is_met).expect("a request that meets a rule");
    ground.until_ready(case, &probe.request).await;
    let mut exchanges = Vec::new();
    for side in &ground.sides {
        exchanges.push(exchange::send_all(ground.proxy.port(side.port()), *side, &asks, at_once).await);
    }
    let mut arrivals = ground.arrivals().await;
    for (side, of_side) in ground.sides.iter().zip(&mut exchanges) {
        for (index, exchange) in of_side.iter_mut().enumerate() {
            exchange.arrivals = arrivals.remove(&exchange::id(*side, index)).unwrap_or_default();
        }
    }
    let (native, others) = exchanges.split_first().expect("sides");
    say(case, seed, &asks, native, &rules, &ground.sides);
    let sides = ground.sides.iter().skip(1);
    let deviations = sides.zip(others).flat_map(|(side, other)| {
        assert_decided(case, *side, other);
        compare::deviations(&asks, native, other, *side, &rules)
    });
    let deviations = deviations.collect();
    let wrong = shares::wrong(&ground, &asks, native, &rules).await;
    assert!(wrong.is_empty(), "{}: {wrong:?}", case.name);
    ground.proxy.envoy.assert_no_crash();
    deviations
}

/// The native routes must not hide a filter that does nothing. The filter sets the version header for upstreams.
fn assert_decided(case: &Case, side: Side, exchanges: &[Exchange]) {
    let arrivals = exchanges.iter().flat_map(|exchange| &exchange.arrivals);
    let (mut with_subset, mut named) = (0, 0);
    for (upstream, recorded) in arrivals {
        let Some((_, subset)) = upstream.split_once('/') else { continue };
        with_subset += 1;
        named += usize::from(recorded.texts("x-canary-version") == [subset]);
    }
    assert!(
        with_subset == 0 || named > 0,
        "{}: at the side {} no upstream gets the name of its version",
        case.name,
        side.name()
    );
}

fn say(case: &Case, seed: u64, asks: &[requests::Ask], native: &[Exchange], rules: &[Rule], sides: &[Side]) {
    let met: BTreeSet<_> = native.iter().flat_map(|exchange| exchange.values(TAG)).collect();
    let served = native.iter().filter(|exchange| !exchange.arrivals.is_empty()).count();
    eprintln!(
        "{}: seed {seed}: {} requests at each of {} sides; natively {served} are served, {} of {} rules are met",
        case.name,
        asks.len(),
        sides.len(),
        met.len(),
        rules.len(),
    );
}
