//! Files into records.
//!
//! | Ending | A record is |
//! | --- | --- |
//! | `.txt` | the file |
//! | `.md` | a section: from a heading of level 1 or 2 to the next; code blocks are left alone |
//! | `.jsonl` | a line: a string, or an object's `text`, `content` or pair |
//! | `.csv`, `.parquet` | a row: its column `text`, `content` or pair, else all its fields as `name: value` lines |
//! | `.pdf` | a page |
//!
//! A pair is `prompt` and `response`, `question` and `answer`, or `instruction` and `output`: the first, a blank
//! line, the second. Texts that are empty in canonical form are left out, as are pairs with an empty half. Only
//! one record is in memory at a time. PDF and Parquet need a program that lets a child parse them
//! ([`sandbox`](crate::sandbox)).

use crate::{record::MAX_RAW, sandbox, shape::Shape, Error, Record, Result};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// What kind of text a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// JSON, one value a line.
    JsonLines,
    /// Comma-separated values with a head line.
    Csv,
    /// Columns in the Parquet format.
    Parquet,
    /// Pages.
    Pdf,
}

impl Format {
    /// By the file's ending.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("txt") => Ok(Self::Text),
            Some("md") => Ok(Self::Markdown),
            Some("jsonl") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            Some("pdf") => Ok(Self::Pdf),
            _ => Err(Error::Format {
                path: path.to_path_buf(),
            }),
        }
    }
}

/// All records of a file.
pub fn read_file(path: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    read_file_with(path, &sandbox::Limits::default(), |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

/// Calls `each` with the records of a file, in order. `limits` are for formats that a child parses.
///
/// Errors: what is wrong with the file, with its name, and what `each` returns.
pub fn read_file_with(
    path: &Path,
    limits: &sandbox::Limits,
    mut each: impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let format = Format::of(path)?;
    let file = File::open(path).map_err(Error::io(path))?;
    match format {
        Format::Parquet | Format::Pdf => {
            let mut number = 0u64;
            sandbox::parse(format, file, limits, &mut |text| {
                number += 1;
                match Record::checked(text).map_err(|error| error.at(number))? {
                    Some(record) => each(record),
                    None => Ok(()),
                }
            })
        }
        _ => read_records(format, BufReader::new(file), each),
    }
    .map_err(|error| error.in_file(path))
}

/// All records of all files in a folder and the folders in it, files sorted by path. Hidden ones are left
/// out; other endings than the known are refused.
pub fn read_folder(path: &Path) -> Result<Vec<Record>> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    let mut records = Vec::new();
    for file in files {
        records.append(&mut read_file(&file)?);
    }
    Ok(records)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Links are not followed: they could lead in circles or out of the folder.
        let kind = entry.file_type().map_err(Error::io(&path))?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Calls `each` with the records of a stream, in order.
///
/// Errors: text that is not UTF-8 or not of the format, a record that is too long, a format that is only read
/// from files ([`read_file_with`]), and what `each` returns.
pub fn read_records(
    format: Format,
    input: impl BufRead,
    mut each: impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut each = |text: &str| match Record::checked(text)? {
        Some(record) => each(record),
        None => Ok(()),
    };
    match format {
        Format::Text => {
            let mut text = Vec::new();
            input
                .take(MAX_RAW + 1)
                .read_to_end(&mut text)
                .map_err(Error::Stream)?;
            each(utf8(1, within(&text)?)?)
        }
        Format::Markdown => markdown(input, &mut each),
        Format::JsonLines => json_lines(input, &mut each),
        Format::Csv => csv_rows(input, &mut each),
        Format::Parquet | Format::Pdf => Err(Error::Parse(
            "PDF and Parquet are read from files, not from streams: write it to one".into(),
        )),
    }
}

fn within(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() as u64 > MAX_RAW {
        return Err(Error::TooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

fn utf8(line: u64, bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| Error::Input {
        line,
        what: format!(
            "the text is not UTF-8 (byte {}): save it as UTF-8",
            error.valid_up_to()
        ),
    })
}

/// Calls `each` with every line and its number, the line feed included.
fn lines(mut input: impl BufRead, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = input
            .by_ref()
            .take(MAX_RAW + 1)
            .read_until(b'\n', &mut line)
            .map_err(Error::Stream)?;
        if read == 0 {
            break;
        }
        let mut text = utf8(number, within(&line)?)?;
        if number == 1 {
            text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        }
        each(number, text)?;
    }
    Ok(())
}

fn markdown(input: impl BufRead, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let mut section = String::new();
    // What opened the code block that we are in.
    let mut fence: Option<(u8, usize)> = None;
    lines(input, |_, line| {
        let marks = |mark: u8| line.trim_start().bytes().take_while(|byte| *byte == mark).count();
        match fence {
            Some((mark, length)) => {
                let is_end = marks(mark) >= length && line.trim().bytes().all(|byte| byte == mark);
                if is_end {
                    fence = None;
                }
            }
            None => {
                fence = [b'`', b'~']
                    .into_iter()
                    .map(|mark| (mark, marks(mark)))
                    .find(|(_, length)| *length >= 3);
                if line.starts_with("# ") || line.starts_with("## ") {
                    each(&section)?;
                    section.clear();
                }
            }
        }
        section.push_str(line);
        within(section.as_bytes()).map(|_| ())
    })?;
    each(&section)
}

fn json_lines(input: impl BufRead, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    lines(input, |line, text| {
        if text.trim().is_empty() {
            return Ok(());
        }
        let flaw = |what: String| Error::Input { line, what };
        let value: Value = serde_json::from_str(text).map_err(|error| flaw(error.to_string()))?;
        let text = match &value {
            Value::String(text) => Some(text.clone()),
            Value::Object(fields) => {
                let texts = fields.iter().filter(|(_, value)| value.is_string());
                let (names, texts): (Vec<String>, Vec<&str>) = texts
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default()))
                    .unzip();
                match Shape::of(&names) {
                    // Numbers and the like are not worth a record.
                    Shape::Lines(_) => None,
                    shape => Some(shape.text(|at| texts.get(at).copied().unwrap_or_default())),
                }
            }
            _ => None,
        };
        let text = text.ok_or_else(|| {
            flaw("expected a string, or an object with a string `text` or `content`, or `prompt` and `response`".into())
        })?;
        each(&text).map_err(|error| error.at(line))
    })
}

fn csv_rows(input: impl BufRead, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let flaw = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Error::Stream(error),
            kind => {
                Error::Input {
                    line,
                    what: match kind {
                        csv::ErrorKind::UnequalLengths {
                            expected_len, len, ..
                        } => {
                            format!("{len} fields where the head has {expected_len}: quote fields that hold commas")
                        }
                        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8: save it as UTF-8".into(),
                        other => format!("{other:?}"),
                    },
                }
            }
        }
    };
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(input);
    let head: Vec<String> = reader
        .headers()
        .map_err(flaw)?
        .iter()
        .map(|name| name.trim_start_matches('\u{FEFF}').trim().to_owned())
        .collect();
    let shape = Shape::of(&head);
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(flaw)? {
        let line = row.position().map_or(1, csv::Position::line);
        let text = shape.text(|at| row.get(at).unwrap_or_default());
        each(&text).map_err(|error| error.at(line))?;
    }
    Ok(())
}

impl Error {
    /// Tells the line of a record that is too long.
    fn at(self, line: u64) -> Self {
        match self {
            Self::TooLong { .. } => Self::Input {
                line,
                what: self.to_string(),
            },
            other => other,
        }
    }
}
