// SPDX-License-Identifier: GPL-2.0

//! What the first process of a test guest reports, for those who read it.

pub mod report;
