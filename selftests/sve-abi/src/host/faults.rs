// SPDX-License-Identifier: GPL-2.0

//! Allocations that fail: Documentation/fault-injection/fault-injection.rst.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{ensure, Context, Result};

/// Which of this thread's next allocations fails.
const FAIL_NTH: &str = "/proc/thread-self/fail-nth";
/// Whether allocations that may sleep are left alone.
const NOT_THOSE_THAT_SLEEP: &str = "/sys/kernel/debug/failslab/ignore-gfp-wait";

/// Has allocations that may sleep fail, too, when they are to.
pub fn set_up() -> Result<()> {
    ensure!(
        Path::new(FAIL_NTH).exists(),
        "{FAIL_NTH} is missing: the kernel needs CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB"
    );
    fs::write(NOT_THOSE_THAT_SLEEP, "N")
        .with_context(|| format!("cannot write {NOT_THOSE_THAT_SLEEP}"))
}

/// Runs `code`, in which the allocation `number`, from 1 on, fails. Returns
/// whether there were so many.
pub fn with_failure<T>(number: usize, code: impl FnOnce() -> T) -> Result<(bool, T)> {
    // Opened before, as that allocates.
    let file = File::options()
        .read(true)
        .write(true)
        .open(FAIL_NTH)
        .with_context(|| format!("cannot open {FAIL_NTH}"))?;
    let number = number.to_string();
    file.write_all_at(number.as_bytes(), 0)
        .with_context(|| format!("cannot write {FAIL_NTH}"))?;
    let result = code();
    let mut left = [0; 16];
    let length = file.read_at(&mut left, 0);
    file.write_all_at(b"0", 0)
        .with_context(|| format!("cannot write {FAIL_NTH}"))?;
    let length = length.with_context(|| format!("cannot read {FAIL_NTH}"))?;
    Ok((left[..length].trim_ascii() == b"0", result))
}
