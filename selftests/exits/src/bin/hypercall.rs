// SPDX-License-Identifier: GPL-2.0

//! `guests/hypercall.rs` as a flat file.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::hypercall!(image);
