//! Formats that a child parses: what they give, and that no file, however bad, does more than an error.

mod common;
#[path = "common/files.rs"]
mod files;

use common::{seed, Rng};
use openledger_content::{
    read_file, read_file_with, read_folder,
    sandbox::{use_program, Limits},
    Record, Result,
};
use parquet::basic::{Compression, ZstdLevel};
use std::{fs, path::Path};

/// Tests have no main of their own; the crate's program is the child.
fn ready() -> tempfile::TempDir {
    use_program(Path::new(env!("CARGO_BIN_EXE_openledger-content")));
    tempfile::tempdir().unwrap()
}

fn texts(records: Vec<Record>) -> Vec<String> {
    records.iter().map(|record| record.text().to_owned()).collect()
}

fn limited(path: &Path, limits: Limits) -> Result<u64> {
    let mut bytes = 0;
    read_file_with(path, &limits, |record| {
        bytes += record.text().len() as u64;
        Ok(())
    })?;
    Ok(bytes)
}

#[test]
fn parquet_rows_are_as_rows_of_other_tables() {
    let dir = ready();
    let read = |name: &str, columns: &[(&str, Vec<&[u8]>)], compression| {
        let path = dir.path().join(name);
        fs::write(&path, files::parquet(columns, compression)).unwrap();
        read_file(&path).map(texts)
    };
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ];
    for codec in codecs {
        // What is asked comes first wherever its column stands.
        let columns = [
            ("Answer", vec![b"Forty-two.".as_slice(), b"", b"Blue.\xC2\xA0"]),
            ("id", vec![b"1", b"2", b"3"]),
            ("question", vec![b"How many?", b"Unanswered?", b"Which?"]),
        ];
        assert_eq!(
            read("pair.parquet", &columns, codec).unwrap(),
            ["How many?\n\nForty-two.", "Which?\n\nBlue."]
        );
    }
    let columns = [("n", vec![b"1".as_slice()]), ("text", vec![b"kept"])];
    assert_eq!(read("a.parquet", &columns, codecs[1]).unwrap(), ["kept"]);
    let columns = [("name", vec![b"Ada".as_slice()]), ("born", vec![b"1815"])];
    assert_eq!(
        read("b.PARQUET", &columns, codecs[1]).unwrap(),
        ["name: Ada\nborn: 1815"]
    );

    let columns = [("text", vec![b"good".as_slice(), b"\xFF\xFEbad"])];
    let error = read("c.parquet", &columns, codecs[0]).unwrap_err().to_string();
    assert!(error.contains("c.parquet") && error.contains("row 2"), "{error}");
    let columns = [("text", vec![b"nul\0s \0go".as_slice()])];
    assert_eq!(read("d.parquet", &columns, codecs[0]).unwrap(), ["nuls go"]);
}

#[test]
fn a_pdf_has_a_record_a_page() {
    let dir = ready();
    let path = dir.path().join("two.pdf");
    fs::write(&path, files::pdf(&["The first page.", "", "The last page."])).unwrap();
    assert_eq!(
        texts(read_file(&path).unwrap()),
        ["The first page.", "The last page."]
    );
    // Among other files of a folder, too.
    fs::write(dir.path().join("a.txt"), "first").unwrap();
    assert_eq!(
        texts(read_folder(dir.path()).unwrap()),
        ["first", "The first page.", "The last page."]
    );
}

#[test]
fn each_limit_holds_and_names_itself() {
    let dir = ready();
    let path = dir.path().join("bomb.parquet");
    // Forty megabytes in some kilobytes.
    let value = vec![b'x'; 1 << 20];
    let rows = vec![value.as_slice(); 40];
    let bomb = files::parquet(&[("text", rows)], Compression::ZSTD(ZstdLevel::default()));
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    fs::write(&path, bomb).unwrap();
    let usual = Limits::default();
    assert_eq!(limited(&path, usual).unwrap(), 40 << 20);
    let error = |limits| {
        let error = limited(&path, limits).unwrap_err().to_string();
        assert!(error.contains("bomb.parquet"), "{error}");
        error
    };
    let output = error(Limits {
        output: 10 << 20,
        ..usual
    });
    assert!(output.contains("over 10 MiB of text"), "{output}");
    let patience = error(Limits { patience: 0, ..usual });
    assert!(patience.contains("over 0 seconds"), "{patience}");

    // One value that memory cannot hold.
    let value = vec![b'x'; 100 << 20];
    let path = dir.path().join("large.parquet");
    let large = files::parquet(
        &[("text", vec![value.as_slice()])],
        Compression::ZSTD(ZstdLevel::default()),
    );
    fs::write(&path, large).unwrap();
    let memory = limited(
        &path,
        Limits {
            memory: 128 << 20,
            ..usual
        },
    );
    let memory = memory.unwrap_err().to_string();
    assert!(memory.contains("over 128 MiB of memory"), "{memory}");
    // With memory it is read, and refused as a record.
    let long = read_file(&path).unwrap_err().to_string();
    assert!(long.contains("large.parquet"), "{long}");
}

#[test]
fn hostile_files_are_errors_with_their_names() {
    let dir = ready();
    let deep = |open: &str, close: &str| open.repeat(200_000) + &close.repeat(200_000);
    let with = |at: usize, object: &str| {
        let mut objects = files::pages(&["text"]);
        objects[at] = object.to_owned();
        files::pdf_of(&objects)
    };
    let page = "/Type /Page /Resources << /Font << /F1 3 0 R >> /XObject << /X 5 0 R >> >> /Contents 5 0 R";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty.pdf", Vec::new()),
        ("zeros.pdf", vec![0; 10_000]),
        ("text.pdf", b"This is no PDF.\n\0\0".to_vec()),
        ("half.pdf", files::pdf(&["text"])[..300].to_vec()),
        // A page whose parent is itself, so that what is inherited is looked for for ever.
        ("parent.pdf", with(3, &format!("<< {page} /Parent 4 0 R >>"))),
        (
            "box.pdf",
            with(3, "<< /Type /Page /Parent 2 0 R /MediaBox [0] >>"),
        ),
        ("array.pdf", with(4, &deep("[", "]"))),
        (
            "kids.pdf",
            with(1, "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"),
        ),
        ("empty.parquet", Vec::new()),
        ("zeros.parquet", vec![0; 10_000]),
        ("magic.parquet", b"PAR1PAR1".to_vec()),
        (
            "claim.parquet",
            [
                b"PAR1".as_slice(),
                &[0xFF; 64],
                &[0xFF, 0xFF, 0xFF, 0x7F],
                b"PAR1",
            ]
            .concat(),
        ),
        (
            "nest.parquet",
            [
                b"PAR1".as_slice(),
                &[0x1C; 60_000],
                &60_000u32.to_le_bytes(),
                b"PAR1",
            ]
            .concat(),
        ),
    ];
    let limits = Limits {
        seconds: 1,
        ..Limits::default()
    };
    for (name, bytes) in &cases {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        match limited(&path, limits) {
            // A drawing that cannot be read may be left out; nothing is made up in its place.
            Ok(bytes) => assert!(*name == "array.pdf" && bytes == 0, "{name} gave {bytes} bytes"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(name), "{error}");
                println!("{error}");
            }
        }
        // Nothing is lost: neither the file nor the program.
        assert_eq!(&fs::read(&path).unwrap(), bytes);
    }
    // A drawing that draws itself may be cut short or refused, and is not followed for ever.
    let drawing = "<< /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << /XObject << /X 5 0 R >> >> /Length 5 >>\nstream\n/X Do\nendstream";
    let mut objects = files::pages(&["text"]);
    objects[3] = format!("<< {page} /Parent 2 0 R >>");
    objects[4] = drawing.to_owned();
    let path = dir.path().join("itself.pdf");
    fs::write(&path, files::pdf_of(&objects)).unwrap();
    println!("{:?}", limited(&path, limits).map_err(|error| error.to_string()));
}

#[test]
fn random_damage_never_does_more_than_an_error() {
    let dir = ready();
    let mut rng = Rng(seed());
    let columns = [
        ("prompt", vec![b"one".as_slice(), b"two", b"three"]),
        ("response", vec![b"1", b"2", b"3"]),
    ];
    let whole = [
        ("fuzz.parquet", files::parquet(&columns, Compression::SNAPPY)),
        ("fuzz.pdf", files::pdf(&["One page.", "Another."])),
    ];
    let limits = Limits {
        memory: 512 << 20,
        seconds: 2,
        patience: 20,
        output: 16 << 20,
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..30 {
        let (name, bytes) = &whole[round % 2];
        let mut bytes = bytes.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(5) {
                0 => bytes[at] = rng.next() as u8,
                1 => bytes[at] ^= 1 << rng.below(8),
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let length = rng.below(20) as usize;
                    bytes.splice(at..at, rng.bytes(length));
                }
                _ => {
                    let end = (at + rng.below(40) as usize).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        match limited(&path, limits) {
            Ok(_) => read += 1,
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(name) && !error.contains("ended early"), "{error}");
                refused += 1;
            }
        }
    }
    println!("{read} read, {refused} refused");
    assert!(refused > 0);
}
