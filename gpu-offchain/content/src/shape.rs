//! What a row's record is, whatever file the row came from: from the names of its columns to its text.

/// Columns that hold a whole record, the first that is there.
const WHOLE: [&str; 2] = ["text", "content"];

/// Columns that are two halves of one.
const PAIRS: [(&str, &str); 3] = [
    ("prompt", "response"),
    ("question", "answer"),
    ("instruction", "output"),
];

/// Where a row's record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// In one column.
    Whole(usize),
    /// In two: what is asked and what is answered.
    Pair(usize, usize),
    /// In all, as `name: value` lines.
    Lines(Vec<String>),
}

impl Shape {
    /// The shape of rows with these columns. Capital letters do not matter.
    pub(crate) fn of(columns: &[String]) -> Self {
        let find = |name: &str| {
            columns
                .iter()
                .position(|column| column.trim().eq_ignore_ascii_case(name))
        };
        if let Some(whole) = WHOLE.into_iter().find_map(find) {
            return Self::Whole(whole);
        }
        let pair = PAIRS
            .into_iter()
            .find_map(|(ask, answer)| Some((find(ask)?, find(answer)?)));
        match pair {
            Some((ask, answer)) => Self::Pair(ask, answer),
            None => Self::Lines(columns.to_vec()),
        }
    }

    /// The columns that are read, in order; all of them for `Lines`.
    pub(crate) fn columns(&self) -> Option<Vec<usize>> {
        match self {
            Self::Whole(column) => Some(vec![*column]),
            Self::Pair(ask, answer) => Some(vec![*ask, *answer]),
            Self::Lines(_) => None,
        }
    }

    /// The text of a row, a missing value being empty.
    pub(crate) fn text<'a>(&self, value: impl Fn(usize) -> &'a str) -> String {
        match self {
            Self::Whole(column) => value(*column).to_owned(),
            Self::Pair(ask, answer) => pair(value(*ask), value(*answer)),
            Self::Lines(names) => {
                let lines = names.iter().enumerate().map(|(at, name)| (name, value(at)));
                let lines: Vec<String> = lines
                    .filter(|(_, value)| !value.trim().is_empty())
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                lines.join("\n")
            }
        }
    }
}

/// Two halves as one record: what is asked, a blank line, what is answered. A row without either has none.
pub(crate) fn pair(ask: &str, answer: &str) -> String {
    if ask.trim().is_empty() || answer.trim().is_empty() {
        return String::new();
    }
    format!("{ask}\n\n{answer}")
}
