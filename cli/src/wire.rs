//! Canonical bytes as they travel: hexadecimal in JSON, raw in files.

use openledger_attribution::wire::{Field, Object, Reader};

/// `0x` and hexadecimal digits.
pub fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Bytes of hexadecimal digits, with or without `0x`.
pub fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text.trim_start_matches("0x")).map_err(|e| e.to_string())
}

/// An object in hexadecimal.
pub fn object<T: Object>(text: &str) -> Result<T, String> {
    T::decode(&bytes_of(text)?).map_err(|e| e.to_string())
}

/// A value without version byte, in hexadecimal.
pub fn field<T: Field>(text: &str) -> Result<T, String> {
    field_of(&bytes_of(text)?)
}

/// A value without version byte, all of the bytes.
pub fn field_of<T: Field>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader).map_err(|e| e.to_string())?;
    reader.finish().map_err(|e| e.to_string())?;
    Ok(value)
}

/// A value's bytes, without version byte.
pub fn bytes_of_field(value: &impl Field) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}
