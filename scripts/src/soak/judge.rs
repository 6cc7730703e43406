// SPDX-License-Identifier: GPL-2.0
//! What a soak comes to on one host: nothing may be wrong, and some of everything must
//! have happened.

use super::report::Report;
use crate::boot::Outcome;
use crate::host::{Cpu, Mode};
use crate::plan::{End, Verdict};
use crate::sve_abi;

/// Counters that must not be 0 on any host.
const EVERYWHERE: [&str; 19] = [
    "guests",
    "linux_guests",
    "bare_guests",
    "guests_without_sve",
    "guests_killed",
    "guests_ended_by_fault",
    "vcpu_runs",
    "host_checks",
    "guest_checks",
    "neon_rounds",
    "hotplugs",
    "signals",
    "stops",
    "ptrace_stops",
    "ptrace_registers",
    "memory_taken_mib",
    "cache_drops",
    "pages_swapped",
    "faults_injected",
];

/// Those of SVE.
const SVE: [&str; 2] = ["sve_guests", "length_changes"];

/// The counters that must not be 0 on such a host.
fn required(mode: Mode, cpu: Cpu) -> Vec<&'static str> {
    let mut names = EVERYWHERE.to_vec();
    if sve_abi::has_sve(cpu) {
        names.extend(SVE);
    }
    if cpu.has_aarch32_guests() {
        names.push("aarch32_guests");
    }
    if mode == Mode::Protected {
        names.push("protected_guests");
    }
    names
}

/// What is wrong with a soak of `seconds` that ended so.
pub fn problems_of_end(mode: Mode, cpu: Cpu, seconds: u64, end: &End) -> Vec<String> {
    let mut problems = Vec::new();
    if let Verdict::Failed(why) | Verdict::Skipped(why) = end.verdict() {
        problems.push(why);
    }
    let Some(report) = Report::at_end(end) else {
        problems.push("it did not say what it came to".to_owned());
        return problems;
    };
    problems.extend(report.failures.iter().cloned());
    if report.corruptions() > 0 {
        problems.push(format!("{} corruptions", report.corruptions()));
    }
    if report.seconds < seconds {
        problems.push(format!("it took {} s of {seconds}", report.seconds));
    }
    let missing: Vec<&str> = required(mode, cpu)
        .into_iter()
        .filter(|name| report.count(name) == 0)
        .collect();
    if !missing.is_empty() {
        problems.push(format!("did not happen: {}", missing.join(", ")));
    }
    problems
}

/// What is wrong with a host that ran nothing but such a soak.
pub fn problems(mode: Mode, cpu: Cpu, seconds: u64, outcome: &Outcome) -> Vec<String> {
    let mut problems = outcome.problems.clone();
    let warnings = outcome.warnings.iter();
    problems.extend(warnings.map(|warning| format!("kernel: {warning}")));
    match outcome.ends.first() {
        Some(end) => problems.extend(problems_of_end(mode, cpu, seconds, end)),
        // Why it did not is a problem of the host.
        None => problems.push("the soak did not come to its end".to_owned()),
    }
    problems
}

/// What the end of a soak means, on a host that is judged by others.
pub fn verdict(mode: Mode, cpu: Cpu, seconds: u64, end: &End) -> Verdict {
    match &problems_of_end(mode, cpu, seconds, end)[..] {
        [] => Verdict::Passed,
        problems => Verdict::Failed(problems.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use serde_json::{json, Value};

    const MODE: Mode = Mode::Protected;

    /// A report in which all is right.
    fn right() -> Value {
        let names = required(MODE, Cpu::CortexA57);
        let counters = names.into_iter().chain(required(MODE, Cpu::Max));
        let counters: serde_json::Map<String, Value> = counters
            .chain(["host_corruptions", "guest_corruptions"])
            .map(|name| {
                let count = u64::from(!name.ends_with("_corruptions"));
                (name.to_owned(), count.into())
            })
            .collect();
        json!({"seed": 1, "seconds": 60, "counters": counters, "failures": []})
    }

    fn outcome(code: i32, report: Option<Value>) -> Outcome {
        Outcome {
            ends: vec![End {
                name: "soak".into(),
                outcome: plan::Outcome::Exited,
                code,
                seconds: 61.0,
                output_tail: String::new(),
                output: report.into_iter().collect(),
            }],
            ..Default::default()
        }
    }

    fn judge(code: i32, report: Option<Value>) -> Vec<String> {
        problems(MODE, Cpu::Max, 60, &outcome(code, report))
    }

    #[test]
    fn a_soak_in_which_all_is_right_has_no_problems() {
        assert!(judge(0, Some(right())).is_empty());
        let end = &outcome(0, Some(right())).ends[0];
        assert_eq!(verdict(MODE, Cpu::Max, 60, end), Verdict::Passed);
    }

    #[test]
    fn corruptions_of_any_kind_are_a_problem_whatever_the_exit_status() {
        for name in [
            "host_corruptions",
            "guest_corruptions",
            "ptrace_corruptions",
        ] {
            let mut report = right();
            report["counters"][name] = 2.into();
            assert_eq!(judge(0, Some(report)), ["2 corruptions"], "{name}");
        }
    }

    #[test]
    fn each_counter_that_is_0_or_missing_is_a_problem() {
        for name in required(MODE, Cpu::Max) {
            let mut report = right();
            report["counters"][name] = 0.into();
            let problem = format!("did not happen: {name}");
            assert_eq!(judge(0, Some(report.clone())), [problem.as_str()]);
            report["counters"].as_object_mut().unwrap().remove(name);
            assert_eq!(judge(0, Some(report)), [problem]);
        }
    }

    #[test]
    fn what_a_host_cannot_do_is_not_asked_for() {
        let asks = |mode, cpu, name| required(mode, cpu).contains(&name);
        assert!(asks(Mode::Protected, Cpu::Max, "protected_guests"));
        assert!(!asks(Mode::Nvhe, Cpu::Max, "protected_guests"));
        assert!(!asks(Mode::Nvhe, Cpu::CortexA57, "sve_guests"));
        assert!(asks(Mode::Nvhe, Cpu::CortexA57, "aarch32_guests"));
    }

    #[test]
    fn failures_exit_status_and_time_are_problems() {
        let mut report = right();
        report["failures"] = json!(["the guest was lost"]);
        assert_eq!(
            judge(1, Some(report)),
            ["exit status 1", "the guest was lost"]
        );
        let mut report = right();
        report["seconds"] = 59.into();
        assert_eq!(judge(0, Some(report)), ["it took 59 s of 60"]);
        assert_eq!(judge(0, None), ["it did not say what it came to"]);
    }

    #[test]
    fn warnings_of_the_kernel_and_a_host_that_hangs_are_problems() {
        let mut warned = outcome(0, Some(right()));
        warned.warnings = crate::console::warnings("[    9.000000] WARNING: x\n");
        let found = problems(MODE, Cpu::Max, 60, &warned);
        assert_eq!(found, ["kernel: [    9.000000] WARNING: x"]);
        let hung = Outcome {
            problems: vec!["the host hangs in soak".into()],
            ..Default::default()
        };
        let found = problems(MODE, Cpu::Max, 60, &hung);
        assert_eq!(
            found,
            ["the host hangs in soak", "the soak did not come to its end"]
        );
    }
}
