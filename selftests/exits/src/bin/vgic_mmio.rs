// SPDX-License-Identifier: GPL-2.0

//! `guests/vgic_mmio.rs` as a flat file.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::vgic_mmio!(image);
