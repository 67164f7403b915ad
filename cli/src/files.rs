//! Files that survive a power cut: what is written is either wholly there or not at all.

use crate::{Error, Result};
use serde::{de::DeserializeOwned, Serialize};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

/// Replaces a file. When it returns, the new content is on the disk; whatever happens before that, the old one is.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let error = |e: std::io::Error| Error::file(path, e);
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(error)?;
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Salts open a consumer's texts, so nobody else reads these files.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).map_err(error)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(error)?;
    fs::rename(&temporary, path).map_err(error)?;
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(error)
}

/// [`replace`] with the JSON of a value.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::file(path, e))?;
    bytes.push(b'\n');
    replace(path, &bytes)
}

/// What [`write_json`] wrote, or nothing if there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::file(path, e)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        Error::file(
            path,
            format!("{e}; it was changed by hand or by another version: move it away"),
        )
    })
}
