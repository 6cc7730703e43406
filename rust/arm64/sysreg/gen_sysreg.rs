// SPDX-License-Identifier: GPL-2.0

//! Generates the Rust types of system registers from the kernel's own descriptions of them.
//!
//! ```text
//! gen_sysreg arch/arm64/tools/sysreg arch/arm64/include/asm/sysreg.h rust/arm64/registers
//! ```
//!
//! - The first file describes registers, their encodings and their fields; its grammar is that of
//!   `arch/arm64/tools/gen-sysreg.awk`.
//! - The second has the encodings of registers that the first does not describe yet, in lines
//!   `#define SYS_<name> sys_reg(op0, op1, crn, crm, op2)`.
//! - The third lists the registers that are wanted.
//!
//! The types go to the standard output. What is wrong with an input is said as `file:line: what`,
//! and the exit status is 1.

use std::{
    env,
    fs,
    io::Write,
    process::ExitCode, //
};

mod description;
mod emit;
mod error;
mod header;
mod identifier;
mod list;
mod resolve;

use error::Error;

/// The three inputs, each a name for messages and a text.
struct Inputs<'a> {
    description: (&'a str, &'a str),
    header: (&'a str, &'a str),
    list: (&'a str, &'a str),
}

fn generate(inputs: &Inputs<'_>) -> Result<String, Error> {
    let description = description::parse(inputs.description.0, inputs.description.1)?;
    let header = header::parse(inputs.header.0, inputs.header.1)?;
    let list = list::parse(inputs.list.0, inputs.list.1)?;
    emit::emit(&resolve::resolve(&description, &header, &list)?)
}

fn run(arguments: &[String]) -> Result<(), String> {
    let [description, header, list] = arguments else {
        return Err("usage: gen_sysreg DESCRIPTION HEADER LIST".to_owned());
    };
    let read = |path: &String| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let texts = (read(description)?, read(header)?, read(list)?);
    let output = generate(&Inputs {
        description: (description, &texts.0),
        header: (header, &texts.1),
        list: (list, &texts.2),
    })
    .map_err(|e| e.to_string())?;
    std::io::stdout()
        .write_all(output.as_bytes())
        .map_err(|e| format!("cannot write the output: {e}"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generates from small inputs; an error is returned as its message.
    fn generated(description: &str, header: &str, list: &str) -> Result<String, String> {
        generate(&Inputs {
            description: ("description", description),
            header: ("header", header),
            list: ("list", list),
        })
        .map_err(|e| e.to_string())
    }

    const TWO_FIELDS: &str = "\
Sysreg X_EL1 3 0 1 2 4
Res0 63:8
Enum 7:4 Mode
\t0b0000 OFF
\t0b0010 ON
EndEnum
Field 3:1 in
Raz 0
EndSysreg
";

    #[test]
    fn a_register_has_its_encoding_fields_and_values() {
        let output = generated(TWO_FIELDS, "", "X_EL1\n").unwrap();
        assert!(output.contains("pub struct X_EL1(u64) {"));
        assert!(output.contains("7:4 mode;"));
        assert!(output.contains("pub const MODE_ON: u64 = 0b0010;"));
        assert!(output.contains("Encoding::new(3, 0, 1, 2, 4)"));
        // A keyword cannot be the name of a function.
        assert!(output.contains("3:1 in_;"));
    }

    #[test]
    fn only_what_is_listed_comes_out() {
        let output = generated(
            TWO_FIELDS,
            "#define SYS_Y_EL1 sys_reg(3, 0, 9, 9, 1)",
            "Y_EL1",
        );
        let output = output.unwrap();
        assert!(!output.contains("X_EL1"));
        // No input describes its fields.
        assert!(output.contains("pub struct Y_EL1(u64) {\n    }"));
    }

    #[test]
    fn a_name_that_is_in_no_input_is_refused() {
        assert_eq!(
            generated(TWO_FIELDS, "", "# wanted\n\nZ_EL1\n").unwrap_err(),
            "list:3: Z_EL1 is neither in description nor in header"
        );
    }

    #[test]
    fn shared_and_mapped_fields_are_those_of_the_other() {
        let description = "\
SysregFields F_ELx
Res0 63:1
Field 0 EN
EndSysregFields
Sysreg F_EL2 3 4 1 2 0
Fields F_ELx
EndSysreg
Sysreg NF_EL2 3 4 1 5 0
Mapping F_EL2
EndSysreg
";
        let output = generated(description, "", "F_EL2\nNF_EL2\n").unwrap();
        assert_eq!(output.matches("0:0 en;").count(), 2);
    }

    #[test]
    fn fields_of_an_unknown_layout_are_refused() {
        let description = "Sysreg F_EL2 3 4 1 2 0\nFields G_ELx\nEndSysreg\n";
        assert_eq!(
            generated(description, "", "F_EL2").unwrap_err(),
            "description:2: F_EL2 has the fields of G_ELx, which is not described"
        );
    }

    #[test]
    fn a_mapping_onto_itself_is_refused() {
        let description = "\
Sysreg A_EL2 3 4 1 2 0
Mapping B_EL2
EndSysreg
Sysreg B_EL2 3 4 1 2 1
Mapping A_EL2
EndSysreg
";
        let error = generated(description, "", "A_EL2").unwrap_err();
        assert!(error.contains("in a circle"), "{error}");
    }

    /// A register of EL1 and EL2, with the name that VHE adds.
    const VHE: &str = "\
#define SYS_V_EL1 sys_reg(3, 0, 12, 0, 0)
#define SYS_V_EL2 sys_reg(3, 4, 12, 0, 0)
#define SYS_V_EL12 sys_reg(3, 5, 12, 0, 0)
#define SYS_T_EL1 sys_reg(3, 0, 13, 0, 4)
#define SYS_T_EL2 sys_reg(3, 4, 13, 0, 2)
#define SYS_C_EL1 sys_reg(3, 0, 1, 0, 2)
#define SYS_C_EL12 sys_reg(3, 5, 1, 0, 2)
#define SYS_P_EL2 sys_reg(3, 4, 1, 1, 2)
#define SYS_N_EL0 sys_reg(3, 3, 14, 3, 1)
#define SYS_N_EL02 sys_reg(3, 5, 14, 3, 1)
#define SYS_HN_EL2 sys_reg(3, 4, 14, 3, 1)
";

    #[test]
    fn the_names_that_vhe_adds_are_aliases() {
        let output = generated("", VHE, "V_EL1\nV_EL2\n").unwrap();
        assert!(output.contains("pub enum V_EL12 {}"));
        assert!(output.contains("impl El1Register for V_EL1 {\n    type El12 = V_EL12;"));
        assert!(output.contains("impl El2Register for V_EL2 {\n    type E2h = V_EL1;"));
    }

    #[test]
    fn without_an_el12_name_nothing_is_redirected() {
        let output = generated("", VHE, "T_EL1\nT_EL2\n").unwrap();
        assert!(!output.contains("impl El1Register"));
        assert!(!output.contains("impl El2Register"));
    }

    #[test]
    fn registers_of_different_names_are_paired_in_the_list() {
        let output = generated("", VHE, "C_EL1\nP_EL2 C_EL1\nN_EL0\nHN_EL2 N_EL0\n").unwrap();
        assert!(output.contains("impl El2Register for P_EL2 {\n    type E2h = C_EL1;"));
        assert!(output.contains("impl El0Register for N_EL0 {\n    type El02 = N_EL02;"));
        assert!(output.contains("impl El2Register for HN_EL2 {\n    type E2h = N_EL0;"));
    }

    #[test]
    fn a_redirected_register_needs_to_know_where_to() {
        assert_eq!(
            generated("", VHE, "C_EL1").unwrap_err(),
            "list:1: C_EL1 reaches a register of EL2 when HCR_EL2.E2H is 1: list that as \
             `<register of EL2> C_EL1`"
        );
    }

    #[test]
    fn an_alias_is_not_a_register() {
        assert_eq!(
            generated("", VHE, "V_EL12").unwrap_err(),
            "list:1: V_EL12 is another name of V_EL1: list that"
        );
    }

    #[test]
    fn a_pair_must_exist_and_be_redirected() {
        assert_eq!(
            generated("", VHE, "P_EL2 T_EL1\nT_EL1").unwrap_err(),
            "list:1: T_EL1 has no name for when HCR_EL2.E2H is 1, so it does not reach P_EL2"
        );
        assert_eq!(
            generated("", VHE, "P_EL2 C_EL1").unwrap_err(),
            "list:1: P_EL2 needs C_EL1, which is not listed"
        );
    }

    #[test]
    fn inputs_that_contradict_each_other_are_refused() {
        let header = "\n#define SYS_X_EL1 sys_reg(3, 0, 1, 2, 5)\n";
        assert_eq!(
            generated(TWO_FIELDS, header, "X_EL1").unwrap_err(),
            "header:2: X_EL1 is S3_0_C1_C2_5 here and S3_0_C1_C2_4 in description:1"
        );
    }

    #[test]
    fn an_encoding_that_mrs_cannot_have_is_refused() {
        let header = "#define SYS_X_EL1 sys_reg(1, 0, 7, 6, 2)\n";
        assert_eq!(
            generated("", header, "X_EL1").unwrap_err(),
            "header:1: X_EL1: op0 is 1, MRS and MSR take 2 to 3"
        );
        let header = "#define SYS_X_EL1 sys_reg(3, 8, 7, 6, 2)\n";
        assert_eq!(
            generated("", header, "X_EL1").unwrap_err(),
            "header:1: X_EL1: op1 is 8, MRS and MSR take 0 to 7"
        );
    }

    #[test]
    fn an_el12_name_is_encoded_as_its_register_is() {
        let header = VHE.replace("SYS_V_EL12 sys_reg(3, 5, 12", "SYS_V_EL12 sys_reg(3, 5, 11");
        assert_eq!(
            generated("", &header, "V_EL1\nV_EL2\n").unwrap_err(),
            "header:3: V_EL12 is S3_5_C11_C0_0, but V_EL1 with op1 5 is S3_5_C12_C0_0"
        );
    }

    #[test]
    fn fields_that_differ_in_case_alone_are_refused() {
        let description = "\
Sysreg X_EL1 3 0 1 2 4
Res0 63:2
Field 1 En
Field 0 EN
EndSysreg
";
        let error = generated(description, "", "X_EL1").unwrap_err();
        assert_eq!(
            error,
            "description:4: X_EL1.EN becomes `en`, as does another field"
        );
    }

    #[test]
    fn constants_that_would_be_the_same_are_refused() {
        let description = "\
Sysreg X_EL1 3 0 1 2 4
Res0 63:1
Enum 0 A
\t0b0 On
\t0b1 ON
EndEnum
EndSysreg
";
        let error = generated(description, "", "X_EL1").unwrap_err();
        assert_eq!(error, "description:5: X_EL1 has two constants A_ON");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let arguments = ["/nonexistent/sysreg", "b", "c"].map(str::to_owned);
        let error = run(&arguments).unwrap_err();
        assert!(error.starts_with("/nonexistent/sysreg: "), "{error}");
        assert!(run(&[]).unwrap_err().starts_with("usage:"));
    }
}
