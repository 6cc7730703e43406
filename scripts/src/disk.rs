// SPDX-License-Identifier: GPL-2.0
//! Free space, asked for before it is needed.

use crate::error::hinted;
use anyhow::{Context, Result};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Free MiB on the file system that holds `path`.
pub fn free_mib(path: &Path) -> Result<u64> {
    let name = CString::new(path.as_os_str().as_bytes()).context("path with a zero byte")?;
    // SAFETY: statvfs is plain data for which all zeroes is a valid value.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is a C string and `stat` a statvfs, both alive for the call.
    if unsafe { libc::statvfs(name.as_ptr(), &mut stat) } != 0 {
        return Err(std::io::Error::last_os_error())
            .with_context(|| format!("cannot ask for the free space of {}", path.display()));
    }
    #[allow(clippy::unnecessary_cast, reason = "the types differ between targets")]
    Ok((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64) >> 20)
}

/// Fails unless `mib` MiB are free where `path` is.
pub fn need(path: &Path, mib: u64, what: &str) -> Result<()> {
    enough(free_mib(path)?, mib, path, what)
}

fn enough(free: u64, mib: u64, path: &Path, what: &str) -> Result<()> {
    if free >= mib {
        return Ok(());
    }
    Err(hinted(
        format!(
            "{what} needs {mib} MiB in {}, {free} MiB are free",
            path.display()
        ),
        "make room, or point KVM_RUST_CACHE at a larger disk",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_names_need_and_place() {
        let error = enough(10, 2000, Path::new("/some/disk"), "the kernel build").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("2000 MiB in /some/disk, 10 MiB are free"),
            "{text}"
        );
        assert!(enough(2000, 2000, Path::new("/"), "x").is_ok());
    }

    #[test]
    fn this_disk_has_a_size() {
        assert!(free_mib(Path::new("/")).is_ok());
        assert!(free_mib(Path::new("/no/such/place")).is_err());
    }
}
