// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of KVM's four FP/SIMD hooks.
//!
//! They call the hooks as the rest of KVM does, through their C names, so they test whichever
//! implementation the kernel was built with. No guest runs: the tests put into the registers, and
//! note as owner, what the hypervisor's trap handler would have put there.
//!
//! The names start with the behaviour that a test guards; Documentation/virt/kvm/arm/rust/ lists
//! the behaviours.

mod cpu;
mod fixture;

use kernel::prelude::*;

#[kunit_tests(kvm_arm64_fp)]
mod tests {
    use super::cpu::{
        self,
        Registers, //
    };
    use super::fixture::{
        self,
        Fixture,
        Owner, //
    };
    use super::*;
    use kernel::bindings;

    #[test]
    fn b01_state_is_written_back_when_the_kernel_uses_the_registers() -> Result {
        let fixture = Fixture::new(None)?;
        let guest = Registers::pattern(0x11);
        let owner_at_reentry = fixture.loaded(|vcpu| {
            vcpu.run(|| guest.load());
            cpu::use_kernel_mode_neon();
            vcpu.ctxflush();
            vcpu.owner()
        });
        assert!(fixture.saved_registers() == guest);
        assert!(owner_at_reentry == Owner::Free);
        Ok(())
    }

    #[test]
    fn b01_state_stays_in_the_registers_across_exits() -> Result {
        let fixture = Fixture::new(None)?;
        let guest = Registers::pattern(0x12);
        let (owner, foreign, live) = fixture.loaded(|vcpu| {
            vcpu.run(|| guest.load());
            vcpu.ctxflush();
            (vcpu.owner(), cpu::foreign_fpstate(), Registers::store())
        });
        assert!(owner == Owner::Guest);
        assert!(!foreign);
        assert!(live == guest);
        Ok(())
    }

    #[test]
    fn b02_put_works_with_irqs_on_and_off() -> Result {
        for irqs_off in [false, true] {
            let fixture = Fixture::new(None)?;
            let guest = Registers::pattern(0x21);
            let (irqs_off_after, foreign) = fixture.loaded(|vcpu| {
                vcpu.run(|| guest.load());
                let irqs_off_after = vcpu.put(irqs_off);
                (irqs_off_after, cpu::foreign_fpstate())
            });
            assert!(irqs_off_after == irqs_off);
            assert!(foreign);
            assert!(fixture.saved_registers() == guest);
        }
        Ok(())
    }

    #[test]
    fn b03_guest_without_sve_is_saved_as_fpsimd() -> Result {
        let fixture = Fixture::new(None)?;
        let bound = fixture.loaded(|vcpu| {
            vcpu.run(|| Registers::pattern(0x31).load());
            fixture::bound_state()
        });
        assert!(bound.to_save == bindings::fp_type_FP_STATE_FPSIMD);
        assert!(fixture.fp_type() == bindings::fp_type_FP_STATE_FPSIMD);
        Ok(())
    }

    #[test]
    fn b05_b17_whatever_was_bound_to_the_cpu_is_saved_before_a_guest_has_the_registers() -> Result {
        let fixture = Fixture::new(None)?;
        let somebody = Fixture::new(None)?;
        let theirs = Registers::pattern(0x51);
        let (owner, saved, foreign) = fixture::without_preemption(|| {
            somebody.bind_to_cpu(|| theirs.load());
            fixture.load();
            // C has saved them by now.
            fixture.ask_for_host_registers();
            let state = (
                fixture.owner(),
                somebody.saved_registers(),
                cpu::foreign_fpstate(),
            );
            fixture.put();
            state
        });
        assert!(owner == Owner::Free);
        assert!(saved == theirs);
        assert!(foreign);
        Ok(())
    }

    #[test]
    fn b17_whatever_was_bound_to_the_cpu_stays_if_the_guest_uses_no_fp() -> Result {
        if !cfg!(CONFIG_KVM_ARM64_RUST) {
            return fixture::skip(c"C saves it in any case");
        }
        let fixture = Fixture::new(None)?;
        let somebody = Fixture::new(None)?;
        let theirs = Registers::pattern(0x52);
        let (owner, live, foreign) = fixture::without_preemption(|| {
            somebody.bind_to_cpu(|| theirs.load());
            fixture.load();
            let owner = fixture.owner();
            fixture.put();
            (owner, Registers::store(), cpu::foreign_fpstate())
        });
        assert!(owner == Owner::Host);
        assert!(live == theirs);
        assert!(!foreign);
        Ok(())
    }

    #[test]
    fn b07_ctxflush_frees_registers_that_somebody_took() -> Result {
        let fixture = Fixture::new(None)?;
        let (kept, freed) = fixture.loaded(|vcpu| {
            vcpu.run(|| Registers::pattern(0x71).load());
            vcpu.ctxflush();
            let kept = vcpu.owner();
            cpu::set_foreign_fpstate();
            vcpu.ctxflush();
            (kept, vcpu.owner())
        });
        assert!(kept == Owner::Guest);
        assert!(freed == Owner::Free);
        Ok(())
    }

    #[test]
    fn b09_load_starts_with_registers_that_are_nobodys_if_they_are_not_the_tasks() -> Result {
        for stale in [Owner::Free, Owner::Host, Owner::Guest] {
            let fixture = Fixture::new(None)?;
            let owner = fixture::without_preemption(|| {
                cpu::set_foreign_fpstate();
                fixture.set_owner(stale);
                fixture.load();
                let owner = fixture.owner();
                fixture.put();
                owner
            });
            assert!(owner == Owner::Free);
        }
        Ok(())
    }

    #[test]
    fn b10_format_is_said_when_the_state_is_bound() -> Result {
        let Some(lengths) = fixture::without_preemption(cpu::sve_vector_lengths) else {
            return fixture::skip(c"the CPU has no SVE");
        };
        for length in lengths {
            let fixture = Fixture::new(Some(length))?;
            let bound = fixture.loaded(|vcpu| {
                vcpu.run(|| {
                    cpu::set_sve_vector_length(length);
                    Registers::pattern(0xa1).load();
                });
                fixture::bound_state()
            });
            assert!(bound.to_save == bindings::fp_type_FP_STATE_SVE);
            assert!(bound.sve_vl == length);
            assert!(fixture.is_bound_in(&bound));
            assert!(fixture.fp_type() == bindings::fp_type_FP_STATE_SVE);
        }
        Ok(())
    }

    #[test]
    fn b11_nested_transition_moves_no_registers() -> Result {
        for flag in [bindings::IN_NESTED_ERET, bindings::IN_NESTED_EXCEPTION] {
            let fixture = Fixture::new(None)?;
            let guest = Registers::pattern(0xb1);
            let (after_put, after_load, foreign, live) = fixture.loaded(|vcpu| {
                vcpu.run(|| guest.load());
                vcpu.set_flag(flag);
                vcpu.put(false);
                let after_put = vcpu.owner();
                vcpu.load();
                let state = (
                    after_put,
                    vcpu.owner(),
                    cpu::foreign_fpstate(),
                    Registers::store(),
                );
                vcpu.clear_flag(flag);
                state
            });
            assert!(after_put == Owner::Guest);
            assert!(after_load == Owner::Guest);
            assert!(!foreign);
            assert!(live == guest);
        }
        Ok(())
    }

    #[test]
    fn b14_sve_state_is_saved_into_the_vcpus_own_storage() -> Result {
        let Some(lengths) = fixture::without_preemption(cpu::sve_vector_lengths) else {
            return fixture::skip(c"the CPU has no SVE");
        };
        for length in lengths {
            let fixture = Fixture::new(Some(length))?;
            fixture.loaded(|vcpu| {
                vcpu.run(|| {
                    cpu::set_sve_vector_length(length);
                    cpu::fill_z_registers(0xe1);
                });
            });
            assert!(fixture.sve_storage_holds_z_registers(0xe1));
        }
        Ok(())
    }

    #[test]
    fn b18_guest_starts_outside_streaming_mode_with_za_off() -> Result {
        if !cpu::has_sme() {
            return fixture::skip(c"the CPU has no SME");
        }
        let fixture = Fixture::new(None)?;
        let (before, after) = fixture::without_preemption(|| {
            cpu::enable_za();
            let before = cpu::svcr();
            fixture.load();
            let after = cpu::svcr();
            fixture.put();
            (before, after)
        });
        assert!(before != 0);
        assert!(after == 0);
        Ok(())
    }

    #[test]
    fn b21_fpmr_is_saved_into_the_vcpu() -> Result {
        let fixture = Fixture::new(None)?;
        let bound = fixture.loaded(|vcpu| {
            vcpu.run(|| Registers::pattern(0x2f).load());
            fixture::bound_state()
        });
        assert!(fixture.owns_fpmr_of(&bound));
        Ok(())
    }

    #[test]
    fn b25_softirq_neon_between_load_and_first_use_leaves_the_registers_free() -> Result {
        let fixture = Fixture::new(None)?;
        let owner = fixture.loaded(|vcpu| {
            cpu::use_kernel_mode_neon();
            vcpu.ctxflush();
            vcpu.owner()
        });
        assert!(owner == Owner::Free);
        // Nothing was the guest's, so nothing may have been written into the vCPU.
        assert!(fixture.saved_registers() == Registers::pattern(0));
        Ok(())
    }
}
