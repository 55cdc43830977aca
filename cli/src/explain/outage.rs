//! What happens when the cluster of a version cannot serve.

use canary_config::Config;
use canary_routing::explain::Question;
use canary_routing::{Decision, Outcome};

/// The versions that serve in turn when the cluster of `decision`, and then each next one, cannot: the fallback order of the
/// host's policy without those that are unavailable already. Empty where there is no other version.
pub(crate) fn next_versions(config: &Config, question: &Question, decision: &Decision<'_>) -> Vec<String> {
    let Outcome::Forward(forward) = &decision.outcome else { return Vec::new() };
    let destination = forward.destination;
    let Some(policy) = config.policy_of(&destination.host) else { return Vec::new() };
    let is_available = |version: &&str| {
        let cluster = config.clusters.name(&destination.host, Some(*version), forward.port);
        !question.unavailable.contains(&cluster)
    };
    policy.after(destination.subset.as_deref()).filter(is_available).map(str::to_owned).collect()
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
