// SPDX-License-Identifier: GPL-2.0
//! selftests/sve-abi on hosts: its steps, and what is made of the errors that
//! calls at random came to.

use crate::files;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{End, Step, Verdict};
use anyhow::{ensure, Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PROGRAM: &str = "/kvm-rust/bin/sve-abi";
/// Calls at random.
pub const FUZZ: &str = "sve-abi/fuzz";
/// What each call must come to.
pub const BEHAVIOURS: &str = "sve-abi/behaviours";
/// Guests of all vector lengths.
pub const LENGTHS: &str = "sve-abi/lengths";

/// The test of the errors that calls at random came to.
pub const ERRORS: &str = "b35:errors";

/// Calls at random on a host.
const CALLS: &str = "50000";
/// The same where all of it is sanitized, in `make test-full`.
const CALLS_FULL: &str = "1000000";

/// Errors that calls at random must come to, on a host with SVE: all that there
/// are, but for ENOMEM.
const MUST_COME: [(&str, &[&str]); 6] = [
    ("KVM_ARM_VCPU_INIT", &["EINVAL"]),
    (
        "KVM_ARM_VCPU_FINALIZE",
        &["EPERM", "ENOEXEC", "EFAULT", "EINVAL"],
    ),
    (
        "KVM_GET_ONE_REG",
        &["EPERM", "ENOENT", "ENOEXEC", "EFAULT", "EINVAL"],
    ),
    (
        "KVM_SET_ONE_REG",
        &["EPERM", "ENOENT", "ENOEXEC", "EFAULT", "EINVAL"],
    ),
    ("KVM_GET_REG_LIST", &["EPERM", "E2BIG", "ENOEXEC"]),
    ("KVM_RUN", &["EPERM", "EINTR", "ENOEXEC"]),
];

/// The seed of a host: its own, and the same in each run.
fn seed(mode: Mode, lengths: VectorLengths) -> String {
    let mode = Mode::ALL.iter().position(|&m| m == mode);
    let lengths = VectorLengths::OTHERS.iter().position(|&l| l == lengths);
    let number = |place: Option<usize>| place.map_or(0, |place| place + 1);
    (100 * number(lengths) + number(mode)).to_string()
}

/// The steps of a host. `full`: as many calls as there are in `make test-full`.
pub fn steps(variant: Variant, mode: Mode, lengths: VectorLengths, full: bool) -> Vec<Step> {
    // C leaves a register half written where userspace's memory ends.
    let as_c: &[&str] = match variant {
        Variant::C => &["--as-c"],
        _ => &[],
    };
    let step = |name: &str, argv: &[&str], limit_s| Step::new(name, argv, limit_s);
    let calls = match (full, variant) {
        (true, Variant::Sanitizer) => CALLS_FULL,
        _ => CALLS,
    };
    let seed = seed(mode, lengths);
    let fuzz = [PROGRAM, "fuzz", "--calls", calls, "--seed", &seed];
    let fuzz_limit_s = if calls == CALLS { 300 } else { 7200 };
    vec![
        step(BEHAVIOURS, &[&[PROGRAM, "behaviours"], as_c].concat(), 300),
        step(LENGTHS, &[PROGRAM, "lengths"], 300),
        step(FUZZ, &[&fuzz[..], as_c].concat(), fuzz_limit_s),
    ]
}

/// Whether a CPU has SVE.
pub fn has_sve(cpu: Cpu) -> bool {
    matches!(cpu, Cpu::Max | Cpu::NeoverseV1 | Cpu::NeoverseN2)
}

/// Errors by ioctl.
type Errors = BTreeMap<String, BTreeSet<String>>;

/// Makes sure that calls at random came to all errors that there are, and that
/// the documentation in `source`, a kernel tree with the patches, has each.
pub fn judge_errors(end: &End, source: &Path) -> Verdict {
    Verdict::of(check_errors(end, source)).0
}

fn check_errors(end: &End, source: &Path) -> Result<()> {
    let errors = end.output.iter().find_map(|line| line.get("errors"));
    let errors: Errors = serde_json::from_value(errors.context("reported no errors")?.clone())?;
    for (ioctl, must) in MUST_COME {
        for errno in must {
            ensure!(
                errors.get(ioctl).is_some_and(|e| e.contains(*errno)),
                "no call came to {errno} of {ioctl}"
            );
        }
    }
    let path = source.join("Documentation/virt/kvm/api.rst");
    let text = files::read_text(&path)?;
    for (ioctl, of_ioctl) in &errors {
        let documented = documented(&text, ioctl);
        for errno in of_ioctl {
            ensure!(
                documented.contains(errno.as_str()),
                "{ioctl} returns {errno}, which api.rst does not say"
            );
        }
    }
    let finalize = documented(&text, "KVM_ARM_VCPU_FINALIZE");
    ensure!(
        finalize.contains("ENOMEM"),
        "KVM_ARM_VCPU_FINALIZE returns ENOMEM, which api.rst does not say"
    );
    Ok(())
}

/// The errors that the section of an ioctl has in its table.
fn documented<'a>(api: &'a str, ioctl: &str) -> BTreeSet<&'a str> {
    let is_heading = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    let of_section = api
        .lines()
        .skip_while(|line| !(is_heading(line) && line.ends_with(&format!(" {ioctl}"))))
        .skip(1)
        .take_while(|line| !is_heading(line));
    of_section
        .filter_map(|line| line.strip_prefix("  E"))
        .filter_map(|line| line.split_whitespace().next())
        .map(|rest| errno_at(api, rest))
        .collect()
}

/// The name of which `rest` is all but the E.
fn errno_at<'a>(api: &'a str, rest: &'a str) -> &'a str {
    let start = rest.as_ptr() as usize - api.as_ptr() as usize - 1;
    &api[start..start + 1 + rest.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Event;
    use std::fs;

    const API: &str = "\
4.82 KVM_ARM_VCPU_INIT
----------------------

Errors:

  ======     =====
  EINVAL     the target is unknown
  ======     =====

4.83 KVM_OTHER
--------------

  =====      =====
  ENOENT     no such thing
  =====      =====

4.119 KVM_ARM_VCPU_FINALIZE
---------------------------

  =====      =====
  ENOMEM     no memory
  =====      =====
";

    fn end(errors: &str) -> End {
        let line = format!(
            r#"{{"event":"end","name":"x","outcome":"exited","output":[{{"errors":{errors}}}]}}"#
        );
        match serde_json::from_str(&line).unwrap() {
            Event::End(end) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn errors_are_those_of_the_section() {
        let of = |ioctl| documented(API, ioctl).into_iter().collect::<Vec<_>>();
        assert_eq!(of("KVM_ARM_VCPU_INIT"), ["EINVAL"]);
        assert_eq!(of("KVM_OTHER"), ["ENOENT"]);
        assert!(of("KVM_NONE").is_empty());
    }

    #[test]
    fn errors_that_do_not_come_or_are_not_documented_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("Documentation/virt/kvm");
        fs::create_dir_all(&folder).unwrap();
        let all: BTreeMap<&str, &[&str]> = MUST_COME.into_iter().collect();
        let row = |errno: &&str| format!("  {errno}   why");
        let table = |errors: &[&str]| errors.iter().map(row).collect::<Vec<_>>().join("\n") + "\n";
        let api = |skip: &str| -> String {
            let mut text = String::new();
            for (ioctl, errors) in &all {
                let kept: Vec<&str> = errors.iter().copied().filter(|e| *e != skip).collect();
                text += &format!("4.1 {ioctl}\n{}", table(&kept));
                if *ioctl == "KVM_ARM_VCPU_FINALIZE" && skip != "ENOMEM" {
                    text += &table(&["ENOMEM"]);
                }
            }
            text
        };
        let judge = |errors: &str, skip: &str| {
            fs::write(folder.join("api.rst"), api(skip)).unwrap();
            judge_errors(&end(errors), dir.path())
        };
        let whole = serde_json::to_string(&all).unwrap();
        assert_eq!(judge(&whole, ""), Verdict::Passed);
        let failed = |verdict| match verdict {
            Verdict::Failed(why) => why,
            other => panic!("{other:?}"),
        };
        let missing = whole.replace("\"E2BIG\",", "");
        assert_eq!(
            failed(judge(&missing, "")),
            "no call came to E2BIG of KVM_GET_REG_LIST"
        );
        assert_eq!(
            failed(judge(&whole, "EINTR")),
            "KVM_RUN returns EINTR, which api.rst does not say"
        );
        assert_eq!(
            failed(judge(&whole, "ENOMEM")),
            "KVM_ARM_VCPU_FINALIZE returns ENOMEM, which api.rst does not say"
        );
    }
}
