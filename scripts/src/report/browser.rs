// SPDX-License-Identifier: GPL-2.0
//! A browser without a window: it opens a page, says what it made of it, and
//! takes a picture.

use crate::error::hinted;
use crate::process::{self, Running};
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Programs that are such a browser, or can be. Debian has the first two; the
/// tool root has the first.
pub const PROGRAMS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// A page takes a second or two.
const LIMIT: Duration = Duration::from_secs(90);

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Width of the window.
    pub width: u32,
    /// Height of the window.
    pub height: u32,
    /// Whether the reader prefers dark pages.
    pub dark: bool,
}

impl View {
    /// Its name in those of files.
    pub fn name(self) -> String {
        let scheme = if self.dark { "dark" } else { "light" };
        format!("{}-{scheme}", self.width)
    }
}

/// What the browser made of a page.
#[derive(Debug)]
pub struct Seen {
    /// The document, once it was loaded.
    pub document: String,
    /// What the console has: errors of the page, and what it loads although
    /// it may not.
    pub console: Vec<String>,
}

/// A browser.
#[derive(Debug)]
pub struct Browser {
    program: &'static str,
    profile: TempDir,
}

impl Browser {
    /// The first there is.
    pub fn find() -> Result<Option<Self>> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |program: &&&str| {
            std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
        };
        let Some(program) = PROGRAMS.iter().find(is_there) else {
            return Ok(None);
        };
        Self::of(program).map(Some)
    }

    fn of(program: &'static str) -> Result<Self> {
        Ok(Self {
            program,
            profile: tempfile::tempdir().context("cannot make a folder for the browser")?,
        })
    }

    /// Another one, that can be at work at the same time.
    pub fn another(&self) -> Result<Self> {
        Self::of(self.program)
    }

    /// The command that opens `page`, and takes the picture if there is a place
    /// for it.
    fn command(&self, page: &Path, view: View, picture: Option<&Path>) -> Command {
        let mut command = Command::new(self.program);
        command
            .args([
                "--headless",
                // Here the user is root, of a namespace at least, and what is
                // opened is our own.
                "--no-sandbox",
                "--disable-gpu",
                // /dev/shm is small in containers.
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .arg(format!("--window-size={},{}", view.width, view.height))
            // 0 is dark.
            .arg(format!(
                "--blink-settings=preferredColorScheme={}",
                u8::from(!view.dark)
            ));
        if let Some(picture) = picture {
            command.arg(format!("--screenshot={}", picture.display()));
        }
        command.arg(format!("file://{}", page.display()));
        command
    }

    /// Opens `page`, and leaves a picture at `picture`. The files that the browser
    /// writes to are beside that of the page.
    pub fn open(&self, page: &Path, view: View, picture: Option<&Path>) -> Result<Seen> {
        let beside = |ending: &str| -> PathBuf {
            let stem = page.file_stem().unwrap_or_default().to_string_lossy();
            page.with_file_name(format!("{stem}-{}.{ending}", view.name()))
        };
        let (document, log) = (beside("dom"), beside("log"));
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))
        };
        let mut command = self.command(page, view, picture);
        command
            .stdin(Stdio::null())
            .stdout(create(&document)?)
            .stderr(create(&log)?);
        let failed = |what: String| {
            hinted(
                format!(
                    "{} {what}:\n{}log: {}",
                    self.program,
                    process::tail(&log, 8),
                    log.display()
                ),
                "TOOLS=root takes the project's own browser",
            )
        };
        let mut running = Running::start(&mut command)?;
        let start = Instant::now();
        let status = loop {
            match running.poll()? {
                Some(status) => break status,
                None if start.elapsed() > LIMIT => {
                    return Err(failed(format!("did not end within {} s", LIMIT.as_secs())))
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if !status.success() {
            return Err(failed(format!("failed, {}", process::describe(status))));
        }
        if let Some(picture) = picture.filter(|picture| !picture.is_file()) {
            return Err(failed(format!("left no {}", picture.display())));
        }
        let read = |path: &Path| {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Seen {
            document: read(&document)?,
            console: console(&read(&log)?),
        })
    }
}

/// What the page's console has, in what the browser logs.
fn console(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(":CONSOLE"));
    lines.map(str::to_owned).collect()
}

/// Whether the tools are those of the machine, which need not have a browser.
pub fn is_optional() -> bool {
    std::env::var_os("KVM_RUST_TOOLS").is_some_and(|tools| tools == "own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_console_of_the_page_is_looked_at() {
        let log = "[1126/075500.1:ERROR:dbus/bus.cc:406] Failed to connect to the bus\n\
                   [1126/075500.2:INFO:CONSOLE:3] \"Uncaught TypeError\", source: file:///a (3)\n\
                   60211 bytes written to file /a.png\n";
        let found = console(log);
        assert!(
            found.len() == 1 && found[0].contains("TypeError"),
            "{found:?}"
        );
    }

    #[test]
    fn views_have_names() {
        let view = |dark| View {
            width: 480,
            height: 800,
            dark,
        };
        assert_eq!(
            [false, true].map(|dark| view(dark).name()),
            ["480-light", "480-dark"]
        );
    }
}
