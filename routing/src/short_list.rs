//! A list that needs no allocation while it is short. Unlike `smallvec`'s it is covariant, so a request's head can be
//! lent for a shorter lifetime.

use arrayvec::ArrayVec;

/// Up to `N` items in place, and more on the heap.
#[derive(Debug, Clone)]
pub(crate) struct ShortList<T, const N: usize> {
    few: ArrayVec<T, N>,
    more: Vec<T>,
}

impl<T: Copy, const N: usize> ShortList<T, N> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { few: ArrayVec::new(), more: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.few.len().saturating_add(self.more.len())
    }

    pub(crate) fn push(&mut self, item: T) {
        if let Err(item) = self.few.try_push(item) {
            self.more.push(item.element());
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.few.get(index).or_else(|| self.more.get(index.checked_sub(N)?))
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.few.get_mut(index).or_else(|| self.more.get_mut(index.checked_sub(N)?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.few.iter().chain(&self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::ShortList;

    #[test]
    fn items_are_found_wherever_they_are() {
        let mut list = ShortList::<u32, 3>::new();
        for number in 0..10_u32 {
            assert_eq!((list.len(), list.get(list.len())), (number as usize, None), "before {number}");
            list.push(number);
            list.get_mut(number as usize).into_iter().for_each(|item| *item += 100);
            let all: Vec<u32> = (100..=number + 100).collect();
            assert_eq!(list.iter().copied().collect::<Vec<_>>(), all);
            assert_eq!(list.get(number as usize), Some(&(number + 100)));
        }
    }
}
