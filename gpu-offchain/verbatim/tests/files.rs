//! Spans for files: positions are those of the file given, counts those of the files searched.

use openledger_verbatim::{spans_in, Bytes, Options, Report};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn corpus() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let texts = dir.path().join("texts");
    fs::create_dir_all(texts.join("more")).unwrap();
    let write = |name: &str, text: &[u8]| fs::write(texts.join(name), text).unwrap();
    write(
        "tide.txt",
        b"The tide  turns at noon.\r\nBoats wait for it in the old harbour.\n",
    );
    write(
        "code.py",
        b"def wait(boats):\n    return [boat for boat in boats if boat.waits]\n",
    );
    write("bytes.bin", &[0, 255, 254, b' ', b'x', b'y', 0xC0, b' ', 128]);
    write(
        "lines.jsonl",
        b"{\"text\": \"Bees wait for the sun.\"}\n\"The keeper waits at dusk.\"\n",
    );
    write(
        "more/notes.md",
        b"# One\nBoats wait for it in spring.\n# Two\nNothing here.\n",
    );
    write(".hidden.txt", b"and the keeper writes the numbers in a ledger");
    write("empty.txt", b"");
    let query = dir.path().join("query.txt");
    fs::write(
        &query,
        b"She said: Boats wait for it in the old harbour.\nThe tide  turns at noon.\r\n    return [boat for bees, \
          and the keeper writes the numbers \xFF\xFE xy\xC0 \x80 Bees wait for the sun.",
    )
    .unwrap();
    (dir, texts, query)
}

fn count(texts: &Path, names: &[&str], piece: &[u8]) -> u64 {
    let all = names.iter().map(|name| fs::read(texts.join(name)).unwrap());
    all.map(|text| text.windows(piece.len()).filter(|w| *w == piece).count() as u64)
        .sum()
}

fn run(texts: &Path, query: &Path, options: &Options) -> Report {
    spans_in(texts, query, &Bytes, options).unwrap()
}

#[test]
fn spans_are_pieces_of_the_file_given() {
    let (_dir, texts, query) = corpus();
    let report = run(&texts, &query, &Options::default());
    let raw = fs::read(&query).unwrap();
    assert_eq!(report.query_tokens, raw.len() as u64);
    // Five files, one of two lines, one of two sections; the hidden and the empty one do not count.
    assert_eq!(report.records, 7);
    assert!(!report.spans.is_empty());
    assert!(report.spans.len() as u64 <= report.query_tokens.div_ceil(20));
    let found: Vec<&str> = report.spans.iter().map(|span| span.text.as_str()).collect();
    for expected in [
        " wait for it in the old harbour.",
        " tide  turns at noon.",
        "    return [boat for",
        " wait for the sun.",
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert!(!found.iter().any(|text| text.contains("writes the numbers")));
    let plain = ["tide.txt", "code.py", "bytes.bin", "lines.jsonl", "more/notes.md"];
    for span in &report.spans {
        let piece = &raw[span.start as usize..span.end as usize];
        assert_eq!(String::from_utf8_lossy(piece), span.text);
        assert!(span.information > 0 && !span.records.is_empty());
        // The texts of these files stand in their records as they are; the marks around them do not match.
        assert_eq!(span.count, count(&texts, &plain, piece), "{span:?}");
        for record in &span.records {
            if record.file.ends_with("tide.txt") || record.file.ends_with("code.py") {
                let text = fs::read(&record.file).unwrap();
                let at = record.position as usize;
                assert_eq!(&text[at..at + piece.len()], piece);
            }
        }
    }
    let json = serde_json::to_value(&report).unwrap();
    for key in ["start", "end", "count", "records"] {
        assert!(json["spans"][0].get(key).is_some(), "{key}");
    }
}

#[test]
fn canonical_form_is_of_both_or_none() {
    let (_dir, texts, query) = corpus();
    let options = Options {
        canonical: true,
        ..Options::default()
    };
    let report = run(&texts, &query, &options);
    let found: Vec<&str> = report.spans.iter().map(|span| span.text.as_str()).collect();
    assert!(
        found.iter().any(|text| text.contains("tide turns at noon.")),
        "{found:?}"
    );
}

#[test]
fn a_kept_index_is_used_again_and_only_for_the_same_corpus() {
    let (dir, texts, query) = corpus();
    let options = Options {
        keep: Some(dir.path().join("index")),
        shard_tokens: 40,
        ..Options::default()
    };
    let first = run(&texts, &query, &options);
    let written = |name: &str| {
        fs::metadata(dir.path().join("index").join(name))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = written("verbatim.bin");
    assert_eq!(run(&texts, &query, &options), first);
    assert_eq!(written("verbatim.bin"), before);
    assert_eq!(run(&texts, &query, &Options::default()), first);
    fs::write(texts.join("code.py"), b"pass").unwrap();
    let error = spans_in(&texts, &query, &Bytes, &options).unwrap_err();
    assert!(error.to_string().contains("another corpus"), "{error}");
    let one = run(&texts.join("tide.txt"), &query, &Options::default());
    assert_eq!(one.records, 1);
    assert!(spans_in(&texts.join("none"), &query, &Bytes, &Options::default()).is_err());
}
