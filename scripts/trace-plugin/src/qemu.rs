// SPDX-License-Identifier: GPL-2.0
//! The part of QEMU's plugin API (version 4, QEMU 10.0) that is used here. The
//! crate qemu-plugin has all of it, but needs a newer compiler than Debian 13
//! has.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};

/// Version of the API.
pub const VERSION: c_int = 4;
/// A callback that looks at no registers.
pub const CB_NO_REGS: c_int = 0;
/// Condition: the operands are not equal.
pub const COND_NE: c_int = 3;

/// Id of a plugin.
pub type PluginId = u64;

/// A translation block while it is translated.
#[repr(C)]
pub struct Tb {
    _opaque: [u8; 0],
}

/// An instruction while it is translated.
#[repr(C)]
pub struct TbInsn {
    _opaque: [u8; 0],
}

/// Memory of the plugin that has an entry for each vCPU.
#[repr(C)]
pub struct Scoreboard {
    _opaque: [u8; 0],
}

/// A number in each entry of a scoreboard.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PerVcpu {
    score: *mut Scoreboard,
    offset: usize,
}

// SAFETY: The pointer is only ever given back to QEMU, whose functions for
// scoreboards may be called from any vCPU thread.
unsafe impl Send for PerVcpu {}
// SAFETY: As above.
unsafe impl Sync for PerVcpu {}

/// Called when a block is translated.
pub type TransCallback = extern "C" fn(PluginId, *mut Tb);
/// Called when an instruction is executed: vCPU and what was registered.
pub type ExecCallback = extern "C" fn(c_uint, *mut c_void);
/// Called when QEMU ends.
pub type ExitCallback = extern "C" fn(PluginId, *mut c_void);

extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: TransCallback);
    fn qemu_plugin_register_atexit_cb(id: PluginId, callback: ExitCallback, data: *mut c_void);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut TbInsn,
        callback: ExecCallback,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cond_cb(
        insn: *mut TbInsn,
        callback: ExecCallback,
        flags: c_int,
        condition: c_int,
        entry: PerVcpu,
        operand: u64,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut TbInsn;
    fn qemu_plugin_insn_data(insn: *const TbInsn, to: *mut c_void, length: usize) -> usize;
    fn qemu_plugin_insn_vaddr(insn: *const TbInsn) -> u64;
    fn qemu_plugin_insn_haddr(insn: *const TbInsn) -> *mut c_void;
    fn qemu_plugin_scoreboard_new(size: usize) -> *mut Scoreboard;
    fn qemu_plugin_u64_set(entry: PerVcpu, vcpu: c_uint, value: u64);
}

impl PerVcpu {
    /// A number for each vCPU, 0 at first.
    pub fn new() -> Self {
        Self {
            // SAFETY: The plugin is being installed or is installed.
            score: unsafe { qemu_plugin_scoreboard_new(size_of::<u64>()) },
            offset: 0,
        }
    }

    /// Sets the number of `vcpu`.
    pub fn set(self, vcpu: c_uint, value: u64) {
        // SAFETY: The scoreboard has entries for this type and is never freed;
        // callers have `vcpu` from QEMU.
        unsafe { qemu_plugin_u64_set(self, vcpu, value) }
    }
}

/// Has `translated` called for each block, and `exit` at the end.
pub fn register(id: PluginId, translated: TransCallback, exit: ExitCallback) {
    // SAFETY: `id` is this plugin's, and the functions live as long as it.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, exit, std::ptr::null_mut());
    }
}

/// An instruction of a block, for the time of the callback.
pub struct Translated<'a>(&'a mut TbInsn);

impl Translated<'_> {
    /// Its virtual address.
    pub fn vaddr(&self) -> u64 {
        // SAFETY: The instruction is valid during the callback.
        unsafe { qemu_plugin_insn_vaddr(self.0) }
    }

    /// Where it is in QEMU's memory; 0 if it is not in RAM.
    pub fn haddr(&self) -> u64 {
        // SAFETY: The instruction is valid during the callback.
        unsafe { qemu_plugin_insn_haddr(self.0) as u64 }
    }

    /// Its word; a T32 instruction may have only half of it.
    pub fn word(&self) -> u32 {
        let mut bytes = [0; 4];
        // SAFETY: The instruction is valid during the callback, and at most
        // the length of `bytes` is written.
        unsafe { qemu_plugin_insn_data(self.0, bytes.as_mut_ptr().cast(), bytes.len()) };
        u32::from_le_bytes(bytes)
    }

    /// Has `callback` called with `data` before each execution.
    pub fn on_exec(&mut self, callback: ExecCallback, data: usize) {
        // SAFETY: The instruction is valid during the callback. `data` is a
        // number, which nobody dereferences.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                self.0,
                callback,
                CB_NO_REGS,
                data as *mut c_void,
            )
        }
    }

    /// As `on_exec`, but only while the vCPU's number in `flag` is not 0.
    pub fn on_exec_if(&mut self, flag: PerVcpu, callback: ExecCallback, data: usize) {
        // SAFETY: As above, and the scoreboard is never freed.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cond_cb(
                self.0,
                callback,
                CB_NO_REGS,
                COND_NE,
                flag,
                0,
                data as *mut c_void,
            )
        }
    }
}

/// Calls `each` for the instructions of a block.
///
/// # Safety
///
/// `tb` is what QEMU gave to the callback that runs.
pub unsafe fn for_each_insn(tb: *mut Tb, mut each: impl FnMut(Translated<'_>)) {
    // SAFETY: The block is valid during the callback.
    for index in 0..unsafe { qemu_plugin_tb_n_insns(tb) } {
        // SAFETY: The index is below the block's number of instructions; each
        // is valid during the callback, and one reference to it exists.
        each(Translated(unsafe {
            &mut *qemu_plugin_tb_get_insn(tb, index)
        }));
    }
}

/// The arguments that QEMU passes at installation; what is not UTF-8 is
/// replaced.
///
/// # Safety
///
/// `argv` points to `argc` C strings.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<String> {
    (0..argc.max(0) as usize)
        // SAFETY: The index is below the number of strings.
        .map(|index| unsafe { CStr::from_ptr(*argv.add(index)) })
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}
