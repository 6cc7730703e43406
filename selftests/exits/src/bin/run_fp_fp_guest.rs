// SPDX-License-Identifier: GPL-2.0

//! `guests/run_fp_fp_guest.rs` as a flat file.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::run_fp_fp_guest!(image);
