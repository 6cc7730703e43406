// SPDX-License-Identifier: GPL-2.0
//! From QEMU's callbacks to the recorder.

use crate::qemu::{self, PerVcpu, PluginId, Tb};
use crate::settings::Settings;
use crate::windows::{Id, Insn, Recorder};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Which version of the API this was made for; QEMU looks for it.
#[no_mangle]
pub static qemu_plugin_version: c_int = qemu::VERSION;

struct Plugin {
    settings: Settings,
    /// Not 0 while the vCPU is in a window.
    recording: PerVcpu,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    recorder: Recorder,
    /// What to add to an address in vmlinux to find it in QEMU's memory.
    image_offset: Option<u64>,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

impl Plugin {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a callback ends the process, so nobody sees a poisoned
        // lock.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What the guests of selftests/exits execute as a marker, if `word` is one:
/// MOVZ XZR, #number.
fn marker(word: u32) -> Option<u16> {
    (word & !(0xffff << 5) == 0xd280_001f).then_some((word >> 5) as u16)
}

impl State {
    /// The address in vmlinux of what is at `vaddr` and `haddr`, or None.
    ///
    /// The hypervisor runs from other virtual addresses than the kernel, with
    /// a random part, but from the same memory. Where that is in QEMU is
    /// learnt when the kernel first runs at its own addresses, which is before
    /// there is a hypervisor or a guest.
    fn in_image(&mut self, settings: &Settings, vaddr: u64, haddr: u64) -> Option<u64> {
        if haddr == 0 {
            return None;
        }
        if self.image_offset.is_none() && settings.image.contains(&vaddr) {
            self.image_offset = Some(haddr.wrapping_sub(vaddr));
        }
        let address = haddr.wrapping_sub(self.image_offset?);
        settings.image.contains(&address).then_some(address)
    }
}

extern "C" fn translated(_: PluginId, tb: *mut Tb) {
    let Some(plugin) = PLUGIN.get() else { return };
    let mut state = plugin.state();
    // SAFETY: `tb` is what QEMU gave to this callback.
    unsafe {
        qemu::for_each_insn(tb, |mut insn| {
            let (vaddr, word) = (insn.vaddr(), insn.word());
            let in_image = state.in_image(&plugin.settings, vaddr, insn.haddr());
            let id = state.recorder.id(Insn {
                address: in_image.unwrap_or(vaddr),
                word,
            }) as usize;
            if in_image == Some(plugin.settings.begin) {
                insn.on_exec(begin, id);
            } else if in_image == Some(plugin.settings.end) {
                insn.on_exec(end, id);
            } else if let Some(number) = marker(word) {
                insn.on_exec(mark, number.into());
            } else {
                insn.on_exec_if(plugin.recording, step, id);
            }
        });
    }
}

extern "C" fn begin(vcpu: c_uint, id: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        let recording = plugin.state().recorder.begin(vcpu, id as Id);
        plugin.recording.set(vcpu, recording.into());
    }
}

extern "C" fn step(vcpu: c_uint, id: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.state().recorder.step(vcpu, id as Id);
    }
}

extern "C" fn end(vcpu: c_uint, id: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.state().recorder.end(vcpu, id as Id);
        plugin.recording.set(vcpu, 0);
    }
}

extern "C" fn mark(vcpu: c_uint, number: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.state().recorder.mark(vcpu, number as usize as u16);
    }
}

extern "C" fn exit(_: PluginId, _: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    let recording = plugin.state().recorder.recording();
    let path = &plugin.settings.output;
    let written = serde_json::to_vec(&recording)
        .map_err(std::io::Error::from)
        .and_then(|bytes| std::fs::write(path, bytes));
    if let Err(error) = written {
        eprintln!("trace-plugin: cannot write {}: {error}", path.display());
    }
}

/// QEMU calls this when it loads the plugin.
///
/// # Safety
///
/// `argv` points to `argc` C strings.
#[no_mangle]
pub unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: The caller vouches for it.
    let arguments = unsafe { qemu::arguments(argc, argv) };
    let settings = match Settings::parse(arguments.iter().map(String::as_str)) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("trace-plugin: {error}");
            return -1;
        }
    };
    let plugin = Plugin {
        settings,
        recording: PerVcpu::new(),
        state: Mutex::default(),
    };
    if PLUGIN.set(plugin).is_err() {
        eprintln!("trace-plugin: it can be loaded only once");
        return -1;
    }
    qemu::register(id, translated, exit);
    0
}
