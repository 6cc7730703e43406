// SPDX-License-Identifier: GPL-2.0
//! Reads of a page what there is to check. No more of reStructuredText and
//! Markdown is understood than the pages have.

/// Something that is on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Line, from 1.
    pub line: usize,
    /// What is there.
    pub text: String,
}

impl At {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

/// What is on a page.
#[derive(Debug, Default)]
pub struct Page {
    /// Names and commands in the text.
    pub literals: Vec<At>,
    /// Lines of literal blocks. One that goes on in the next is one with it.
    pub blocks: Vec<At>,
    /// Headings.
    pub titles: Vec<At>,
    /// Headings whose line is shorter than they are, which is an error.
    pub short_rules: Vec<At>,
    /// Other pages that the text names.
    pub links: Vec<At>,
    /// Headings of other pages that the text names, and the pages.
    pub sections: Vec<(At, String)>,
    /// Pictures.
    pub images: Vec<At>,
    /// Entries of tables of contents.
    pub entries: Vec<At>,
}

/// What a block of indented lines is.
#[derive(Debug, Clone, Copy)]
enum Block {
    Literal,
    Contents,
    Other,
}

impl Page {
    /// Reads reStructuredText.
    pub fn of_rst(text: &str) -> Self {
        let mut page = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        page.read_titles(&lines);
        let mut prose = String::new();
        let mut block = None;
        for (number, &line) in (1..).zip(&lines) {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            match block {
                Some((kind, outer)) if trimmed.is_empty() || indent > outer => {
                    match kind {
                        Block::Literal => page.blocks.push(At::new(number, trimmed)),
                        Block::Contents if !trimmed.is_empty() && !trimmed.starts_with(':') => {
                            page.entries.push(At::new(number, trimmed));
                        }
                        Block::Contents | Block::Other => (),
                    }
                    prose.push('\n');
                    continue;
                }
                _ => block = None,
            }
            if let Some(directive) = trimmed.strip_prefix(".. ") {
                if let Some(image) = directive.strip_prefix("image::") {
                    page.images.push(At::new(number, image.trim()));
                }
                let is_contents = directive.starts_with("toctree::");
                let kind = if is_contents {
                    Block::Contents
                } else {
                    Block::Other
                };
                block = Some((kind, indent));
            } else {
                if line.ends_with("::") {
                    let item = if trimmed.starts_with("* ") { 2 } else { 0 };
                    block = Some((Block::Literal, indent + item));
                }
                prose.push_str(line);
            }
            prose.push('\n');
        }
        page.read_prose(&prose);
        page.blocks = joined(std::mem::take(&mut page.blocks));
        page
    }

    /// A heading is a line with a line of one character under it.
    fn read_titles(&mut self, lines: &[&str]) {
        for (index, pair) in lines.windows(2).enumerate() {
            let &[title, under] = pair else { continue };
            if title.trim().is_empty() || is_rule(title) || !is_rule(under) {
                continue;
            }
            let title = At::new(index + 1, title.trim());
            let width = title.text.chars().count();
            let above = index.checked_sub(1).map(|above| lines[above]);
            let above = above.filter(|line| is_rule(line));
            if under.len() < width || above.is_some_and(|above| above.len() < width) {
                self.short_rules.push(title.clone());
            }
            self.titles.push(title);
        }
    }

    /// Names of pages are outside of literals.
    fn read_prose(&mut self, prose: &str) {
        let (literals, plain) = split(prose, "``");
        self.literals = literals;
        for (number, line) in (1..).zip(plain.lines()) {
            let names = line.split_whitespace().filter_map(page_name);
            self.links.extend(names.map(|name| At::new(number, name)));
        }
        let mut before = 0;
        for paragraph in plain.split("\n\n") {
            let mut quotes = paragraph.split('"').peekable();
            let mut inside = false;
            let mut length = 0;
            while let Some(piece) = quotes.next() {
                let line = line_of(&plain[..before + length]);
                length += piece.len() + 1;
                if let (true, Some(next)) = (inside, quotes.peek()) {
                    let mut words = next.split_whitespace();
                    if let (Some("in"), Some(page)) = (words.next(), words.next()) {
                        if let Some(page) = page_name(page) {
                            let title: Vec<&str> = piece.split_whitespace().collect();
                            let title = At::new(line, title.join(" "));
                            self.sections.push((title, page.to_owned()));
                        }
                    }
                }
                inside = !inside;
            }
            before += paragraph.len() + 2;
        }
    }

    /// Reads Markdown.
    pub fn of_markdown(text: &str) -> Self {
        let mut page = Self::default();
        let mut prose = String::new();
        let mut in_block = false;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            } else if in_block {
                page.blocks.push(At::new(number, line.trim()));
            } else {
                // Tables write a bar so.
                prose.push_str(&line.replace("\\|", "|"));
            }
            prose.push('\n');
        }
        let (literals, plain) = split(&prose, "`");
        page.literals = literals;
        for (number, line) in (1..).zip(plain.lines()) {
            let targets = line.split("](").skip(1);
            let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
            let targets = targets.filter(|target| !target.contains("://"));
            page.links.extend(targets.map(|t| At::new(number, t)));
        }
        page.blocks = joined(page.blocks);
        page
    }
}

/// The literals of `prose`, which are between `mark`s and may go on in the next
/// line, and what is outside of them, in as many lines.
fn split(prose: &str, mark: &str) -> (Vec<At>, String) {
    let mut literals = Vec::new();
    let mut plain = String::new();
    for (index, piece) in prose.split(mark).enumerate() {
        if index % 2 == 0 {
            plain.push_str(piece);
        } else {
            let words: Vec<&str> = piece.split_whitespace().collect();
            literals.push(At::new(line_of(&plain), words.join(" ")));
            plain.extend(piece.chars().filter(|&c| c == '\n'));
        }
    }
    (literals, plain)
}

fn is_rule(line: &str) -> bool {
    let mut chars = line.chars();
    let first = chars.next();
    line.len() > 1
        && first.is_some_and(|c| "=-~^\"#*".contains(c))
        && chars.all(|c| Some(c) == first)
}

/// The number of the line that comes after `text`.
fn line_of(text: &str) -> usize {
    1 + text.matches('\n').count()
}

/// The page that a word names, whatever marks are around it.
fn page_name(word: &str) -> Option<&str> {
    let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let stem = name.strip_suffix(".rst")?;
    (!stem.is_empty()).then_some(name)
}

/// Lines with those that a backslash continues.
fn joined(lines: Vec<At>) -> Vec<At> {
    let mut all: Vec<At> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let text = line.text.strip_suffix('\\');
        let stem = text.unwrap_or(&line.text).trim();
        match all.last_mut() {
            Some(last) if goes_on => {
                last.text.push(' ');
                last.text.push_str(stem);
            }
            _ => all.push(At::new(line.line, stem)),
        }
        goes_on = text.is_some();
    }
    all.retain(|line| !line.text.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#".. SPDX-License-Identifier: GPL-2.0

=====
Pages
=====

See other.rst, "A
heading" in other.rst, and ``hyp/a.rs``; ``make test
HOURS=2`` does more. "No link" in here.

.. image:: images/a.svg
   :alt: ``not_a_literal``

* An item with a block::

      make test \
          MODE=vhe

  that goes on with ``b``.

.. toctree::
   :maxdepth: 1

   one
   two

====  ========
id    ``cell``
====  ========

Too long
====
"#;

    fn pairs(all: &[At]) -> Vec<(usize, &str)> {
        all.iter().map(|at| (at.line, at.text.as_str())).collect()
    }

    #[test]
    fn a_page_has_what_is_written_there_and_in_which_line() {
        let page = Page::of_rst(PAGE);
        let literals = [
            (8, "hyp/a.rs"),
            (8, "make test HOURS=2"),
            (19, "b"),
            (28, "cell"),
        ];
        assert_eq!(pairs(&page.literals), literals);
        assert_eq!(pairs(&page.blocks), [(16, "make test MODE=vhe")]);
        assert_eq!(pairs(&page.titles), [(4, "Pages"), (31, "Too long")]);
        assert_eq!(pairs(&page.short_rules), [(31, "Too long")]);
        assert_eq!(pairs(&page.links), [(7, "other.rst"), (8, "other.rst")]);
        let section = (At::new(7, "A heading"), "other.rst".to_owned());
        assert_eq!(page.sections, [section]);
        assert_eq!(pairs(&page.images), [(11, "images/a.svg")]);
        assert_eq!(pairs(&page.entries), [(24, "one"), (25, "two")]);
    }

    #[test]
    fn a_line_above_a_heading_must_be_as_long_as_the_heading_too() {
        assert_eq!(Page::of_rst("====\nTitle\n=====\n").short_rules.len(), 1);
        assert_eq!(Page::of_rst("=====\nTitle\n=====\n").short_rules.len(), 0);
    }

    #[test]
    fn markdown_is_read_too() {
        let page = Page::of_markdown(
            "# Title\n`a\\|b` and [c](d.rst), [e](https://f)\n\n```\nmake test   # all\n```\n`g`\n",
        );
        assert_eq!(pairs(&page.literals), [(2, "a|b"), (7, "g")]);
        assert_eq!(pairs(&page.links), [(2, "d.rst")]);
        assert_eq!(pairs(&page.blocks), [(5, "make test   # all")]);
    }
}
