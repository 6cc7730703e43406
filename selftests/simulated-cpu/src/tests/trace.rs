// SPDX-License-Identifier: GPL-2.0
//! What is recorded of what code does.

use super::names;
use super::{panic_of, runner};
use crate::arm64::barrier::{dmb, dsb, isb, Ish, Nsh, Sy};
use crate::arm64::registers::*;
use crate::arm64::sysreg::{read, write, write_zero};
use crate::{Access, Cpu, Mode};
use proptest::collection::vec;
use proptest::prelude::*;

/// Something for code to do.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize, u64),
    Isb,
    Nsh,
    Ish,
    Sy,
    Memory,
}

fn step(names: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..names).prop_map(Step::Read),
        4 => (0..names, any::<u64>()).prop_map(|(name, value)| Step::Write(name, value)),
        1 => Just(Step::Isb),
        1 => Just(Step::Nsh),
        1 => Just(Step::Ish),
        1 => Just(Step::Sy),
        1 => Just(Step::Memory),
    ]
}

#[test]
fn every_access_is_recorded_in_order() {
    let names = names::of_storage();
    let outcome = runner().run(&vec(step(names.len()), 0..100), |steps| {
        let mut cpu = Cpu::new(Mode::Vhe);
        cpu.trap_no_fp();
        let (cpu, expected) = cpu.run(|| {
            let mut expected = Vec::new();
            for step in steps {
                expected.push(match step {
                    Step::Read(name) => Access::Read {
                        name: names[name].name,
                        value: names[name].read(),
                    },
                    Step::Write(name, value) => {
                        names[name].write(value);
                        let name = names[name].name;
                        Access::Write { name, value }
                    }
                    Step::Isb => {
                        isb();
                        Access::Isb
                    }
                    Step::Nsh => {
                        dsb::<Nsh>();
                        Access::Dsb("nsh")
                    }
                    Step::Ish => {
                        dsb::<Ish>();
                        Access::Dsb("ish")
                    }
                    Step::Sy => {
                        dsb::<Sy>();
                        Access::Dsb("sy")
                    }
                    Step::Memory => {
                        dmb::<Sy>();
                        Access::Dmb("sy")
                    }
                });
            }
            expected
        });
        prop_assert_eq!(cpu.trace(), expected);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn typed_access_is_recorded_by_the_name_that_was_used() {
    let (mut cpu, tcr) = Cpu::new(Mode::Nvhe).run(|| {
        // SAFETY: On the simulated CPU.
        unsafe {
            write(TCR_EL1::from_raw(0).with_epd1(true));
            isb();
            write_zero::<VDISR_EL2>();
            dsb::<Nsh>();
            read::<TCR_EL1>()
        }
    });
    assert!(tcr.epd1().into_bool());
    let text: Vec<String> = cpu.trace().iter().map(Access::to_string).collect();
    assert_eq!(
        text,
        [
            "msr TCR_EL1 0x800000",
            "isb",
            "msr VDISR_EL2 0x0",
            "dsb nsh",
            "mrs TCR_EL1 0x800000"
        ]
    );
    assert_eq!(cpu.get::<VDISR_EL2>().into_raw(), 0);
    // Looking at a register from outside is not an access.
    assert_eq!(cpu.trace().len(), 5);
    cpu.clear_trace();
    assert!(cpu.trace().is_empty());
}

#[test]
fn code_needs_a_cpu_and_one_is_enough() {
    assert_eq!(panic_of(isb), "no CPU on this thread: call Cpu::run()");
    let (outer, inner) = (Cpu::new(Mode::Vhe), Cpu::new(Mode::Vhe));
    let message = panic_of(|| outer.run(|| inner.run(isb)));
    assert_eq!(message, "this thread runs on a CPU already");
    // A panic leaves no CPU behind.
    assert_eq!(panic_of(isb), "no CPU on this thread: call Cpu::run()");
}
