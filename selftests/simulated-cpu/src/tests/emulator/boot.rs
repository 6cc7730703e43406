// SPDX-License-Identifier: GPL-2.0
//! Runs the program in the emulator.
//!
//! The emulator's RAM is a file: what the program needs is written to it, and
//! what the program has found is read from it.

use super::image::{Image, Routine, ADDRESS, FINISHED, LIST, RESULTS};
use super::machine::Machine;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where RAM starts.
const RAM: u64 = 0x4000_0000;
/// Where what is given to the program starts.
pub(super) const DATA: u64 = ADDRESS + 0x10_0000;
/// A boot takes less than a second, unless something is wrong.
const TIME_OUT: Duration = Duration::from_secs(120);

/// A folder for the time of a test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// Creates it.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("emulator-{}-{number}", std::process::id());
        let path = Path::new(env!("OUT_DIR")).join(name);
        fs::create_dir_all(&path).expect("OUT_DIR can be written");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One entry of the list that the program works through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// What is called.
    pub(super) routine: Routine,
    /// With what in X0.
    pub(super) operand: u64,
    /// How much memory it may write.
    pub(super) room: usize,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Result<'a> {
    /// The number of the vector that was taken, and the exception class.
    pub(super) exception: Option<(u64, u64)>,
    /// What is in X0.
    pub(super) value: u64,
    /// What was written to memory.
    pub(super) memory: &'a [u8],
}

/// What became of all entries.
pub(super) struct Results(Vec<u8>);

impl Results {
    /// One after the other: the next of an entry with this `room`, from `at` on.
    pub(super) fn next(&self, at: &mut usize, room: usize) -> Result<'_> {
        let word = |at: usize| {
            let bytes = self.0[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let status = word(*at);
        let memory = *at + 16;
        let result = Result {
            exception: (status != 0).then_some((status >> 16, status & 0xff)),
            value: word(*at + 8),
            memory: &self.0[memory..memory + room],
        };
        *at = memory + room;
        result
    }
}

/// Runs the program on a machine with a list, and with `data` at [`DATA`].
pub(super) fn run(
    folder: &Folder,
    machine: &Machine,
    image: &Image,
    data: &[u8],
    list: &[Entry],
) -> Results {
    let list_at = (DATA + data.len() as u64).next_multiple_of(4096);
    // The last entry is one of zeros.
    let results_at = (list_at + 32 * (list.len() as u64 + 1)).next_multiple_of(4096);
    let room: usize = list.iter().map(|entry| 16 + entry.room).sum();
    let size = (results_at + room as u64 - RAM).next_multiple_of(64 << 20);

    let mut bytes = Vec::with_capacity(32 * list.len());
    for entry in list {
        let routine = image.address(entry.routine);
        for word in [routine, entry.operand, entry.room as u64, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    let path = folder.0.join("ram");
    let ram = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .expect("the folder can be written");
    ram.set_len(size).expect("room for the RAM");
    let write = |address: u64, bytes: &[u8]| {
        ram.write_all_at(bytes, address - RAM)
            .expect("RAM can be written");
    };
    write(ADDRESS, &image.bytes);
    write(ADDRESS + LIST as u64, &list_at.to_le_bytes());
    write(ADDRESS + RESULTS as u64, &results_at.to_le_bytes());
    write(DATA, data);
    write(list_at, &bytes);

    let log = folder.0.join("log");
    emulate(machine, &path, size, &log);

    let mut finished = [0; 8];
    let mut results = vec![0; room];
    ram.read_exact_at(&mut finished, ADDRESS + FINISHED as u64 - RAM)
        .expect("RAM can be read");
    let said = fs::read_to_string(&log).unwrap_or_default();
    assert_eq!(
        u64::from_le_bytes(finished),
        1,
        "{machine}: the program in the emulator did not come to its end\n{said}"
    );
    ram.read_exact_at(&mut results, results_at - RAM)
        .expect("RAM can be read");
    Results(results)
}

/// Runs the emulator until it ends.
fn emulate(machine: &Machine, ram: &Path, size: u64, log: &Path) {
    let output = File::create(log).expect("the folder can be written");
    let errors = output.try_clone().expect("a second handle");
    let mut command = Command::new("qemu-system-aarch64");
    let options = machine.options;
    command
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-accel", "tcg", "-smp", "1"])
        .arg("-machine")
        .arg(format!(
            "virt,virtualization=on,gic-version=3,memory-backend=ram{options}"
        ))
        .args(["-cpu", machine.cpu])
        .arg("-m")
        .arg(format!("{}M", size >> 20))
        .arg("-object")
        .arg(format!(
            "memory-backend-file,id=ram,size={size},share=on,mem-path={}",
            ram.display()
        ))
        .arg("-device")
        .arg(format!("loader,addr={ADDRESS:#x},cpu-num=0"))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    let mut child = command.spawn().unwrap_or_else(|e| {
        panic!("cannot run {command:?}: {e}; run the tests by scripts/enter, where QEMU is")
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the emulator can be waited for") {
            break Some(status);
        }
        if start.elapsed() > TIME_OUT {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let said = fs::read_to_string(log).unwrap_or_default();
    match status {
        Some(status) => assert!(status.success(), "{command:?}: {status}\n{said}"),
        None => panic!("{command:?} did not end within {TIME_OUT:?}\n{said}"),
    }
}
