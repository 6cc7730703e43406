// SPDX-License-Identifier: GPL-2.0

//! Files of the kernel that are read and written here and there.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes to a file of the kernel.
pub fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("cannot write {text} to {}", path.display()))
}

/// Reads a file of the kernel.
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a file of the kernel that holds a number.
pub fn number(path: impl AsRef<Path>) -> Result<u64> {
    let path = path.as_ref();
    let text = read(path)?;
    text.trim()
        .parse()
        .with_context(|| format!("{} holds {text:?}", path.display()))
}

/// The number behind `name` in lines of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    let is_it = |line: &&str| line.split([' ', ':']).next() == Some(name);
    let line = text.lines().find(is_it)?;
    line[name.len()..]
        .split_whitespace()
        .find_map(|word| word.parse().ok())
}

/// What the kernel says of a process that it killed because there was no memory.
fn says_killed(record: &str, pid: i32) -> bool {
    record.contains(&format!("Killed process {pid} ("))
}

/// Whether the kernel's log says that a process was killed because there was no memory.
pub fn was_killed_for_memory(pid: i32) -> Result<bool> {
    const LOG: &str = "/dev/kmsg";
    let mut log = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(LOG)
        .with_context(|| format!("cannot open {LOG}"))?;
    // Longer than any record, of which each read returns one.
    let mut record = [0; 8192];
    loop {
        match log.read(&mut record) {
            Ok(length) if says_killed(&String::from_utf8_lossy(&record[..length]), pid) => {
                return Ok(true)
            }
            Ok(1..) => {}
            Ok(0) => return Ok(false),
            Err(error) => match error.raw_os_error() {
                // It was overwritten before it was read.
                Some(libc::EPIPE | libc::EINTR) => {}
                Some(libc::EAGAIN) => return Ok(false),
                _ => return Err(error).with_context(|| format!("cannot read {LOG}")),
            },
        }
    }
}

/// Sectors that were written to a disk, by the text of its statistics.
fn sectors_written(text: &str) -> Option<u64> {
    text.split_whitespace().nth(6)?.parse().ok()
}

/// Pages that were written to a disk.
pub fn pages_written(disk: &str) -> Result<u64> {
    const SECTORS_OF_PAGE: u64 = 8;
    let path = format!("/sys/block/{disk}/stat");
    let sectors = sectors_written(&read(&path)?);
    Ok(sectors.with_context(|| format!("{path} is strange"))? / SECTORS_OF_PAGE)
}

/// Memory that can be had without swap, in MiB.
pub fn memory_available_mib() -> Result<u64> {
    let path = "/proc/meminfo";
    let kib = field(&read(path)?, "MemAvailable");
    Ok(kib.with_context(|| format!("{path} has no MemAvailable"))? >> 10)
}

/// Where the threads of a process wait in the kernel, for messages.
pub fn where_it_is(pid: i32) -> String {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return "it is gone".to_owned();
    };
    let place = |task: fs::DirEntry| {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        format!(
            "{} {} in {}",
            read("comm").trim(),
            state.unwrap_or('?'),
            read("wchan").trim()
        )
    };
    let places: Vec<String> = tasks.flatten().map(place).collect();
    format!("its threads: {}", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let text = "MemAvailableX: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(field(text, "MemAvailable"), Some(2048));
        assert_eq!(field(text, "Mem"), None);
    }

    #[test]
    fn sectors_written_are_the_seventh_number() {
        let text = "  1 2 3 4 5 6 4096 8 9 10 11 12 13 14 15 16 17\n";
        assert_eq!(sectors_written(text), Some(4096));
        assert_eq!(sectors_written("1 2 3"), None);
    }

    #[test]
    fn only_the_process_that_was_killed_is_taken_for_it() {
        let record = "3,500,1,-;Out of memory: Killed process 812 (soak) total-vm:1kB\n";
        assert!(says_killed(record, 812));
        assert!(!says_killed(record, 81) && !says_killed(record, 12));
    }
}
