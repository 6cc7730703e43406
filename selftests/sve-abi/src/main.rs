// SPDX-License-Identifier: GPL-2.0

//! SVE of vCPUs through KVM's ABI, on a booted host.

// KVM's ioctls of vCPUs are those of the architecture.
#[cfg(target_arch = "aarch64")]
mod host;

#[cfg(target_arch = "aarch64")]
fn main() -> std::process::ExitCode {
    host::main()
}

#[cfg(not(target_arch = "aarch64"))]
fn main() {
    eprintln!("sve-abi is for arm64 hosts");
}
