//! Properties of the fallback: where a request goes if versions cannot serve. `PROPTEST_CASES` is the number of cases.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;

use canary_config::Config;
use canary_routing::{AllHealthy, Draws, FallbackReason, Fraction, Health, Outcome, Request, RouteTable};
use proptest::prelude::*;
use serde_json::{Value, json};

const VERSIONS: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// The health of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Able,
    Missing,
    Empty,
    Ejected,
    OnTrial,
}

/// A rule, a policy, the health of versions, and the draws.
#[derive(Debug, Clone)]
struct Case {
    weights: Vec<(usize, u32)>,
    order: Vec<usize>,
    header: Option<usize>,
    accrues: bool,
    known: [Known; 4],
    split: u64,
    trial: u64,
}

/// The health of each cluster.
struct Clusters(BTreeMap<String, Known>);

impl Health for Clusters {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        match self.0[cluster] {
            Known::Able => None,
            Known::Missing => Some(FallbackReason::MissingCluster),
            Known::Empty => Some(FallbackReason::NoEndpoints),
            Known::Ejected | Known::OnTrial => Some(FallbackReason::Ejected),
        }
    }

    fn may_try(&self, cluster: &str) -> bool {
        self.0[cluster] == Known::OnTrial
    }
}

impl Case {
    fn document(&self) -> Value {
        let route = self.weights.iter().map(
            |(version, weight)| json!({"destination": {"host": "a", "subset": VERSIONS[*version]}, "weight": weight}),
        );
        let order: Vec<_> = self.order.iter().map(|version| VERSIONS[*version]).collect();
        let mut policy =
            json!({"hosts": ["a"], "fallback": order, "versionHeader": {"name": "want", "versions": VERSIONS}});
        if self.accrues {
            policy["failureAccrual"] = json!({});
        }
        json!({"virtualServices": [{"hosts": ["a"], "http": [{"route": route.collect::<Vec<_>>()}]}],
               "services": [{"host": "a", "ports": [80]}], "policies": [policy]})
    }

    fn clusters(&self) -> Clusters {
        let name = |version| format!("outbound|80|{version}|a.default.svc.cluster.local");
        Clusters(VERSIONS.iter().zip(self.known).map(|(version, known)| (name(version), known)).collect())
    }

    fn request(&self) -> Request {
        let request = Request::get("http://a/");
        self.header.map_or_else(|| request.clone(), |version| request.clone().with_header("want", VERSIONS[version]))
    }

    fn draws(&self) -> Draws {
        let (split, trial) = (Fraction::from_bits(self.split), Fraction::from_bits(self.trial));
        Draws { split, trial, ..Draws::default() }
    }

    /// The version that serves with this health. `None` means that every version can serve.
    fn serves(&self, among: Option<&Clusters>) -> usize {
        let (config, _) = Config::read(&self.document()).unwrap();
        let table = RouteTable::compile(&config);
        let (request, draws) = (self.request(), self.draws());
        let decision = match among {
            Some(clusters) => request.decide(&table, &draws, clusters),
            None => request.decide(&table, &draws, &AllHealthy),
        };
        let Outcome::Forward(forward) = decision.outcome else { panic!("every request is forwarded") };
        VERSIONS.iter().position(|version| forward.destination.subset.as_deref() == Some(*version)).unwrap()
    }

    /// Whether a version can serve this request. Without failure accrual no version is ejected.
    fn can_serve(&self, version: usize) -> bool {
        let is_tried = self.trial < u64::MAX / 10;
        match self.known[version] {
            Known::Able => true,
            Known::Missing | Known::Empty => false,
            Known::Ejected => !self.accrues,
            Known::OnTrial => !self.accrues || is_tried,
        }
    }

    fn cannot_serve(&self, version: usize) -> bool {
        matches!(self.known[version], Known::Missing | Known::Empty)
    }
}

fn case() -> impl Strategy<Value = Case> {
    let known = prop_oneof![
        Just(Known::Able),
        Just(Known::Missing),
        Just(Known::Empty),
        Just(Known::Ejected),
        Just(Known::OnTrial)
    ];
    let versions = || Just(vec![0, 1, 2, 3]).prop_shuffle();
    let order = (versions(), 1..=4_usize).prop_map(|(order, length)| order[..length].to_vec());
    let weights = (versions(), prop::collection::vec(1..100_u32, 1..=4))
        .prop_map(|(order, weights)| order.into_iter().zip(weights).collect());
    let chance = (any::<u64>(), prop_oneof![any::<u64>(), Just(0)]);
    let known = prop::array::uniform4(known);
    (weights, order, prop::option::of(0..4_usize), any::<bool>(), known, chance).prop_map(
        |(weights, order, header, accrues, known, (split, trial))| Case {
            weights,
            order,
            header,
            accrues,
            known,
            split,
            trial,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ends_at_a_version_that_can_serve(case in case()) {
        let (pick, serves) = (case.serves(None), case.serves(Some(&case.clusters())));
        let candidates: Vec<usize> = std::iter::once(pick).chain(case.order.clone()).collect();
        if candidates.iter().any(|version| case.can_serve(*version)) {
            prop_assert!(case.can_serve(serves), "a version that can serve was replaced by one that cannot");
            let first = candidates.iter().find(|version| case.can_serve(**version));
            prop_assert_eq!(Some(&serves), first, "the first that can serve");
        }
    }

    #[test]
    fn ejection_never_removes_the_last_version(case in case()) {
        let (pick, serves) = (case.serves(None), case.serves(Some(&case.clusters())));
        let candidates: Vec<usize> = std::iter::once(pick).chain(case.order.clone()).collect();
        if candidates.iter().any(|version| !case.cannot_serve(*version)) {
            prop_assert!(!case.cannot_serve(serves), "an ejected version was replaced by one that cannot serve at all");
        }
        if !candidates.iter().any(|version| case.can_serve(*version)) {
            let only_ejected = candidates.iter().find(|version| !case.cannot_serve(**version));
            let expected = only_ejected.or_else(|| candidates.iter().rev().find(|version| **version != pick)).unwrap_or(&pick);
            prop_assert_eq!(&serves, expected, "the first that is only ejected, otherwise the default");
        }
    }

    #[test]
    fn the_failover_cluster_has_the_other_versions_in_order(case in case()) {
        let mut document = case.document();
        document["clusters"] = json!({"failover": true});
        let (config, _) = Config::read(&document).unwrap();
        let table = RouteTable::compile(&config);
        let serves = case.serves(Some(&case.clusters()));
        let decision = case.request().decide(&table, &case.draws(), &case.clusters());
        let Outcome::Forward(forward) = decision.outcome else { panic!("every request is forwarded") };
        let others: Vec<usize> = case.order.iter().copied().filter(|version| *version != serves).collect();
        let found = forward.failover.as_ref().map_or(Vec::new(), |failover| {
            failover.versions.iter().map(|other| other.destination.subset.as_deref().unwrap().to_owned()).collect()
        });
        prop_assert_eq!(found, others.iter().map(|version| VERSIONS[*version].to_owned()).collect::<Vec<_>>());
        let written = config.failover_clusters();
        let cluster = forward.failover.as_ref().map(|failover| failover.cluster);
        let named = written.iter().find(|written| Some(&*written.name) == cluster);
        let members = |failover: &canary_routing::Failover<'_>| {
            let others = failover.versions.iter().map(|other| other.cluster.to_owned());
            std::iter::once(forward.cluster.to_string()).chain(others).collect::<Vec<_>>()
        };
        let expected = forward.failover.as_deref().map(members);
        prop_assert_eq!(named.map(|named| named.members.clone()), expected, "the members of the failover cluster");
    }

    #[test]
    fn a_version_that_can_serve_is_not_replaced(case in case()) {
        let pick = case.serves(None);
        if case.can_serve(pick) {
            prop_assert_eq!(case.serves(Some(&case.clusters())), pick);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(case in case()) {
        prop_assert_eq!(case.serves(Some(&case.clusters())), case.serves(Some(&case.clusters())));
    }
}

/// With evenly spread draws the share is exact: 10 % of 1,000 draws.
#[test]
fn a_version_on_trial_gets_its_share() {
    let mut case = Case {
        weights: vec![(1, 1)],
        order: vec![1, 0],
        header: None,
        accrues: true,
        known: [Known::Able, Known::OnTrial, Known::Able, Known::Able],
        split: 0,
        trial: 0,
    };
    let step = u64::MAX / 1_000;
    let mut tried = 0;
    for draw in 0..1_000 {
        case.trial = step.saturating_mul(draw).saturating_add(step / 2);
        tried += case.serves(Some(&case.clusters()));
    }
    assert_eq!(tried, 100);
    case.known[1] = Known::Ejected;
    case.trial = 0;
    assert_eq!(case.serves(Some(&case.clusters())), 0, "the trial has no free place");
}
