//! What a VM knows of clusters that cannot serve, where the proxy has no failover clusters.
//!
//! Pure: time is an argument, in nanoseconds since the Unix epoch, the one clock that all workers share. Looking a cluster
//! up takes no time into account, so that a request costs no host call; the tick removes what has expired.

use canary_routing::{FallbackReason, Fraction};
use litemap::LiteMap;

use crate::health::exchange::Exchanged;
use crate::host::{OwnedPairs, Pairs};

/// How long a cluster that cannot serve is passed over, in nanoseconds: short enough for one that comes back to be used
/// at once by human measure, long enough for one that stays away to cost at most one request in so many seconds.
pub(crate) const PASSED_OVER: u64 = 5_000_000_000;
/// Most clusters that are remembered; further ones count as unknown.
const MAX_CLUSTERS: usize = 1_024;

/// A cluster that cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) reason: FallbackReason,
    /// When the next request may try again.
    pub(crate) until: u64,
}

impl Down {
    /// Found at this time.
    pub(crate) const fn found(reason: FallbackReason, now: u64) -> Self {
        Self { reason, until: now.saturating_add(PASSED_OVER) }
    }

    /// When it was found.
    const fn since(self) -> u64 {
        self.until.saturating_sub(PASSED_OVER)
    }
}

/// What a VM knows.
#[derive(Debug, Default)]
pub(crate) struct ClusterHealth {
    known: LiteMap<String, Down>,
    /// What other VMs have not been told yet: a cluster that cannot serve, or `None` for one that can again.
    unshared: LiteMap<String, Option<Down>>,
    /// When the tick last came.
    now: u64,
}

impl ClusterHealth {
    /// When the tick last came.
    pub(crate) const fn last_tick(&self) -> u64 {
        self.now
    }

    /// Why a cluster cannot serve.
    pub(crate) fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.known.get(cluster).map(|down| down.reason)
    }

    /// Notes that a cluster cannot serve.
    pub(crate) fn learn(&mut self, cluster: &str, down: Down) {
        if insert(&mut self.known, cluster, down) {
            insert(&mut self.unshared, cluster, Some(down));
        }
    }

    /// Whether a success of the cluster would be news, for a request that began at this time: one that began before the
    /// cluster was found unable to serve says nothing of what it can do since.
    pub(crate) fn wants_success(&self, cluster: &str, began: u64) -> bool {
        self.known.get(cluster).is_some_and(|down| began >= down.since())
    }

    /// Notes that a cluster has served a request that began at this time.
    pub(crate) fn succeed(&mut self, cluster: &str, began: u64) {
        if self.wants_success(cluster, began) {
            self.known.remove(cluster);
            insert(&mut self.unshared, cluster, None);
        }
    }
}

impl Exchanged for ClusterHealth {
    const KEY: &'static str = "canary_clusters";

    fn now(&self) -> u64 {
        self.now
    }

    fn merge(&mut self, shared: &impl Pairs, now: u64, _jitter: Fraction) -> Option<OwnedPairs> {
        self.now = now;
        let before = decode(shared);
        let mut known = before.clone();
        for (cluster, news) in &self.unshared {
            match news {
                Some(down) => {
                    insert(&mut known, cluster, *down);
                }
                None => {
                    known.remove(cluster);
                }
            }
        }
        // A clock that was set back must not make a short time long.
        known.retain(|_, down| down.until > now && down.until <= now.saturating_add(PASSED_OVER));
        let is_new = known != before;
        self.known = known;
        is_new.then(|| encode(&self.known))
    }

    fn exchanged(&mut self) {
        self.unshared.clear();
    }

    fn expire(&mut self, now: u64) {
        self.now = now;
        self.known.retain(|_, down| down.until > now);
        self.unshared.retain(|_, down| down.is_some_and(|down| down.until > now));
    }
}

/// False where the map is full.
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

/// The cluster, and a byte for the reason before eight for the time, little-endian.
fn encode(known: &LiteMap<String, Down>) -> OwnedPairs {
    let entries = known.iter().filter_map(|(cluster, down)| {
        let code = match down.reason {
            FallbackReason::MissingCluster => b'm',
            FallbackReason::NoEndpoints => b'e',
            FallbackReason::UnknownVersion | FallbackReason::Ejected | FallbackReason::Failed => return None,
        };
        let value: Vec<u8> = std::iter::once(code).chain(down.until.to_le_bytes()).collect();
        Some((cluster.as_bytes().into(), value.into()))
    });
    OwnedPairs(entries.collect())
}

/// What is malformed is left out: the next one to write it puts it right.
fn decode(shared: &impl Pairs) -> LiteMap<String, Down> {
    let mut known = LiteMap::new();
    let entries = shared.pairs().filter_map(|(cluster, value)| {
        let (code, until) = value.split_first()?;
        let reason = match code {
            b'm' => FallbackReason::MissingCluster,
            b'e' => FallbackReason::NoEndpoints,
            _ => return None,
        };
        let until = u64::from_le_bytes(until.try_into().ok()?);
        Some((str::from_utf8(cluster).ok()?.to_owned(), Down { reason, until }))
    });
    for (cluster, down) in entries.take(MAX_CLUSTERS) {
        known.insert(cluster, down);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    fn empty() -> Down {
        Down::found(FallbackReason::NoEndpoints, NOW)
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
        teller.exchanged();
        let mut hearer = ClusterHealth::default();
        assert_eq!(hearer.merge(&shared, NOW + 1, Fraction::default()), None);
        assert_eq!(reason(&hearer, "a"), Some(FallbackReason::NoEndpoints));
        assert_eq!(reason(&hearer, "b"), None);
        let left = hearer.merge(&shared, NOW + PASSED_OVER, Fraction::default()).unwrap();
        assert_eq!(reason(&hearer, "a"), None);
        assert_eq!(decode(&left), LiteMap::new());
    }

    #[test]
    fn a_success_clears_everywhere() {
        let mut teller = knowing("a");
        let shared = teller.merge(&OwnedPairs::default(), NOW, Fraction::default()).unwrap();
        teller.exchanged();
        assert!(teller.wants_success("a", NOW));
        teller.succeed("a", NOW);
        assert!(!teller.wants_success("a", NOW));
        assert_eq!(reason(&teller, "a"), None);
        assert_eq!(decode(&teller.merge(&shared, NOW + 1, Fraction::default()).unwrap()), LiteMap::new());
    }

    #[test]
    fn a_request_that_began_before_says_nothing_of_what_came_after() {
        let mut health = knowing("a");
        assert!(!health.wants_success("a", NOW - 1));
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
        health.expire(NOW + PASSED_OVER);
        assert_eq!((health.known.len(), health.unshared.len()), (0, 0));
    }

    #[test]
    fn shared_data_of_every_bad_kind_is_survived() {
        let pair = |name: &[u8], value: &[u8]| OwnedPairs(vec![(name.into(), value.into())]);
        let soon = (NOW + 1).to_le_bytes();
        let far = [b"m".as_slice(), &(NOW + 2 * PASSED_OVER).to_le_bytes()].concat();
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
