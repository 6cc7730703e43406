// SPDX-License-Identifier: GPL-2.0
//! `make report`: a page of what the last run of the tests came to, which a
//! reviewer opens first.

mod browser;
mod document;
mod elsewhere;
mod figures;
mod guards;
mod in_a_browser;
mod page;
mod picture;

pub use figures::{number, ratio};
pub use in_a_browser::{verdict, TEST};

use crate::behaviours;
use crate::context::Context;
use crate::files;
use crate::record::Record;
use crate::results::Results;
use anyhow::Result;
use elsewhere::{Mutation, Soak};
use page::{Page, Sources};
use std::path::Path;

/// What makes mutations of the code.
const MUTATION_COMMAND: &str = "make mutation";
/// What has booted hosts judge some of them.
const MUTATION_HOSTS_COMMAND: &str = "make mutation-hosts";
/// What has hosts work at length.
const SOAK_COMMAND: &str = "make soak";
/// Name of the page.
const NAME: &str = "index.html";

/// What the page of a run is made of, of which `record` is what it came to.
fn sources(ctx: &Context, record: Record) -> Result<Sources> {
    let elsewhere = ctx.results();
    Ok(Sources {
        record,
        behaviours: behaviours::read(&ctx.checkout.join(behaviours::PATH))?,
        mutation: Mutation::read(&elsewhere)?,
        mutation_on_hosts: elsewhere::mutation_on_hosts(&elsewhere)?,
        soak: Soak::read(&elsewhere)?,
    })
}

/// What the page of a run that never was is made of, which has everything that
/// a page can have: `sample/` in the folder `scripts`.
fn sample(scripts: &Path) -> Result<Sources> {
    let folder = scripts.join("sample");
    Ok(Sources {
        record: Record::read(&folder.join("results.json"))?,
        behaviours: behaviours::read(&folder.join("behaviours.rst"))?,
        mutation: Mutation::read(&folder)?,
        mutation_on_hosts: elsewhere::mutation_on_hosts(&folder)?,
        soak: Soak::read(&folder)?,
    })
}

/// Makes the page of the run whose record is `results`, or of the last one, and
/// prints where it is. False if it was to be looked at, and is not right.
pub fn report(ctx: &Context, results: Option<&Path>, in_a_browser: bool) -> Result<bool> {
    let record = match results {
        Some(path) => Record::read(path)?,
        None => Record::read(&Record::newest(&ctx.cache.join("log"))?)?,
    };
    let path = ctx.cache.join("report").join(NAME);
    let sources = sources(ctx, record)?;
    files::write_atomic(&path, Page::new(&sources)?.html()?.as_bytes())?;
    let mut results = Results::default();
    if in_a_browser {
        let step = ctx.ui.step(TEST);
        let (verdict, detail) = verdict(ctx, &sources.record, &step);
        step.end(verdict.word());
        results.add(&ctx.ui, TEST, verdict, &detail);
        println!("pictures: {}", in_a_browser::folder(ctx).display());
        println!("{}", results.summary());
    }
    println!("{}", path.display());
    Ok(results.failures().count() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Those of the sample.
    pub fn sources() -> Sources {
        sample(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// What is between `<body>` and its end.
    fn body(html: &str) -> &str {
        let (_, body) = html.split_once("<body>").unwrap();
        body.split_once("</body>").unwrap().0
    }

    #[test]
    fn the_page_of_the_sample_is_as_it_was() {
        let sources = sources();
        let html = Page::new(&sources).unwrap().html().unwrap();
        insta::assert_snapshot!(body(&html));
    }

    #[test]
    fn what_was_not_run_is_said() {
        let mut sources = sources();
        sources.mutation = None;
        sources.mutation_on_hosts = None;
        sources.soak = None;
        sources.record.costs.clear();
        sources.record.explored.clear();
        sources.record.hosts.clear();
        let html = Page::new(&sources).unwrap().html().unwrap();
        for text in [
            "Not run: <code>make mutation</code>",
            "not judged: <code>make mutation-hosts</code>",
            "Not run: <code>make soak</code>",
            "Nothing was explored in this run.",
            "No trace was recorded in this run.",
            "No host was booted in this run.",
        ] {
            assert!(html.contains(text), "{text}");
        }
    }

    #[test]
    fn nothing_in_results_is_taken_for_html() {
        let mut sources = sources();
        let evil = "</td><script>alert(1)</script>";
        sources.record.given_up = Some(evil.to_owned());
        sources.record.only = evil.to_owned();
        let html = Page::new(&sources).unwrap().html().unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>V0"));
        assert!(html.contains("&#60;script&#62;alert(1)"));
    }

    #[test]
    fn a_test_with_an_unknown_id_is_an_error() {
        let mut sources = sources();
        sources.behaviours.retain(|behaviour| behaviour.id.0 != 36);
        let error = Page::new(&sources).err().unwrap();
        assert!(error.to_string().contains("guards B36"), "{error}");
    }
    /// The colours that `css` defines, by their names.
    fn colours(css: &str) -> BTreeMap<&str, [f64; 3]> {
        let mut colours = BTreeMap::new();
        for line in css.lines() {
            let Some((name, value)) = line.trim().split_once(": #") else {
                continue;
            };
            let part = |at: usize| {
                let part = u8::from_str_radix(value.get(at..at + 2)?, 16).ok()?;
                let part = f64::from(part) / 255.0;
                Some(match part <= 0.04045 {
                    true => part / 12.92,
                    false => ((part + 0.055) / 1.055).powf(2.4),
                })
            };
            if let (Some(r), Some(g), Some(b)) = (part(0), part(2), part(4)) {
                colours.insert(name, [r, g, b]);
            }
        }
        colours
    }

    /// As WCAG 2 defines it.
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        let (one, other) = (luminance(one), luminance(other));
        (one / other).max(other / one)
    }

    #[test]
    fn text_can_be_read_in_both_schemes() {
        let css = include_str!("../../templates/report/style.css");
        let (light, rest) = css
            .split_once("@media (prefers-color-scheme: dark)")
            .unwrap();
        let (dark, _) = rest.split_once("\n}\n").unwrap();
        for scheme in [light, dark] {
            let colours = colours(scheme);
            for ink in ["--ink", "--muted", "--bad", "--good", "--link"] {
                for paper in ["--paper", "--shade", "--bad-shade"] {
                    let contrast = contrast(colours[ink], colours[paper]);
                    assert!(contrast > 4.5, "{ink} on {paper}: {contrast:.1}");
                }
            }
        }
    }
}
