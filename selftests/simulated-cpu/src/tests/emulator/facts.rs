// SPDX-License-Identifier: GPL-2.0
//! What the registers of a machine are like: which there are, and which of their
//! bits keep what is written.
//!
//! The simulated CPU keeps all bits of all registers, whatever features a CPU has.
//! So only bits that the emulator keeps are written. Which those are is measured,
//! for each register by the name that is its own; which name reaches what is then up
//! to the sequences. Registers that are missing, or keep nothing, must be in a table
//! here, or in that of the machine.

use super::boot::{self, Entry, Folder};
use super::image::{Image, Routine, HCR, SCTLR};
use super::machine::Machine;
use crate::arm64::registers::{
    CNTHP_CTL_EL2, CNTHV_CTL_EL2, CNTP_CTL_EL0, CNTV_CTL_EL0, CPTR_EL2, HCR_EL2, PMCNTENCLR_EL0,
    PMCNTENSET_EL0, VBAR_EL2,
};
use crate::arm64::sysreg::{Encoding, RegisterName};
use crate::cpu::open;
use crate::tests::names::{self, Name};
use std::collections::BTreeMap;

/// Registers of which not every bit can be written, and what the others are. The
/// program itself depends on these.
const RESTRICTED: &[(&str, u64, u64)] = &[
    // E2H is written, but not while bits are measured.
    ("HCR_EL2", !E2H, HCR),
    // The MMU is off (M), alignment is not checked (A), data are little-endian (E0E,
    // EE), and exceptions synchronise (EIS, EOS).
    ("SCTLR_EL2", !0x0340_0803, SCTLR),
    // Single steps (SS): with MDCR_EL2.TDE they would be taken from a guest.
    ("MDSCR_EL1", !1, 0),
];

/// Registers that keep nothing of what is written, and why.
const KEEP_NOTHING: &[(&[&str], &str)] = &[
    (
        &[
            "AFSR0_EL1",
            "AFSR0_EL2",
            "AFSR1_EL1",
            "AFSR1_EL2",
            "AMAIR_EL1",
            "AMAIR_EL2",
        ],
        "IMPLEMENTATION DEFINED, and QEMU has nothing there",
    ),
    (
        &["DBGVCR32_EL2"],
        "QEMU does not have the vector catch of AArch32",
    ),
    (
        &["MDCCINT_EL1"],
        "QEMU does not have the debug communications channel",
    ),
    (
        &["VBAR_EL2"],
        "not measured: only the addresses of two tables of vectors are written",
    ),
];

/// Bits that are not the same each time, or not what was written, and why.
const UNSTEADY: [(Encoding, u64); 4] = [
    // ISTATUS: whether the time has come.
    (CNTHP_CTL_EL2::ENCODING, 1 << 2),
    (CNTHV_CTL_EL2::ENCODING, 1 << 2),
    (CNTP_CTL_EL0::ENCODING, 1 << 2),
    (CNTV_CTL_EL0::ENCODING, 1 << 2),
];

const E2H: u64 = HCR_EL2::E2H_MASK;

/// A register of a machine.
#[derive(Clone, Copy, Debug)]
struct Register {
    /// Bits that keep what is written.
    kept: u64,
    /// What the others are.
    fixed: u64,
    is_read_only: bool,
}

/// What is known of a machine.
pub(super) struct Facts {
    pub(super) machine: Machine,
    registers: BTreeMap<Encoding, Register>,
    names: Vec<Name>,
    own_names: Vec<Name>,
}

/// The names of registers that are their own, not those that VHE adds.
fn own_names() -> Vec<Name> {
    names::REGISTERS
        .iter()
        .map(|name| names::find(name))
        .collect()
}

/// By which name a register is reached while `HCR_EL2.E2H` is 1.
fn with_e2h(own: &Name) -> Name {
    let reaches = |name: &Name| name.reaches.with_e2h == own.encoding;
    if reaches(own) {
        return *own;
    }
    names::all()
        .into_iter()
        .find(reaches)
        .expect("VHE adds a name for what it redirects")
}

/// What is written to a register while its bits are measured, after which it is
/// as the program needs it.
fn measure(own: &Name, e2h: bool) -> Vec<Entry> {
    let name = if e2h { with_e2h(own) } else { *own };
    let (bits, others) = restricted(own.name);
    let others = match own.name {
        CPTR_EL2::NAME => open(e2h),
        HCR_EL2::NAME if e2h => others | E2H,
        _ => others,
    };
    let read = entry(Routine::Read(name.encoding), 0);
    let write = |value| entry(Routine::Write(name.encoding), value);
    vec![
        write(others & !bits),
        read,
        write(others | bits),
        read,
        write(others),
        entry(Routine::Isb, 0),
    ]
}

fn restricted(name: &str) -> (u64, u64) {
    let mut restricted = RESTRICTED.iter();
    restricted
        .find(|(register, _, _)| *register == name)
        .map_or((!0, 0), |(_, bits, others)| (*bits, *others))
}

fn entry(routine: Routine, operand: u64) -> Entry {
    Entry {
        routine,
        operand,
        room: 0,
    }
}

/// What leads to E2H with this value, and opens all traps.
fn set_e2h(e2h: bool) -> [Entry; 3] {
    [
        entry(
            Routine::Write(HCR_EL2::ENCODING),
            if e2h { HCR | E2H } else { HCR },
        ),
        entry(Routine::Write(CPTR_EL2::ENCODING), open(e2h)),
        entry(Routine::Isb, 0),
    ]
}

impl Facts {
    /// Finds them out.
    pub(super) fn of(folder: &Folder, machine: &Machine) -> Self {
        let image = Image::assemble(&folder.0, &[], &[]);
        let measured: Vec<Name> = own_names()
            .into_iter()
            .filter(|name| !MEASURED_OTHERWISE.contains(&name.encoding))
            .collect();
        let layouts = [false, true].into_iter();
        let layouts: Vec<bool> = layouts.filter(|e2h| !e2h || machine.has_vhe).collect();
        let mut list = Vec::new();
        for e2h in &layouts {
            list.extend(set_e2h(*e2h));
            for name in &measured {
                list.extend(measure(name, *e2h));
            }
        }
        let [set, clear, vectors] = MEASURED_OTHERWISE;
        list.extend([
            entry(Routine::Write(set), !0),
            entry(Routine::Read(set), 0),
            entry(Routine::Write(clear), !0),
            entry(Routine::Read(vectors), 0),
        ]);
        let results = boot::run(folder, machine, &image, &[], &list);

        let mut at = 0;
        let mut next = || results.next(&mut at, 0);
        let mut registers = BTreeMap::new();
        for e2h in &layouts {
            (0..set_e2h(*e2h).len()).for_each(|_| assert_eq!(next().exception, None));
            for name in &measured {
                let written = next().exception;
                let zeros = next();
                next();
                let ones = next();
                next();
                next();
                let lacks = machine.lacks(name.name);
                let context = format!("{machine}: {} with E2H {e2h}", name.name);
                assert_eq!(zeros.exception.is_some(), lacks, "{context}");
                if lacks {
                    continue;
                }
                // E2H is written all the same.
                let others = match name.name {
                    HCR_EL2::NAME => E2H,
                    _ => unsteady(name.encoding),
                };
                let found = Register {
                    kept: ones.value & !zeros.value & !others,
                    fixed: zeros.value & !others,
                    is_read_only: written.is_some(),
                };
                let register = registers.entry(name.encoding).or_insert(found);
                // Bits that depend on E2H are not written.
                register.kept &= found.kept;
                register.fixed &= !found.kept;
                assert_eq!(register.fixed, found.fixed, "{context}");
            }
        }
        let [_, counters, _, address] = [next(), next(), next(), next()];
        for (name, kept, fixed) in [
            (set, counters.value, 0),
            (clear, counters.value, 0),
            (vectors, 0, address.value),
        ] {
            let register = Register {
                kept,
                fixed,
                is_read_only: false,
            };
            registers.insert(name, register);
        }

        let is_there = |name: &Name| registers.contains_key(&reached_as_own(name));
        let facts = Self {
            machine: *machine,
            names: names::all().into_iter().filter(is_there).collect(),
            own_names: own_names().into_iter().filter(is_there).collect(),
            registers,
        };
        facts.check_tables();
        facts
    }

    /// Each table says what is so, and nothing else.
    fn check_tables(&self) {
        for name in &self.own_names {
            let register = &self.registers[&name.encoding];
            if register.is_read_only {
                continue;
            }
            let listed = KEEP_NOTHING
                .iter()
                .any(|(listed, _)| listed.contains(&name.name));
            assert_eq!(
                register.kept == 0,
                listed,
                "{}: {} keeps {:#x}",
                self.machine,
                name.name,
                register.kept
            );
        }
    }

    /// All names of registers that the machine has.
    pub(super) fn names(&self) -> &[Name] {
        &self.names
    }

    /// As [`Self::names`], without those that VHE adds.
    pub(super) fn own_names(&self) -> &[Name] {
        &self.own_names
    }

    /// Those of [`Self::own_names`] that can be written.
    pub(super) fn writable(&self) -> Vec<Name> {
        let names = self.own_names.iter().copied();
        names
            .filter(|name| !self.registers[&name.encoding].is_read_only)
            .collect()
    }

    /// How many bits of registers can be told apart.
    pub(super) fn bits(&self) -> u32 {
        self.registers.values().map(|r| r.kept.count_ones()).sum()
    }

    /// What is written to a register, or is in one that is read-only, where
    /// `random` was drawn.
    pub(super) fn value(&self, register: Encoding, random: u64, image: &Image) -> u64 {
        let Register { kept, fixed, .. } = self.registers[&register];
        if register == VBAR_EL2::ENCODING {
            return image.address(match random & 1 {
                0 => Routine::Vectors,
                _ => Routine::OtherVectors,
            });
        }
        let kept = match register == HCR_EL2::ENCODING && self.machine.has_vhe {
            true => kept | E2H,
            false => kept,
        };
        (random & kept) | (fixed & !kept)
    }
}

/// Two that set and clear what they show, and one that must not be anything else.
const MEASURED_OTHERWISE: [Encoding; 3] = [
    PMCNTENSET_EL0::ENCODING,
    PMCNTENCLR_EL0::ENCODING,
    VBAR_EL2::ENCODING,
];

/// The register that a name is for: its own, or that which VHE adds it for.
fn reached_as_own(name: &Name) -> Encoding {
    name.reaches.without_e2h.unwrap_or(name.reaches.with_e2h)
}

/// Bits of a register that are not compared.
pub(super) fn unsteady(register: Encoding) -> u64 {
    let mut unsteady = UNSTEADY.iter();
    unsteady
        .find(|(listed, _)| *listed == register)
        .map_or(0, |(_, bits)| *bits)
}
