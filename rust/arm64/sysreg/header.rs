// SPDX-License-Identifier: GPL-2.0

//! Reads the encodings in `arch/arm64/include/asm/sysreg.h`.

use super::error::{
    Error,
    Place, //
};
use std::{
    collections::HashMap,
    fmt,
    rc::Rc, //
};

/// The five numbers by which MRS and MSR name a register, and where they are written.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    /// op0, op1, CRn, CRm, op2.
    pub(crate) numbers: [u8; 5],
    /// Where they are written.
    pub(crate) place: Place,
}

impl Encoding {
    /// Reads the numbers from five words.
    pub(crate) fn parse(place: &Place, words: &[&str]) -> Result<Self, Error> {
        let numbers: Option<Vec<u8>> = words.iter().map(|word| word.parse().ok()).collect();
        match numbers.and_then(|numbers| numbers.try_into().ok()) {
            Some(numbers) => Ok(Self {
                numbers,
                place: place.clone(),
            }),
            None => Err(place.error(format_args!(
                "{} are not the five numbers of an encoding",
                words.join(" ")
            ))),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [op0, op1, crn, crm, op2] = self.numbers;
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

/// The encodings of the header, by the names of the registers.
#[derive(Debug)]
pub(crate) struct Header {
    /// The file, as the command line names it.
    pub(crate) file: String,
    /// What `SYS_<name>` is defined as.
    pub(crate) encodings: HashMap<String, Encoding>,
}

/// Takes the lines `#define SYS_<name> sys_reg(<five numbers>)`.
///
/// Macros with parameters, and those that are defined by way of others, are not taken: a register
/// that only they have counts as unknown.
pub(crate) fn parse(file: &str, text: &str) -> Result<Header, Error> {
    let mut encodings: HashMap<String, Encoding> = HashMap::new();
    let name_of_file: Rc<str> = file.into();
    for (index, line) in text.lines().enumerate() {
        let Some((name, numbers)) = definition(line) else {
            continue;
        };
        let place = Place {
            file: name_of_file.clone(),
            line: index + 1,
        };
        let words: Vec<&str> = numbers.split(',').map(str::trim).collect();
        let encoding = Encoding::parse(&place, &words)?;
        if let Some(before) = encodings.get(name) {
            if before.numbers != encoding.numbers {
                return Err(place.error(format_args!(
                    "{name} is {encoding} here and {before} in {}",
                    before.place
                )));
            }
        }
        encodings.insert(name.to_owned(), encoding);
    }
    Ok(Header {
        file: file.to_owned(),
        encodings,
    })
}

/// The name and the text between the parentheses, where `line` defines the encoding of a register.
fn definition(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("#define")?.trim_start();
    let (name, value) = rest.split_once(char::is_whitespace)?;
    let name = name.strip_prefix("SYS_")?;
    let value = value.trim_start().strip_prefix("sys_reg(")?;
    let (numbers, _) = value.split_once(')')?;
    // A macro with parameters.
    (!name.contains('(')).then_some((name, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_definitions_are_taken_and_others_are_not() {
        let header = parse(
            "h",
            "#define SYS_A_EL1\t\tsys_reg(3, 0, 4, 15, 7)\n\
             #define SYS_B_EL1(n) sys_reg(3, 0, 4, n, 7)\n\
             #define SYS_C_EL1 SYS_B_EL1(0)\n\
             #define SYS_DC_ISW sys_insn(1, 0, 7, 6, 2)\n\
             #define D_EL1 sys_reg(3, 0, 4, 15, 7)\n",
        )
        .unwrap();
        assert_eq!(header.encodings.len(), 1);
        assert_eq!(header.encodings["A_EL1"].to_string(), "S3_0_C4_C15_7");
    }

    #[test]
    fn definitions_that_cannot_be_are_refused() {
        let error = |text| parse("h", text).unwrap_err().to_string();
        assert_eq!(
            error("\n#define SYS_A sys_reg(3, 0, 4, x, 7)"),
            "h:2: 3 0 4 x 7 are not the five numbers of an encoding"
        );
        assert_eq!(
            error("#define SYS_A sys_reg(3, 0, 4, 1, 7)\n#define SYS_A sys_reg(3, 0, 4, 1, 6)"),
            "h:2: A is S3_0_C4_C1_6 here and S3_0_C4_C1_7 in h:1"
        );
    }
}
