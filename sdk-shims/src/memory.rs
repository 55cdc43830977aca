//! The module's own `memcpy`, `memmove` and `memcmp`, which handle 16 bytes at a time.
//!
//! The C library compares byte by byte. The instruction `memory.copy` leaves the VM's code, which takes 9 ns in V8 even
//! for one byte. Most copies and comparisons of a request are shorter than 64 bytes, and take 3 ns here
//! (`docs/artefact.md`).
#![expect(unsafe_code, reason = "raw memory, under the names that the compiler calls")]

use std::array;

use block::{BLOCK, Block};

/// Larger sizes use [`block::copy_many`].
const MAX_SMALL: usize = 128;

/// The functions that the compiler calls. The linker prefers them to the C library's.
#[cfg(target_arch = "wasm32")]
mod exports {
    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { super::copy(target, source, size) };
        target
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise; `copy` takes ranges that overlap.
        unsafe { super::copy(target, source, size) };
        target
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { super::compare(left, right, size) }
    }
}

/// Copies `size` bytes. The ranges may overlap: everything is read before anything is written.
///
/// # Safety
/// `source` is readable and `target` writable for `size` bytes.
#[inline]
unsafe fn copy(target: *mut u8, source: *const u8, size: usize) {
    // SAFETY: the units that each branch copies fit within `size`, which it has compared.
    unsafe {
        match size {
            0 => {}
            1..4 => copy_few(target, source, size),
            4..8 => copy_ends::<u32>(target, source, size),
            8..BLOCK => copy_ends::<u64>(target, source, size),
            BLOCK..=32 => copy_blocks::<1>(target, source, size),
            33..=64 => copy_blocks::<2>(target, source, size),
            65..=MAX_SMALL => copy_blocks::<4>(target, source, size),
            _ => block::copy_many(target, source, size),
        }
    }
}

/// # Safety
/// As [`copy`]; `size` is 1, 2 or 3.
#[inline]
unsafe fn copy_few(target: *mut u8, source: *const u8, size: usize) {
    let (middle, last) = (size / 2, size.wrapping_sub(1));
    // SAFETY: the first, the middle and the last of at least one byte.
    unsafe {
        let (a, b, c) = (*source, *source.add(middle), *source.add(last));
        *target = a;
        *target.add(middle) = b;
        *target.add(last) = c;
    }
}

/// Copies the first and the last `T`, which may overlap.
///
/// # Safety
/// As [`copy`]; `size` is one or two `T`, or between.
#[inline]
unsafe fn copy_ends<T>(target: *mut u8, source: *const u8, size: usize) {
    let end = size.wrapping_sub(size_of::<T>());
    // SAFETY: a `T` fits within `size`, at both ends; the accesses need no alignment.
    unsafe {
        let first = source.cast::<T>().read_unaligned();
        let last = source.add(end).cast::<T>().read_unaligned();
        target.cast::<T>().write_unaligned(first);
        target.add(end).cast::<T>().write_unaligned(last);
    }
}

/// Copies the first and the last `N` blocks, which may overlap.
///
/// # Safety
/// As [`copy`]; `size` is `N` or `2 * N` blocks, or between.
#[inline]
unsafe fn copy_blocks<const N: usize>(target: *mut u8, source: *const u8, size: usize) {
    let end = size.wrapping_sub(N.wrapping_mul(BLOCK));
    // SAFETY: `N` blocks fit within `size`, at both ends.
    unsafe {
        let first: [Block; N] = array::from_fn(|n| block::load(source.add(n.wrapping_mul(BLOCK))));
        let last: [Block; N] = array::from_fn(|n| block::load(source.add(end.wrapping_add(n.wrapping_mul(BLOCK)))));
        for (n, block) in first.iter().enumerate() {
            block::store(target.add(n.wrapping_mul(BLOCK)), *block);
        }
        for (n, block) in last.iter().enumerate() {
            block::store(target.add(end.wrapping_add(n.wrapping_mul(BLOCK))), *block);
        }
    }
}

/// Negative, 0 or positive: the first byte that differs is smaller in `left`, there is none, or it is larger.
///
/// # Safety
/// Both are readable for `size` bytes.
#[inline]
unsafe fn compare(left: *const u8, right: *const u8, size: usize) -> i32 {
    // SAFETY: each access stays within `size`: a whole unit at `at`, or the last whole unit, which has been seen to fit.
    unsafe {
        if size >= BLOCK {
            let mut at = 0_usize;
            while at.wrapping_add(BLOCK) <= size {
                let order = block::compare(left.add(at), right.add(at));
                if order != 0 {
                    return order;
                }
                at = at.wrapping_add(BLOCK);
            }
            return block::compare(left.add(size.wrapping_sub(BLOCK)), right.add(size.wrapping_sub(BLOCK)));
        }
        if size >= 8 {
            let first = compare_words(left, right);
            return if first == 0 {
                compare_words(left.add(size.wrapping_sub(8)), right.add(size.wrapping_sub(8)))
            } else {
                first
            };
        }
        if size >= 4 {
            let first = compare_half_words(left, right);
            return if first == 0 {
                compare_half_words(left.add(size.wrapping_sub(4)), right.add(size.wrapping_sub(4)))
            } else {
                first
            };
        }
        for at in 0..size {
            let order = i32::from(*left.add(at)).wrapping_sub(i32::from(*right.add(at)));
            if order != 0 {
                return order;
            }
        }
        0
    }
}

/// # Safety
/// Both are readable for 8 bytes.
#[inline]
unsafe fn compare_words(left: *const u8, right: *const u8) -> i32 {
    // SAFETY: the caller's promise; the accesses need no alignment.
    let (left, right) = unsafe { (left.cast::<u64>().read_unaligned(), right.cast::<u64>().read_unaligned()) };
    // Most words are equal, and reversing the bytes is slow.
    if left == right { 0 } else { u64::from_be(left).cmp(&u64::from_be(right)) as i32 }
}

/// # Safety
/// Both are readable for 4 bytes.
#[inline]
unsafe fn compare_half_words(left: *const u8, right: *const u8) -> i32 {
    // SAFETY: the caller's promise; the accesses need no alignment.
    let (left, right) = unsafe { (left.cast::<u32>().read_unaligned(), right.cast::<u32>().read_unaligned()) };
    if left == right { 0 } else { u32::from_be(left).cmp(&u32::from_be(right)) as i32 }
}

#[cfg(target_arch = "wasm32")]
mod block {
    use std::arch::wasm32::{i8x16_bitmask, i8x16_ne, v128, v128_load, v128_store};

    pub(super) const BLOCK: usize = 16;
    pub(super) type Block = v128;

    /// # Safety
    /// `at` is readable for a block.
    #[inline]
    pub(super) unsafe fn load(at: *const u8) -> Block {
        // SAFETY: the caller's promise; the instruction needs no alignment.
        unsafe { v128_load(at.cast()) }
    }

    /// # Safety
    /// `at` is writable for a block.
    #[inline]
    pub(super) unsafe fn store(at: *mut u8, block: Block) {
        // SAFETY: the caller's promise; the instruction needs no alignment.
        unsafe { v128_store(at.cast(), block) };
    }

    /// # Safety
    /// Both are readable for a block.
    #[inline]
    pub(super) unsafe fn compare(left: *const u8, right: *const u8) -> i32 {
        // SAFETY: the caller's promise; the byte that differs lies within the block.
        unsafe {
            let different = i8x16_bitmask(i8x16_ne(load(left), load(right)));
            if different == 0 {
                return 0;
            }
            let at = different.trailing_zeros() as usize;
            i32::from(*left.add(at)).wrapping_sub(i32::from(*right.add(at)))
        }
    }

    /// The instruction `memory.copy`.
    ///
    /// # Safety
    /// As [`super::copy`].
    #[inline(never)]
    #[target_feature(enable = "bulk-memory")]
    pub(super) unsafe fn copy_many(target: *mut u8, source: *const u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { source.copy_to(target, size) };
    }
}

/// The same functions for native tests.
#[cfg(not(target_arch = "wasm32"))]
mod block {
    pub(super) const BLOCK: usize = 16;
    pub(super) type Block = u128;

    /// # Safety
    /// `at` is readable for a block.
    pub(super) unsafe fn load(at: *const u8) -> Block {
        // SAFETY: the caller's promise; the access needs no alignment.
        unsafe { at.cast::<Block>().read_unaligned() }
    }

    /// # Safety
    /// `at` is writable for a block.
    pub(super) unsafe fn store(at: *mut u8, block: Block) {
        // SAFETY: the caller's promise; the access needs no alignment.
        unsafe { at.cast::<Block>().write_unaligned(block) };
    }

    /// # Safety
    /// Both are readable for a block.
    pub(super) unsafe fn compare(left: *const u8, right: *const u8) -> i32 {
        // SAFETY: the caller's promise.
        let blocks = unsafe { [left, right].map(|at| Block::from_be(load(at))) };
        blocks[0].cmp(&blocks[1]) as i32
    }

    /// # Safety
    /// As [`super::copy`].
    pub(super) unsafe fn copy_many(target: *mut u8, source: *const u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { source.copy_to(target, size) };
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::{BLOCK, MAX_SMALL};

    /// Covers every branch, and the first sizes that use `copy_many`.
    const SIZES: std::ops::RangeInclusive<usize> = 0..=MAX_SMALL + 2 * BLOCK;

    fn bytes(count: usize) -> Vec<u8> {
        let seed = |at: usize| u8::try_from(at * 7 % 251).unwrap_or_default();
        (0..count).map(seed).collect()
    }

    #[test]
    fn copies_every_size_and_nothing_around_it() {
        for size in SIZES {
            let source = bytes(size);
            let mut target = vec![0xEE; size + 2];
            // SAFETY: `source` has `size` bytes, `target` two more.
            unsafe { super::copy(target[1..].as_mut_ptr(), source.as_ptr(), size) };
            assert_eq!((target[0], target[size + 1]), (0xEE, 0xEE), "around {size} bytes");
            assert_eq!(&target[1..=size], source, "{size} bytes");
        }
    }

    #[test]
    fn copies_ranges_that_overlap() {
        for size in SIZES {
            for distance in [1, 3, 8, BLOCK, 3 * BLOCK] {
                for (from, to) in [(0, distance), (distance, 0)] {
                    let (mut expected, mut found) = (bytes(size + distance), bytes(size + distance));
                    expected.copy_within(from..from + size, to);
                    let start = found.as_mut_ptr();
                    // SAFETY: both ranges lie within `found`.
                    unsafe { super::copy(start.add(to), start.add(from), size) };
                    assert_eq!(found, expected, "{size} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn compares_every_size_by_the_first_byte_that_differs() {
        let order = |left: &[u8], right: &[u8]| {
            // SAFETY: both have as many bytes.
            unsafe { super::compare(left.as_ptr(), right.as_ptr(), left.len()) }
        };
        for size in SIZES {
            let left = bytes(size);
            assert_eq!(order(&left, &left.clone()), 0, "{size} bytes that are equal");
            for at in 0..size {
                for value in [0, 0x7F, 0x80, 0xFF] {
                    let mut right = left.clone();
                    right[at] = value;
                    // A later byte that differs in the other direction must not count.
                    if at + 1 < size {
                        right[size - 1] = !left[size - 1];
                    }
                    let expected = left.cmp(&right) as i32;
                    assert_eq!(order(&left, &right).signum(), expected, "{size} bytes, {value} at {at}");
                    assert_eq!(order(&right, &left).signum(), -expected, "{size} bytes, {value} at {at}");
                }
            }
        }
    }
}
