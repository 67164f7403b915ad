//! Files into records: the rules of each format, and errors that tell the line.

mod common;

use openledger_content::{read_file, read_folder, read_records, Error, Format, Record, Result};
use std::{fs, path::Path};

fn records(format: Format, text: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    read_records(format, text.as_bytes(), |record: Record| {
        all.push(record.text().to_owned());
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn each_format_has_its_records() {
    assert_eq!(
        records(Format::Text, "\u{FEFF}one\n\ntwo\n").unwrap(),
        ["one\n\ntwo"]
    );
    assert_eq!(records(Format::Text, " \n").unwrap(), Vec::<String>::new());

    let markdown = "before\n# A\na\n```\n# no heading\n```\n### A.1\nmore\n## B\nb\n#no\n~~~~\n## code\n~~~\n## code\n~~~~\n# C\n";
    assert_eq!(
        records(Format::Markdown, markdown).unwrap(),
        [
            "before",
            "# A\na\n```\n# no heading\n```\n### A.1\nmore",
            "## B\nb\n#no\n~~~~\n## code\n~~~\n## code\n~~~~",
            "# C"
        ]
    );

    let lines =
        "\"plain\"\n\n{\"id\": 3, \"text\": \"of text\"}\n{\"content\": \"of content\"}\n{\"text\": \" \"}\n";
    assert_eq!(
        records(Format::JsonLines, lines).unwrap(),
        ["plain", "of text", "of content"]
    );

    let table = "id,Text\n1,\"two\nlines, \"\"quoted\"\"\"\n2,\n3,last\n";
    assert_eq!(
        records(Format::Csv, table).unwrap(),
        ["two\nlines, \"quoted\"", "last"]
    );
    assert_eq!(
        records(Format::Csv, "name,age\nAda,36\nBob,\n").unwrap(),
        ["name: Ada\nage: 36", "name: Bob"]
    );
}

#[test]
fn two_columns_can_be_halves_of_a_record() {
    let pair = ["How deep?\n\nTwo fathoms.", "Why?\n\nThe tide."];
    for (ask, answer) in [
        ("prompt", "response"),
        ("question", "answer"),
        ("instruction", "output"),
    ] {
        let lines = format!(
            "{{\"{answer}\": \"Two fathoms.\", \"{ask}\": \"How deep?\", \"id\": 1}}\n{{\"{ask}\": \"Why?\", \"{answer}\": \"The tide.\"}}\n"
        );
        assert_eq!(records(Format::JsonLines, &lines).unwrap(), pair);
        let table =
            format!("id,{answer},{ask}\n1,Two fathoms.,How deep?\n2,The tide.,Why?\n3,,Half?\n4,Half., \n");
        assert_eq!(records(Format::Csv, &table).unwrap(), pair);
    }
    // A whole text goes before a pair, and half a pair is none.
    let table = "prompt,response,text\na,b,whole\n";
    assert_eq!(records(Format::Csv, table).unwrap(), ["whole"]);
    assert_eq!(
        records(Format::Csv, "prompt,answer\na,b\n").unwrap(),
        ["prompt: a\nanswer: b"]
    );
    assert!(records(Format::JsonLines, "{\"prompt\": \"a\"}\n").is_err());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let line = |format, text: &str| match records(format, text) {
        Err(Error::Input { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(line(Format::JsonLines, "\"a\"\n{broken\n"), 2);
    assert_eq!(line(Format::JsonLines, "\"a\"\n\n17\n"), 3);
    assert_eq!(line(Format::JsonLines, "{\"text\": 4}\n"), 1);
    assert_eq!(line(Format::Csv, "id,text\n1,a\n2,b,c\n"), 3);
    let not_text = [b"\"a\"\n".as_slice(), &[0x22, 0xFF, 0x22]].concat();
    let error = read_records(Format::JsonLines, not_text.as_slice(), |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Input { line: 2, .. }), "{error}");
    let error = read_records(Format::Text, [0xC3, 0x28].as_slice(), |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");

    let long = "x".repeat(openledger_content::MAX_RECORD_BYTES + 1);
    assert!(matches!(records(Format::Text, &long), Err(Error::TooLong { .. })));
    let error = records(Format::JsonLines, &format!("\"a\"\n\"{long}\"\n")).unwrap_err();
    assert!(matches!(error, Error::Input { line: 2, .. }), "{error}");
}

#[test]
fn a_stream_that_never_ends_is_refused_in_bounded_memory() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    assert!(matches!(
        read_records(Format::Text, endless, |_| Ok(())),
        Err(Error::TooLong { .. })
    ));
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    assert!(matches!(
        read_records(Format::JsonLines, endless, |_| Ok(())),
        Err(Error::TooLong { .. })
    ));
}

#[test]
fn folders_are_read_in_the_order_of_paths() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("b.txt", "second");
    write("a/z.MD", "# first");
    write("c.jsonl", "\"third\"\n\"fourth\"\n");
    write(".hidden", "no");
    let all = read_folder(dir.path()).unwrap();
    let texts: Vec<&str> = all.iter().map(Record::text).collect();
    assert_eq!(texts, ["# first", "second", "third", "fourth"]);

    write("d.docx", "never");
    let error = read_folder(dir.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Format { path } if path.ends_with("d.docx")),
        "{error}"
    );
    fs::remove_file(dir.path().join("d.docx")).unwrap();
    // This program has not said that it lets a child parse.
    write("d.pdf", "%PDF");
    let error = read_folder(dir.path()).unwrap_err();
    assert!(error.to_string().contains("enter_if_asked"), "{error}");
    fs::remove_file(dir.path().join("d.pdf")).unwrap();
    write("d.jsonl", "{");
    let error = read_folder(dir.path()).unwrap_err();
    assert!(error.to_string().contains("d.jsonl: line 1"), "{error}");
    assert!(matches!(
        read_file(Path::new("nowhere.txt")),
        Err(Error::Io { .. })
    ));
}
