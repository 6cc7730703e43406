// SPDX-License-Identifier: GPL-2.0

//! What the guest says: a line for each instruction, or for encodings in a row
//! with the same outcome, such as
//!
//! ```text
//! EL1 MRS S3_0_C0_C3_0 +2: 0x0
//! ```

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};

/// The guest's last line.
const END: &str = "end";

/// All that a guest said, but for its last line.
#[derive(Debug)]
pub struct Report {
    /// The lines.
    pub lines: Vec<String>,
    /// How many instructions had an outcome of each class.
    classes: BTreeMap<String, u64>,
}

impl Report {
    /// Reads what a guest printed, which must be whole.
    pub fn read(output: &str) -> Result<Self> {
        let mut lines: Vec<String> = output.lines().map(|l| l.trim_end().to_owned()).collect();
        let last = lines.pop().unwrap_or_default();
        ensure!(
            last == END,
            "the guest did not come to its end; the last thing that it said: {last}"
        );
        let mut classes = BTreeMap::new();
        for line in &lines {
            let (class, instructions) =
                class(line).with_context(|| format!("the guest said: {line}"))?;
            *classes.entry(class).or_default() += instructions;
        }
        ensure!(
            !lines.is_empty(),
            "the guest said nothing of any instruction"
        );
        Ok(Self { lines, classes })
    }

    /// What the guest saw of `what`, MRS or MSR, of a register at EL1.
    pub fn of_register(&self, what: &str, encoding: Encoding) -> Option<&str> {
        let prefix = format!("EL1 {what} ");
        self.lines.iter().find_map(|line| {
            let (names, outcome) = line.strip_prefix(&prefix)?.split_once(": ")?;
            let (first, more) = match names.split_once(" +") {
                Some((first, more)) => (first, more.parse().ok()?),
                None => (names, 0),
            };
            let first = Encoding::of_name(first)?.0;
            (first..=first + more)
                .contains(&encoding.0)
                .then_some(outcome)
        })
    }

    /// How many instructions were executed.
    pub fn instructions(&self) -> u64 {
        self.classes.values().sum()
    }

    /// A line for each class, with its number of instructions.
    pub fn classes(&self) -> String {
        let line = |(class, count): (&String, &u64)| format!("{count:>7}  {class}\n");
        self.classes.iter().map(line).collect()
    }

    /// The same for the same lines, and short: FNV-1a.
    pub fn digest(&self) -> u64 {
        let bytes = self
            .lines
            .iter()
            .flat_map(|line| line.bytes().chain([b'\n']));
        bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }
}

/// A system register by its place among all: op0, op1, CRn, CRm and op2 side by
/// side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(u32);

impl Encoding {
    /// The register with these in its instructions.
    pub const fn new(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Self {
        Self((op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2)
    }

    /// The register with a name such as `S3_0_C0_C7_1`.
    fn of_name(name: &str) -> Option<Self> {
        let mut parts = name
            .strip_prefix('S')?
            .split('_')
            .map(|part| part.trim_start_matches('C').parse().ok());
        let mut next = || parts.next().flatten();
        Some(Self::new(next()?, next()?, next()?, next()?, next()?))
    }
}

/// The class of the outcome in a line, and of how many instructions it is.
fn class(line: &str) -> Result<(String, u64)> {
    let (what, outcome) = line.rsplit_once(": ").context("it has no outcome")?;
    let more = match what.rsplit_once(" +") {
        Some((_, more)) => more.parse().context("it has no number of encodings")?,
        None => 0u64,
    };
    let mut words = outcome.split(' ');
    let class = match (words.next(), words.next()) {
        (Some("EC"), Some(class)) => format!("exception, class {class}"),
        (Some("vector"), Some(vector)) => format!("exception, vector {vector}"),
        _ => "no exception".to_owned(),
    };
    Ok((class, 1 + more))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "EL1 HVC #0: 0xffffffffffffffff\r\n\
                          EL1 MRS S2_0_C0_C0_0 +1: EC 0x00 ESR 0x2000000\n\
                          EL1 MRS S2_0_C0_C0_2: 0x0\n\
                          EL0 WFI, FP enabled: EC 0x01 ESR 0x6000000\n\
                          EL0 MRS S3_3_C14_C0_1: a value\n\
                          EL1 UDF: vector 7 ESR 0x0\n";

    fn read(output: &str) -> Result<Report> {
        Report::read(output)
    }

    #[test]
    fn encodings_in_a_row_are_counted() {
        let report = read(&format!("{OUTPUT}end\n")).unwrap();
        assert_eq!(report.instructions(), 7);
        assert_eq!(
            report.classes(),
            "      2  exception, class 0x00\n      1  exception, class 0x01\n      \
             1  exception, vector 7\n      3  no exception\n"
        );
        assert_eq!(report.lines[0], "EL1 HVC #0: 0xffffffffffffffff");
        assert_eq!(report.lines.len(), 6);
    }

    #[test]
    fn a_guest_that_stops_early_is_a_failure() {
        let error = read(OUTPUT).unwrap_err().to_string();
        assert!(error.ends_with("EL1 UDF: vector 7 ESR 0x0"), "{error}");
        assert!(read("").is_err());
        assert!(read("end\n").is_err(), "nothing was tried");
        assert!(read("EL1 UDF\nend\n").is_err());
        assert!(read("EL1 MRS S2_0_C0_C0_0 +x: 0x0\nend\n").is_err());
    }

    #[test]
    fn a_register_is_found_in_its_row() {
        let report = read(
            "EL1 SYS S1_0_C0_C0_0 +16383: done\n\
             EL0 MRS S3_0_C10_C3_0: 0x5\n\
             EL1 MRS S3_0_C10_C3_0 +35: EC 0x00 ESR 0x2000000\n\
             EL1 MRS S3_0_C10_C7_4: 0x0\nend\n",
        )
        .unwrap();
        let of = |crm, op2| report.of_register("MRS", Encoding::new(3, 0, 10, crm, op2));
        assert_eq!(of(2, 7), None);
        assert_eq!(of(3, 0), Some("EC 0x00 ESR 0x2000000"));
        assert_eq!(of(4, 7), Some("EC 0x00 ESR 0x2000000"));
        assert_eq!(of(7, 3), Some("EC 0x00 ESR 0x2000000"));
        assert_eq!(of(7, 4), Some("0x0"));
        let msr = report.of_register("MSR", Encoding::new(3, 0, 10, 3, 0));
        assert_eq!(msr, None);
    }

    #[test]
    fn the_digest_is_that_of_all_lines() {
        let digest = |output: &str| read(output).unwrap().digest();
        let whole = digest(&format!("{OUTPUT}end\n"));
        assert_eq!(digest(&format!("{}end\n", OUTPUT.replace('\r', ""))), whole);
        assert_ne!(
            digest(&format!("{}end\n", OUTPUT.replace("0x6", "0x7"))),
            whole
        );
        // FNV-1a of "a\n".
        let a = Report {
            lines: vec!["a".to_owned()],
            classes: BTreeMap::new(),
        };
        assert_eq!(a.digest(), 0x089b_dc07_b544_e7b2);
    }
}
