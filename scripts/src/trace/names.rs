// SPDX-License-Identifier: GPL-2.0
//! Names of system registers and instructions, from the kernel's own sources:
//! arch/arm64/tools/sysreg and arch/arm64/include/asm/sysreg.h.

use super::insn::{Encoding, System};
use crate::files;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Registers that the kernel only names to the assembler.
const ASSEMBLER: [(Encoding, &str); 9] = [
    (Encoding(3, 0, 4, 1, 0), "SP_EL0"),
    (Encoding(3, 0, 4, 2, 0), "SPSel"),
    (Encoding(3, 0, 4, 2, 2), "CurrentEL"),
    (Encoding(3, 3, 4, 2, 0), "NZCV"),
    (Encoding(3, 3, 4, 2, 1), "DAIF"),
    (Encoding(3, 3, 4, 4, 0), "FPCR"),
    (Encoding(3, 3, 4, 4, 1), "FPSR"),
    (Encoding(3, 4, 4, 1, 0), "SP_EL1"),
    (Encoding(3, 6, 4, 1, 0), "SP_EL2"),
];

/// Names by encoding.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Encoding, String>);

impl Names {
    /// Reads those of the kernel tree at `tree`.
    pub fn of_tree(tree: &Path) -> Result<Self> {
        let read = |name: &str| files::read_text(&tree.join(name));
        let names = Self::parse(
            &read("arch/arm64/tools/sysreg")?,
            &read("arch/arm64/include/asm/sysreg.h")?,
        );
        anyhow::ensure!(
            names.0.len() > 300,
            "only {} system registers found in {}/arch/arm64: are their files written in another way now?",
            names.0.len(),
            tree.display()
        );
        Ok(names)
    }

    /// Reads the two files. Where both have a name, that of tools/sysreg is
    /// taken.
    fn parse(sysreg: &str, header: &str) -> Self {
        let mut names: BTreeMap<Encoding, String> = ASSEMBLER
            .iter()
            .map(|(encoding, name)| (*encoding, (*name).to_owned()))
            .collect();
        let macros = Macros::parse(header);
        for (name, value) in &macros.objects {
            let Some(plain) = name.strip_prefix("SYS_").or(name.strip_prefix("OP_")) else {
                continue;
            };
            if let Some(encoding) = macros.encoding(value) {
                // An alias sorts behind the name it stands for in most cases.
                let known = names.entry(encoding).or_insert_with(|| plain.to_owned());
                if plain.len() < known.len() {
                    *known = plain.to_owned();
                }
            }
        }
        for line in sysreg.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["Sysreg", name, numbers @ ..] = words.as_slice() {
                let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.parse()).collect();
                if let Some(encoding) = encoding_of(&numbers) {
                    names.insert(encoding, (*name).to_owned());
                }
            }
        }
        Self(names)
    }

    /// The name of a register or system instruction.
    fn name(&self, encoding: Encoding) -> String {
        self.0
            .get(&encoding)
            .cloned()
            .unwrap_or_else(|| encoding.to_string())
    }

    /// Instruction and operand as in assembly, without the general-purpose
    /// register.
    pub fn text(&self, system: System) -> String {
        match system {
            System::Msr(encoding) => format!("MSR {}", self.name(encoding)),
            System::MsrImmediate(field, value) => format!("MSR {field}, #{value}"),
            System::Mrs(encoding) => format!("MRS {}", self.name(encoding)),
            System::Sys(encoding) => {
                let name = self.name(encoding);
                match name.split_once('_') {
                    Some((instruction @ ("AT" | "TLBI"), operation)) => {
                        format!("{instruction} {operation}")
                    }
                    _ => format!("SYS {name}"),
                }
            }
            System::Isb => "ISB".to_owned(),
            System::Dsb(option) => format!("DSB {option}"),
        }
    }
}

fn encoding_of(numbers: &[u8]) -> Option<Encoding> {
    match *numbers {
        [op0, op1, crn, crm, op2] => Some(Encoding(op0, op1, crn, crm, op2)),
        _ => None,
    }
}

/// Macros of a header, as far as they name encodings.
struct Macros<'a> {
    /// Without arguments.
    objects: BTreeMap<&'a str, &'a str>,
    /// With one argument: its name and the text.
    functions: HashMap<&'a str, (&'a str, &'a str)>,
}

impl<'a> Macros<'a> {
    fn parse(header: &'a str) -> Self {
        let mut macros = Self {
            objects: BTreeMap::new(),
            functions: HashMap::new(),
        };
        for line in header.lines() {
            let Some(rest) = line.strip_prefix("#define") else {
                continue;
            };
            let rest = rest.trim_start();
            let end = rest.find(|c: char| c.is_whitespace() || c == '(');
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            match rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                Some((argument, text)) => {
                    macros.functions.insert(name, (argument, text.trim()));
                }
                None => {
                    macros.objects.insert(name, rest.trim());
                }
            }
        }
        macros
    }

    /// The encoding that `text` stands for: sys_reg(...), sys_insn(...), or a
    /// macro with a number as its argument that stands for one of them.
    fn encoding(&self, text: &str) -> Option<Encoding> {
        let (name, arguments) = text.split_once('(')?;
        let arguments = arguments.split(')').next()?;
        if matches!(name, "sys_reg" | "sys_insn") {
            let numbers: Option<Vec<u8>> = arguments
                .split(',')
                .map(|a| self.number(a.trim()))
                .collect();
            return encoding_of(&numbers?);
        }
        let (parameter, body) = self.functions.get(name)?;
        let number = arguments.trim().parse::<u8>().ok()?.to_string();
        let (inner, parts) = body.split_once('(')?;
        // Arguments that are more than the parameter are expressions, which
        // number() refuses.
        let parts: Vec<&str> = parts
            .split(',')
            .map(|p| p.trim().trim_end_matches(')'))
            .map(|p| if p == *parameter { number.as_str() } else { p })
            .collect();
        matches!(inner, "sys_reg" | "sys_insn")
            .then(|| self.encoding(&format!("{inner}({})", parts.join(","))))?
    }

    /// A number, or a macro that is one.
    fn number(&self, text: &str) -> Option<u8> {
        text.parse()
            .ok()
            .or_else(|| self.objects.get(text)?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSREG: &str = "# Comment\nSysreg\tSCTLR_EL12\t3\t5\t1\t0\t0\nMapping\tSCTLR_EL1\n\
        EndSysreg\nSysreg\tTPIDR_EL1\t3\t0\t13\t0\t4\n";
    const HEADER: &str = "#define SYS_ESR_EL2\t\t\tsys_reg(3, 4, 5, 2, 0)\n\
        #define SYS_GCR_EL1_RRND\t(BIT(16))\n\
        #define SYS_TPIDR_OLD\t\tsys_reg(3, 0, 13, 0, 4)\n\
        #define __SYS__LR0_EL2(x)\t\tsys_reg(3, 4, 12, 12, x)\n\
        #define SYS_ICH_LR1_EL2\t\t__SYS__LR0_EL2(1)\n\
        #define SYS_ICC_AP0Rn_EL1(n)\t\tsys_reg(3, 0, 12, 8, 4 | n)\n\
        #define SYS_ICC_AP0R1_EL1\t\tSYS_ICC_AP0Rn_EL1(1)\n\
        #define AT_Op0\t1\n\
        #define OP_AT_S1E1R\tsys_insn(AT_Op0, 0, 7, 8, 0)\n";

    #[test]
    fn names_come_from_both_files() {
        let names = Names::parse(SYSREG, HEADER);
        let mrs = |encoding| names.text(System::Mrs(encoding));
        assert_eq!(mrs(Encoding(3, 4, 5, 2, 0)), "MRS ESR_EL2");
        assert_eq!(mrs(Encoding(3, 5, 1, 0, 0)), "MRS SCTLR_EL12");
        assert_eq!(mrs(Encoding(3, 0, 13, 0, 4)), "MRS TPIDR_EL1");
        assert_eq!(mrs(Encoding(3, 4, 12, 12, 1)), "MRS ICH_LR1_EL2");
        assert_eq!(mrs(Encoding(3, 0, 4, 1, 0)), "MRS SP_EL0");
        assert_eq!(
            mrs(Encoding(3, 0, 12, 8, 5)),
            "MRS S3_0_C12_C8_5",
            "an expression is not guessed at"
        );
        assert_eq!(names.text(System::Sys(Encoding(1, 0, 7, 8, 0))), "AT S1E1R");
        assert_eq!(
            names.text(System::Sys(Encoding(1, 3, 7, 5, 1))),
            "SYS S1_3_C7_C5_1"
        );
        assert_eq!(
            names.text(System::MsrImmediate("DAIFSet", 15)),
            "MSR DAIFSet, #15"
        );
    }
}
