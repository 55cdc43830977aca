//! The clusters that cannot serve, for proxies without failover clusters.
//!
//! Pure: time is an argument, in nanoseconds since the Unix epoch, because all workers share that clock. A look-up
//! ignores the time, so a request costs no host call. The tick removes expired entries.

use canary_routing::{FallbackReason, Fraction};
use litemap::LiteMap;

use crate::health::exchange::SharedState;
use crate::host::{OwnedPairs, Pairs};

/// How long a cluster is avoided, in nanoseconds. A cluster that comes back is used within 5 seconds, and one that
/// stays away costs at most one request in 5 seconds.
pub(crate) const MAX_OUTAGE: u64 = 5_000_000_000;
/// The most clusters that are remembered. Further ones count as healthy.
const MAX_CLUSTERS: usize = 1_024;

/// A cluster that cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) reason: FallbackReason,
    /// When the next request may try it, in nanoseconds since the Unix epoch.
    pub(crate) until: u64,
}

impl Outage {
    /// An outage that was found at this time.
    pub(crate) const fn new(reason: FallbackReason, now: u64) -> Self {
        Self { reason, until: now.saturating_add(MAX_OUTAGE) }
    }

    /// When the outage was found.
    const fn since(self) -> u64 {
        self.until.saturating_sub(MAX_OUTAGE)
    }
}

/// The clusters that cannot serve.
#[derive(Debug, Default)]
pub(crate) struct ClusterHealth {
    known: LiteMap<String, Outage>,
    /// Changes that other VMs do not know yet. `None` for a cluster that can serve again.
    unshared: LiteMap<String, Option<Outage>>,
    /// The time of the last tick.
    now: u64,
}

impl ClusterHealth {
    /// The time of the last tick.
    pub(crate) const fn last_tick(&self) -> u64 {
        self.now
    }

    /// Why a cluster cannot serve.
    pub(crate) fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.known.get(cluster).map(|outage| outage.reason)
    }

    /// Records that a cluster cannot serve.
    pub(crate) fn learn(&mut self, cluster: &str, outage: Outage) {
        if insert(&mut self.known, cluster, outage) {
            insert(&mut self.unshared, cluster, Some(outage));
        }
    }

    /// Whether a success of the cluster would end its outage. The request must have begun after the outage was found,
    /// because an earlier one says nothing of the present state.
    pub(crate) fn would_recover(&self, cluster: &str, began: u64) -> bool {
        self.known.get(cluster).is_some_and(|outage| began >= outage.since())
    }

    /// Records that a cluster has served a request that began at this time.
    pub(crate) fn succeed(&mut self, cluster: &str, began: u64) {
        if self.would_recover(cluster, began) {
            self.known.remove(cluster);
            insert(&mut self.unshared, cluster, None);
        }
    }
}

impl SharedState for ClusterHealth {
    const KEY: &'static str = "canary_clusters";

    fn now(&self) -> u64 {
        self.now
    }

    fn merge(&mut self, shared: &impl Pairs, now: u64, _jitter: Fraction) -> Option<OwnedPairs> {
        self.now = now;
        let before = decode(shared);
        let mut known = before.clone();
        for (cluster, change) in &self.unshared {
            match change {
                Some(outage) => {
                    insert(&mut known, cluster, *outage);
                }
                None => {
                    known.remove(cluster);
                }
            }
        }
        // Limits the rest of the outage, in case the clock was set back.
        known.retain(|_, outage| outage.until > now && outage.until <= now.saturating_add(MAX_OUTAGE));
        let is_new = known != before;
        self.known = known;
        is_new.then(|| encode(&self.known))
    }

    fn mark_shared(&mut self) {
        self.unshared.clear();
    }

    fn expire(&mut self, now: u64) {
        self.now = now;
        self.known.retain(|_, outage| outage.until > now);
        self.unshared.retain(|_, outage| outage.is_some_and(|outage| outage.until > now));
    }
}

/// False if the map is full.
fn insert<V>(map: &mut LiteMap<String, V>, cluster: &str, value: V) -> bool {
    if let Some(place) = map.get_mut(cluster) {
        *place = value;
        return true;
    }
    let has_room = map.len() < MAX_CLUSTERS;
    if has_room {
        map.insert(cluster.to_owned(), value);
    }
    has_room
}

/// Each cluster with one byte for the reason and eight for the time, little-endian.
fn encode(known: &LiteMap<String, Outage>) -> OwnedPairs {
    let entries = known.iter().filter_map(|(cluster, outage)| {
        let code = match outage.reason {
            FallbackReason::MissingCluster => b'm',
            FallbackReason::NoEndpoints => b'e',
            FallbackReason::UnknownVersion | FallbackReason::Ejected | FallbackReason::Failed => return None,
        };
        let value: Vec<u8> = std::iter::once(code).chain(outage.until.to_le_bytes()).collect();
        Some((cluster.as_bytes().into(), value.into()))
    });
    OwnedPairs(entries.collect())
}

/// Decodes the shared outages. Malformed ones are left out, and the next write replaces them.
fn decode(shared: &impl Pairs) -> LiteMap<String, Outage> {
    let mut known = LiteMap::new();
    let entries = shared.pairs().filter_map(|(cluster, value)| {
        let (code, until) = value.split_first()?;
        let reason = match code {
            b'm' => FallbackReason::MissingCluster,
            b'e' => FallbackReason::NoEndpoints,
            _ => return None,
        };
        let until = u64::from_le_bytes(until.try_into().ok()?);
        Some((str::from_utf8(cluster).ok()?.to_owned(), Outage { reason, until }))
    });
    for (cluster, outage) in entries.take(MAX_CLUSTERS) {
        known.insert(cluster, outage);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    fn empty() -> Outage {
        Outage::new(FallbackReason::NoEndpoints, NOW)
    }

    fn knowing(cluster: &str) -> ClusterHealth {
        let mut health = ClusterHealth::default();
        health.expire(NOW);
        health.learn(cluster, empty());
        health
    }

    fn reason(health: &ClusterHealth, cluster: &str) -> Option<FallbackReason> {
        health.unavailable(cluster)
    }

    #[test]
    fn what_is_learned_reaches_another_vm_and_expires_there() {
        let mut teller = knowing("a");
        let shared = teller.merge(&OwnedPairs::default(), NOW, Fraction::default()).unwrap();
        teller.mark_shared();
        let mut hearer = ClusterHealth::default();
        assert_eq!(hearer.merge(&shared, NOW + 1, Fraction::default()), None);
        assert_eq!(reason(&hearer, "a"), Some(FallbackReason::NoEndpoints));
        assert_eq!(reason(&hearer, "b"), None);
        let left = hearer.merge(&shared, NOW + MAX_OUTAGE, Fraction::default()).unwrap();
        assert_eq!(reason(&hearer, "a"), None);
        assert_eq!(decode(&left), LiteMap::new());
    }

    #[test]
    fn a_success_clears_everywhere() {
        let mut teller = knowing("a");
        let shared = teller.merge(&OwnedPairs::default(), NOW, Fraction::default()).unwrap();
        teller.mark_shared();
        assert!(teller.would_recover("a", NOW));
        teller.succeed("a", NOW);
        assert!(!teller.would_recover("a", NOW));
        assert_eq!(reason(&teller, "a"), None);
        assert_eq!(decode(&teller.merge(&shared, NOW + 1, Fraction::default()).unwrap()), LiteMap::new());
    }

    #[test]
    fn a_request_that_began_before_says_nothing_of_what_came_after() {
        let mut health = knowing("a");
        assert!(!health.would_recover("a", NOW - 1));
        health.succeed("a", NOW - 1);
        assert_eq!(reason(&health, "a"), Some(FallbackReason::NoEndpoints));
    }

    #[test]
    fn memory_is_bounded() {
        let mut health = ClusterHealth::default();
        for number in 0..3 * MAX_CLUSTERS {
            let cluster = number.to_string();
            health.succeed(&cluster, NOW);
            health.learn(&cluster, empty());
            health.succeed(&cluster, NOW);
            health.learn(&cluster, empty());
        }
        assert_eq!((health.known.len(), health.unshared.len()), (MAX_CLUSTERS, MAX_CLUSTERS));
        assert_eq!(reason(&health, "0"), Some(FallbackReason::NoEndpoints));
        assert_eq!(reason(&health, "3000"), None, "one too many counts as unknown");
        health.expire(NOW + MAX_OUTAGE);
        assert_eq!((health.known.len(), health.unshared.len()), (0, 0));
    }

    #[test]
    fn shared_data_of_every_bad_kind_is_survived() {
        let pair = |name: &[u8], value: &[u8]| OwnedPairs(vec![(name.into(), value.into())]);
        let soon = (NOW + 1).to_le_bytes();
        let far = [b"m".as_slice(), &(NOW + 2 * MAX_OUTAGE).to_le_bytes()].concat();
        for (row, shared) in [
            ("no pairs", OwnedPairs::default()),
            ("no value", pair(b"a", b"")),
            ("a short time", pair(b"a", b"m123")),
            ("an unknown reason", pair(b"a", &[b"x".as_slice(), &soon].concat())),
            ("no UTF-8", pair(b"\xff", &[b"m".as_slice(), &soon].concat())),
            ("a time too far ahead", pair(b"a", &far)),
        ] {
            let mut health = ClusterHealth::default();
            health.merge(&shared, NOW, Fraction::default());
            assert_eq!(health.known, LiteMap::new(), "{row}");
        }
    }
}
