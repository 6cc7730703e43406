// SPDX-License-Identifier: GPL-2.0

//! Vector lengths of the host, as its tasks have them.

use std::ffi::{c_int, c_ulong};
use std::thread;

use anyhow::{anyhow, Result};
use sve_abi::model::Host;

/// `PR_SVE_SET_VL`.
const PR_SVE_SET_VL: c_int = 50;
/// Not an error.
const VL_LEN_MASK: c_int = 0xffff;

unsafe extern "C" {
    fn prctl(option: c_int, argument: c_ulong) -> c_int;
}

/// What this host has.
pub fn host() -> Result<Host> {
    // On a thread of its own, as its vector length changes.
    thread::spawn(ask)
        .join()
        .map_err(|_| anyhow!("the host's vector lengths are not to be had"))
}

fn ask() -> Host {
    let set = |bytes: u32| {
        // SAFETY: This thread has nothing in Z registers.
        let result = unsafe { prctl(PR_SVE_SET_VL, c_ulong::from(bytes)) };
        (result >= 0).then_some((result & VL_LEN_MASK) as u32)
    };
    let mut lengths = 0;
    for quadwords in 1..=16 {
        if set(16 * quadwords) == Some(16 * quadwords) {
            lengths |= 1 << (quadwords - 1);
        }
    }
    // QEMU's CPUs are all alike, so guests can have all of them.
    Host::of_lengths(lengths)
}
