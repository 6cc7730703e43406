// SPDX-License-Identifier: GPL-2.0
//! All names of registers, as values that a test can choose from.

use crate::arm64::sysreg::{Encoding, Reaches, RegisterName};
use crate::for_each::for_each_register;
use crate::simulated::instruction::{mrs, msr};
use crate::{Cpu, Outcome};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A name, and access by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) encoding: Encoding,
    pub(super) reaches: Reaches,
    /// MRS on a CPU that need not be the one of the thread.
    pub(super) mrs: fn(&mut Cpu) -> u64,
    /// MSR, as [`Self::mrs`].
    pub(super) msr: fn(&mut Cpu, u64),
    /// What becomes of an MRS, or, with `true`, of an MSR.
    pub(super) outcome: fn(&Cpu, bool) -> Outcome,
    read: unsafe fn() -> u64,
    write: unsafe fn(u64),
}

impl Name {
    fn of<N: RegisterName>() -> Self {
        Self {
            name: N::NAME,
            encoding: N::ENCODING,
            reaches: N::REACHES,
            mrs: Cpu::mrs::<N>,
            msr: Cpu::msr::<N>,
            outcome: Cpu::access_outcome::<N>,
            read: mrs::<N>,
            write: msr::<N>,
        }
    }

    pub(super) fn read(&self) -> u64 {
        // SAFETY: On the simulated CPU.
        unsafe { (self.read)() }
    }

    pub(super) fn write(&self, value: u64) {
        // SAFETY: On the simulated CPU.
        unsafe { (self.write)(value) }
    }
}

/// All names but those whose registers do not simply keep what is written by
/// them: they are read-only, or not for EL2, or one of them shows another.
/// `HCR_EL2` is left out, too, as it changes what names reach.
pub(super) fn of_storage() -> Vec<Name> {
    let mut names = all();
    let others = [
        "HCR_EL2",
        "ID_AA64MMFR3_EL1",
        "ID_AA64PFR0_EL1",
        "ID_AA64PFR2_EL1",
        "MIDR_EL1",
        "MPIDR_EL1",
        "PMCNTENCLR_EL0",
        "PMCNTENSET_EL0",
        "SP_EL2",
    ];
    names.retain(|name| !others.contains(&name.name));
    names
}

macro_rules! list {
    (names: [$($name:ident),*]; registers: [$($register:ident),*]; $($rest:tt)*) => {
        /// All names.
        pub(super) fn all() -> Vec<Name> {
            use crate::arm64::registers::*;
            vec![$(Name::of::<$name>()),*]
        }

        /// All registers, each by its own name.
        pub(super) const REGISTERS: &[&str] = &[$(stringify!($register)),*];

        /// As [`get`], of each in [`REGISTERS`].
        pub(super) static GET: &[fn(&Cpu) -> u64] = {
            use crate::arm64::registers::*;
            &[$(|cpu| cpu.get::<$register>().into()),*]
        };

        /// As [`set`], of each in [`REGISTERS`].
        pub(super) static SET: &[fn(&mut Cpu, u64)] = {
            use crate::arm64::registers::*;
            &[$(|cpu, value| cpu.set($register::from(value))),*]
        };

        /// What register `name` of a CPU holds, whatever name reaches it.
        pub(super) fn get(cpu: &Cpu, name: &str) -> u64 {
            use crate::arm64::registers::*;
            match name {
                $(stringify!($register) => cpu.get::<$register>().into(),)*
                _ => panic!("there is no register {name}"),
            }
        }

        /// Changes what register `name` of a CPU holds, whatever name reaches it.
        pub(super) fn set(cpu: &mut Cpu, name: &str, value: u64) {
            use crate::arm64::registers::*;
            match name {
                $(stringify!($register) => cpu.set($register::from(value)),)*
                _ => panic!("there is no register {name}"),
            }
        }
    };
}
for_each_register!(list);

/// Where a register is in [`REGISTERS`].
pub(super) fn number(name: &str) -> usize {
    static NUMBERS: LazyLock<BTreeMap<&str, usize>> = LazyLock::new(|| {
        let numbered = REGISTERS.iter().enumerate();
        numbered.map(|(number, name)| (*name, number)).collect()
    });
    *NUMBERS
        .get(name)
        .unwrap_or_else(|| panic!("there is no register {name}"))
}

/// The name that is spelled like that.
pub(super) fn find(name: &str) -> Name {
    static NAMES: LazyLock<BTreeMap<&str, Name>> =
        LazyLock::new(|| all().into_iter().map(|name| (name.name, name)).collect());
    *NAMES
        .get(name)
        .unwrap_or_else(|| panic!("no register is called {name}"))
}

/// The registers that the names reach, by name, worked out from the names
/// alone; `None` where the access is UNDEFINED.
///
/// This is another way than the generator's to the same answer.
pub(super) fn reached(e2h: bool) -> BTreeMap<&'static str, Option<String>> {
    let names: Vec<&'static str> = all().iter().map(|n| n.name).collect();
    let added = |name: &str| {
        let level = if name.ends_with("_EL1") { "12" } else { "02" };
        format!("{}{level}", &name[..name.len() - 1])
    };
    let of = |name: &'static str| {
        if let Some(stem) = name.strip_suffix("_EL12") {
            return e2h.then(|| format!("{stem}_EL1"));
        }
        if let Some(stem) = name.strip_suffix("_EL02") {
            return e2h.then(|| format!("{stem}_EL0"));
        }
        let guest = name.ends_with("_EL1") || name.ends_with("_EL0");
        if !e2h || !guest || !names.contains(&added(name).as_str()) {
            return Some(name.to_owned());
        }
        Some(match name {
            "CPACR_EL1" => "CPTR_EL2".to_owned(),
            "CNTKCTL_EL1" => "CNTHCTL_EL2".to_owned(),
            "MPAM1_EL1" => "MPAM2_EL2".to_owned(),
            "CNTP_CTL_EL0" | "CNTP_CVAL_EL0" | "CNTV_CTL_EL0" | "CNTV_CVAL_EL0" => {
                let (timer, register) = name[3..].split_once('_').expect("a timer's register");
                let register = register.trim_end_matches("_EL0");
                format!("CNTH{timer}_{register}_EL2")
            }
            _ => format!(
                "{}_EL2",
                name.strip_suffix("_EL1").expect("the rest is EL1's")
            ),
        })
    };
    names.iter().map(|name| (*name, of(name))).collect()
}
