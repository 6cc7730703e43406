// SPDX-License-Identifier: GPL-2.0

//! Makes the linker write the guests as flat files, which is what the boot
//! protocol of arm64 loads.

fn main() {
    for argument in [
        "-fuse-ld=lld",
        "-nostartfiles",
        "-nodefaultlibs",
        "-static",
        "-no-pie",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,exits/image.ld,--oformat=binary,--build-id=none");
    println!("cargo:rerun-if-changed=image.ld");
}
