// SPDX-License-Identifier: GPL-2.0
//! Which name reaches which register.

use super::names::{self, Name};
use super::{panic_of, runner};
use crate::arm64::barrier::isb;
use crate::arm64::registers::*;
use crate::arm64::sysreg::{read, write};
use crate::{Cpu, Mode};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Names, and what they reach.
fn usable(e2h: bool) -> Vec<(Name, String)> {
    let reached = names::reached(e2h);
    names::of_storage()
        .into_iter()
        .filter_map(|name| Some((name, reached[name.name].clone()?)))
        .collect()
}

#[test]
fn what_is_written_by_one_name_is_read_by_each_alias_and_no_other() {
    for mode in Mode::ALL {
        let names = usable(mode != Mode::Nvhe);
        let writes = vec((0..names.len(), any::<u64>()), 1..40);
        let outcome = runner().run(&writes, |writes| {
            let mut cpu = Cpu::new(mode);
            cpu.trap_no_fp();
            let (_, checked) = cpu.run(|| -> Result<(), TestCaseError> {
                // What was there before counts as written, too.
                let mut model: BTreeMap<&str, u64> = names
                    .iter()
                    .map(|(name, register)| (register.as_str(), name.read()))
                    .collect();
                for (index, value) in writes {
                    let (name, register) = &names[index];
                    name.write(value);
                    model.insert(register, value);
                    for (name, register) in &names {
                        prop_assert_eq!(name.read(), model[register.as_str()], "{}", name.name);
                    }
                }
                Ok(())
            });
            checked
        });
        outcome.unwrap_or_else(|e| panic!("{mode:?}: {e}"));
    }
}

#[test]
fn registers_that_were_never_written_differ() {
    let names = usable(false);
    let (_, values) = Cpu::new(Mode::Nvhe).run(|| {
        let read = |(name, register): &(Name, String)| (name.read(), register.clone());
        names.iter().map(read).collect::<BTreeMap<_, _>>()
    });
    assert_eq!(values.len(), names.len());
}

#[test]
fn the_names_that_vhe_adds_are_undefined_without_it() {
    let mut undefined = 0;
    for name in names::all() {
        if names::reached(false)[name.name].is_none() {
            let cpu = Cpu::new(Mode::Nvhe);
            let message = panic_of(|| cpu.run(|| name.read()));
            assert_eq!(
                message,
                format!("{} is UNDEFINED while HCR_EL2.E2H is 0", name.name)
            );
            undefined += 1;
        }
    }
    assert!(undefined > 20);
}

#[test]
fn registers_that_el2_cannot_access_are_undefined() {
    for name in [names::find("MIDR_EL1"), names::find("ID_AA64PFR0_EL1")] {
        let message = panic_of(|| Cpu::new(Mode::Vhe).run(|| name.write(0)));
        assert!(message.contains("is UNDEFINED"), "{message}");
        Cpu::new(Mode::Vhe).run(|| name.read());
    }
    let name = names::find("SP_EL2");
    let message = panic_of(|| Cpu::new(Mode::Vhe).run(|| name.read()));
    assert!(message.contains("is UNDEFINED"), "{message}");
}

#[test]
fn counters_are_enabled_by_one_name_and_disabled_by_another() {
    let (cpu, values) = Cpu::new(Mode::Vhe).run(|| {
        // SAFETY: On the simulated CPU.
        unsafe {
            write(PMCNTENCLR_EL0::from_raw(!0));
            write(PMCNTENSET_EL0::from_raw(0b0111));
            write(PMCNTENCLR_EL0::from_raw(0b1010));
            [
                read::<PMCNTENSET_EL0>().into_raw(),
                read::<PMCNTENCLR_EL0>().into_raw(),
            ]
        }
    });
    assert_eq!(values, [0b0101; 2]);
    assert_eq!(cpu.get::<PMCNTENSET_EL0>().into_raw(), 0b0101);
}

#[test]
fn what_a_name_reaches_is_not_determined_until_a_change_of_e2h_is_synchronised() {
    for (name, is_determined) in [
        ("VBAR_EL1", false),
        ("VBAR_EL12", false),
        ("VBAR_EL2", true),
        ("PAR_EL1", true),
    ] {
        let access = || {
            Cpu::new(Mode::Nvhe).run(|| {
                // SAFETY: On the simulated CPU.
                unsafe { write(read::<HCR_EL2>().with_e2h(true)) };
                names::find(name).read()
            })
        };
        match is_determined {
            true => drop(access()),
            false => assert_eq!(
                panic_of(access),
                format!(
                    "{name} is one register or another: HCR_EL2.E2H has changed since the last \
                     context synchronisation"
                )
            ),
        }
    }
}

#[test]
fn e2h_redirects_once_it_is_synchronised() {
    let (cpu, ()) = Cpu::new(Mode::Nvhe).run(|| {
        // SAFETY: On the simulated CPU.
        unsafe {
            write(VBAR_EL1::from_raw(0x1000));
            write(read::<HCR_EL2>().with_e2h(true));
            isb();
            write(VBAR_EL1::from_raw(0x2000));
        }
    });
    assert_eq!(cpu.get::<VBAR_EL1>().into_raw(), 0x1000);
    assert_eq!(cpu.get::<VBAR_EL2>().into_raw(), 0x2000);
}

#[test]
fn registers_that_vhe_does_not_redirect_stay() {
    let (cpu, ()) = Cpu::new(Mode::Vhe).run(|| {
        // SAFETY: On the simulated CPU.
        unsafe {
            write(TPIDR_EL1::from_raw(1));
            write(PAR_EL1::from_raw(2));
            write(SP_EL1::from_raw(3));
        }
    });
    assert_eq!(cpu.get::<TPIDR_EL1>().into_raw(), 1);
    assert_eq!(cpu.get::<PAR_EL1>().into_raw(), 2);
    assert_eq!(cpu.get::<SP_EL1>().into_raw(), 3);
    assert_ne!(cpu.get::<SP_EL2>().into_raw(), 3);
}
