//! Host look-up: exact names, then the longest suffix wildcard, then `*`.

use canary_config::word_hash::WordMap;

/// The hash needs no secret, because all names come from the configuration.
type ByName = WordMap<Vec<u8>, usize>;

/// Names of hosts in lower case. Look-ups ignore case.
#[derive(Debug, Default)]
pub(crate) struct HostIndex {
    exact: ByName,
    /// By the length of the suffix, longest first.
    suffixes: Vec<(usize, ByName)>,
    any: Option<usize>,
}

impl HostIndex {
    /// Inserts a name. The first insertion of a name counts.
    pub(crate) fn insert(&mut self, name: String, index: usize) {
        match name.strip_prefix('*') {
            Some("") => {
                self.any.get_or_insert(index);
            }
            Some(suffix) => {
                let position = self.suffixes.partition_point(|(length, _)| *length > suffix.len());
                if self.suffixes.get(position).is_none_or(|(length, _)| *length != suffix.len()) {
                    self.suffixes.insert(position, (suffix.len(), ByName::default()));
                }
                if let Some((_, suffixes)) = self.suffixes.get_mut(position) {
                    suffixes.entry(suffix.as_bytes().to_vec()).or_insert(index);
                }
            }
            None => {
                self.exact.entry(name.into_bytes()).or_insert(index);
            }
        }
    }

    /// The index of a name as it was inserted. Wildcards are names, too.
    pub(crate) fn find_exactly(&self, name: &str) -> Option<usize> {
        match name.strip_prefix('*') {
            Some("") => self.any,
            Some(suffix) => self.suffixes.iter().find_map(|(_, suffixes)| suffixes.get(suffix.as_bytes()).copied()),
            None => self.exact.get(name.as_bytes()).copied(),
        }
    }

    /// The index for the host of a request.
    pub(crate) fn find(&self, host: &[u8]) -> Option<usize> {
        // Nearly every host is in lower case and has an exact entry.
        if let Some(index) = self.exact.get(host) {
            return Some(*index);
        }
        if host.iter().any(u8::is_ascii_uppercase) {
            return self.find(&host.to_ascii_lowercase());
        }
        let wildcard = self.suffixes.iter().find_map(|(length, suffixes)| {
            let start = host.len().checked_sub(*length).filter(|start| *start > 0)?;
            suffixes.get(host.get(start..)?).copied()
        });
        wildcard.or(self.any)
    }
}
