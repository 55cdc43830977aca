//! Where the user wrote something.

use std::fmt;

/// Where a part of the document was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file's name as the user gave it.
    pub(crate) file: String,
    /// The number of the YAML document in the file, from 1; `None` where the file has only one.
    pub(crate) document: Option<usize>,
    /// JSON pointer of the part in that document.
    pub(crate) pointer: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(number) = self.document {
            write!(f, ": document {number}")?;
        }
        write!(f, ": {}", if self.pointer.is_empty() { "/" } else { &self.pointer })
    }
}
