//! The canonical form: idempotent, blind to spacing and composition, and what it is on known texts.

mod common;

use common::{seed, Rng};
use openledger_content::{canonical, content_hash, is_canonical, Record};

#[test]
fn known_texts() {
    for (text, expected) in [
        ("", ""),
        (" \t\r\n\u{3000} ", ""),
        ("a\u{301}", "á"),
        ("\u{212B}", "Å"),
        ("one\r\ntwo\rthree\u{2028}four", "one\ntwo\nthree\nfour"),
        (
            "  first\n  second  \n\n\n\n  third\n\n",
            "first\n  second\n\n  third",
        ),
        ("a\tb\u{A0}\u{2003}c", "a b c"),
        ("if x:\n\treturn  1", "if x:\n    return 1"),
        ("\u{FEFF}zero\u{200B}width\u{AD}\u{2060}\u{7}", "zerowidth"),
        // Taking a character away lets what stood around it join.
        ("e\u{200B}\u{301}", "é"),
        // Joiners that carry meaning stay.
        ("👩\u{200D}🔬", "👩\u{200D}🔬"),
    ] {
        assert_eq!(canonical(text), expected, "{text:?}");
        assert!(is_canonical(expected));
    }
    assert_eq!(Record::new(" \n"), None);
    let record = Record::new("  x ").unwrap();
    assert_eq!((record.text(), record.content()), ("x", content_hash("x")));
    assert_eq!(record.leaf().bytes, 1);
}

#[test]
fn the_canonical_form_of_a_canonical_form_is_itself() {
    let mut rng = Rng(seed());
    let pieces = [
        "a",
        "B",
        " ",
        "  ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u{A0}",
        "\u{85}",
        "\u{2029}",
        "\u{300}",
        "\u{301}",
        "\u{327}",
        "e",
        "o",
        "\u{1100}",
        "\u{1161}",
        "\u{11A8}",
        "\u{AC00}",
        "\u{200B}",
        "\u{FEFF}",
        "\u{AD}",
        "\u{0}",
        "\u{1F}",
        "\u{2126}",
        "\u{1E9B}\u{323}",
        "\u{FB01}",
        "\u{0958}",
        "\u{2000}",
        "\u{3000}",
        "中",
        "🦀",
        "\u{200D}",
    ];
    for _ in 0..20_000 {
        let text: String = (0..rng.below(14))
            .map(|_| pieces[rng.below(pieces.len() as u64) as usize])
            .collect();
        let once = canonical(&text);
        assert_eq!(canonical(&once), once, "from {text:?}");
        // Spacing at line ends and around the text tells nobody apart.
        let respaced = once.replace('\n', " \u{200B}\t\n");
        let framed = format!("\n\n {respaced} \r\n");
        assert_eq!(canonical(&framed), once, "from {text:?}");
    }
}
