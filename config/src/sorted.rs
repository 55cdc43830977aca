//! Sorting where it is rare: one copy of the algorithm in the .wasm, instead of some 4 KB for every type.

use std::cmp::Ordering;

/// The items in order; equal ones stay in the order in which they came.
pub fn sorted<T>(items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(items.len(), &|left, right| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Ordering::Equal,
    });
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(items.len());
    for place in order {
        if let Some(item) = items.get_mut(place).and_then(Option::take) {
            sorted.push(item);
        }
    }
    sorted
}

fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|left, right| compare(*left, *right));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_and_equal_ones_keep_their_order() {
        let words = ["pear", "fig", "apple", "kiwi", "date", "lime", "plum", "nut"];
        let by_length = sorted(words.to_vec(), |left, right| left.len().cmp(&right.len()));
        assert_eq!(by_length, ["fig", "nut", "pear", "kiwi", "date", "lime", "plum", "apple"]);
        assert_eq!(sorted(Vec::<u8>::new(), u8::cmp), [0; 0]);
    }
}
