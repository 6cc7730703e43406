// SPDX-License-Identifier: GPL-2.0

//! What the guest `exits/src/sve_worker.s` says: in which round it is, or which
//! register was other than it must be.

/// What is set in what it says of a register.
const MISMATCH: u64 = 1 << 62;

/// What the guest said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// All registers were right in this round.
    Round(u64),
    /// This one was not.
    Mismatch(String),
}

impl From<u64> for Says {
    fn from(number: u64) -> Self {
        match number & !MISMATCH {
            round if round == number => Self::Round(round),
            register @ 0..32 => Self::Mismatch(format!("Z{register}")),
            register @ 32..48 => Self::Mismatch(format!("P{}", register - 32)),
            48 => Self::Mismatch("FFR".to_owned()),
            49 => Self::Mismatch("FPSR".to_owned()),
            50 => Self::Mismatch("FPCR".to_owned()),
            51 => Self::Mismatch("the vector length".to_owned()),
            other => Self::Mismatch(format!("something ({other})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_told_from_mismatches() {
        assert_eq!(Says::from(0x140), Says::Round(0x140));
        for (number, name) in [(0, "Z0"), (34, "P2"), (48, "FFR"), (50, "FPCR")] {
            let says = Says::from(MISMATCH | number);
            assert_eq!(says, Says::Mismatch(name.to_owned()));
        }
    }
}
