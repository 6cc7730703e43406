// SPDX-License-Identifier: GPL-2.0

//! `guests/first_sve.rs` as a flat file.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::first_sve!(image);
