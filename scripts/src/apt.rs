// SPDX-License-Identifier: GPL-2.0
//! Debian packages through apt, with package lists of our own: the machine's
//! stay as they are, and no privileges are needed.

use crate::context::Context;
use crate::error::hinted;
use crate::progress::Step;
use crate::{digest, files, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Suite whose packages are used.
pub const SUITE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What to do where packages do not come.
const HINT: &str = "check the network, or name another mirror: MIRROR=http://your.mirror/debian";

/// apt with private state.
pub struct Apt {
    options: Vec<String>,
}

/// What apt knows about a package file before it has it.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    name: String,
    size: u64,
    sha256: String,
}

/// Reads a line of `apt-get download --print-uris`: 'URI' NAME SIZE SHA256:SUM
fn offer(line: &str) -> Option<Offer> {
    let mut words = line.split_whitespace();
    words.next()?.strip_prefix('\'')?;
    Some(Offer {
        name: words.next()?.to_owned(),
        size: words.next()?.parse().ok()?,
        sha256: words.next()?.strip_prefix("SHA256:")?.to_owned(),
    })
}

fn is_whole(file: &Path, offer: &Offer) -> bool {
    fs::metadata(file).is_ok_and(|m| m.len() == offer.size)
        && digest::of_file(file).is_ok_and(|sum| sum == offer.sha256)
}

/// The Debian mirror: MIRROR, or the one that apt uses here.
pub fn mirror() -> Result<String> {
    if let Some(mirror) = std::env::var("MIRROR").ok().filter(|m| !m.is_empty()) {
        return Ok(mirror);
    }
    // Unlike indextargets this answers without package lists, too.
    let uris = process::output(Command::new("apt-get").args(["update", "--print-uris"]))?;
    uris.lines().find_map(mirror_of).ok_or_else(|| {
        hinted(
            "no Debian mirror in the apt configuration",
            "name one: MIRROR=http://your.mirror/debian make ...",
        )
    })
}

/// The mirror in a line of `apt-get update --print-uris`, where it is Debian's.
fn mirror_of(line: &str) -> Option<String> {
    const SUITES: [&str; 8] = [
        "bookworm",
        "trixie",
        "forky",
        "sid",
        "stable",
        "oldstable",
        "testing",
        "unstable",
    ];
    let (uri, _) = line.strip_prefix('\'')?.split_once('\'')?;
    let (mirror, rest) = uri.split_once("/dists/")?;
    let (suite, _) = rest.split_once('/')?;
    SUITES.contains(&suite).then(|| mirror.to_owned())
}

/// mmdebstrap for packages of `architecture` that are only unpacked, and not run: that works
/// without binfmt and privileges. The packages, where to, and where from are still to be said.
pub fn unpack(architecture: &str) -> Command {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--mode=root", "--variant=extract"])
        .arg(format!("--architectures={architecture}"))
        .args([
            "--aptopt=Apt::Install-Recommends \"false\"",
            "--aptopt=APT::Sandbox::User \"root\"",
        ]);
    command
}

/// As [`unpack`], with `packages`, separated by commas, of [`SUITE`] in `folder`, without the
/// paths `left_out`.
pub fn unpack_packages(
    architecture: &str,
    packages: &str,
    left_out: &[&str],
    folder: &Path,
) -> Result<Command> {
    let mut command = unpack(architecture);
    for path in left_out {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command
        .arg(format!("--include={packages}"))
        .arg(SUITE)
        .arg(folder)
        .arg(format!("deb {} {SUITE} main", mirror()?));
    Ok(command)
}

impl Apt {
    /// Sets up apt's private folders in the cache folder.
    pub fn new(ctx: &Context) -> Result<Self> {
        let root = ctx.cache.join("apt");
        for dir in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(dir))
                .with_context(|| format!("cannot make {}", root.display()))?;
        }
        let key = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let list = root.join("sources.list");
        files::write_if_changed(
            &list,
            format!("deb {key}{} {SUITE}-backports main\n", mirror()?).as_bytes(),
        )?;
        let set = |name: &str, value: &str| format!("-o{name}={value}");
        Ok(Self {
            options: vec![
                set("Dir::State", &root.join("state").display().to_string()),
                set("Dir::Cache", &root.join("cache").display().to_string()),
                set("Dir::Etc::sourcelist", &list.display().to_string()),
                set("Dir::Etc::sourceparts", "-"),
                set("Acquire::Languages", "none"),
                // Next to the machine's own, whether or not it is one of dpkg's.
                set("APT::Architectures::", "arm64"),
                set("Acquire::Retries", "2"),
                set("Acquire::http::Timeout", "30"),
                set("Acquire::https::Timeout", "30"),
                // In a user namespace there is no user _apt to change to.
                set("APT::Sandbox::User", "root"),
                set("APT::Update::Error-Mode", "any"),
            ],
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(&self.options).arg("--quiet");
        command
    }

    /// Fetches the package lists.
    pub fn update(&self, log: &Path, step: &Step) -> Result<()> {
        step.at("apt-get update");
        let status = process::run_status(self.command().arg("update"), log, step)?;
        if !status.success() {
            return Err(hinted(
                format!("apt-get update failed: {}", first_error(log)),
                HINT,
            ));
        }
        Ok(())
    }

    /// The names of packages that begin with `prefix`, as far as the lists know.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut command = Command::new("apt-cache");
        command.args(&self.options).args(["pkgnames", prefix]);
        let names = process::output(&mut command)?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads the package into `folder`, unless the whole file is there.
    pub fn download(
        &self,
        package: &str,
        folder: &Path,
        log: &Path,
        step: &Step,
    ) -> Result<PathBuf> {
        self.update(log, step)?;
        let uris = process::output(self.command().args(["download", "--print-uris", package]))?;
        let offer = uris
            .lines()
            .find_map(offer)
            .with_context(|| format!("apt does not say where {package} is"))?;
        let file = folder.join(&offer.name);
        if is_whole(&file, &offer) {
            return Ok(file);
        }
        // apt goes on with a partial file of its own; ours is whole or absent.
        let partial = folder.join("partial");
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot make {}", partial.display()))?;
        step.at(&format!(
            "downloading {} ({} MiB)",
            offer.name,
            offer.size >> 20
        ));
        let status = process::run_status(
            self.command()
                .args(["download", package])
                .current_dir(&partial),
            log,
            step,
        )?;
        let fresh = partial.join(&offer.name);
        if !status.success() {
            return Err(hinted(
                format!("apt-get download failed: {}", first_error(log)),
                HINT,
            ));
        }
        if !is_whole(&fresh, &offer) {
            files::remove_all(&fresh)?;
            return Err(hinted(
                format!("{} came with the wrong size or checksum", offer.name),
                HINT,
            ));
        }
        fs::rename(&fresh, &file).with_context(|| format!("cannot name {}", file.display()))?;
        Ok(file)
    }
}

fn first_error(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text
        .lines()
        .rev()
        .find(|l| l.starts_with("E: "))
        .unwrap_or("see the log");
    format!("{line}; log: {}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_offers() {
        let line = "'http://mirror/debian/pool/x_7.3.4-1%7ebpo13+1_all.deb' x_7.3.4-1~bpo13+1_all.deb 3 SHA256:ba78";
        let offer = offer(line).unwrap();
        assert_eq!(offer.name, "x_7.3.4-1~bpo13+1_all.deb");
        assert_eq!(offer.size, 3);
        assert_eq!(offer.sha256, "ba78");
        assert_eq!(super::offer("Reading package lists..."), None);
    }

    #[test]
    fn mirror_is_debians_own() {
        let of = |suite: &str| {
            mirror_of(&format!(
                "'http://m/debian/dists/{suite}/InRelease' m_InRelease 0 "
            ))
        };
        assert_eq!(of("trixie").as_deref(), Some("http://m/debian"));
        assert_eq!(of("trixie-security"), None);
        assert_eq!(of("noble"), None);
    }

    #[test]
    fn half_a_file_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        let offer = Offer {
            name: "f".into(),
            size: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        };
        assert!(!is_whole(&file, &offer));
        fs::write(&file, "ab").unwrap();
        assert!(!is_whole(&file, &offer));
        fs::write(&file, "abd").unwrap();
        assert!(!is_whole(&file, &offer));
        fs::write(&file, "abc").unwrap();
        assert!(is_whole(&file, &offer));
    }
}
