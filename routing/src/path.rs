//! The parts of `:path`.

/// The path without query and fragment.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    match path.iter().position(|byte| matches!(byte, b'?' | b'#')) {
        Some(end) => path.get(..end).unwrap_or(path),
        None => path,
    }
}

/// The first value of a query parameter, as sent (nothing is decoded); a parameter without `=` has the empty value.
pub(crate) fn query_param<'p>(path: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let start = path.iter().position(|byte| *byte == b'?')?;
    let query = path.get(start.checked_add(1)?..)?;
    let query = query.split(|byte| *byte == b'#').next()?;
    query.split(|byte| *byte == b'&').find_map(|parameter| {
        let mut halves = parameter.splitn(2, |byte| *byte == b'=');
        (halves.next() == Some(name) && !parameter.is_empty()).then(|| halves.next().unwrap_or_default())
    })
}
