// SPDX-License-Identifier: GPL-2.0
//! What is in the document that a browser made of the page.

use super::page::Page;
use anyhow::{ensure, Context as _, Result};
use scraper::{ElementRef, Html, Selector};
use std::collections::BTreeSet;

/// The sections, in their order; that of the failures is not always there.
const SECTIONS: [&str; 12] = [
    "failures",
    "behaviours",
    "exploration",
    "mutation",
    "faults",
    "soak",
    "instructions",
    "differences",
    "unsafe",
    "hosts",
    "skips",
    "reproduce",
];

/// What scripts that only tests have leave at the document's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Width of the window.
    pub window: u32,
    /// Width of the page.
    pub width: u32,
    /// Height of the page.
    pub height: u32,
}

/// Has the page say how large it is.
pub const MEASURE: &str = "<script>{
const root = document.documentElement, page = document.scrollingElement;
root.dataset.window = window.innerWidth;
root.dataset.width = page.scrollWidth;
root.dataset.height = page.scrollHeight;
}</script>\n";

impl Measured {
    /// What is said in `document`.
    pub fn read(document: &str) -> Result<Self> {
        let html = Html::parse_document(document);
        let root = html.root_element();
        let read = |name: &str| {
            let text = root.attr(name);
            let text = text.with_context(|| format!("the page has no {name}"))?;
            text.parse().with_context(|| format!("{name} is {text}"))
        };
        Ok(Self {
            window: read("data-window")?,
            width: read("data-width")?,
            height: read("data-height")?,
        })
    }

    /// Fails unless the page is as wide as a window of `width`.
    pub fn check(self, width: u32) -> Result<()> {
        ensure!(
            self.window == width,
            "the window is {} wide, {width} was asked for",
            self.window
        );
        ensure!(
            self.width <= width,
            "the page is {} wide in a window of {width}: what is wider must scroll in a .table",
            self.width
        );
        Ok(())
    }
}

/// A document that is looked at.
struct Document(Html);

impl Document {
    fn all(&self, selector: &str) -> Result<Vec<ElementRef<'_>>> {
        let parsed = Selector::parse(selector);
        let parsed = parsed.map_err(|e| anyhow::anyhow!("{selector} selects nothing: {e}"))?;
        Ok(self.0.select(&parsed).collect())
    }

    fn text(&self, selector: &str) -> Result<String> {
        let all = self.all(selector)?;
        let [element] = all[..] else {
            anyhow::bail!("the page has {} {selector}", all.len());
        };
        Ok(element.text().collect::<String>().trim().to_owned())
    }
}

/// Fails unless `document` is what `page` says.
pub fn check(document: &str, page: &Page<'_>) -> Result<()> {
    let document = Document(Html::parse_document(document));
    let title = page.title();
    for place in ["#counts", "title"] {
        let text = document.text(place)?;
        ensure!(
            text.starts_with(&title),
            "{place} is `{text}`, not `{title}`"
        );
    }
    let verdict = document.text("#verdict strong")?;
    ensure!(
        verdict == page.verdict(),
        "the verdict is {verdict}, not {}",
        page.verdict()
    );

    let sections = document.all("main > section")?;
    let found: Vec<&str> = sections.iter().filter_map(|s| s.attr("id")).collect();
    let expected = SECTIONS
        .into_iter()
        .filter(|id| page.has_failures() || *id != "failures");
    ensure!(
        expected.eq(found.iter().copied()),
        "the sections are {found:?}"
    );

    for (section, rows) in page.rows() {
        let selector = format!("#{section} tbody tr:not(.heading)");
        let found = document.all(&selector)?.len();
        ensure!(found == rows, "{section} has {found} rows, not {rows}");
    }
    let wrong = document.all("#behaviours tr.bad")?.len();
    ensure!(
        wrong == page.wrong_behaviours(),
        "{wrong} behaviours are marked, not {}",
        page.wrong_behaviours()
    );
    let cells = document.all("#behaviours td.number .passed")?;
    let passed = cells.iter().map(|cell| {
        let text: String = cell.text().collect();
        text.parse::<u64>()
            .with_context(|| format!("a cell of the behaviours has `{text}`"))
    });
    let passed = passed.sum::<Result<u64>>()?;
    ensure!(
        passed == page.passed(),
        "behaviours are guarded {passed} times, not {}",
        page.passed()
    );
    let faults = document.all("#faults code")?.len();
    ensure!(
        faults == page.faults(),
        "{faults} faults are named, not {}",
        page.faults()
    );
    check_structure(&document)
}

/// Fails where a table has no head or a head says not whose it is, where a link
/// leads nowhere or elsewhere, and where there is a script.
fn check_structure(document: &Document) -> Result<()> {
    for table in document.all("table")? {
        ensure!(
            table.html().contains("<thead>"),
            "a table has no head: {}",
            table.text().take(8).collect::<String>()
        );
    }
    if let Some(head) = document.all("th:not([scope])")?.first() {
        anyhow::bail!("no scope: {}", head.html());
    }
    let mut ids = BTreeSet::new();
    for element in document.all("[id]")? {
        let id = element.attr("id").unwrap_or_default();
        ensure!(ids.insert(id), "there are two of #{id}");
    }
    for link in document.all("[href]")? {
        let to = link.attr("href").unwrap_or_default();
        let within = to.strip_prefix('#').is_some_and(|id| ids.contains(id));
        ensure!(within, "a link leads to {to}");
    }
    if let Some(element) = document.all("script, [src], [style], link")?.first() {
        anyhow::bail!("the page must be complete as it is: {}", element.html());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sources;

    #[test]
    fn the_page_of_the_sample_is_as_it_must_be() {
        let sources = sources();
        let page = Page::new(&sources).unwrap();
        check(&page.html().unwrap(), &page).unwrap();
    }

    #[test]
    fn what_is_not_as_it_must_be_is_noticed() {
        let sources = sources();
        let page = Page::new(&sources).unwrap();
        let html = page.html().unwrap();
        for (text, instead) in [
            ("11 passed", "12 passed"),
            ("<strong>FAILED</strong>", "<strong>PASSED</strong>"),
            ("<section id=\"soak\">", "<section id=\"soaked\">"),
            ("<tr id=\"B2\"", "<tr class=\"heading\" id=\"B2\""),
            ("class=\"bad\"", "class=\"good\""),
            ("<th scope=\"row\">B12", "<th>B12"),
            ("id=\"B12\"", "id=\"B2\""),
            ("href=\"#hosts\"", "href=\"#host\""),
            ("href=\"#hosts\"", "href=\"https://example.org/\""),
            (
                "<span class=\"passed\">2</span>",
                "<span class=\"passed\">3</span>",
            ),
            ("<code>put_discards</code>", "put_discards"),
            ("<main>", "<main><script></script>"),
            ("<thead>", "<tbody>"),
        ] {
            assert!(html.contains(text), "{text}");
            let changed = html.replacen(text, instead, 1);
            assert!(check(&changed, &page).is_err(), "{instead}");
        }
    }

    #[test]
    fn what_was_measured_is_read() {
        let read = |attributes: &str| Measured::read(&format!("<html {attributes}><p>x"));
        let measured = read("data-window=\"480\" data-width=\"481\" data-height=\"9000\"").unwrap();
        let error = measured.check(480).unwrap_err().to_string();
        assert!(error.starts_with("the page is 481 wide"), "{error}");
        assert!(measured.check(481).is_err());
        let fits = Measured {
            width: 480,
            ..measured
        };
        fits.check(480).unwrap();
        assert!(read("data-window=\"480\"").is_err());
        assert!(read("data-window=\"x\"").is_err());
    }
}
