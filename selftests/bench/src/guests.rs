// SPDX-License-Identifier: GPL-2.0

//! The guests, which are a part of this program.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::sys::memfd::{memfd_create, MFdFlags};

use crate::exit::Exit;

/// A module for each guest, as each has a function of the same name.
macro_rules! modules {
    ($($name:ident)*) => {
        $(mod $name {
            exits::$name!(data);
        })*
    };
}

modules! {
    hypercall vgic_mmio vmm_mmio timer first_fp first_sve vcpu_switch ipi
    run_idle run_fp run_idle_fp_guest run_fp_fp_guest
}

/// The guest that causes `exit`, an arm64 Image.
fn image(exit: Exit) -> &'static [u8] {
    match exit {
        Exit::Hypercall => hypercall::image(),
        Exit::VgicMmio => vgic_mmio::image(),
        Exit::VmmMmio => vmm_mmio::image(),
        Exit::Timer => timer::image(),
        Exit::FirstFp => first_fp::image(),
        Exit::FirstSve => first_sve::image(),
        Exit::VcpuSwitch => vcpu_switch::image(),
        Exit::Ipi => ipi::image(),
        Exit::RunIdle => run_idle::image(),
        Exit::RunFp => run_fp::image(),
        Exit::RunIdleFpGuest => run_idle_fp_guest::image(),
        Exit::RunFpFpGuest => run_fp_fp_guest::image(),
    }
}

/// A guest as a file, which is what the VMM loads.
pub struct Guest(File);

impl Guest {
    /// Puts the guest into a file without a name.
    pub fn new(exit: Exit) -> Result<Self> {
        let file = memfd_create(exit.name(), MFdFlags::MFD_CLOEXEC)
            .context("cannot make a file in memory for the guest")?;
        let mut file = File::from(file);
        file.write_all(image(exit))
            .context("cannot write the guest to a file in memory")?;
        Ok(Self(file))
    }

    /// Where this process finds it, as long as it is there.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn guests_are_images() {
        for exit in Exit::ALL {
            let image = image(exit);
            let name = exit.name();
            let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
            let field = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
            assert_eq!(word(0), 0x1400_0010, "{name}: a branch behind the header");
            assert_eq!(&image[56..60], b"ARM\x64", "{name}");
            assert_eq!(field(8), 0, "{name}: offset from RAM");
            assert_eq!(field(16), image.len() as u64, "{name}: size");
        }
    }

    /// What one guest finds only in another is not there when it runs.
    #[test]
    fn constants_are_in_the_guest_that_loads_them() {
        for exit in Exit::ALL {
            let is_in = |bytes: &[u8]| image(exit).windows(bytes.len()).any(|w| w == bytes);
            let name = exit.name();
            assert!(is_in(&exits::layout::MARKS.to_le_bytes()), "{name}");
            assert!(is_in(&exits::SYSTEM_OFF.to_le_bytes()), "{name}");
            assert!(is_in(&exits::SYSTEM_RESET.to_le_bytes()), "{name}");
        }
    }

    #[test]
    fn each_exit_has_a_guest_of_its_own() {
        let images: BTreeSet<_> = Exit::ALL.into_iter().map(image).collect();
        assert_eq!(images.len(), Exit::ALL.len());
    }

    #[test]
    fn the_file_is_the_guest() {
        let guest = Guest::new(Exit::Ipi).unwrap();
        assert_eq!(std::fs::read(guest.path()).unwrap(), image(Exit::Ipi));
    }
}
