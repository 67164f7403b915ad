//! Files that are there whole or not at all: written under another name, made durable, renamed.

use crate::{Error, Result};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// A file being written; [`finish`](Self::finish) puts it in its place. What was not finished stays beside it under the same name with
/// the ending `draft`, and the next draft of the file replaces it.
pub struct Draft {
    to: PathBuf,
    draft: PathBuf,
    file: BufWriter<File>,
}

impl Draft {
    /// Starts the file that will be at `to`.
    pub fn new(to: PathBuf) -> Result<Self> {
        let draft = to.with_extension("draft");
        let file = File::create(&draft).map_err(Error::io(&draft))?;
        Ok(Self {
            to,
            draft,
            file: BufWriter::with_capacity(1 << 20, file),
        })
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.draft))
    }

    /// Durable and in its place when this returns.
    pub fn finish(self) -> Result<()> {
        let Self { to, draft, file } = self;
        let file = file
            .into_inner()
            .map_err(|error| Error::io(&draft)(error.into_error()))?;
        file.sync_all().map_err(Error::io(&draft))?;
        fs::rename(&draft, &to).map_err(Error::io(&to))?;
        sync_names(&to)
    }
}

/// Makes the names in the folder of `path` durable.
pub fn sync_names(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        // A name alone is one in the current folder.
        Some(folder) if folder == Path::new("") => Path::new("."),
        Some(folder) => folder,
        None => return Ok(()),
    };
    crate::store::sync_folder(folder)
}
