// SPDX-License-Identifier: GPL-2.0
//! `make deb`: a Debian package of the kernel that Debian has for servers in the cloud, with KVM's
//! world switch in Rust.

use crate::apt::{self, Apt};
use crate::context::Context;
use crate::lock::Lock;
use crate::progress::Step;
use crate::stamp::Stamp;
use crate::tree::{self, Tree};
use crate::version::SUPPORTED;
use crate::{digest, disk, files, jobs, kernel, process, source, table};
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What Debian calls the configuration: without the drivers of boards, with those of servers that
/// are rented.
const FLAVOUR: &str = "cloud-arm64";
/// What it is changed by.
const FRAGMENT: &str = "deb.config";
/// Space that the build takes, with the packages.
const DISK_MIB: u64 = 3000;
/// Profiles of `make bindeb-pkg`. The package of headers has programs for arm64 in it that are
/// linked with libraries, which a machine of another architecture has not.
const PROFILES: &str = "cross pkg.linux-upstream.nokernelheaders";

/// Steps that it takes: the configuration, the kernel, and the packages.
pub const STEPS: usize = 3;

/// Where things are.
struct Place {
    /// The packages, and what is below.
    folder: PathBuf,
    /// The build folder: `make bindeb-pkg` puts packages beside it.
    out: PathBuf,
    /// Has what the packages were made from.
    stamp: Stamp,
}

impl Place {
    fn of(ctx: &Context) -> Self {
        let folder = ctx.cache.join("build").join("deb");
        Self {
            out: folder.join("linux"),
            stamp: Stamp::of(&folder),
            folder,
        }
    }

    /// The packages that are there.
    fn packages(&self) -> Result<Vec<PathBuf>> {
        with_extension(&self.folder, &["deb"])
    }
}

/// The files in `folder` with these extensions, in the order of their names.
fn with_extension(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        let extension = path.extension().unwrap_or_default();
        if extensions.iter().any(|wanted| extension == *wanted) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Where Debian's configuration is kept.
fn kept_base(ctx: &Context) -> PathBuf {
    let (major, minor) = SUPPORTED;
    let name = format!("config-{major}.{minor}-{FLAVOUR}");
    ctx.cache.join("source").join(name)
}

/// Debian's configuration. It is fetched once, as the kernel source is.
fn base(ctx: &Context, log: &Path, step: &Step) -> Result<String> {
    let kept = kept_base(ctx);
    if let Ok(text) = fs::read_to_string(&kept) {
        return Ok(text);
    }
    let text = fetch(ctx, log, step)?;
    files::write_atomic(&kept, text.as_bytes())?;
    Ok(text)
}

/// Debian's configuration, from its package.
fn fetch(ctx: &Context, log: &Path, step: &Step) -> Result<String> {
    let package = format!("linux-config-{}.{}", SUPPORTED.0, SUPPORTED.1);
    let downloads = ctx.cache.join("download");
    let deb = Apt::new(ctx)?.download(&format!("{package}:arm64"), &downloads, log, step)?;
    let member = format!("./usr/src/{package}/config.arm64_none_{FLAVOUR}.xz");
    let script = "set -o pipefail; dpkg-deb --fsys-tarfile \"$1\" | tar -xO \"$2\" | xz -dc";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(&deb).arg(&member);
    let text = process::output(&mut command)
        .with_context(|| format!("no configuration {FLAVOUR} in {}", deb.display()))?;
    ensure!(
        text.contains("\nCONFIG_KVM=y\n"),
        "the configuration {FLAVOUR} in {} has no KVM",
        deb.display()
    );
    Ok(text)
}

/// `make` with what decides how packages are called.
fn make(ctx: &Context, tree: &Tree, out: &Path) -> Command {
    let mut command = kernel::make(ctx, &tree.path, out);
    for_packages(&mut command);
    command
}

fn for_packages(command: &mut Command) {
    command
        .env("KDEB_CHANGELOG_DIST", apt::SUITE)
        .env("DEB_BUILD_PROFILES", PROFILES)
        // What the build needs is in scripts/packages. Debian's list has libraries as well that only
        // other configurations need.
        .env("DPKG_FLAGS", "--no-check-builddeps")
        // With "terse", dpkg-buildpackage puts an option behind the variables in MAKEFLAGS, where
        // make takes it for something to make.
        .env_remove("DEB_BUILD_OPTIONS");
}

/// Builds the packages, unless they are there.
fn build(ctx: &Context, place: &Place) -> Result<()> {
    let Place { folder, out, stamp } = place;
    let tree = tree::prepare(ctx, &source::find(ctx)?)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = Lock::take(&ctx.ui, &folder.join("lock"), "the packages")?;
    if !out.exists() {
        disk::need(&ctx.cache, DISK_MIB, "the packages")?;
    }

    let step = ctx.ui.step("configuration");
    let log = ctx.log("deb-configuration");
    let base = base(ctx, &log, &step)?;
    let mut fragment = ctx.read_fragment(FRAGMENT)?;
    fragment.push_str(ctx.fragment.as_deref().unwrap_or_default());
    let signature = digest::of_bytes(
        format!(
            "{}\n{base}\n{fragment}\n{}",
            tree.signature,
            kernel::toolchain()
        )
        .as_bytes(),
    );
    if stamp.is(&signature) && place.packages()?.iter().any(|path| is_kernel(path)) {
        step.end("as before");
        return Ok(());
    }
    stamp.remove()?;
    kernel::configure_like(ctx, &tree, out, (&base, &fragment), &log, &step)?;
    step.end(FLAVOUR);

    let step = ctx.ui.step("kernel and modules");
    let log = ctx.log("deb-kernel");
    jobs::run(make(ctx, &tree, out).arg("all"), &log, &step)
        .context("the kernel does not build")?;
    step.end("built");

    let step = ctx.ui.step("packages");
    let log = ctx.log("deb-packages");
    for old in with_extension(folder, &["deb", "changes", "buildinfo"])? {
        files::remove_all(&old)?;
    }
    jobs::run(make(ctx, &tree, out).arg("bindeb-pkg"), &log, &step)
        .context("the packages cannot be made")?;
    stamp.write(&signature)?;
    step.end("made");
    Ok(())
}

/// Builds the packages, unless they are there, and returns that of the kernel.
pub fn kernel_package(ctx: &Context) -> Result<PathBuf> {
    let place = Place::of(ctx);
    build(ctx, &place)?;
    let found = place.packages()?.into_iter().find(|path| is_kernel(path));
    found.with_context(|| format!("no kernel among the packages in {}", place.folder.display()))
}

/// Whether `package` has a kernel, and one that can be booted.
fn is_kernel(package: &Path) -> bool {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("linux-image-") && !name.contains("-dbg_")
}

/// What is in a folder, in MiB.
fn size_mib(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    let sizes = files.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.sum::<u64>() >> 20
}

/// Builds the packages and says where they are.
pub fn deb(ctx: &Context) -> Result<()> {
    let start = Instant::now();
    ctx.ui.expect(source::steps_to_come(ctx) + STEPS);
    let place = Place::of(ctx);
    build(ctx, &place)?;
    let mut rows = Vec::new();
    for package in place.packages()? {
        let size = fs::metadata(&package).map_or(0, |m| m.len() >> 20);
        rows.push(vec![package.display().to_string(), format!("{size} MiB")]);
    }
    print!("\n{}", table::render(&["package", "size"], &rows));
    println!(
        "built in {} min, with {} MiB in {}",
        start.elapsed().as_secs().div_ceil(60),
        size_mib(&place.folder),
        place.folder.display()
    );
    println!("on the machine: sudo apt install ./linux-image-*-kvm-rust_*_arm64.deb, and boot it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earlier::tests::context;

    #[test]
    fn packages_are_found_by_their_extension() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.deb", "a.deb", "a.changes", "lock", "linux"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |extensions: &[&str]| -> Vec<String> {
            let found = with_extension(dir.path(), extensions).unwrap();
            let name = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().into_owned();
            found.iter().map(name).collect()
        };
        assert_eq!(names(&["deb"]), ["a.deb", "b.deb"]);
        assert_eq!(names(&["changes", "buildinfo"]), ["a.changes"]);
    }

    #[test]
    fn the_kernel_is_told_from_what_comes_with_it() {
        let is = |name: &str| is_kernel(Path::new("/x").join(name).as_path());
        assert!(is("linux-image-7.3.4-kvm-rust_7.3.4-1_arm64.deb"));
        assert!(!is("linux-image-7.3.4-kvm-rust-dbg_7.3.4-1_arm64.deb"));
        assert!(!is("linux-libc-dev_7.3.4-1_arm64.deb"));
    }

    #[test]
    fn dpkg_buildpackage_neither_asks_for_more_nor_gives_make_options_as_targets() {
        let mut command = Command::new("make");
        command.env("DEB_BUILD_OPTIONS", "terse");
        for_packages(&mut command);
        let set = |name: &str| {
            let found = command.get_envs().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
        };
        assert_eq!(set("DEB_BUILD_OPTIONS"), Some(None));
        let flags = set("DPKG_FLAGS").flatten();
        assert_eq!(flags.as_deref(), Some("--no-check-builddeps"));
    }

    #[test]
    fn the_configuration_is_fetched_once() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        files::write_atomic(&kept_base(&ctx), b"CONFIG_KVM=y\n").unwrap();
        let step = ctx.ui.step("configuration");
        let text = base(&ctx, &ctx.log("deb-configuration"), &step).unwrap();
        step.end("as before");
        assert_eq!(text, "CONFIG_KVM=y\n");
    }

    #[test]
    fn a_kernel_of_servers_has_the_rust() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = files::read_text(&scripts.join("config").join(FRAGMENT)).unwrap();
        assert!(text.contains("\nCONFIG_KVM_ARM64_RUST=y\n"));
    }
}
