// SPDX-License-Identifier: GPL-2.0
//! The FP contest on a host: how to start it and what it reports.

use crate::plan::{End, Step, Verdict};
use serde::Deserialize;

/// Which guests take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guests {
    /// Ordinary ones of our VMM, which boots them in seconds.
    Ordinary,
    /// One of QEMU, against the programs of the kernel's arm64/fp selftests.
    Qemu,
    /// Protected ones, which only our VMM starts.
    Protected,
    /// One that is a hypervisor and has a guest, both of which check.
    Nested,
    /// One of QEMU with Debian's armhf, in AArch32 state from its kernel on.
    Armhf,
    /// One of QEMU with Debian's kernel and BusyBox, on a disk behind virtio-iommu.
    Busybox,
}

impl Guests {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Ordinary,
        Self::Qemu,
        Self::Protected,
        Self::Nested,
        Self::Armhf,
        Self::Busybox,
    ];

    /// Whose step is called `name`.
    pub fn of_step(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|guests| guests.step_name() == name)
    }

    /// Name of the step.
    pub fn step_name(self) -> &'static str {
        match self {
            Self::Ordinary => "contest",
            Self::Qemu => "contest-qemu",
            Self::Protected => "contest-protected",
            Self::Nested => "contest-nested",
            Self::Armhf => "contest-armhf",
            Self::Busybox => "contest-busybox",
        }
    }

    /// Name of the test, with the behaviours it guards.
    pub fn test_name(self) -> &'static str {
        match self {
            Self::Ordinary => "b01_b04_b16_b17_b25:contest",
            Self::Qemu => "b01_b04_b16_b17_b25:contest-qemu",
            Self::Protected => "b01_b16_b22:contest-protected",
            Self::Nested => "b01_b11_b25:contest-nested",
            Self::Armhf => "b01_b24:contest-armhf",
            Self::Busybox => "b01_b28:contest-busybox",
        }
    }
}

/// A step that runs the contest for `seconds`. Everything around them, above
/// all booting the guests, may take `allowance_s` more.
pub fn step(guests: Guests, seconds: u64, allowance_s: u64) -> Step {
    let seconds_text = seconds.to_string();
    let mut argv = vec!["/kvm-rust/bin/contest", "--seconds", &seconds_text];
    match guests {
        Guests::Ordinary => argv.extend(["--vmm", "ours"]),
        Guests::Qemu => argv.extend(["--vmm", "qemu", "--guests", "1", "--tasks", "kernel"]),
        Guests::Protected => argv.extend(["--vmm", "ours", "--protected"]),
        // Its guest is slow to boot under emulation, and counts as a part of it.
        Guests::Nested => argv.extend(["--nested", "--guests", "1", "--boot-timeout", "400"]),
        Guests::Armhf => argv.extend(["--vmm", "qemu", "--guests", "1", "--system", "armhf"]),
        Guests::Busybox => argv.extend(["--vmm", "qemu", "--guests", "1", "--system", "busybox"]),
    }
    Step::new(guests.step_name(), &argv, seconds + allowance_s)
}

/// Seconds for a guest to boot and then its own guest, as the allowance of [`step`].
pub const NESTED_ALLOWANCE_S: u64 = 500;

/// What the contest reports.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
pub struct Report {
    /// Checks of host tasks' registers.
    pub host_checks: u64,
    /// Checks that found something else.
    pub host_corruptions: u64,
    /// Guests that took part.
    pub guests: u64,
    /// Checks of guests' registers.
    pub guest_checks: u64,
    /// Checks that found something else.
    pub guest_corruptions: u64,
    /// Time each guest took to boot, on its own clock.
    pub guest_boot_ms: Vec<f64>,
    /// Uses of NEON in softirqs.
    #[serde(default)]
    pub neon_rounds: u64,
    /// Those that found their registers changed.
    #[serde(default)]
    pub neon_corruptions: u64,
}

impl Report {
    /// The report in what a step printed.
    pub fn of(end: &End) -> Option<Self> {
        end.output
            .iter()
            .rev()
            .find_map(|v| serde_json::from_value(v.clone()).ok())
    }

    /// All checks.
    pub fn checks(&self) -> u64 {
        self.host_checks + self.guest_checks
    }

    /// All corruptions.
    pub fn corruptions(&self) -> u64 {
        self.host_corruptions + self.guest_corruptions + self.neon_corruptions
    }

    /// Boot times in seconds, shortest and longest.
    pub fn boot_times(&self) -> String {
        let seconds: Vec<f64> = self.guest_boot_ms.iter().map(|ms| ms / 1000.0).collect();
        match (
            seconds.iter().copied().reduce(f64::min),
            seconds.iter().copied().reduce(f64::max),
        ) {
            (Some(low), Some(high)) if high - low >= 0.1 => format!("{low:.1}-{high:.1} s"),
            (Some(low), _) => format!("{low:.1} s"),
            _ => "-".to_owned(),
        }
    }
}

/// What the end of a step means. The exit status of a contest is not believed alone.
pub fn verdict(end: &End) -> Verdict {
    if Guests::of_step(&end.name).is_none() {
        return end.verdict();
    }
    let report = match (end.verdict(), Report::of(end)) {
        (Verdict::Passed, Some(report)) => report,
        (Verdict::Passed, None) => return Verdict::Failed("no report".to_owned()),
        (Verdict::Failed(why), Some(r)) => {
            return Verdict::Failed(format!(
                "{why}: {} corruptions in {} checks",
                r.corruptions(),
                r.checks()
            ))
        }
        (other, _) => return other,
    };
    if report.corruptions() > 0 {
        return Verdict::Failed(format!("{} corruptions", report.corruptions()));
    }
    if report.host_checks == 0 || report.guest_checks == 0 || report.guests == 0 {
        return Verdict::Failed("nothing was checked".to_owned());
    }
    Verdict::Passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcome;

    fn end(code: i32, report: &str) -> End {
        End {
            name: "contest".into(),
            outcome: Outcome::Exited,
            code,
            seconds: 1.0,
            output_tail: String::new(),
            output: serde_json::from_str(&format!("[{report}]")).unwrap(),
        }
    }

    fn report(host: u64, guest: u64, neon_corruptions: u64) -> String {
        format!(
            r#"{{"host_checks":{host},"host_corruptions":0,"guests":2,"guest_checks":{guest},"guest_corruptions":0,
            "guest_boot_ms":[1500,2500],"neon_rounds":3,"neon_corruptions":{neon_corruptions}}}"#
        )
    }

    #[test]
    fn only_a_whole_and_clean_contest_passes() {
        assert_eq!(verdict(&end(0, &report(5, 6, 0))), Verdict::Passed);
        assert_eq!(verdict(&end(0, "")), Verdict::Failed("no report".into()));
        for bad in [report(0, 6, 0), report(5, 0, 0), report(5, 6, 1)] {
            assert!(
                matches!(verdict(&end(0, &bad)), Verdict::Failed(_)),
                "{bad}"
            );
        }
        let failed = verdict(&end(1, &report(5, 6, 7)));
        assert_eq!(
            failed,
            Verdict::Failed("exit status 1: 7 corruptions in 11 checks".into())
        );
    }

    #[test]
    fn boot_times_are_a_range() {
        let report = Report::of(&end(0, &report(5, 6, 0))).unwrap();
        assert_eq!(report.boot_times(), "1.5-2.5 s");
        assert_eq!(Report::default().boot_times(), "-");
    }
}
