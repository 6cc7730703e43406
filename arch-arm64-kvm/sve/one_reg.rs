// SPDX-License-Identifier: GPL-2.0

//! `KVM_GET_ONE_REG`, `KVM_SET_ONE_REG` and `KVM_GET_REG_LIST`, for registers of SVE.

#![forbid(unsafe_code)]

use super::{
    register::{
        self,
        Slice, //
    },
    vector_lengths::{
        VectorLengths,
        ABI_WORDS, //
    },
};
use crate::view::{
    host_sve,
    FinalizedSve,
    Sve,
    Vcpu, //
};
use kernel::{
    error::code::{
        EINVAL,
        ENOENT,
        EPERM, //
    },
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// What userspace reads behind a register.
static ZEROES: [u8; register::Z_SLICE] = [0; register::Z_SLICE];

/// Bytes of a set of vector lengths.
const SET_SIZE: usize = ABI_WORDS * size_of::<u64>();

/// Copies the register with the id `id` to userspace.
///
/// # Errors
///
/// EINVAL if no register has the id, ENOENT if the vCPU has no such register or no such slice of
/// it, EPERM for a register whose size is not final, EFAULT if it cannot be written to `user`.
pub(crate) fn get(vcpu: &mut Vcpu<'_>, id: u64, user: UserPtr) -> Result {
    if id == register::VECTOR_LENGTHS {
        return get_vector_lengths(vcpu, user);
    }
    let (slice, mut sve) = find(vcpu, id)?;
    let region = slice.region(sve.vl());
    let state = sve.state();
    let value = state.get(region.within(state.len())).ok_or(EINVAL)?;

    let padding = ZEROES.get(..region.padding).ok_or(EINVAL)?;

    let mut writer = UserSlice::new(user, value.len() + padding.len()).writer();
    writer.write_slice(value)?;
    writer.write_slice(padding)
}

/// Copies the register with the id `id` from userspace. What is behind it for longer vectors is not
/// looked at.
///
/// # Errors
///
/// As for [`get`]. The register is as it was then.
pub(crate) fn set(vcpu: &mut Vcpu<'_>, id: u64, user: UserPtr) -> Result {
    if id == register::VECTOR_LENGTHS {
        return set_vector_lengths(vcpu, user);
    }
    let (slice, mut sve) = find(vcpu, id)?;
    let region = slice.region(sve.vl());
    let state = sve.state();
    let place = region.within(state.len());
    let register = state.get_mut(place).ok_or(EINVAL)?;

    // Not to the register at once: userspace's memory may end within it.
    let mut value = [0; register::Z_SLICE];
    let value = value.get_mut(..register.len()).ok_or(EINVAL)?;
    UserSlice::new(user, value.len())
        .reader()
        .read_slice(value)?;
    register.copy_from_slice(value);
    Ok(())
}

/// Returns the slice with the id `id`, and the registers of the vCPU, if it has it.
fn find<'a>(vcpu: &'a mut Vcpu<'_>, id: u64) -> Result<(Slice, FinalizedSve<'a>)> {
    let slice = Slice::from_id(id).ok_or(EINVAL)?;
    match vcpu.sve() {
        Sve::Absent => Err(ENOENT),
        _ if !slice.exists() => Err(ENOENT),
        Sve::Configurable(_) => Err(EPERM),
        Sve::Finalized(sve) => Ok((slice, sve)),
    }
}

fn get_vector_lengths(vcpu: &mut Vcpu<'_>, user: UserPtr) -> Result {
    let longest = match vcpu.sve() {
        Sve::Absent => return Err(ENOENT),
        Sve::Configurable(sve) => sve.max_vl(),
        Sve::Finalized(sve) => sve.vl(),
    };
    let lengths = host_sve::vector_lengths().up_to(longest);
    UserSlice::new(user, SET_SIZE)
        .writer()
        .write(&lengths.to_abi())
}

/// Sets the vector lengths of a vCPU.
///
/// All that can be hidden from a guest are the longest: `ZCR_EL2` sets a maximum, and below it a
/// guest finds what the CPU has. So up to its own maximum, a set must be the host's.
fn set_vector_lengths(vcpu: &mut Vcpu<'_>, user: UserPtr) -> Result {
    let mut sve = match vcpu.sve() {
        Sve::Absent => return Err(ENOENT),
        Sve::Finalized(_) => return Err(EPERM),
        Sve::Configurable(sve) => sve,
    };
    let words = UserSlice::new(user, SET_SIZE).reader().read()?;
    let wanted = VectorLengths::from_abi(words).ok_or(EINVAL)?;
    let longest = wanted.longest().ok_or(EINVAL)?;

    if longest > host_sve::max_vl_of_guests() || wanted != host_sve::vector_lengths().up_to(longest)
    {
        return Err(EINVAL);
    }
    sve.set_max_vl(longest);
    Ok(())
}

/// Returns how many registers [`list`] lists.
pub(crate) fn count(vcpu: &mut Vcpu<'_>) -> usize {
    match vcpu.sve() {
        Sve::Absent => 0,
        _ => register::ALL.len(),
    }
}

/// Copies the ids of the vCPU's registers to userspace, and returns how many there are.
///
/// # Errors
///
/// EFAULT if they cannot be written to `user`.
pub(crate) fn list(vcpu: &mut Vcpu<'_>, user: UserPtr) -> Result<usize> {
    let count = count(vcpu);
    if count != 0 {
        UserSlice::new(user, size_of_val(&register::ALL))
            .writer()
            .write(&register::ALL)?;
    }
    Ok(count)
}
