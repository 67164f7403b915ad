//! Pictures of an answer: which records helped which of its letters, and whose words it uses.

use std::fmt::Write;

/// A record of the heat map.
pub(crate) struct Helped {
    /// Whose it is.
    pub(crate) contributor: String,
    /// Its number there.
    pub(crate) number: u64,
    pub(crate) question: String,
    /// Its share of the influence, in percent.
    pub(crate) share: f64,
    /// Of each letter, in any unit: above 0 it helps.
    pub(crate) scores: Vec<f64>,
}

/// A run of letters that records have.
pub(crate) struct Quoted {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Its information.
    pub(crate) bits: f64,
    /// How many records have it.
    pub(crate) records: usize,
    /// Whose they are, by position among the names, each once.
    pub(crate) whose: Vec<usize>,
}

/// A letter's cell, in pixels, as all that follows.
const CELL: usize = 10;
/// Room to the left of the letters.
const LEFT: usize = 350;
/// Margin.
const EDGE: usize = 16;
/// Least width: the heading and the legend fit in it.
const NARROWEST: usize = 720;
/// Where the answer is written.
const ANSWER: usize = 76;
/// Where the first row begins.
const ROWS: usize = 88;
/// Height of a record of the heat map, and of a quotation.
const RECORD: usize = 38;
const QUOTE: usize = 24;
const FONT: &str = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const DARK: &str = "#1c2024";
const GREY: &str = "#60646c";
const EMPTY: &str = "#f0f0f3";
const HELPS: &str = "#3e63dd";
const HINDERS: &str = "#e5484d";
const CONTRIBUTORS: [&str; 6] = ["#3e63dd", "#e5484d", "#30a46c", "#f5a524", "#8e4ec6", "#00a2c7"];

fn escaped(text: &str) -> String {
    text.replace(char::is_control, " ")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A text's width: a letter of the fonts above is three fifths of their size wide.
fn wide(text: &str, size: usize) -> usize {
    (text.chars().count() * size * 61).div_ceil(100)
}

/// As much of a text as fits, with an ellipsis where it is cut.
fn clipped(text: &str, room: usize, size: usize) -> String {
    if wide(text, size) <= room {
        return text.into();
    }
    let fit = (room * 100 / (size * 61)).saturating_sub(1);
    let cut: String = text.chars().take(fit).collect();
    format!("{}…", cut.trim_end())
}

/// A picture being drawn.
struct Picture {
    svg: String,
    width: usize,
}

impl Picture {
    /// With a heading, what was asked, and the answer letter by letter.
    fn new(heading: &str, asked: &str, letters: &[String], height: usize) -> Self {
        let width = (LEFT + letters.len() * CELL + EDGE).max(NARROWEST);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{heading}\" font-family=\"{FONT}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        let mut new = Self { svg, width };
        new.text(EDGE, 26, 15, DARK, heading);
        new.text(EDGE, 46, 12, GREY, &format!("asked: {asked}"));
        new.text(EDGE, ANSWER, 12, GREY, "answer, letter by letter:");
        for (at, letter) in letters.iter().enumerate() {
            let x = LEFT + at * CELL + CELL / 2;
            let _ = writeln!(
                new.svg,
                r#"<text x="{x}" y="{ANSWER}" font-size="13" fill="{DARK}" text-anchor="middle">{}</text>"#,
                escaped(letter)
            );
        }
        new
    }

    fn text(&mut self, x: usize, y: usize, size: usize, colour: &str, text: &str) {
        let text = clipped(text, self.width - EDGE - x, size);
        let _ = writeln!(
            self.svg,
            r#"<text x="{x}" y="{y}" font-size="{size}" fill="{colour}">{}</text>"#,
            escaped(&text)
        );
    }

    fn bar(&mut self, (x, y): (f64, usize), (width, height): (f64, usize), colour: &str, strength: f64) {
        let _ = writeln!(
            self.svg,
            r#"<rect x="{x:.1}" y="{y}" width="{width:.1}" height="{height}" fill="{colour}" fill-opacity="{strength:.3}"/>"#
        );
    }

    /// A score of the strongest, −1 to 1. The root makes small ones visible.
    fn cell(&mut self, x: usize, y: usize, height: usize, score: f64) {
        let colour = if score > 0.0 { HELPS } else { HINDERS };
        self.bar(
            (x as f64, y),
            (CELL as f64, height),
            colour,
            score.abs().min(1.0).sqrt(),
        );
    }

    fn end(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

/// Scores of each letter with these records.
pub(crate) fn heat(asked: &str, letters: &[String], records: &[Helped]) -> String {
    let legend = ROWS + records.len().max(1) * RECORD + 8;
    let heading = "What the model learned the answer from";
    let mut picture = Picture::new(heading, asked, letters, legend + 30);
    if records.is_empty() {
        picture.text(EDGE, ROWS + 14, 13, DARK, "no record's influence is above chance");
    }
    let scores = records.iter().flat_map(|record| &record.scores);
    let most = scores.map(|score| score.abs()).fold(1e-300, f64::max);
    for (n, record) in records.iter().enumerate() {
        let y = ROWS + n * RECORD;
        let share = format!("{:.1} %", record.share);
        let right = LEFT - 14 - wide(&share, 13);
        picture.text(right, y + 14, 13, DARK, &share);
        let number = format!(", record {}", record.number);
        let room = (right - EDGE - 8).saturating_sub(wide(&number, 13));
        let name = clipped(&record.contributor, room, 13) + &number;
        picture.text(EDGE, y + 14, 13, DARK, &name);
        let question = clipped(&record.question, LEFT - 14 - EDGE, 11);
        picture.text(EDGE, y + 29, 11, GREY, &question);
        let height = RECORD - 6;
        picture.bar(
            (LEFT as f64, y),
            ((letters.len() * CELL) as f64, height),
            EMPTY,
            1.0,
        );
        for (at, score) in record.scores.iter().enumerate() {
            picture.cell(LEFT + at * CELL, y, height, score / most);
        }
    }
    picture.text(EDGE, legend + 12, 12, GREY, "%: share of the influence");
    let ramp = 300;
    picture.text(
        ramp - 8 - wide("hinders", 12),
        legend + 12,
        12,
        HINDERS,
        "hinders",
    );
    picture.bar((ramp as f64, legend), ((11 * CELL) as f64, 16), EMPTY, 1.0);
    for step in 0..11 {
        picture.cell(ramp + step * CELL, legend, 16, (step as f64 - 5.0) / 5.0);
    }
    picture.text(ramp + 11 * CELL + 8, legend + 12, 12, HELPS, "helps");
    picture.text(ramp + 170, legend + 12, 12, GREY, "the letter above");
    picture.end()
}

/// The answer with its quotations below, each in the colours of whose words they are.
pub(crate) fn quotes(asked: &str, letters: &[String], quoted: &[Quoted], names: &[String]) -> String {
    let legend = ROWS + quoted.len().max(1) * QUOTE + 12;
    let heading = "Whose words the answer uses";
    let mut picture = Picture::new(heading, asked, letters, legend + 26);
    if quoted.is_empty() {
        picture.text(EDGE, ROWS + 14, 13, DARK, "no run of its words is in the records");
    }
    for (n, quote) in quoted.iter().enumerate() {
        let y = ROWS + n * QUOTE;
        let many = if quote.records == 1 { "record" } else { "records" };
        let label = format!("{:.1} bits, in {} {many}", quote.bits, quote.records);
        picture.text(EDGE, y + 14, 13, DARK, &label);
        // Words of several are striped.
        let part = ((quote.end - quote.start) * CELL) as f64 / quote.whose.len().max(1) as f64;
        for (stripe, who) in quote.whose.iter().enumerate() {
            let x = (LEFT + quote.start * CELL) as f64 + stripe as f64 * part;
            let colour = CONTRIBUTORS[who % CONTRIBUTORS.len()];
            picture.bar((x, y), (part, QUOTE - 6), colour, 0.6);
        }
    }
    let mut x = EDGE;
    for (who, name) in names.iter().enumerate() {
        if quoted.iter().any(|quote| quote.whose.contains(&who)) {
            picture.bar(
                (x as f64, legend),
                (12.0, 12),
                CONTRIBUTORS[who % CONTRIBUTORS.len()],
                0.6,
            );
            picture.text(x + 18, legend + 11, 12, GREY, name);
            x += 18 + wide(name, 12) + 20;
        }
    }
    picture.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_where_they_would_run_into_another() {
        assert_eq!(clipped("short", 100, 10), "short");
        assert_eq!(clipped("a sentence of some length", 61, 10), "a sentenc…");
        for room in 7..200 {
            assert!(wide(&clipped(&"long ".repeat(40), room, 10), 10) <= room);
        }
    }

    #[test]
    fn every_picture_is_within_its_frame_and_escaped() {
        let letters: Vec<String> = "<&>\" é".chars().map(String::from).collect();
        let helped = Helped {
            contributor: "a name ".repeat(30),
            number: 1_000_000,
            question: "<why> ".repeat(50),
            share: 100.0,
            scores: vec![0.0, -1e9, 1e9, 3.0, -0.0, 1.0],
        };
        let quoted = Quoted {
            start: 0,
            end: 6,
            bits: 12.5,
            records: 1,
            whose: vec![0, 1, 2, 9],
        };
        let names: Vec<String> = (0..10).map(|n| format!("contributor-{n}")).collect();
        let asked = "asked & asked ".repeat(40);
        for svg in [
            heat(&asked, &letters, &[helped]),
            heat("", &[], &[]),
            quotes(&asked, &letters, &[quoted], &names),
            quotes("", &[], &[], &names),
        ] {
            let number = |tag: &str, name: &str| -> usize {
                let (_, from) = tag.split_once(&format!(" {name}=\"")).unwrap();
                from.split('"').next().unwrap().parse().unwrap()
            };
            let (width, height) = (number(&svg, "width"), number(&svg, "height"));
            for text in svg.split("<text").skip(1) {
                let (tag, rest) = text.split_once('>').unwrap();
                let shown = rest.split("</text>").next().unwrap();
                let entities = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
                let shown = entities.iter().fold(shown.to_owned(), |text, (entity, letter)| {
                    text.replace(entity, letter)
                });
                let end = match tag.contains("middle") {
                    true => number(tag, "x") + CELL / 2,
                    false => number(tag, "x") + wide(&shown, number(tag, "font-size")),
                };
                assert!(end <= width && number(tag, "y") <= height, "{text}");
            }
            assert!(!svg.contains("NaN") && !svg.contains("<why>"));
        }
    }
}
