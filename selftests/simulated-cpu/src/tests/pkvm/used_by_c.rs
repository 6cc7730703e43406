// SPDX-License-Identifier: GPL-2.0
//! `nvhe/pkvm/registers.rs` copies each register of a guest's context that code
//! at EL2 uses, by the C sources.

use super::super::host::Host;
use super::super::machine::{self, place, Cpus, DebugOwner, Features, Guest, Level, Vcpu};
use crate::arm64::registers::HCR_EL2;
use crate::Mode;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Where C names a register of a context, and which argument it is.
const ACCESSORS: [(&str, usize); 8] = [
    ("__vcpu_sys_reg", 1),
    ("__vcpu_assign_sys_reg", 1),
    ("__vcpu_rmw_sys_reg", 1),
    ("vcpu_read_sys_reg", 1),
    ("vcpu_write_sys_reg", 2),
    ("ctxt_sys_reg", 1),
    ("__ctxt_sys_reg", 1),
    ("___ctxt_sys_reg", 1),
];

const NESTED: &str = "of a guest with a virtual EL2, which only VHE runs";
const HOSTS: &str = "of the host's context alone";
const OWN: &str = "of the hypervisor's own context";
const KERNEL: &str = "only the kernel calls that";

/// Uses that are not a register's of a guest in this hypervisor: file, what it
/// says there, and why.
const OTHERS: [(&str, &str, &str); 32] = [
    ("asm/kvm_emulate.h", "CPTR_EL2", NESTED),
    ("asm/kvm_emulate.h", "HCRX_EL2", NESTED),
    ("asm/kvm_emulate.h", "HCR_EL2", NESTED),
    (
        "asm/kvm_emulate.h",
        "r",
        "of kvm_vcpu_set_be() and the like",
    ),
    ("asm/kvm_host.h", "(r)", "in the accessors themselves"),
    ("asm/kvm_host.h", "r", "in the accessors themselves"),
    ("asm/kvm_host.h", "int r", "a declaration"),
    ("asm/kvm_host.h", "enum vcpu_sysreg", "a declaration"),
    ("asm/kvm_host.h", "NR_SYS_REGS", "a declaration"),
    ("asm/kvm_host.h", "OSLSR_EL1", KERNEL),
    ("asm/kvm_mmu.h", "reg", KERNEL),
    ("hyp/entry.S", "ELR_EL2", OWN),
    ("hyp/exception.c", "ELR_EL2", NESTED),
    ("hyp/exception.c", "SCTLR_EL2", NESTED),
    ("hyp/exception.c", "SPSR_EL2", NESTED),
    ("hyp/exception.c", "VBAR_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "CNTHCTL_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "ELR_EL2", OWN),
    ("hyp/include/hyp/switch.h", "HCRX_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "HCR_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "PMUSERENR_EL0", HOSTS),
    ("hyp/include/hyp/switch.h", "VSESR_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "ZCR_EL2", NESTED),
    ("hyp/include/hyp/switch.h", "reg", HOSTS),
    (
        "hyp/include/hyp/switch.h",
        "vcpu_sve_zcr_elx(vcpu)",
        "ZCR_EL1, which is copied, but for a guest with a virtual EL2",
    ),
    ("hyp/include/hyp/sysreg-sr.h", "NVHCR_EL2", NESTED),
    ("hyp/include/hyp/sysreg-sr.h", "VDISR_EL2", NESTED),
    (
        "hyp/nvhe/hyp-main.c",
        "i",
        "in __copy_vcpu_state(), which is replaced",
    ),
    ("hyp/vgic-v3-sr.c", "HFGRTR_EL2", NESTED),
    ("hyp/vgic-v3-sr.c", "HFGWTR_EL2", NESTED),
    ("hyp/vgic-v3-sr.c", "ICH_HCR_EL2", NESTED),
    (
        "kvm/sys_regs.h",
        "r->reg",
        "for resets, which only the kernel does",
    ),
];

fn kernel(path: &str) -> PathBuf {
    Path::new(env!("KERNEL")).join("arch/arm64").join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// The sources of the hypervisor's image, by what its makefile lists, and what
/// they include that has functions.
fn sources() -> Vec<PathBuf> {
    let folder = kernel("kvm/hyp/nvhe");
    let makefile = read(&folder.join("Makefile")).replace("\\\n", " ");
    let listed = makefile
        .lines()
        .filter(|line| line.starts_with("hyp-obj-"))
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.strip_suffix(".o"));
    let mut sources: Vec<PathBuf> = listed
        .map(|stem| {
            let kinds = ["c", "S"].map(|kind| folder.join(format!("{stem}.{kind}")));
            let source = kinds.into_iter().find(|path| path.exists());
            source.unwrap_or_else(|| panic!("no source of {stem}.o of the makefile"))
        })
        .collect();
    assert!(sources.len() > 20, "the makefile lists more: {sources:?}");
    for folder in ["kvm/hyp/include/hyp", "kvm/hyp/include/nvhe", "include/asm"] {
        let entries = fs::read_dir(kernel(folder)).expect("the kernel's headers");
        let headers = entries.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.ends_with(".h") && (folder != "include/asm" || name.starts_with("kvm"))
        });
        sources.extend(headers);
    }
    sources.push(kernel("kvm/sys_regs.h"));
    sources
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        (_, rest) = comment.split_once("*/").expect("a comment has an end");
    }
    kept + rest
}

/// The arguments in parentheses that `text` starts with.
fn arguments(text: &str) -> Option<Vec<String>> {
    let mut arguments = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => return None,
            _ => (),
        }
        match (depth, c) {
            (0, _) => break,
            (1, ',') => arguments.push(String::new()),
            (1, '(') if arguments == [""] => (),
            _ => arguments.last_mut().expect("one").push(c),
        }
    }
    Some(arguments.iter().map(|a| a.trim().to_owned()).collect())
}

/// What a source names as a register of a context.
fn named(text: &str) -> BTreeSet<String> {
    let is_identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_identifier) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_identifier(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if let Some((_, at)) = ACCESSORS.iter().find(|(accessor, _)| *accessor == word) {
            if let Some(register) = arguments(after).and_then(|a| a.into_iter().nth(*at)) {
                named.insert(register);
            }
        } else if word == "sys_regs" {
            if let Some(index) = after.strip_prefix('[').and_then(|i| i.split_once(']')) {
                named.insert(index.0.to_owned());
            }
        } else if let Some(register) = word.strip_prefix("CPU_").filter(|name| is_register(name)) {
            named.insert(register.to_owned());
            if register.contains("KEYLO") {
                // By stp and ldp, the other half with it.
                named.insert(register.replace("KEYLO", "KEYHI"));
            }
        }
    }
    named
}

fn is_register(name: &str) -> bool {
    bindings::VCPU_SYSREGS
        .iter()
        .any(|(known, _)| *known == name)
}

/// What the sources name, with the file, by the end of its path.
static NAMED: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(|| {
    let mut all = BTreeSet::new();
    for path in sources() {
        let path = fs::canonicalize(&path).expect("it exists");
        let text = without_comments(&read(&path));
        let file = path.to_string_lossy().into_owned();
        for register in named(&text) {
            // Macros that name one register for each of several.
            match register.strip_prefix("key ## ") {
                Some(half) => {
                    for key in ["APIA", "APIB", "APDA", "APDB", "APGA"] {
                        all.insert((file.clone(), format!("{key}{half}")));
                    }
                }
                None => {
                    all.insert((file.clone(), register));
                }
            }
        }
    }
    all
});

fn is_other(file: &str, register: &str) -> bool {
    let mut others = OTHERS.iter();
    others.any(|(end, name, _)| file.ends_with(end) && *name == register)
}

/// The registers of a guest's context that code at EL2 uses.
pub(super) fn used() -> BTreeSet<&'static str> {
    let uses = NAMED.iter().filter(|(file, name)| !is_other(file, name));
    let uses: BTreeSet<&str> = uses.map(|(_, name)| &**name).collect();
    let registers = bindings::VCPU_SYSREGS.iter().map(|(name, _)| *name);
    registers.filter(|name| uses.contains(name)).collect()
}

/// The registers that are copied for a guest that has everything.
fn copied() -> BTreeSet<&'static str> {
    let cpus = Cpus {
        mode: Mode::Hvhe,
        have: Features::from_bits(!0),
        nv2p1: false,
        mpam: false,
        speculative_at: false,
        pkvm: true,
    };
    let guest = Guest {
        has: Features::from_bits(!0),
        level: Level::El1,
        pstate: 0x3c5,
        aarch32: true,
        debug_owner: DebugOwner::Guest,
        writable_imp_id_regs: false,
        is_protected: true,
    };
    let vcpus = ["host's", "EL2's"].map(|name| Vcpu::new(name, &cpus, guest));
    let mut host = Host::new(cpus, vcpus.into());
    let hcr = HCR_EL2::from(0)
        .with_api(true)
        .with_apk(true)
        .with_ata(true);
    host.vcpus[1].vcpu.arch.hcr_el2 = hcr.into();
    host.flush(0, 1);
    let sys_regs = host.vcpus[1].vcpu.arch.ctxt.sys_regs;
    let names = bindings::VCPU_SYSREGS.into_iter().map(|(name, _)| name);
    names
        .filter(|name| sys_regs[place(name)] == machine::mark("host's", name))
        .collect()
}

#[test]
fn each_register_that_code_at_el2_uses_is_copied() {
    let copied = copied();
    let mut missing = BTreeMap::new();
    for (file, name) in NAMED.iter() {
        if !copied.contains(&**name) && !is_other(file, name) {
            missing.entry(name).or_insert_with(Vec::new).push(file);
        }
    }
    assert!(
        missing.is_empty(),
        "code at EL2 uses registers of a context that nvhe/pkvm/registers.rs does not copy: \
         have it copy them, or say in OTHERS why not: {missing:#?}"
    );
}

#[test]
fn nothing_else_is_copied() {
    let used = used();
    let superfluous: Vec<_> = copied()
        .into_iter()
        .filter(|name| !used.contains(name))
        .collect();
    assert!(superfluous.is_empty(), "{superfluous:?}");
}

#[test]
fn no_exception_is_stale() {
    for (end, register, reason) in OTHERS {
        let mut named = NAMED.iter();
        assert!(
            named.any(|(file, name)| file.ends_with(end) && name == register),
            "{end} does not name {register} any more ({reason}): take it off OTHERS"
        );
    }
}
