//! What happens when the cluster of a version cannot serve.

use canary_config::{Config, Mode};
use canary_routing::explain::Question;
use canary_routing::{Decision, Outcome, RouteTable};

/// The versions that serve in turn when the cluster of `decision`, and then each next one, is unavailable. Empty where there is
/// no other version, and in mode version, where the native route decides.
pub(crate) fn next_versions(table: &RouteTable, question: &Question, decision: &Decision<'_>) -> Vec<String> {
    let mut unavailable = question.unavailable.clone();
    let mut versions = Vec::new();
    let draws = question.draws.unwrap_or_default();
    let mut cluster = cluster_of(decision);
    while let Some(down) = cluster.filter(|down| table.mode() == Mode::Cluster && !unavailable.contains(down)) {
        unavailable.push(down);
        let next = question.request.decide(table, &draws, &unavailable);
        cluster = cluster_of(&next).filter(|cluster| !unavailable.contains(cluster));
        if let (Outcome::Forward(forward), Some(_)) = (&next.outcome, &cluster) {
            let subset = forward.destination.subset.as_deref();
            versions.push(subset.unwrap_or(&forward.destination.host).to_owned());
        }
    }
    versions
}

fn cluster_of(decision: &Decision<'_>) -> Option<String> {
    match &decision.outcome {
        Outcome::Forward(forward) => Some(forward.cluster.to_string()),
        Outcome::LocalReply(_) | Outcome::Untouched => None,
    }
}

/// Checks that clusters are of the configuration.
///
/// # Errors
/// The first that is not, with those that are.
pub(super) fn check_clusters(config: &Config, clusters: &[String]) -> Result<(), String> {
    let known = known_clusters(config);
    let is_known = |cluster: &String| {
        known.iter().any(|parts| match parts.as_slice() {
            [whole] => whole == cluster,
            [first, .., last] => cluster.starts_with(first.as_str()) && cluster.ends_with(last.as_str()),
            [] => false,
        })
    };
    let Some(unknown) = clusters.iter().find(|cluster| !is_known(cluster)) else { return Ok(()) };
    let known: Vec<String> = known.iter().map(|parts| parts.join("PORT")).collect();
    Err(format!("no destination has the cluster {unknown:?}; known here: {}", known.join(", ")))
}

/// The names of all clusters, in parts where the port is not known.
fn known_clusters(config: &Config) -> Vec<Vec<String>> {
    let mut known = Vec::new();
    for key in config.destinations() {
        let others = config.policy_of(&key.host).map(|policy| policy.fallback.clone()).unwrap_or_default();
        for subset in [key.subset.clone()].into_iter().chain(others.into_iter().map(Some)) {
            let parts = match key.port {
                Some(port) => vec![config.clusters.name(&key.host, subset.as_deref(), port)],
                None => config.clusters.around_port(&key.host, subset.as_deref()),
            };
            if !known.contains(&parts) {
                known.push(parts);
            }
        }
    }
    known
}
