//! Text for a terminal: names made harmless, tables.

use std::fmt::Write;

/// A raw name on one line: control characters, what turns the direction of text, and bytes that are no UTF-8 are
/// escaped as in a string of Rust or C; so is `\` itself, so that two names never look the same.
pub fn name(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                text.push_str("\\\\");
            } else {
                push(&mut text, c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A message on one line, its control characters escaped: it may quote names that somebody else has chosen.
pub fn message(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    raw.chars().for_each(|c| push(&mut text, c));
    text
}

fn push(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => {
            let _ = write!(text, "\\u{{{:x}}}", c as u32);
        }
        c if c.is_control() => {
            let _ = write!(text, "\\x{:02x}", c as u32);
        }
        c => text.push(c),
    }
}

/// To which side a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Left.
    Left,
    /// Right: numbers.
    Right,
}

/// A table with a line of titles. A cell may have several lines.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing are empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as lines, each with its line feed.
    pub fn render(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let all = || std::iter::once(&titles).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| all().filter_map(|row| row.get(at)).flat_map(|c| c.lines()).map(width).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in all() {
            let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
            for line in 0..height {
                let mut text = String::new();
                for (at, ((_, align), wide)) in self.columns.iter().zip(&widths).enumerate() {
                    let cell = row.get(at).and_then(|cell| cell.lines().nth(line)).unwrap_or("");
                    let gap = " ".repeat(wide - width(cell));
                    text.push_str(if at == 0 { "" } else { "  " });
                    match align {
                        Align::Left => text.extend([cell, &gap]),
                        Align::Right => text.extend([&gap, cell]),
                    }
                }
                out.push_str(text.trim_end());
                out.push('\n');
            }
        }
        out
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Lines of `label  value`, the values below each other.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let wide = pairs.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    let mut out = String::new();
    for (label, value) in pairs {
        let gap = " ".repeat(wide - width(label));
        let _ = writeln!(out, "{label}{gap}  {value}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_harmless_line() {
        assert_eq!(name("/home/é".as_bytes()), "/home/é");
        assert_eq!(name(b"a\x1b[31m\nb\\n\xff\x7f"), "a\\x1b[31m\\nb\\\\n\\xff\\x7f");
        assert_eq!(name("\u{202e}x\u{85}".as_bytes()), "\\u{202e}x\\x85");
        assert_eq!(message("cannot read a\\b\x07"), "cannot read a\\b\\x07");
    }

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&[("ID", Align::Left), ("Size", Align::Right), ("Paths", Align::Left)]);
        table.row(vec!["é1".into(), "1.0 KiB".into(), "/a\n/b".into()]);
        table.row(vec!["222".into(), "5 B".into()]);
        assert_eq!(table.render(), "ID      Size  Paths\né1   1.0 KiB  /a\n              /b\n222      5 B\n");
        assert_eq!(pairs(&[("a", "1".into()), ("long", "2".into())]), "a     1\nlong  2\n");
    }
}
