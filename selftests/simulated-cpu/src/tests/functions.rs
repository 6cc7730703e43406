// SPDX-License-Identifier: GPL-2.0
//! The functions that C calls, with the C that they replace.

use super::host::{Host, Image};
use super::specification::{self as c, Followed, Line, Owner};
use crate::arm64::world::Kernel;
use crate::hyp::sysreg_sr::{restore_32bit_state, save_32bit_state};
use crate::hyp::view::HostData;
use crate::{kvm_cpu_context, kvm_vcpu, nvhe, user_sysreg_sr, vhe};
use std::ptr::NonNull;

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Function {
    /// What it is called in C.
    pub(super) name: &'static str,
    c: &'static [Line],
    owner: Owner,
    /// Which image it is in.
    pub(super) image: Image,
    rust: fn(NonNull<kvm_vcpu>, NonNull<kvm_cpu_context>),
}

/// Functions that are called with the vCPU and the host's context.
macro_rules! functions {
    ($($image:ident $name:ident: $c_name:literal, $c:ident, $owner:ident,
       |$vcpu:ident, $host:ident| $rust:expr;)*) => {
        $(pub(super) const $name: Function = Function {
            name: $c_name,
            c: c::$c,
            owner: Owner::$owner,
            image: Image::$image,
            // SAFETY: Both are there, and used by nobody else meanwhile.
            rust: |$vcpu, $host| unsafe { $rust },
        };)*
    };
}

functions! {
    Hyp LOAD: "__vcpu_load_switch_sysregs", VCPU_LOAD_SWITCH_SYSREGS, Guest,
    |vcpu, host| {
        let mut guest = vhe::GuestContext::of_loading(vcpu);
        vhe::sysreg_sr::load(&mut guest, &mut vhe::HostContext::for_vcpu(host, vcpu))
    };
    Hyp PUT: "__vcpu_put_switch_sysregs", VCPU_PUT_SWITCH_SYSREGS, Guest,
    |vcpu, host| {
        let mut guest = vhe::GuestContext::of(vcpu);
        vhe::sysreg_sr::put(&mut guest, &vhe::HostContext::for_vcpu(host, vcpu))
    };
    Hyp SAVE_HOST: "sysreg_save_host_state_vhe", SYSREG_SAVE_HOST_STATE_VHE, Host,
    |vcpu, host| {
        vhe::sysreg_sr::save_host_state(&mut vhe::HostContext::for_vcpu(host, vcpu))
    };
    Hyp RESTORE_GUEST: "sysreg_restore_guest_state_vhe", SYSREG_RESTORE_GUEST_STATE_VHE, Guest,
    |vcpu, _host| {
        vhe::sysreg_sr::restore_guest_state(&vhe::GuestContext::of(vcpu))
    };
    Hyp SAVE_GUEST: "sysreg_save_guest_state_vhe", SYSREG_SAVE_GUEST_STATE_VHE, Guest,
    |vcpu, _host| {
        vhe::sysreg_sr::save_guest_state(&mut vhe::GuestContext::of(vcpu))
    };
    Hyp RESTORE_HOST: "sysreg_restore_host_state_vhe", SYSREG_RESTORE_HOST_STATE_VHE, Host,
    |vcpu, host| {
        vhe::sysreg_sr::restore_host_state(&vhe::HostContext::for_vcpu(host, vcpu))
    };
    Kernel NVHE_LOAD: "kvm_vcpu_load_user_sysregs", LOAD_USER_SYSREGS, Guest,
    |vcpu, _host| {
        let guest = user_sysreg_sr::GuestContext::of_loading(vcpu);
        let host = HostData::<Kernel>::this_cpu().context();
        user_sysreg_sr::load(&guest, &mut user_sysreg_sr::HostContext::for_vcpu(host, vcpu))
    };
    Kernel NVHE_PUT: "kvm_vcpu_put_user_sysregs", PUT_USER_SYSREGS, Guest,
    |vcpu, _host| {
        let mut guest = user_sysreg_sr::GuestContext::of(vcpu);
        let host = HostData::<Kernel>::this_cpu().context();
        user_sysreg_sr::put(&mut guest, &user_sysreg_sr::HostContext::for_vcpu(host, vcpu))
    };
    Hyp NVHE_SAVE_HOST: "__sysreg_save_state_nvhe", SYSREG_SAVE_STATE_NVHE, Host,
    |vcpu, host| {
        nvhe::sysreg_sr::save_state(&mut nvhe::HostContext::for_vcpu(host, vcpu))
    };
    Hyp NVHE_RESTORE_32BIT: "__sysreg32_restore_state", SYSREG32_RESTORE_STATE, Guest,
    |vcpu, _host| {
        restore_32bit_state(&nvhe::GuestContext::of(vcpu))
    };
    Hyp NVHE_RESTORE_GUEST: "__sysreg_restore_state_nvhe", SYSREG_RESTORE_STATE_NVHE, Guest,
    |vcpu, _host| {
        nvhe::sysreg_sr::restore_guest_state(&nvhe::GuestContext::of(vcpu))
    };
    Hyp NVHE_SAVE_GUEST: "__sysreg_save_state_nvhe", SYSREG_SAVE_STATE_NVHE, Guest,
    |vcpu, _host| {
        nvhe::sysreg_sr::save_state(&mut nvhe::GuestContext::of(vcpu))
    };
    Hyp NVHE_SAVE_32BIT: "__sysreg32_save_state", SYSREG32_SAVE_STATE, Guest,
    |vcpu, _host| {
        save_32bit_state(&mut nvhe::GuestContext::of(vcpu))
    };
    Hyp NVHE_RESTORE_HOST: "__sysreg_restore_state_nvhe", SYSREG_RESTORE_STATE_NVHE, Host,
    |vcpu, host| {
        nvhe::sysreg_sr::restore_host_state(&nvhe::HostContext::for_vcpu(host, vcpu))
    };
}

impl Host {
    /// Calls a function for a vCPU.
    pub(super) fn call(&mut self, vcpu: usize, function: Function) {
        self.cpu().clear_trace();
        self.run(function.image, vcpu, function.rust);
    }

    fn follow(&mut self, vcpu: usize, function: Function, deviates: bool) -> Followed {
        let Function {
            c, owner, image, ..
        } = function;
        Followed::new(self, vcpu, c, owner, image, deviates)
    }

    /// Does what the C does, all of it.
    pub(super) fn call_c(&mut self, vcpu: usize, function: Function) {
        self.follow(vcpu, function, false).take_effect(self, vcpu);
    }

    /// Calls a function for a vCPU, and checks that it does what the C does.
    pub(super) fn call_as_c(&mut self, vcpu: usize, function: Function) {
        let guest = &self.vcpus[vcpu].guest;
        let context = format!("{} of {guest:?} on {:?}", function.name, self.cpus);
        let followed = self.follow(vcpu, function, true);
        self.call(vcpu, function);
        followed.compare(self, vcpu, &context);
    }
}
