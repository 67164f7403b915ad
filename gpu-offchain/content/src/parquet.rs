//! Parquet, in the child: rows into texts.

use crate::{sandbox::Texts, shape::Shape};
use bytes::Bytes;
use parquet::{
    errors::{ParquetError, Result as ParquetResult},
    file::reader::{ChunkReader, FileReader, Length, SerializedFileReader},
    record::{reader::RowIter, Field},
    schema::types::Type,
};
use std::{
    fs::File,
    io::{BufReader, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

/// A file read by position, so that nothing needs opening again.
struct Whole {
    file: Arc<File>,
    length: u64,
}

impl Length for Whole {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Whole {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(From {
            file: self.file.clone(),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        // A length is a claim: nothing is reserved for what the file cannot hold.
        let end = start.checked_add(length as u64).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {}",
                self.length
            )));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A file from a position on.
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

/// The texts of all rows.
pub(crate) fn parse(file: File, texts: &mut Texts) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let whole = Whole {
        file: Arc::new(file),
        length,
    };
    let flaw = |error: ParquetError| format!("it is no Parquet file that can be read ({error})");
    let reader = SerializedFileReader::new(whole).map_err(flaw)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let root = schema.root_schema();
    let columns = root.get_fields();
    let names: Vec<String> = columns.iter().map(|field| field.name().to_owned()).collect();
    let mut shape = Shape::of(&names);
    let mut rows = RowIter::from_file_into(Box::new(reader));
    if let Some(read) = shape.columns() {
        // Other columns are not even unpacked; those that are read now count from 0 in the file's order.
        let mut order = read.clone();
        order.sort_unstable();
        let fields = order.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        let projection = Type::group_type_builder(root.name())
            .with_fields(fields)
            .build()
            .map_err(flaw)?;
        rows = rows.project(Some(projection)).map_err(flaw)?;
        let now = |at: usize| order.iter().position(|other| *other == at).unwrap_or_default();
        shape = match shape {
            Shape::Whole(at) => Shape::Whole(now(at)),
            Shape::Pair(ask, answer) => Shape::Pair(now(ask), now(answer)),
            lines => lines,
        };
    }
    for (number, row) in (1u64..).zip(rows) {
        let row = row.map_err(|error| format!("row {number} cannot be read ({error})"))?;
        let mut values = Vec::new();
        for (name, field) in row.get_column_iter() {
            values.push(value(field).ok_or_else(|| format!("row {number}: column {name} is not UTF-8"))?);
        }
        texts.push(&shape.text(|at| values.get(at).map_or("", String::as_str)))?;
    }
    Ok(())
}

/// A value as text; none if it is bytes that are not.
fn value(field: &Field) -> Option<String> {
    match field {
        Field::Null => Some(String::new()),
        Field::Str(text) => Some(text.clone()),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).ok().map(str::to_owned),
        other => Some(other.to_string()),
    }
}
