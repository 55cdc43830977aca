//! The guarantees of sticky splits, tested with many users (README, "The same user, the same version").

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

use canary_config::{Config, Timestamp};
use canary_routing::{AllHealthy, Draws, Health, Outcome, Reason, Request, RouteTable};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The rule's destinations and their weights.
type Weights<'w> = [(&'w str, u32)];

/// A table whose rule for `reviews` has these weights, with the default `v1` and more of a policy.
fn table(weights: &Weights<'_>, more: &Value) -> RouteTable {
    let destinations = weights
        .iter()
        .map(|(subset, weight)| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight}));
    let mut policy = json!({"hosts": ["reviews"], "defaultSubset": "v1",
        "sticky": {"keys": [{"header": "x-user-id"}], "salt": "reviews-2026-11"}});
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let document = json!({"policies": [policy], "services": [{"host": "reviews", "ports": [9080]}],
        "virtualServices": [{"hosts": ["reviews"], "http": [{"route": destinations.collect::<Vec<_>>()}]}]});
    let (config, _) = Config::read(&document).unwrap_or_else(|errors| panic!("{errors}"));
    RouteTable::compile(&config)
}

fn user(number: usize) -> Request {
    Request::get("http://reviews:9080/").with_header("x-user-id", format!("user-{number}"))
}

/// The version and the reason for a request.
fn version(table: &RouteTable, request: &Request, health: &dyn Health) -> (String, Reason) {
    match request.decide(table, &Draws::default(), health).outcome {
        Outcome::Forward(forward) => (forward.destination.subset.as_deref().unwrap().to_owned(), forward.reason),
        outcome => panic!("{outcome:?}"),
    }
}

/// The versions of users 0 to `count`.
fn versions(table: &RouteTable, count: usize) -> Vec<String> {
    (0..count).map(|number| version(table, &user(number), &AllHealthy).0).collect()
}

/// The users that change their version, as pairs of the old and the new version.
fn moves<'v>(before: &'v [String], after: &'v [String]) -> Vec<(&'v str, &'v str)> {
    let both = before.iter().zip(after);
    both.filter(|(old, new)| old != new).map(|(old, new)| (old.as_str(), new.as_str())).collect()
}

#[test]
fn one_canary_takes_from_the_default_only() {
    let at = |weight| versions(&table(&[("v1", 100 - weight), ("v2", weight)], &json!({})), 1_000);
    let mut before = at(0);
    assert!(before.iter().all(|version| version == "v1"));
    for weight in 1..=100 {
        let after = at(weight);
        let moved = moves(&before, &after);
        assert!(moved.iter().all(|moved| *moved == ("v1", "v2")), "to {weight} %: {moved:?}");
        assert!(!moved.is_empty(), "to {weight} %: nobody moved");
        // When the weight falls again, the same users go back.
        assert_eq!(at(weight - 1), before, "back to {} %", weight - 1);
        before = after;
    }
    assert!(before.iter().all(|version| version == "v2"));
}

#[test]
fn two_canaries_take_from_the_default_only() {
    for (growing, other) in [("v2", "v3"), ("v3", "v2")] {
        for fixed in [0, 25, 60] {
            let at = |weight| {
                let weights = [(growing, weight), ("v1", 100 - fixed - weight), (other, fixed)];
                versions(&table(&weights, &json!({})), 300)
            };
            let mut before = at(0);
            for weight in 1..=100 - fixed {
                let after = at(weight);
                let moved = moves(&before, &after);
                let name = format!("{growing} to {weight} % beside {fixed} % of {other}");
                assert!(moved.iter().all(|moved| *moved == ("v1", growing)), "{name}: {moved:?}");
                before = after;
            }
            assert!(before.iter().all(|version| version != "v1"), "{growing} takes all but {other}");
        }
    }
}

/// The canaries c0, c1, … with even numbers lie between the start of the ring and the default, those with odd numbers at its end.
/// A growing canary moves those between it and the default by the same amount, and no others.
#[test]
fn more_canaries_move_those_between_them_and_the_default() {
    const USERS: usize = 5_000;
    let canaries = ["c0", "c1", "c2", "c3", "c4"];
    let at = |grown: Option<usize>, order: &[&str]| {
        let mut weights: Vec<(&str, u32)> =
            canaries.iter().enumerate().map(|(index, name)| (*name, 10 + u32::from(grown == Some(index)))).collect();
        weights.push(("v1", 50 - u32::from(grown.is_some())));
        let policy = json!({"sticky": {"keys": [{"header": "x-user-id"}], "order": order}});
        versions(&table(&weights, &policy), USERS)
    };
    for order in [["c0", "c1", "c2", "c3", "c4"], ["c4", "c2", "c0", "c1", "c3"]] {
        let before = at(None, &order);
        for (slot, name) in order.iter().enumerate() {
            let grown = canaries.iter().position(|canary| canary == name);
            let after = at(grown, &order);
            let chain: Vec<&str> = order.iter().skip(slot).step_by(2).copied().chain(["v1"]).collect();
            let allowed: Vec<(&str, &str)> = chain.windows(2).map(|pair| (pair[1], pair[0])).collect();
            let moved = moves(&before, &after);
            for pair in &moved {
                assert!(allowed.contains(pair), "{name} of {order:?}: {pair:?} is not in {allowed:?}");
            }
            // 1 % of the users for each canary in between, within the error for so few users.
            let share = moved.len() as f64 / USERS as f64;
            let bound = allowed.len() as f64 * 0.01;
            assert!((share - bound).abs() < 0.006, "{name} of {order:?}: {share} moved, not {bound}");
        }
    }
}

#[test]
fn the_order_of_destinations_does_not_count() {
    let orders: [&Weights<'_>; 4] = [
        &[("v1", 60), ("v2", 25), ("v3", 15)],
        &[("v3", 15), ("v2", 25), ("v1", 60)],
        &[("v2", 25), ("v1", 60), ("v3", 15)],
        // Their unit does not count, either.
        &[("v3", 3), ("v1", 12), ("v2", 5)],
    ];
    let expected = versions(&table(orders[0], &json!({})), 2_000);
    for order in orders {
        assert_eq!(versions(&table(order, &json!({})), 2_000), expected, "{order:?}");
    }
}

/// A version keeps its place in `sticky.order` if the rule does not name it.
#[test]
fn a_retired_version_does_not_move_the_others() {
    let policy = json!({"sticky": {"keys": [{"header": "x-user-id"}], "order": ["v2", "v3"]}});
    let before = versions(&table(&[("v1", 70), ("v2", 10), ("v3", 20)], &policy), 2_000);
    let after = versions(&table(&[("v1", 80), ("v3", 20)], &policy), 2_000);
    let moved = moves(&before, &after);
    assert!(!moved.is_empty() && moved.iter().all(|moved| *moved == ("v2", "v1")), "{moved:?}");
}

/// Chi-square of the counts against the shares. The limits are exceeded once in 1,000 times, by degrees of freedom 1 to 5.
const ONE_IN_A_THOUSAND: [f64; 5] = [10.828, 13.816, 16.266, 18.467, 20.515];

#[test]
fn shares_are_the_weights() {
    const USERS: usize = 100_000;
    let vectors: [&Weights<'_>; 4] = [
        &[("v1", 99), ("v2", 1)],
        &[("v1", 90), ("v2", 10)],
        &[("v1", 60), ("v2", 25), ("v3", 15)],
        &[("v1", 1), ("v2", 2), ("v3", 3), ("v4", 4), ("v5", 5), ("v6", 6)],
    ];
    for weights in vectors {
        let found = versions(&table(weights, &json!({})), USERS);
        let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let chi_square: f64 = weights
            .iter()
            .map(|(subset, weight)| {
                let expected = USERS as f64 * f64::from(*weight) / f64::from(total);
                let count = found.iter().filter(|version| version == subset).count();
                (count as f64 - expected).powi(2) / expected
            })
            .sum();
        let bound = ONE_IN_A_THOUSAND[weights.len() - 2];
        println!("{weights:?}: chi-square {chi_square:.2}, bound {bound}");
        assert!(chi_square < bound, "{weights:?}: {chi_square}");
    }
}

/// The versions with one salt are independent of those with another.
#[test]
fn another_salt_gives_independent_versions() {
    const USERS: usize = 20_000;
    let by = |salt: &str| {
        let policy = json!({"sticky": {"keys": [{"header": "x-user-id"}], "salt": salt}});
        versions(&table(&[("v1", 50), ("v2", 50)], &policy), USERS)
    };
    let (one, other) = (by("a"), by("b"));
    let expected = USERS as f64 / 4.0;
    let chi_square: f64 = ["v1", "v2"]
        .iter()
        .flat_map(|first| ["v1", "v2"].map(|second| (first, second)))
        .map(|(first, second)| {
            let count = one.iter().zip(&other).filter(|(a, b)| a == first && *b == second).count();
            (count as f64 - expected).powi(2) / expected
        })
        .sum();
    assert!(chi_square < ONE_IN_A_THOUSAND[2], "{chi_square}");
    assert_eq!(by("a"), one);
}

#[test]
fn a_version_that_cannot_serve_moves_only_its_own_users() {
    let table = table(&[("v1", 50), ("v2", 30), ("v3", 20)], &json!({"fallback": ["v3", "v1"]}));
    let missing = vec!["outbound|9080|v2|reviews.default.svc.cluster.local".to_owned()];
    let (mut stayed, mut fell_back) = (0, 0);
    for number in 0..2_000 {
        let request = user(number);
        let usual = version(&table, &request, &AllHealthy);
        let meanwhile = version(&table, &request, &missing);
        assert_eq!(meanwhile.1, Reason::Sticky);
        if usual.0 == "v2" {
            assert_eq!(meanwhile.0, "v3", "user {number}");
            fell_back += 1;
        } else {
            assert_eq!(meanwhile, usual, "user {number}");
            stayed += 1;
        }
        assert_eq!(version(&table, &request, &AllHealthy), usual, "user {number} comes back");
    }
    assert!(stayed > 1_000 && fell_back > 400, "{stayed} stayed, {fell_back} fell back");
}

/// Users during a ramp from none to all in one day: they join one after another, and none leaves.
#[test]
fn no_user_leaves_a_canary_while_its_ramp_rises() {
    const USERS: usize = 500;
    const TEN_MINUTES: u64 = 600_000;
    let ramp =
        json!({"ramp": {"subset": "v2", "from": 0, "to": 100, "start": "2026-11-21T08:00:00Z", "duration": "24h"}});
    let table = table(&[("v1", 100), ("v2", 0)], &ramp);
    let start = 1_795_248_000_000;
    let mut joined = [false; USERS];
    let mut printed = Vec::new();
    // From an hour before its start to an hour after its end.
    for step in 0..=156 {
        let now = Timestamp::from_millis(start - 6 * TEN_MINUTES + step * TEN_MINUTES);
        for (number, joined) in joined.iter_mut().enumerate() {
            let request = Request { now: Some(now), ..user(number) };
            let (version, reason) = version(&table, &request, &AllHealthy);
            assert_eq!(reason, Reason::Ramp);
            assert!(!*joined || version == "v2", "user {number} leaves at step {step}");
            *joined = version == "v2";
        }
        let share = joined.iter().filter(|joined| **joined).count() as f64 / USERS as f64;
        let expected = (step.saturating_sub(6) as f64 / 144.0).min(1.0);
        assert!((share - expected).abs() < 0.05, "step {step}: {share}, not {expected}");
        if step % 36 == 6 {
            printed.push(format!("{:.1} %", share * 100.0));
        }
    }
    assert!(joined.iter().all(|joined| *joined));
    println!("{USERS} users, every 6 hours: {}; none left", printed.join(", "));
}
