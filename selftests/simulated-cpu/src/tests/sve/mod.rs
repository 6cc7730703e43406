// SPDX-License-Identifier: GPL-2.0
//! SVE as userspace sees it, and what EL2 takes of it.

mod abi;
mod host;
mod pkvm;
mod storage;
