//! PDF, in the child: pages into texts.

use crate::sandbox::Texts;
use pdf_extract::{output_doc_page, Document, PlainTextOutput};
use std::{fs::File, io::Read};

/// The texts of all pages.
pub(crate) fn parse(mut file: File, texts: &mut Texts) -> Result<(), String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let mut document =
        Document::load_mem(&bytes).map_err(|error| format!("it is no PDF that can be read ({error})"))?;
    drop(bytes);
    if document.is_encrypted() {
        document
            .decrypt("")
            .map_err(|error| format!("it is locked ({error}): bring it without a password"))?;
    }
    let pages = document.get_pages();
    if pages.is_empty() {
        return Err("it has no pages".into());
    }
    for number in pages.into_keys() {
        let mut text = String::new();
        output_doc_page(&document, &mut PlainTextOutput::new(&mut text), number)
            .map_err(|error| format!("page {number} cannot be read ({error})"))?;
        texts.push(&text)?;
    }
    Ok(())
}
