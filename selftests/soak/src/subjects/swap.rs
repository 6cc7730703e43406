// SPDX-License-Identifier: GPL-2.0

//! Guests' memory goes to swap while they run: KVM has to unmap it, and the guest gets
//! it back when it touches it.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::processes::Kind;
use crate::reclaim;
use crate::soak::Soak;
use crate::system;

/// A disk in memory, compressed.
const NAME: &str = "zram0";
const DISK: &str = "/dev/zram0";
const DISK_SIZE: &str = "/sys/block/zram0/disksize";
/// Its size.
const SIZE: u64 = 512 << 20;

const PAGE: usize = 4096;
/// What begins at offset 1024 of a swap device.
const INFORMATION: usize = 1024;
/// What the first page of a swap device ends with.
const SIGNATURE: &[u8] = b"SWAPSPACE2";

/// The first page of a swap device of `size` bytes.
fn header(size: u64) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    let last = (size / PAGE as u64 - 1) as u32;
    // The version, and the last page.
    for (index, value) in [1, last].into_iter().enumerate() {
        page[INFORMATION + 4 * index..][..4].copy_from_slice(&u32::to_le_bytes(value));
    }
    page[PAGE - SIGNATURE.len()..].copy_from_slice(SIGNATURE);
    page
}

/// Gives the host swap.
fn set_up() -> Result<()> {
    system::write(DISK_SIZE, &SIZE.to_string())
        .context("the kernel needs the options of scripts/config/soak.config")?;
    // Not with fs::write(), which would truncate it.
    let mut disk = fs::File::options()
        .write(true)
        .open(DISK)
        .with_context(|| format!("cannot open {DISK}"))?;
    io::Write::write_all(&mut disk, &header(SIZE))
        .with_context(|| format!("cannot write to {DISK}"))?;
    disk.sync_all()
        .with_context(|| format!("cannot write to {DISK}"))?;
    reclaim::swap_on(DISK)
}

/// Reclaims the memory of one guest and another, and counts what the host swaps.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    set_up()?;
    let pace = Pace::choose(&mut numbers, 100..2000);
    let mut swapped = system::pages_written(NAME)?;
    while soak.over.wait(pace.next(&mut numbers)) {
        let share = numbers.random_range(0.0..1.0);
        let reclaimed = soak
            .processes
            .with_one(&mut numbers, Kind::is_vmm, |process, _| {
                reclaim::largest_mapping(process.pid, share)
            });
        if let Some(bytes) = reclaimed {
            soak.counters.memory_reclaimed_mib.add(bytes? >> 20);
        }
        let now = system::pages_written(NAME)?;
        soak.counters.pages_swapped.add(now - swapped);
        swapped = now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_a_swap_device() {
        let page = header(1 << 20);
        assert_eq!(&page[4086..], b"SWAPSPACE2");
        assert_eq!(page[1024..1028], [1, 0, 0, 0]);
        assert_eq!(page[1028..1032], [255, 0, 0, 0]);
    }
}
