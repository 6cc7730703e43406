// SPDX-License-Identifier: GPL-2.0
//! What `scripts/enter` decides before there are any tools.

use std::path::Path;
use std::process::Command;

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
