// SPDX-License-Identifier: GPL-2.0
//! The host changes its vCPU all the time: what EL2 gets of it fits together.

use super::super::host::Host;
use super::super::machine::{Cpus, DebugOwner, Features, Guest, Level, Vcpu};
use super::NR_LR;
use crate::{kvm_vcpu, Mode};
use std::fs;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The host's vCPU, and EL2's.
const HOST: usize = 0;
const HYP: usize = 1;

/// `PKVM_HOST_STATE_DIRTY`.
const DIRTY: u8 = 1 << 4;
/// What EL2 has before a run where the host's is to be told from it.
const BEFORE: u64 = 0x5a5a;

/// The fields that EL2 decides by, each with the two values that the host
/// changes it between.
struct Fields {
    debug_owner: (*mut u32, [u32; 2]),
    used_lrs: (*mut u32, [u32; 2]),
    iflags: (*mut u8, [u8; 2]),
    hcr_el2: (*mut u64, [u64; 2]),
}

// SAFETY: The fields are written to as atomic variables alone.
unsafe impl Send for Fields {}

impl Fields {
    fn of(vcpu: *mut kvm_vcpu) -> Self {
        // SAFETY: Fields of the vCPU.
        unsafe {
            let arch = &raw mut (*vcpu).arch;
            Self {
                debug_owner: (&raw mut (*arch).debug_owner, [1, 2]),
                used_lrs: (
                    &raw mut (*arch).vgic_cpu.__bindgen_anon_1.vgic_v3.used_lrs,
                    [2, u32::MAX],
                ),
                iflags: (&raw mut (*arch).iflags, [0, DIRTY]),
                hcr_el2: (&raw mut (*arch).hcr_el2, [0, u64::MAX]),
            }
        }
    }

    /// Changes one of them, the same one for a while, as fast as that goes.
    fn write(&self, turn: usize) {
        let (field, value) = ((turn >> 8) % 4, turn & 1);
        // SAFETY: The fields outlive the thread, and are aligned.
        unsafe {
            match field {
                0 => AtomicU32::from_ptr(self.debug_owner.0)
                    .store(self.debug_owner.1[value], Relaxed),
                1 => AtomicU32::from_ptr(self.used_lrs.0).store(self.used_lrs.1[value], Relaxed),
                2 => AtomicU8::from_ptr(self.iflags.0).store(self.iflags.1[value], Relaxed),
                _ => AtomicU64::from_ptr(self.hcr_el2.0).store(self.hcr_el2.1[value], Relaxed),
            }
        }
    }
}

/// Gives what may be copied a value that is not the host's.
fn prepare(hyp: &mut kvm_vcpu) {
    hyp.arch.vcpu_debug_state.dbg_bvr[0] = BEFORE;
    hyp.arch.external_debug_state.dbg_bvr[0] = BEFORE;
    hyp.arch.external_mdscr_el1 = BEFORE;
    hyp.arch.vgic_cpu.__bindgen_anon_1.vgic_v3.vgic_lr = [BEFORE; 16];
    hyp.arch.ctxt.regs.sp = BEFORE;
    hyp.arch.hcr_el2 = 0;
}

fn check(hyp: &kvm_vcpu) {
    let arch = &hyp.arch;
    let copied = |value: u64| value != BEFORE;
    let owner = arch.debug_owner;
    assert!([1, 2].contains(&owner), "{owner}");
    assert_eq!(copied(arch.external_debug_state.dbg_bvr[0]), owner == 1);
    assert_eq!(copied(arch.external_mdscr_el1), owner == 1);
    assert_eq!(copied(arch.vcpu_debug_state.dbg_bvr[0]), owner == 2);

    let vgic = &arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    assert!([2, NR_LR].contains(&vgic.used_lrs), "{}", vgic.used_lrs);
    for (n, lr) in vgic.vgic_lr.iter().enumerate() {
        let used = n < vgic.used_lrs as usize;
        assert_eq!(copied(*lr), used, "list register {n} of {}", vgic.used_lrs);
    }

    assert_eq!(copied(arch.ctxt.regs.sp), arch.iflags & DIRTY != 0);
    let hcr_el2 = arch.hcr_el2;
    assert!(
        [0, super::c::HCR_OF_HOST].contains(&hcr_el2),
        "{hcr_el2:#x}"
    );
}

#[test]
fn each_value_that_el2_decides_by_is_read_once() {
    let cpus = Cpus {
        mode: Mode::Nvhe,
        have: Features::default(),
        nv2p1: false,
        mpam: false,
        speculative_at: false,
        pkvm: true,
    };
    let guest = Guest {
        has: Features::default(),
        level: Level::El1,
        pstate: 0x5,
        aarch32: false,
        debug_owner: DebugOwner::Free,
        writable_imp_id_regs: false,
        is_protected: false,
    };
    let vcpus = ["host's", "EL2's"].map(|name| Vcpu::new(name, &cpus, guest));
    let mut host = Host::new(cpus, vcpus.into());
    let fields = Fields::of(ptr::from_mut(&mut *host.vcpus[HOST].vcpu));
    for field in 0..4 {
        fields.write(field << 8);
    }

    let stop = AtomicBool::new(false);
    let turns = AtomicU64::new(0);
    thread::scope(|scope| {
        let (stop, turns) = (&stop, &turns);
        scope.spawn(move || {
            // The whole, whose fields may be sent.
            let fields = fields;
            for turn in 0.. {
                fields.write(turn);
                turns.store(turn as u64, Relaxed);
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // Long enough for the host to be at it often. A second read is
            // seen only if the host comes between the two: with a CPU for each
            // side at once, with one that they share after a while.
            let start = Instant::now();
            let mut met = 0;
            while met < 100 || start.elapsed() < Duration::from_secs(4) {
                prepare(&mut host.vcpus[HYP].vcpu);
                let before = turns.load(Relaxed);
                host.flush(HOST, HYP);
                met += u32::from(turns.load(Relaxed) != before);
                check(&host.vcpus[HYP].vcpu);
            }
        }));
        stop.store(true, Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The names of the functions that `text` calls of `host`'s state without
/// arguments: those that read a value, but for the one that makes a view of it.
fn reads_of_host(text: &str) -> Vec<&str> {
    let calls = text.split("host.").skip(1);
    calls
        .filter_map(|call| call.split_once('('))
        .filter(|(_, after)| after.starts_with(')'))
        .map(|(name, _)| name)
        .filter(|name| *name != "of_either")
        .collect()
}

/// What the test above sees by chance, for sure, as far as the text tells.
#[test]
fn no_value_of_the_hosts_is_named_twice_in_a_flush() {
    let path = Path::new(env!("KVM")).join("nvhe/pkvm.rs");
    let text = fs::read_to_string(&path).expect("the kernel's file");
    let functions = text.split("\n}\n");
    let flush: Vec<&str> = functions.filter(|text| text.contains("fn flush")).collect();
    assert_eq!(flush.len(), 3, "flush() and what it calls");
    let flush = flush.concat();
    let mut reads = reads_of_host(&flush);
    assert!(reads.len() >= 8 && reads.contains(&"used_lrs"), "{reads:?}");
    reads.sort_unstable();
    let twice: Vec<_> = reads.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
