// SPDX-License-Identifier: GPL-2.0

//! System calls by which memory of another process is reclaimed.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};

/// MADV_PAGEOUT.
const PAGE_OUT: libc::c_int = 21;
const PAGE: u64 = 4096;

/// Has the kernel swap to `disk`.
pub fn swap_on(disk: &str) -> Result<()> {
    let path = CString::new(disk)?;
    // SAFETY: The path is a string that lives as long as the call.
    let result = unsafe { libc::swapon(path.as_ptr(), 0) };
    if result != 0 {
        return Err(io::Error::last_os_error()).with_context(|| format!("cannot swap to {disk}"));
    }
    Ok(())
}

/// The largest private anonymous mapping in the text of /proc/PID/maps: a guest's
/// memory, in a VMM.
fn largest(maps: &str) -> Option<(u64, u64)> {
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (permissions, inode) = (words.next()?, words.nth(2)?);
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        let anonymous = permissions.starts_with("rw") && inode == "0" && words.next().is_none();
        anonymous.then_some((start, end))
    };
    maps.lines()
        .filter_map(mapping)
        .max_by_key(|(start, end)| end - start)
}

fn open_process(pid: i32) -> Option<OwnedFd> {
    // SAFETY: The call takes plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: The descriptor is new, and nobody else's.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Reclaims the part of the largest mapping of a process that begins at `share` of it.
/// Returns how many bytes the kernel has gone through: none where the process is gone.
pub fn largest_mapping(pid: i32, share: f64) -> Result<u64> {
    let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else {
        return Ok(0);
    };
    let (Some((start, end)), Some(process)) = (largest(&maps), open_process(pid)) else {
        return Ok(0);
    };
    let skipped = ((end - start) as f64 * share) as u64 / PAGE * PAGE;
    let range = libc::iovec {
        iov_base: (start + skipped) as *mut libc::c_void,
        iov_len: (end - start - skipped) as usize,
    };
    // SAFETY: The range is in another process, from which pages are only reclaimed: it
    // gets them back with what they held.
    let done = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            &raw const range,
            1usize,
            PAGE_OUT,
            0u32,
        )
    };
    if done >= 0 {
        return Ok(done as u64);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // The process or the mapping is gone, or there is no memory to do it.
        Some(libc::ESRCH | libc::ENOMEM | libc::EINTR | libc::EAGAIN) => Ok(0),
        // Some of it cannot be reclaimed.
        Some(libc::EINVAL) => Ok(0),
        _ => Err(error).context("cannot reclaim a guest's memory (process_madvise)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_memory_is_the_largest_anonymous_mapping() {
        let maps = "\
00400000-00500000 r-xp 00000000 00:16 120                                /kvm-rust/bin/vmm
00600000-0a700000 rw-p 00000000 00:16 120                                /a/large/file
1000000-2000000 rw-p 00000000 00:00 0                                    [heap]
ffff80000000-ffff88000000 rw-p 00000000 00:00 0
ffff90000000-ffff90021000 rw-p 00000000 00:00 0
ffffa0000000-ffffb0000000 ---p 00000000 00:00 0
";
        assert_eq!(largest(maps), Some((0xffff_8000_0000, 0xffff_8800_0000)));
        assert_eq!(largest(""), None);
    }
}
