// SPDX-License-Identifier: GPL-2.0
//! What the shell scripts decide before there are any tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn can_be_shown(folder: &str) -> bool {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("lib.sh");
    let mut command = Command::new("bash");
    command.args(["-euc", ". \"$1\"; can_be_shown \"$2\"", "bash"]);
    let status = command.arg(lib).arg(folder).status().unwrap();
    status.success()
}

#[test]
fn nothing_is_put_over_folders_of_the_tools() {
    for folder in [
        "/",
        "/root",
        "/usr",
        "/usr/src/linux",
        "/lib64/x",
        "/var/tmp",
    ] {
        assert!(!can_be_shown(folder), "{folder}");
    }
    for folder in [
        "/root/linux",
        "/home/a/linux",
        "/library",
        "/tmp/usr",
        "/srv",
    ] {
        assert!(can_be_shown(folder), "{folder}");
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn script(name: &str, cache: &Path, path: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut command = Command::new(script);
    command.env("KVM_RUST_CACHE", cache).env("PATH", path);
    command.output().unwrap()
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_folder_with_other_files_does_not_become_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    fs::create_dir(dir.path().join("build")).unwrap();
    for name in ["toolroot", "clean-cache"] {
        let error = error_of(&script(name, dir.path(), &path));
        assert!(error.contains("has other files in it"), "{error}");
        assert!(error.contains("hint: name a folder"), "{error}");
    }
    assert_eq!(names(dir.path()), ["build"]);
}

/// A PATH on which `as_root` makes nobody root.
fn path_without_namespaces(folder: &Path) -> String {
    let program = folder.join("setpriv");
    let text = "#!/bin/sh\nwhile [ \"$1\" != rm ]; do shift; done\nexec \"$@\"\n";
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn clean_cache_removes_what_is_ours_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_without_namespaces(dir.path());
    let cache = dir.path().join("cache");
    // As older runs have left one, without a tag.
    for folder in ["log", "build/rust", "toolroot-trixie-0", "mine"] {
        fs::create_dir_all(cache.join(folder)).unwrap();
    }
    for file in [
        "log/xtask.log",
        "toolroot.lock",
        "series.lock",
        "busybox-0.lock",
    ] {
        fs::write(cache.join(file), "").unwrap();
    }
    assert!(script("clean-cache", &cache, &path).status.success());
    assert_eq!(names(&cache), ["mine"]);
    fs::remove_dir(cache.join("mine")).unwrap();
    assert!(script("clean-cache", &cache, &path).status.success());
    assert!(!cache.exists());
    assert!(script("clean-cache", &cache, &path).status.success());
}

#[test]
fn each_tool_that_is_missing_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    // Only what the shell itself needs.
    for tool in [
        "basename",
        "bash",
        "cat",
        "cut",
        "date",
        "df",
        "dirname",
        "env",
        "find",
        "flock",
        "grep",
        "head",
        "id",
        "ls",
        "mkdir",
        "realpath",
        "sed",
        "sha256sum",
        "sort",
        "tail",
        "touch",
        "tr",
    ] {
        let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
        let found = found.into_iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, dir.path().join(tool)).unwrap();
    }
    let path = dir.path().to_str().unwrap();
    let error = error_of(&script("toolroot", &cache, path));
    assert!(error.contains("there is no dpkg"), "{error}");
    assert!(error.contains("hint: use Containerfile"), "{error}");

    let dpkg = dir.path().join("dpkg");
    fs::write(&dpkg, "#!/bin/sh\necho arm64\n").unwrap();
    fs::set_permissions(&dpkg, fs::Permissions::from_mode(0o755)).unwrap();
    let error = error_of(&script("toolroot", &cache, path));
    assert!(error.contains("no Debian mirror"), "{error}");
    assert!(error.contains("hint: name one: MIRROR="), "{error}");
    assert!(!names(&cache).iter().any(|name| name.ends_with(".partial")));
}
