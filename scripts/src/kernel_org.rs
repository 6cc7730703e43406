// SPDX-License-Identifier: GPL-2.0
//! The release tarball of kernel.org, checked against its published checksum.

use crate::progress::Step;
use crate::version::SUPPORTED;
use crate::{digest, files, process};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BASE: &str = "https://cdn.kernel.org/pub/linux/kernel";

/// A release in a list of checksums.
#[derive(Debug, PartialEq, Eq)]
struct Release {
    name: String,
    sha256: String,
}

/// The newest supported release that the text of a sha256sums.asc lists.
fn newest(sums: &str) -> Option<Release> {
    let (major, minor) = SUPPORTED;
    let series = format!("linux-{major}.{minor}");
    sums.lines()
        .filter_map(|line| {
            let (sha256, name) = line.split_once("  ")?;
            let rest = name.strip_prefix(&series)?.strip_suffix(".tar.xz")?;
            let patch: u32 = match rest.strip_prefix('.') {
                Some(number) => number.parse().ok()?,
                None if rest.is_empty() => 0,
                None => return None,
            };
            let is_sum = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
            is_sum.then(|| {
                let release = Release {
                    name: name.to_owned(),
                    sha256: sha256.to_owned(),
                };
                (patch, release)
            })
        })
        .max_by_key(|(patch, _)| *patch)
        .map(|(_, release)| release)
}

/// Fails, and removes `file`, unless its digest is `sha256`.
fn verify(file: &Path, sha256: &str) -> Result<()> {
    let found = digest::of_file(file)?;
    if found.eq_ignore_ascii_case(sha256) {
        return Ok(());
    }
    files::remove_all(file)?;
    bail!(
        "the checksum of {} is {found}, not {sha256}: removed",
        file.display()
    );
}

fn fetch(url: &str, to: &Path, log: &Path, step: &Step) -> Result<()> {
    step.at(url);
    let mut command = Command::new("curl");
    command
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--proto",
            "=https",
        ])
        .args([
            "--connect-timeout",
            "20",
            "--speed-limit",
            "1000",
            "--speed-time",
            "60",
        ])
        .arg("--output")
        .arg(to)
        .arg(url);
    let status = process::run_status(&mut command, log, step)?;
    if !status.success() {
        bail!("cannot fetch {url}: {}", process::tail(log, 1).trim());
    }
    Ok(())
}

/// Downloads the newest supported release into `folder`.
pub fn download(folder: &Path, log: &Path, step: &Step) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let base = format!("{BASE}/v{}.x", SUPPORTED.0);
    let sums = folder.join("sha256sums.asc");
    fetch(&format!("{base}/sha256sums.asc"), &sums, log, step)?;
    let text = files::read_text(&sums)?;
    let release = newest(&text).context("kernel.org lists no supported release")?;
    let file = folder.join(&release.name);
    if file.exists() && verify(&file, &release.sha256).is_ok() {
        return Ok(file);
    }
    let partial = files::beside(&file, "partial");
    fetch(&format!("{base}/{}", release.name), &partial, log, step)?;
    verify(&partial, &release.sha256)?;
    fs::rename(&partial, &file).with_context(|| format!("cannot name {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_release_of_the_series() {
        let sum = |c: &str| c.repeat(64);
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}  linux-7.3.tar.xz\n{}  linux-7.3.9.tar.xz\n\
             {}  linux-7.3.10.tar.xz\n{}  linux-7.3.11.tar.gz\n{}  linux-7.30.tar.xz\n{}  linux-7.2.99.tar.xz\n\
             nothing  linux-7.3.12.tar.xz\n-----BEGIN PGP SIGNATURE-----\n",
            sum("0"), sum("1"), sum("a"), sum("2"), sum("3"), sum("4")
        );
        let release = newest(&text).unwrap();
        assert_eq!(release.name, "linux-7.3.10.tar.xz");
        assert_eq!(release.sha256, sum("a"));
        assert_eq!(newest("nothing here"), None);
    }

    #[test]
    fn wrong_checksum_removes_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("linux.tar.xz");
        fs::write(&file, "abc").unwrap();
        verify(
            &file,
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        )
        .unwrap();
        assert!(verify(&file, &"0".repeat(64)).is_err());
        assert!(!file.exists());
    }
}
