// SPDX-License-Identifier: GPL-2.0
//! `make soak`: everything at once, for hours, in one mode after the other. The work is
//! done by selftests/soak on the host.

mod judge;
mod record;
mod report;

use crate::boot::{self, Outcome};
use crate::context::{self, Context};
use crate::error::hinted;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{self, Plan};
use crate::prepare::{self, Built, Spec};
use crate::process;
use crate::table;
use anyhow::Result;
pub use judge::verdict;
use record::InMode;
pub use record::NAME as RECORD;
use report::Report;

/// Name of the step.
pub const STEP: &str = "soak";
/// Name of the test, with the behaviours that it guards.
pub const TEST_NAME: &str = "b01_b04_b16_b17_b25:soak";
/// How long each host of `make test-full` is soaked, in seconds.
pub const TEST_S: u64 = 300;
/// The seed there: the same in each run.
pub const TEST_SEED: u64 = 1;
/// Kernel parameters of a host to soak: an emulated CPU may stand still for a while.
pub const PARAMETERS: &str = "watchdog_thresh=60";

const PROGRAM: &str = "/kvm-rust/bin/soak";
/// CPUs of the host: more than one of them can be away.
const CPUS: u32 = 3;
/// A soak says every minute how far it is.
const SILENCE_S: u64 = 180;
/// Time to come to an end. Host tasks take some until they look at the time.
const END_S: u64 = 240;
/// The least in which some of everything happens on an emulated host.
const LEAST_S: u64 = 60;

/// A soak that is asked for.
#[derive(Debug, Clone)]
pub struct Soak {
    /// The kernel.
    pub variant: Variant,
    /// The modes, one after the other.
    pub modes: Vec<Mode>,
    /// On which CPU.
    pub cpu: Cpu,
    /// How long in all, in hours.
    pub hours: f64,
    /// Decides what happens, as far as a seed can.
    pub seed: u64,
}

/// A step that soaks a host in `mode`.
pub fn step(mode: Mode, seconds: u64, seed: u64) -> plan::Step {
    let (seconds_text, seed_text) = (seconds.to_string(), seed.to_string());
    let mut argv = vec![PROGRAM, "--seconds", &seconds_text, "--seed", &seed_text];
    if mode == Mode::Protected {
        argv.push("--protected");
    }
    let mut step = plan::Step::new(STEP, &argv, seconds + END_S);
    step.silence_s = Some(SILENCE_S);
    step
}

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    // One that people can type.
    context::seconds() % 1_000_000
}

impl Soak {
    /// Seconds in each mode.
    fn seconds(&self) -> Result<u64> {
        let seconds = self.hours * 3600.0 / self.modes.len() as f64;
        if !(LEAST_S as f64..1e9).contains(&seconds) {
            let least = LEAST_S as f64 * self.modes.len() as f64 / 3600.0;
            return Err(hinted(
                format!("HOURS={} is not enough, or no time at all", self.hours),
                format!(
                    "each mode takes at least {LEAST_S} s: HOURS={:.2} for all",
                    (least * 100.0).ceil() / 100.0
                ),
            ));
        }
        Ok(seconds.round() as u64)
    }

    /// The command that does the same in one mode again.
    fn again(&self, mode: Mode, seconds: u64) -> String {
        let mut command = format!(
            "scripts/xtask soak --hours {:.4} --mode {} --seed {}",
            // Rounded up, so that it is no second less.
            (seconds as f64 / 0.36).ceil() / 10_000.0,
            mode.name(),
            self.seed
        );
        if self.variant != Variant::Soak {
            command.push_str(&format!(" --variant {}", self.variant.name()));
        }
        if self.cpu != Cpu::Max {
            command.push_str(&format!(" --cpu {}", self.cpu.name()));
        }
        command
    }

    fn spec(&self, mode: Mode, seconds: u64) -> Spec {
        Spec {
            variant: self.variant,
            mode,
            cpu: self.cpu,
            vector_lengths: VectorLengths::All,
            lpa2: true,
            parameters: PARAMETERS.to_owned(),
            plan: Plan::of(vec![step(mode, seconds, self.seed)]),
        }
    }

    /// Soaks a host in `mode`. Returns its outcome and the last that it reported.
    fn one(&self, ctx: &Context, built: &Built, mode: Mode) -> Result<(Outcome, Report)> {
        let seconds = self.seconds()?;
        let spec = self.spec(mode, seconds);
        let mut host = built.host(&spec)?;
        host.cpus = CPUS;
        let step = ctx
            .ui
            .step(&format!("soak {} for {}", mode.name(), time(seconds)));
        let mut last = Report::default();
        let outcome = boot::boot_and_tell(ctx, &host, &built.programs, &step, &mut |said| {
            if let Some(report) = Report::of(said) {
                ctx.ui.line(&format!(
                    "soak {}: {} of {}: {}",
                    mode.name(),
                    time(report.seconds),
                    time(seconds),
                    report.text()
                ));
                last = report;
            }
        })?;
        let at_end = outcome.ends.first().and_then(Report::at_end);
        step.end(if at_end.is_some() {
            "done"
        } else {
            "broke off"
        });
        Ok((outcome, at_end.unwrap_or(last)))
    }

    /// Says what was wrong, and keeps what there is of it.
    fn failed(
        &self,
        ctx: &Context,
        mode: Mode,
        outcome: &Outcome,
        problems: &[String],
    ) -> Result<()> {
        let seconds = self.seconds()?;
        let mut note = format!("seed {}\nagain: {}\n", self.seed, self.again(mode, seconds));
        for problem in problems {
            note.push_str(&format!("{problem}\n"));
        }
        let folder = ctx.result(&format!("soak-{}-seed-{}", context::now(), self.seed));
        for problem in problems {
            ctx.ui
                .line(&format!("error: soak {}: {problem}", mode.name()));
        }
        let remains = record::keep(&folder, mode, outcome, &note)?;
        ctx.ui.line(process::tail(&remains.dmesg, 20).trim_end());
        ctx.ui.line(&format!(
            "seed: {}\nagain: {}\nlog: {}\ndmesg: {}\nnote: {}",
            self.seed,
            self.again(mode, seconds),
            remains.log.display(),
            remains.dmesg.display(),
            remains.note.display()
        ));
        Ok(())
    }

    /// Soaks hosts in all modes. True if nothing was wrong and everything happened.
    pub fn run(&self, ctx: &Context) -> Result<bool> {
        let seconds = self.seconds()?;
        for mode in &self.modes {
            self.cpu.check(*mode)?;
        }
        let variants = [self.variant];
        ctx.ui
            .expect(prepare::steps_to_come(ctx, &variants, false) + self.modes.len());
        ctx.ui.line(&format!("seed: {}", self.seed));
        let built = Built::new(ctx, &variants, false)?;
        let mut modes = Vec::new();
        for &mode in &self.modes {
            let (outcome, report) = self.one(ctx, &built, mode)?;
            let problems = judge::problems(mode, self.cpu, seconds, &outcome);
            if !problems.is_empty() {
                self.failed(ctx, mode, &outcome, &problems)?;
            }
            modes.push(InMode::new(mode, &report, outcome.warnings.len(), problems));
            // Whatever becomes of the next.
            record::write(ctx, self.seed, &modes)?;
        }
        print!("\n{}", table(&modes));
        let held = modes.iter().all(|mode| mode.problems.is_empty());
        let path = record::path(ctx);
        println!("seed: {}\nnumbers: {}", self.seed, path.display());
        Ok(held)
    }
}

/// A time for people.
fn time(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

fn table(modes: &[InMode]) -> String {
    let head = [
        "mode",
        "time",
        "guests",
        "vCPU runs",
        "checks",
        "corruptions",
        "warnings",
        "offline",
        "signals",
        "stops",
        "ptrace",
        "killed",
        "swapped",
        "faults",
        "result",
    ];
    let row = |mode: &InMode| {
        let count = |name: &str| mode.counters.get(name).copied().unwrap_or(0).to_string();
        vec![
            mode.mode.to_owned(),
            time(mode.seconds),
            count("guests"),
            count("vcpu_runs"),
            mode.checks.to_string(),
            mode.corruptions.to_string(),
            mode.warnings.to_string(),
            count("hotplugs"),
            count("signals"),
            count("stops"),
            count("ptrace_stops"),
            count("guests_killed"),
            count("pages_swapped"),
            count("faults_injected"),
            match mode.problems.is_empty() {
                true => "held".to_owned(),
                false => "FAILED".to_owned(),
            },
        ]
    };
    let rows: Vec<_> = modes.iter().map(row).collect();
    table::render(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(modes: &[Mode], hours: f64) -> Soak {
        Soak {
            variant: Variant::Soak,
            modes: modes.to_vec(),
            cpu: Cpu::Max,
            hours,
            seed: 7,
        }
    }

    #[test]
    fn the_time_is_shared_by_the_modes() {
        assert_eq!(soak(&Mode::ALL, 2.0).seconds().unwrap(), 1440);
        assert_eq!(soak(&[Mode::Vhe], 0.5).seconds().unwrap(), 1800);
        for hours in [0.0, -1.0, 0.05, f64::NAN, f64::INFINITY] {
            assert!(soak(&Mode::ALL, hours).seconds().is_err(), "{hours}");
        }
    }

    #[test]
    fn a_failure_says_how_to_run_it_again_for_as_long() {
        for seconds in [60, 100, 1440, 3599] {
            let again = soak(&Mode::ALL, 2.0).again(Mode::Nvhe, seconds);
            let words: Vec<&str> = again.split(' ').collect();
            assert_eq!(words[4..], ["--mode", "nvhe", "--seed", "7"]);
            let hours: f64 = words[3].parse().unwrap();
            assert_eq!(
                soak(&[Mode::Nvhe], hours).seconds().unwrap(),
                seconds,
                "{again}"
            );
        }
    }

    #[test]
    fn only_protected_hosts_have_protected_guests_and_none_is_silent() {
        let argv = |mode| step(mode, 60, 7).argv.join(" ");
        assert_eq!(argv(Mode::Vhe), "/kvm-rust/bin/soak --seconds 60 --seed 7");
        assert!(argv(Mode::Protected).ends_with(" --protected"));
        assert_eq!(step(Mode::Vhe, 60, 7).silence_s, Some(180));
    }

    #[test]
    fn the_table_says_what_failed() {
        let mode = |problems| InMode::new(Mode::Vhe, &Report::default(), 0, problems);
        let text = table(&[mode(vec![]), mode(vec!["x".into()])]);
        let ends: Vec<&str> = text.lines().map(|l| l.split(' ').last().unwrap()).collect();
        assert_eq!(ends, ["result", "held", "FAILED"]);
        assert_eq!(time(3725), "1:02:05");
    }
}
