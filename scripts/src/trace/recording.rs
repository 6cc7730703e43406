// SPDX-License-Identifier: GPL-2.0
//! What the plugin writes: the interface to scripts/trace-plugin.

use serde::Deserialize;

/// An instruction as it stands in memory.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Insn {
    /// Its address in vmlinux, or its virtual address where it is not in there.
    pub address: u64,
    /// Its word.
    pub word: u32,
}

/// Windows with the same instructions.
#[derive(Debug, Deserialize)]
pub struct Group {
    /// How many windows.
    pub windows: u64,
    /// How many instructions each of them has.
    pub length: usize,
    /// The instructions as indices; groups that have few of a section's
    /// windows lack them, but for the first.
    #[serde(default)]
    pub insns: Vec<usize>,
}

/// The windows between two markers of a guest.
#[derive(Debug, Deserialize)]
pub struct Section {
    /// Number of the marker at its beginning.
    pub marker: u16,
    /// The largest group first.
    pub groups: Vec<Group>,
}

/// All that was recorded on a host.
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// Instructions that the groups refer to.
    pub insns: Vec<Insn>,
    /// The sections by their markers.
    pub sections: Vec<Section>,
}
