// SPDX-License-Identifier: GPL-2.0

//! Makes the linker write the guest as a flat file, which is what the boot
//! protocol of arm64 loads.

fn main() {
    for argument in [
        "-fuse-ld=lld",
        "-nostartfiles",
        "-nodefaultlibs",
        "-static",
        "-no-pie",
        "-Wl,-T,syndromes/guest/image.ld,--oformat=binary,--build-id=none",
    ] {
        println!("cargo:rustc-link-arg-bin=syndromes-guest={argument}");
    }
    println!("cargo:rerun-if-changed=guest/image.ld");
}
