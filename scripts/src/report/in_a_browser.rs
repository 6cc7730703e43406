// SPDX-License-Identifier: GPL-2.0
//! The test that looks at the page in a browser.

use super::browser::{self, Browser, Seen, View, PROGRAMS};
use super::document::{self, Measured, MEASURE};
use super::page::{Page, Sources, POLICY};
use super::{picture, sample, sources};
use crate::context::Context;
use crate::error::hinted;
use crate::files;
use crate::plan::Verdict;
use crate::progress::Step;
use crate::record::Record;
use crate::side_by_side::both;
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the test.
pub const TEST: &str = "report/in-a-browser";

/// Widths of windows: a desk's and a telephone's.
const WIDTHS: [u32; 2] = [1280, 480];
/// Height of a window while the page is measured.
const HEIGHT: u32 = 800;
/// More than this a picture need not have.
const MOST_HEIGHT: u32 = 16_000;

/// A page with everything that must be noticed.
const WRONG: &str = "<!DOCTYPE html>\n<title>wrong</title>\n\
    <div style=\"width: 3000px; height: 1px\"></div>\n<script>noSuchFunction()</script>\n";

/// Where pages and pictures are.
pub fn folder(ctx: &Context) -> PathBuf {
    ctx.logs.join("report")
}

/// Looks at the page of the run that `record` is of, and at that of the sample.
pub fn verdict(ctx: &Context, record: &Record, step: &Step) -> (Verdict, String) {
    match Browser::find() {
        Ok(Some(browser)) => Verdict::of(look(ctx, record, &browser, step)),
        Ok(None) if browser::is_optional() => {
            let why = format!(
                "this machine has none of {}: install one, or TOOLS=root",
                PROGRAMS.join(", ")
            );
            (Verdict::Skipped(why), String::new())
        }
        Ok(None) => Verdict::failed(&hinted(
            format!("there is no browser: none of {}", PROGRAMS.join(", ")),
            "scripts/packages lists the first: TOOLS=root takes a tool root that has it",
        )),
        Err(error) => Verdict::failed(&error),
    }
}

fn look(ctx: &Context, record: &Record, browser: &Browser, step: &Step) -> Result<()> {
    let folder = folder(ctx);
    let look = |name: &str, sources: Result<Sources>, browser: &Browser| {
        let look = Look {
            browser,
            folder: folder.join(name),
            step,
        };
        look.at(&sources?)
            .with_context(|| format!("the page of the {name}, in {}", look.folder.display()))
    };
    // A browser takes one CPU most of the time.
    let (sampled, ran) = both(
        || {
            step.at("a page that is wrong");
            notices(browser, &folder.join("wrong")).context("what is wrong was not noticed")?;
            look("sample", sample(&ctx.scripts()), browser)
        },
        || look("run", sources(ctx, record.clone()), &browser.another()?),
    );
    sampled.and(ran)
}

/// Writes `html` to `folder` and returns where it is.
fn write(folder: &Path, name: &str, html: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    files::write_atomic(&path, html.as_bytes())?;
    Ok(path)
}

/// Fails unless the console of a page is empty.
fn check_console(seen: &Seen) -> Result<()> {
    ensure!(
        seen.console.is_empty(),
        "the browser says: {}",
        seen.console.join("\n")
    );
    Ok(())
}

/// Fails unless each thing that is wrong with a page is noticed.
fn notices(browser: &Browser, folder: &Path) -> Result<()> {
    let page = write(folder, "index.html", &format!("{WRONG}{MEASURE}"))?;
    let view = View {
        width: WIDTHS[0],
        height: HEIGHT,
        dark: false,
    };
    let shot = folder.join("index.png");
    let seen = browser.open(&page, view, Some(&shot))?;
    ensure!(check_console(&seen).is_err(), "an error of a script");
    let measured = Measured::read(&seen.document)?;
    ensure!(
        measured.check(view.width).is_err(),
        "a page that is too wide"
    );
    ensure!(picture::check(&shot, view).is_err(), "a page that is blank");
    Ok(())
}

/// How pages are looked at.
struct Look<'a> {
    browser: &'a Browser,
    folder: PathBuf,
    step: &'a Step,
}

impl Look<'_> {
    /// Looks at the page of `sources` in all windows.
    fn at(&self, sources: &Sources) -> Result<()> {
        let page = Page::new(sources)?;
        let html = page.html()?;
        let path = write(&self.folder, super::NAME, &html)?;
        // A script of ours, which the page itself does not let run.
        ensure!(
            html.matches(POLICY).count() == 1,
            "the page has no policy that keeps scripts and the network out"
        );
        let html = format!("{}{MEASURE}", html.replace(POLICY, ""));
        let measured = write(&self.folder, "measured.html", &html)?;
        for width in WIDTHS {
            let height = self.measure(&measured, width)?;
            for dark in [false, true] {
                let view = View {
                    width,
                    height,
                    dark,
                };
                self.view(&path, &page, view)
                    .with_context(|| format!("in a window of {}", view.name()))?;
            }
        }
        Ok(())
    }

    /// Makes sure that the page is not wider than the window, and returns its
    /// height.
    fn measure(&self, page: &Path, width: u32) -> Result<u32> {
        let view = View {
            width,
            height: HEIGHT,
            dark: false,
        };
        let seen = self.browser.open(page, view, None)?;
        let measured = Measured::read(&seen.document)?;
        measured.check(width)?;
        Ok(measured.height.clamp(HEIGHT, MOST_HEIGHT))
    }

    fn view(&self, path: &Path, page: &Page<'_>, view: View) -> Result<()> {
        let shot = self.folder.join(format!("{}.png", view.name()));
        self.step.at(&shot.display().to_string());
        // One of an earlier page would be taken for it.
        if shot.exists() {
            fs::remove_file(&shot).with_context(|| format!("cannot remove {}", shot.display()))?;
        }
        let seen = self.browser.open(path, view, Some(&shot))?;
        check_console(&seen)?;
        document::check(&seen.document, page)?;
        picture::check(&shot, view)
    }
}
