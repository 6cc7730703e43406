// SPDX-License-Identifier: GPL-2.0
//! Access by names that depend on the world.

use super::names;
use crate::arm64::percpu::this_cpu_ptr;
use crate::arm64::registers::*;
use crate::arm64::sysreg::{El0Register, El1Register, El2Register, RegisterName, SystemRegister};
use crate::arm64::world::{Kernel, Nvhe, Vhe, World};
use crate::for_each::for_each_register;
use crate::{Access, Cpu, Mode};

/// What a world's functions do to register `R` on a CPU in `mode`: `name` is
/// the name that they have to use, and no other register may change.
fn check<R: SystemRegister>(
    mode: Mode,
    name: &'static str,
    read: impl Fn() -> R,
    write: impl Fn(R),
) {
    let value = 0x1234_5678_9abc_def0;
    let cpu = Cpu::new(mode);
    let before = registers(&cpu);
    let (cpu, got) = cpu.run(|| {
        write(R::from(value));
        read()
    });
    let context = format!("{} in mode {mode:?}", R::NAME);
    assert_eq!(got.into(), value, "{context}");
    assert_eq!(
        cpu.trace(),
        [Access::Write { name, value }, Access::Read { name, value }],
        "{context}"
    );
    for ((register, before), (_, after)) in before.into_iter().zip(registers(&cpu)) {
        let expected = if register == R::NAME { value } else { before };
        assert_eq!(after, expected, "{register} after access to {context}");
    }
}

/// The value of each register.
fn registers(cpu: &Cpu) -> Vec<(&'static str, u64)> {
    let value = |name: &&'static str| (*name, names::get(cpu, name));
    names::REGISTERS.iter().map(value).collect()
}

/// `check` for each mode and the world that runs in it.
macro_rules! check_all {
    ($register:ty, $read:ident, $write:ident, $without:ty, $with:ty) => {
        // SAFETY: On the simulated CPU.
        unsafe {
            let with = <$with>::NAME;
            check(
                Mode::Vhe,
                with,
                || Vhe::$read::<$register>(),
                |value| Vhe::$write(value),
            );
            for (mode, name) in [(Mode::Nvhe, <$without>::NAME), (Mode::Hvhe, with)] {
                check(
                    mode,
                    name,
                    || Nvhe::$read::<$register>(),
                    |value| Nvhe::$write(value),
                );
            }
        }
    };
}

macro_rules! tests {
    (names: [$($name:ident),*]; registers: [$($register:ident),*];
     el0: [$($el0:ident),*]; el1: [$($el1:ident),*]; el2: [$($el2:ident),*];) => {
        #[test]
        fn registers_of_el0_are_reached_in_each_world() {
            $(check_all!($el0, read_el0, write_el0, $el0, <$el0 as El0Register>::El02);)*
        }

        #[test]
        fn registers_of_el1_are_reached_in_each_world() {
            $(check_all!($el1, read_el1, write_el1, $el1, <$el1 as El1Register>::El12);)*
        }

        #[test]
        fn registers_of_el2_are_reached_in_each_world() {
            $(check_all!($el2, read_el2, write_el2, $el2, <$el2 as El2Register>::E2h);)*
        }
    };
}
for_each_register!(tests);

#[test]
fn the_world_is_a_constant() {
    const { assert!(Vhe::VHE && !Nvhe::VHE && !Kernel::VHE) }
}

/// Where E2H is 1, only the hypervisor beside the kernel sees it.
macro_rules! kernel_tests {
    (names: [$($name:ident),*]; registers: [$($register:ident),*];
     el0: [$($el0:ident),*]; el1: [$($el1:ident),*]; el2: [$($el2:ident),*];) => {
        #[test]
        fn the_kernel_at_el1_reaches_registers_by_their_own_names() {
            // SAFETY: On the simulated CPU.
            unsafe {
                $(check(
                    Mode::Nvhe,
                    $el0::NAME,
                    || Kernel::read_el0::<$el0>(),
                    |v| Kernel::write_el0(v),
                );)*
                $(check(
                    Mode::Nvhe,
                    $el1::NAME,
                    || Kernel::read_el1::<$el1>(),
                    |v| Kernel::write_el1(v),
                );)*
            }
        }
    };
}
for_each_register!(kernel_tests);

#[test]
fn a_cpus_copy_is_where_its_register_says() {
    fn distance<W: World>(mode: Mode, register: &str) {
        let variable = [1u64, 2, 3];
        let mut cpu = Cpu::new(mode);
        names::set(&mut cpu, register, 16);
        let start = (&raw const variable[0]).expose_provenance();
        let (cpu, copy) = cpu.run(|| {
            // SAFETY: On the simulated CPU, which says that the copy is the last.
            unsafe { this_cpu_ptr::<W, u64>(start as *mut u64).read() }
        });
        assert_eq!(copy, variable[2]);
        let name = cpu.trace();
        assert!(
            matches!(name, [Access::Read { name, value: 16 }] if *name == register),
            "{name:?}"
        );
    }
    distance::<Vhe>(Mode::Vhe, "TPIDR_EL2");
    distance::<Nvhe>(Mode::Nvhe, "TPIDR_EL2");
    distance::<Nvhe>(Mode::Hvhe, "TPIDR_EL2");
    distance::<Kernel>(Mode::Nvhe, "TPIDR_EL1");
}
