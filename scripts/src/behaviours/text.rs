// SPDX-License-Identifier: GPL-2.0
//! As much of reStructuredText as the list of behaviours has: sections with
//! simple tables of three columns, and inline literals.

/// A row of a table.
#[derive(Debug)]
pub struct Row {
    /// The heading above the table.
    pub section: String,
    /// What is in its columns, each in one line.
    pub cells: [String; 3],
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Plain(String),
    /// Between double backquotes.
    Literal(String),
}

/// Where the columns of a table begin, of its border.
fn columns(border: &str) -> Option<[usize; 3]> {
    let is_border = border.starts_with('=') && border.bytes().all(|b| matches!(b, b'=' | b' '));
    let begins = |at: &usize| {
        let before = at.checked_sub(1).map(|before| border.as_bytes()[before]);
        border.as_bytes()[*at] == b'=' && before != Some(b'=')
    };
    let all: Vec<usize> = (0..border.len()).filter(begins).collect();
    is_border.then(|| all.try_into().ok())?
}

/// Puts the columns of `line` behind what `cells` has.
fn add(cells: &mut [String; 3], columns: [usize; 3], line: &str) {
    let ends = [columns[1], columns[2], usize::MAX];
    for ((cell, begin), end) in cells.iter_mut().zip(columns).zip(ends) {
        let text: String = line.chars().take(end).skip(begin).collect();
        let text = text.trim();
        if !cell.is_empty() && !text.is_empty() {
            cell.push(' ');
        }
        cell.push_str(text);
    }
}

/// The rows of all tables, without their heads.
pub fn rows(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut section = String::new();
    let mut previous = "";
    // Of the table that this is in, with the number of borders so far.
    let mut table: Option<([usize; 3], usize)> = None;
    for line in text.lines() {
        match (columns(line), &mut table) {
            (Some(columns), None) => table = Some((columns, 1)),
            (Some(_), Some((_, borders))) => {
                *borders += 1;
                if *borders == 3 {
                    table = None;
                }
            }
            (None, Some((columns, 2))) => {
                if !line.starts_with(' ') || rows.is_empty() {
                    rows.push(Row {
                        section: section.clone(),
                        cells: Default::default(),
                    });
                }
                if let Some(row) = rows.last_mut() {
                    add(&mut row.cells, *columns, line);
                }
            }
            (None, Some(_)) => {}
            (None, None) => {
                if line.starts_with("==") && !previous.is_empty() {
                    previous.clone_into(&mut section);
                }
            }
        }
        previous = line;
    }
    rows
}

/// `text` with its literals apart.
pub fn pieces(text: &str) -> Vec<Piece> {
    let piece = |(number, text): (usize, &str)| match number % 2 {
        0 => Piece::Plain(text.to_owned()),
        _ => Piece::Literal(text.to_owned()),
    };
    let all = text.split("``").enumerate();
    all.filter(|(_, text)| !text.is_empty())
        .map(piece)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_below_belong_to_a_row() {
        let text = "Head\n====\n\n===  ====  ==\na    b     c\n===  ====  ==\n\
                    1    x     \u{e9} and\n     y     more than wide\n2\n===  ====  ==\n";
        let rows = rows(text);
        let cells: Vec<&[String; 3]> = rows.iter().map(|row| &row.cells).collect();
        assert_eq!(
            cells,
            [&["1", "x y", "\u{e9} and more than wide"], &["2", "", ""]]
        );
        assert!(rows.iter().all(|row| row.section == "Head"));
    }

    #[test]
    fn literals_are_apart() {
        let plain = |text: &str| Piece::Plain(text.to_owned());
        let literal = |text: &str| Piece::Literal(text.to_owned());
        assert_eq!(
            pieces("``A`` and ``b_*``; c"),
            [literal("A"), plain(" and "), literal("b_*"), plain("; c")]
        );
        assert!(pieces("").is_empty());
    }
}
