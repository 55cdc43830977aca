//! Reads strings and messages in the Protocol Buffers wire format.

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'m> {
    /// A string, bytes, or a message.
    Bytes(&'m [u8]),
    /// A number of any kind. Its value is not used.
    Number,
}

/// The fields of a message with their numbers, in order. Stops at the first malformed field.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = (u32, Field<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let (number, field, after) = read_field(rest)?;
        rest = after;
        Some((number, field))
    })
}

fn read_field(bytes: &[u8]) -> Option<(u32, Field<'_>, &[u8])> {
    let (tag, rest) = read_varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok()?;
    let (field, rest) = match tag & 7 {
        0 => (Field::Number, read_varint(rest)?.1),
        1 => (Field::Number, rest.split_at_checked(8)?.1),
        2 => {
            let (size, rest) = read_varint(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            (Field::Bytes(bytes), rest)
        }
        5 => (Field::Number, rest.split_at_checked(4)?.1),
        // Groups are obsolete, and no message here has one.
        _ => return None,
    };
    Some((number, field, rest))
}

/// Reads seven bits from each byte, the lowest first. At most ten bytes.
fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in (0..10_u32).zip(bytes) {
        value |= u64::from(byte & 0x7f).checked_shl(index.saturating_mul(7))?;
        if byte & 0x80 == 0 {
            let size = usize::try_from(index).ok()?.saturating_add(1);
            return Some((value, bytes.get(size..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_end_or_what_is_malformed() {
        let huge_size = b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let endless = [b"\x08".as_slice(), &[0x80; 11]].concat();
        for (row, message, expected) in [
            ("nothing", b"".as_slice(), vec![]),
            ("bytes", b"\x0a\x02ab", vec![(1, Field::Bytes(b"ab"))]),
            ("empty bytes", b"\x12\x00", vec![(2, Field::Bytes(b""))]),
            (
                "every kind of number",
                b"\x08\x96\x01\x11abcdefgh\x1dabcd",
                vec![(1, Field::Number), (2, Field::Number), (3, Field::Number)],
            ),
            ("a number of two bytes", b"\x82\x01\x01x", vec![(16, Field::Bytes(b"x"))]),
            (
                "a size of two bytes",
                &[b"\x0a\x80\x01".as_slice(), &[7; 128]].concat(),
                vec![(1, Field::Bytes(&[7; 128]))],
            ),
            ("the second is cut", b"\x0a\x01a\x0a\x02b", vec![(1, Field::Bytes(b"a"))]),
            ("a tag without field", b"\x0a", vec![]),
            ("a fixed number is cut", b"\x09abc", vec![]),
            ("a huge size", huge_size, vec![]),
            ("an endless number", &endless, vec![]),
            ("a group", b"\x0b\x0c", vec![]),
        ] {
            assert_eq!(fields(message).collect::<Vec<_>>(), expected, "{row}");
        }
    }
}
