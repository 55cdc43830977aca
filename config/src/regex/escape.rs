//! Escapes of one character.

use super::cursor::Cursor;

/// The character of an escape, in a class or outside of one. The backslash is already read.
pub(super) fn character(rest: &mut Cursor<'_>) -> Result<char, String> {
    let c = rest.next().ok_or("trailing backslash at end of expression")?;
    let unknown = || format!("invalid escape sequence: \\{c}");
    match c {
        'a' => Ok('\x07'),
        'f' => Ok('\x0C'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\x0B'),
        'x' => hexadecimal(rest),
        '0'..='7' => octal(c, rest).ok_or_else(unknown),
        'C' => Err("\\C (any byte) is not supported, nor does Istio accept it".to_owned()),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
        _ => Err(unknown()),
    }
}

/// `\x41` or `\x{1F600}`.
fn hexadecimal(rest: &mut Cursor<'_>) -> Result<char, String> {
    let digits: String = if rest.eat("{") {
        rest.take_until("}").ok_or("invalid escape sequence: \\x{")?.to_owned()
    } else {
        std::iter::from_fn(|| rest.next()).take(2).collect()
    };
    let braced = digits.len() != 2;
    let code = u32::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(char::from_u32);
    code.ok_or_else(|| {
        if braced {
            format!("invalid escape sequence: \\x{{{digits}}}")
        } else {
            format!("invalid escape sequence: \\x{digits}")
        }
    })
}

/// `\0` with up to two more digits, or `\1`–`\7` with at least one more. A single digit would be a back-reference.
fn octal(first: char, rest: &mut Cursor<'_>) -> Option<char> {
    let mut code = first.to_digit(8)?;
    let mut digits = 1_u32;
    while digits < 3 {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else { break };
        rest.next();
        code = code.saturating_mul(8).saturating_add(digit);
        digits = digits.saturating_add(1);
    }
    if first != '0' && digits == 1 { None } else { char::from_u32(code) }
}
