// SPDX-License-Identifier: GPL-2.0

//! What the guest says: `exits/src/bin/sve_worker.rs`.

use anyhow::{bail, Result};
use sve_abi::worker::Says;

/// The guest, for QEMU's -kernel.
pub const IMAGE: &str = "/kvm-rust/guest/sve-worker";

/// Where it says in which round it is, or which register was other than it must be.
pub const SAYS: u64 = RAM + 0x100_0000;

/// Where QEMU has a guest's memory.
const RAM: u64 = 0x4000_0000;

/// The round that the guest is in, of what QEMU's monitor prints of the two
/// numbers at [`SAYS`].
pub fn round(printed: &str) -> Result<u64> {
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let numbers: Option<Vec<u64>> = printed.split_whitespace().skip(1).map(number).collect();
    let Some([says, value]) = numbers.as_deref() else {
        bail!("instead of the guest's memory, QEMU shows {printed}");
    };
    match Says::from(*says) {
        Says::Round(round) => Ok(round),
        Says::Mismatch(register) => bail!("{register} was not what it must be ({value:#x})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_told_from_mismatches() {
        assert_eq!(
            round("0000000041000000: 0x0000000000000140 0x0000000000000000\r\n").unwrap(),
            0x140
        );
        let error =
            round("0000000041000000: 0x4000000000000032 0x0000000000400000\r\n").unwrap_err();
        assert_eq!(error.to_string(), "FPCR was not what it must be (0x400000)");
        assert!(round("unknown command").is_err());
    }
}
