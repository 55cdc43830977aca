//! The documents in force.

use std::collections::BTreeSet;

use super::envoy::Given;
use crate::documents::Document;

/// The documents that Envoy's filters run by, as far as they have been seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Loaded(Vec<Given>);

impl Loaded {
    /// Takes over what Envoy shows, as far as it is in force: what has a number that the filters show. Documents that are in
    /// force still are kept, also where Envoy shows a refused one in their place.
    pub(super) fn update(&mut self, given: Vec<Given>, in_force: &BTreeSet<u64>) {
        if in_force.is_empty() {
            // The numbers are left out of the statistics: there is only what Envoy shows to go by.
            self.0 = given;
            return;
        }
        self.0.extend(given);
        let mut seen = BTreeSet::new();
        self.0.retain(|given| in_force.contains(&given.version) && seen.insert((given.plugin.clone(), given.version)));
    }

    /// Whether all of these are known.
    pub(super) fn has(&self, in_force: &BTreeSet<u64>) -> bool {
        in_force.iter().all(|version| self.0.iter().any(|document| document.version == *version))
    }

    /// The documents, under the names of their filters.
    ///
    /// # Errors
    /// When none is known.
    pub(super) fn documents(&self) -> Result<Vec<Document>, String> {
        let named = |given: &Given| Document::named(&given.plugin, given.document.clone());
        let documents: Vec<_> = self.0.iter().map(named).collect();
        if documents.is_empty() {
            return Err(
                "Envoy does not show the document that is in force: the filter is not loaded, or has refused the \
                        last one that came; --config FILE explains by a file"
                    .to_owned(),
            );
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_in_force_are_kept() {
        let given = |version: u64| Given { plugin: "canary".to_owned(), version, document: json!({"number": version}) };
        let mut loaded = Loaded::default();
        assert!(loaded.documents().is_err());
        for (row, shown, in_force, expected) in [
            ("refused before anything was seen", vec![2], vec![1], vec![]),
            ("in force", vec![1], vec![1], vec![1]),
            ("another is refused", vec![2], vec![1], vec![1]),
            ("another is in force", vec![3], vec![3], vec![3]),
            ("of two filters", vec![3, 4], vec![3, 4], vec![3, 4]),
            ("nothing is shown", vec![], vec![3, 4], vec![3, 4]),
            ("the filter has gone", vec![], vec![5], vec![]),
        ] {
            let in_force: BTreeSet<u64> = in_force.into_iter().collect();
            loaded.update(shown.into_iter().map(given).collect(), &in_force);
            assert_eq!(loaded.0.iter().map(|given| given.version).collect::<Vec<_>>(), expected, "{row}");
            assert_eq!(loaded.has(&in_force), !expected.is_empty(), "{row}");
        }
        let mut loaded = Loaded::default();
        loaded.update(vec![given(1)], &BTreeSet::new());
        assert!(loaded.documents().is_ok_and(|documents| documents.len() == 1), "there are no numbers to go by");
    }
}
