//! The texts of files and folders.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::syntax::SyntaxError;

/// The files that names stand for: a folder stands for the `.yaml`, `.yml` and `.json` files below it, in order.
///
/// # Errors
/// The name that cannot be read, and why.
pub(super) fn expand(names: &[String]) -> Result<Vec<String>, (String, SyntaxError)> {
    let mut files = Vec::new();
    for name in names {
        let path = Path::new(name);
        if name == "-" || !path.is_dir() {
            files.push(name.clone());
            continue;
        }
        let mut found = Vec::new();
        collect(path, &mut found).map_err(|error| (name.clone(), unreadable(&error)))?;
        found.sort();
        if found.is_empty() {
            let message = "no .yaml, .yml or .json file in this folder".to_owned();
            return Err((name.clone(), SyntaxError { at: None, message }));
        }
        files.extend(found.into_iter().map(|file| file.display().to_string()));
    }
    Ok(files)
}

/// Hidden files and folders are left out.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_manifest =
            path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|one| ending == *one));
        if path.is_dir() && !is_hidden {
            collect(&path, found)?;
        } else if is_manifest && !is_hidden {
            found.push(path);
        }
    }
    Ok(())
}

/// The text of a file in UTF-8 or, with a byte order mark, UTF-16; `-` is standard input.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn read(file: &str) -> Result<String, SyntaxError> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    decode(bytes.map_err(|error| unreadable(&error))?)
}

fn unreadable(error: &io::Error) -> SyntaxError {
    let message = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    };
    SyntaxError { at: None, message }
}

fn decode(bytes: Vec<u8>) -> Result<String, SyntaxError> {
    let units = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.as_chunks().0.iter().copied().map(unit).collect();
        String::from_utf16(&units).map_err(|_| not_a_text())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).map_err(|_| not_a_text()),
        _ => String::from_utf8(bytes).map_err(|_| not_a_text()),
    }
}

fn not_a_text() -> SyntaxError {
    SyntaxError { at: None, message: "neither UTF-8 nor UTF-16 with a byte order mark".to_owned() }
}
