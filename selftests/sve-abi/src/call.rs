// SPDX-License-Identifier: GPL-2.0

//! Calls on a vCPU.

/// Feature numbers of KVM_ARM_VCPU_FINALIZE: KVM_ARM_VCPU_SVE.
pub const SVE: i32 = 4;

/// Memory that a call is given the address of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// These bytes, and behind them nothing.
    Bytes(Vec<u8>),
    /// These bytes, which cannot be written to, and behind them nothing.
    ReadOnly(Vec<u8>),
    /// No memory: an address that nobody has, or that is the kernel's.
    Nowhere(u64),
}

impl Memory {
    /// The first `length` bytes, if that many can be read.
    pub fn read(&self, length: usize) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) | Self::ReadOnly(bytes) => bytes.get(..length),
            Self::Nowhere(_) => None,
        }
    }

    /// Whether `length` bytes can be written.
    pub fn takes(&self, length: usize) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.len() >= length)
    }
}

/// A call on a vCPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// KVM_ARM_VCPU_INIT, with SVE or without.
    Init {
        /// With SVE.
        sve: bool,
    },
    /// KVM_ARM_VCPU_FINALIZE.
    Finalize {
        /// Number of the feature.
        feature: i32,
    },
    /// KVM_ARM_VCPU_FINALIZE with an address that nobody has.
    FinalizeFromNowhere,
    /// KVM_GET_ONE_REG.
    Get {
        /// Id of the register.
        id: u64,
        /// Where to.
        to: Memory,
    },
    /// KVM_SET_ONE_REG.
    Set {
        /// Id of the register.
        id: u64,
        /// Where from.
        from: Memory,
    },
    /// KVM_GET_ONE_REG or KVM_SET_ONE_REG whose struct is not there.
    OneRegFromNowhere {
        /// KVM_SET_ONE_REG.
        set: bool,
    },
    /// KVM_GET_REG_LIST with enough room, or with none.
    List {
        /// There is room.
        room: bool,
    },
    /// KVM_RUN, which is to return at once.
    Run,
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeds.
    Done,
    /// It succeeds, and this is in the memory that it was given.
    Read(Vec<u8>),
    /// It succeeds, and these registers of SVE and V registers are listed, in
    /// this order.
    Listed(Vec<u64>),
    /// It fails with this error number.
    Failed(Errno),
}

/// Error numbers of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, clippy::upper_case_acronyms)]
pub enum Errno {
    EPERM = 1,
    ENOENT = 2,
    EINTR = 4,
    E2BIG = 7,
    ENOEXEC = 8,
    ENOMEM = 12,
    EFAULT = 14,
    EINVAL = 22,
}

impl Errno {
    /// The one with this number, if it is one that the ABI has.
    pub fn from_number(number: i32) -> Option<Self> {
        [
            Self::EPERM,
            Self::ENOENT,
            Self::EINTR,
            Self::E2BIG,
            Self::ENOEXEC,
            Self::ENOMEM,
            Self::EFAULT,
            Self::EINVAL,
        ]
        .into_iter()
        .find(|errno| *errno as i32 == number)
    }
}
