// SPDX-License-Identifier: GPL-2.0
//! Boots a host in QEMU, follows its report, and says what went wrong.

use crate::console::CaseOutcome;
use crate::contest;
use crate::context::Context;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::image::Disk;
use crate::plan::{End, Event, Plan, Verdict};
use crate::process::{self, Running};
use crate::progress::Step;
use crate::{console, digest, disk, files, image};
use anyhow::{bail, Context as _, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Memory of a host.
const MEMORY_MIB: u64 = 2048;
/// CPUs of a host, unless it is to have others.
pub const CPUS: u32 = 2;
/// How long a host may be quiet where nothing is running on it, unless it is to have another
/// time.
pub const QUIET: Duration = Duration::from_secs(60);
/// A killed step has this long to be reported, on top of its own time.
const GRACE: Duration = Duration::from_secs(45);
/// Set in /proc/sys/kernel/tainted by KUnit, and nothing bad.
const TAINT_TEST: u64 = 1 << 18;
/// Set when a protected VM is made, which 7.3 calls experimental.
const TAINT_USER: u64 = 1 << 6;

/// A host to boot.
#[derive(Debug, Clone)]
pub struct Host {
    /// Name in messages and of its logs.
    pub name: String,
    /// The kernel.
    pub kernel: PathBuf,
    /// Which implementation of the world switch it must say that it has. `None`: its kernel
    /// has nothing to say it with, as Linux's own.
    pub world_switch: Option<&'static str>,
    /// The disk image.
    pub disk: Disk,
    /// How KVM runs.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: Cpu,
    /// The vector lengths that it has.
    pub vector_lengths: VectorLengths,
    /// Whether its addresses have 52 bits, where the CPU can have them.
    pub lpa2: bool,
    /// Further kernel parameters.
    pub parameters: String,
    /// How many CPUs it has.
    pub cpus: u32,
    /// Further arguments of QEMU.
    pub qemu_arguments: Vec<OsString>,
    /// How long it may take until it is up. KUnit tests run before that.
    pub boot_limit: Duration,
    /// How long it may be quiet where no step runs.
    pub quiet: Duration,
    /// Whether it is stopped where a step fails.
    pub stops_at_failure: bool,
    /// What it is to do.
    pub plan: Plan,
}

/// What is expected of a host, however it is emulated.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Which implementation of the world switch it must say that it has, or none.
    pub world_switch: Option<&'a str>,
    /// How KVM runs.
    pub mode: Mode,
    /// How long it may take until it is up.
    pub boot_limit: Duration,
    /// How long it may be quiet where no step runs: between two of them, and at the end.
    pub quiet: Duration,
    /// Whether it is stopped where a step fails.
    pub stops_at_failure: bool,
    /// Set once it need not go on, for instance because another host that it waits for has
    /// failed.
    pub in_vain: Option<&'a AtomicBool>,
    /// What it is to do.
    pub plan: &'a Plan,
}

impl Host {
    fn expected(&self) -> Expected<'_> {
        Expected {
            world_switch: self.world_switch,
            mode: self.mode,
            boot_limit: self.boot_limit,
            quiet: self.quiet,
            stops_at_failure: self.stops_at_failure,
            in_vain: None,
            plan: &self.plan,
        }
    }
}

/// Where an emulated host writes to.
#[derive(Debug)]
pub struct Files {
    /// Its console.
    pub log: PathBuf,
    /// The virtio-serial port "report".
    pub report: PathBuf,
    /// What QEMU says.
    pub qemu: PathBuf,
}

impl Files {
    /// Those of the host `name` in this run.
    pub fn of(ctx: &Context, name: &str) -> Self {
        let log = ctx.log(&format!("host-{name}"));
        Self {
            report: log.with_extension("report"),
            qemu: log.with_extension("qemu"),
            log,
        }
    }
}

/// What a host did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps that ended.
    pub ends: Vec<End>,
    /// What is wrong with the host as a whole: it hangs, dies, or came up in
    /// another mode.
    pub problems: Vec<String>,
    /// Whether it was stopped as another host failed, which is among its problems.
    #[serde(default)]
    pub in_vain: bool,
    /// What its kernel complained about.
    pub warnings: Vec<String>,
    /// Time from the start of the kernel to userspace, on the host's clock.
    pub boot_ms: u64,
    /// The console log.
    pub console: String,
    /// Where the console log is.
    pub log: PathBuf,
    /// How long all of it took.
    pub elapsed: Duration,
    /// When an earlier run saw this, if it was not this one.
    #[serde(default)]
    pub recalled: Option<String>,
    /// What went wrong with a boot before this one, of the same host.
    #[serde(default)]
    pub before: Option<String>,
}

impl Outcome {
    /// Fails unless the host did all of `plan`, with nothing said against it by its kernel or
    /// by the KUnit tests that ran while it booted.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        let log = self.log.display();
        if let Some(problem) = self.problems.iter().chain(&self.warnings).next() {
            bail!("{problem}\n    log: {log}");
        }
        let cases = console::kunit(&self.console).into_iter();
        let mut failed = cases.filter(|case| case.outcome == CaseOutcome::Failed);
        if let Some(case) = failed.next() {
            bail!("KUnit: {} failed\n    log: {log}", case.name);
        }
        for step in &plan.steps {
            let end = self.ends.iter().find(|end| end.name == step.name);
            let end = end.with_context(|| format!("{} did not run", step.name))?;
            if let Verdict::Failed(why) | Verdict::Skipped(why) = contest::verdict(end) {
                let said = end.output_tail.trim();
                bail!("{}: {why}\n    log: {log}\n{said}", step.name);
            }
        }
        Ok(())
    }
}

/// Everything that decides what `host` does, as a digest.
pub fn identity(host: &Host, programs: &image::Programs) -> Result<String> {
    let nowhere = Path::new("-");
    // Not where the kernel and the image are, but what is in them.
    let anywhere = Host {
        kernel: digest::of_file(&host.kernel)?.into(),
        disk: Disk {
            path: host.disk.signature.clone().into(),
            ..host.disk.clone()
        },
        ..host.clone()
    };
    let command = qemu(&anywhere, nowhere, nowhere, nowhere);
    let arguments: Vec<_> = command.get_args().collect();
    let version = process::output(Command::new(command.get_program()).arg("--version"))?;
    let initramfs = digest::of_bytes(&image::host_initramfs(&programs.ours, &host.plan)?);
    Ok(digest::of_bytes(
        format!("{arguments:?} {version} {initramfs}").as_bytes(),
    ))
}

fn qemu(host: &Host, initramfs: &Path, report: &Path, log: &Path) -> Command {
    let mte = if host.cpu.mte() { ",mte=on" } else { "" };
    // Counting instructions, which a caller may ask for, needs a single thread.
    let threads = if host.cpus == 1 { "single" } else { "multi" };
    let mut command = Command::new("qemu-system-aarch64");
    command
        .arg("-M")
        .arg(format!("virt,virtualization=on,gic-version=3{mte}"))
        .arg("-accel")
        .arg(format!("tcg,thread={threads},tb-size=512"))
        .args([
            "-cpu",
            &format!("{}{}", host.cpu.qemu(host.lpa2), host.vector_lengths.qemu()),
            "-smp",
            &host.cpus.to_string(),
            "-m",
            &MEMORY_MIB.to_string(),
        ])
        .args([
            "-nodefaults",
            "-nic",
            "none",
            "-display",
            "none",
            "-no-reboot",
        ])
        .arg("-serial")
        .arg(format!("file:{}", log.display()))
        .arg("-kernel")
        .arg(&host.kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!(
            "console=ttyAMA0 panic=-1 {} {}",
            host.mode.parameters(),
            host.parameters
        ))
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .arg("-drive")
        .arg(format!(
            "if=none,id=disk,format=raw,readonly=on,file={}",
            host.disk.path.display()
        ))
        .args(["-device", "virtio-blk-device,drive=disk"])
        .args(report_port("virtio-serial-device", report))
        .args(&host.qemu_arguments);
    command
}

/// QEMU's arguments for the virtio-serial port that a host reports to, at a controller of
/// this kind.
pub fn report_port(controller: &str, report: &Path) -> [String; 6] {
    let file = format!("file,id=report,path={}", report.display());
    let port = "virtserialport,chardev=report,name=report";
    ["-chardev", &file, "-device", controller, "-device", port].map(str::to_owned)
}

/// A file that another process appends to, read line by line.
struct Follow {
    path: PathBuf,
    at: u64,
    partial: Vec<u8>,
}

impl Follow {
    /// For a process that is about to be started. A file that is there already is of
    /// an earlier one, and must not be taken for its.
    fn new(path: PathBuf) -> Result<Self> {
        files::remove_all(&path)?;
        Ok(Self {
            path,
            at: 0,
            partial: Vec::new(),
        })
    }

    /// The lines that were completed since the last call.
    fn lines(&mut self) -> Vec<String> {
        let mut fresh = Vec::new();
        let mut read = || -> std::io::Result<()> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.at))?;
            file.read_to_end(&mut fresh)?;
            Ok(())
        };
        if read().is_err() {
            // Not there yet.
            return Vec::new();
        }
        self.at += fresh.len() as u64;
        self.partial.extend(fresh);
        let Some(end) = self.partial.iter().rposition(|&b| b == b'\n') else {
            return Vec::new();
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// How long a host may be silent while the step `name` runs.
fn silence(host: &Expected, name: &str) -> Duration {
    let step = host.plan.steps.iter().find(|step| step.name == name);
    match step.and_then(|step| step.silence_s) {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::from_secs(step.map_or(0, |step| step.timeout_s)) + GRACE,
    }
}

/// What is known of a host from its report so far.
#[derive(Debug)]
struct Progress {
    ends: Vec<End>,
    boot_ms: Option<u64>,
    world_switch: Option<String>,
    tainted: Option<u64>,
    current: Option<String>,
    /// What the current step has said of how far it is, since that was last asked for.
    said: Vec<serde_json::Value>,
    problems: Vec<String>,
    in_vain: bool,
    deadline: Instant,
}

impl Progress {
    fn new(host: &Expected) -> Self {
        Self {
            ends: Vec::new(),
            boot_ms: None,
            world_switch: None,
            tainted: None,
            current: None,
            said: Vec::new(),
            problems: Vec::new(),
            in_vain: false,
            deadline: Instant::now() + host.boot_limit,
        }
    }

    fn take(&mut self, host: &Expected, line: &str) {
        let event = match serde_json::from_str(line) {
            Ok(event) => event,
            Err(e) => {
                self.problems
                    .push(format!("unreadable report ({e}): {line}"));
                return;
            }
        };
        self.deadline = Instant::now() + host.quiet;
        match event {
            Event::Up {
                uptime_ms,
                world_switch,
            } => {
                self.boot_ms = Some(uptime_ms);
                self.world_switch = world_switch;
            }
            Event::Start { name } => {
                self.deadline = Instant::now() + silence(host, &name);
                self.current = Some(name);
            }
            Event::Progress { progress } => {
                let name = self.current.as_deref().unwrap_or_default();
                self.deadline = Instant::now() + silence(host, name);
                self.said.push(progress);
            }
            Event::End(end) => {
                self.current = None;
                self.ends.push(end);
            }
            Event::Done { tainted } => self.tainted = Some(tainted),
        }
    }

    /// Whether the step that ended last failed.
    fn has_failed(&self) -> bool {
        let last = self.ends.last();
        last.is_some_and(|end| matches!(end.verdict(), Verdict::Failed(_)))
    }

    /// Where the host is, in words.
    fn place(&self) -> String {
        match (&self.current, self.boot_ms, self.tainted) {
            (Some(name), _, _) => format!("in {name}"),
            (None, None, _) => "before its userspace was up".to_owned(),
            (None, _, Some(_)) => "while it shut down".to_owned(),
            (None, Some(_), None) => "between two steps".to_owned(),
        }
    }
}

/// Boots `host` and sees it through. Errors are those of this machine; what
/// goes wrong on the host is in the outcome.
pub fn boot(
    ctx: &Context,
    host: &Host,
    programs: &image::Programs,
    step: &Step,
) -> Result<Outcome> {
    boot_and_tell(ctx, host, programs, step, &mut |_| ())
}

/// As [`boot`], and hands on at once what a step says of how far it is.
pub fn boot_and_tell(
    ctx: &Context,
    host: &Host,
    programs: &image::Programs,
    step: &Step,
    tell: &mut dyn FnMut(&serde_json::Value),
) -> Result<Outcome> {
    host.cpu.check(host.mode)?;
    disk::need(&ctx.cache, 64, "the log of a host")?;
    let files = Files::of(ctx, &host.name);
    let initramfs = files.log.with_extension("cpio");
    files::write_atomic(
        &initramfs,
        &image::host_initramfs(&programs.ours, &host.plan)?,
    )?;
    let command = qemu(host, &initramfs, &files.report, &files.log);
    let outcome = follow(command, files, &host.expected(), step, tell)?;
    files::remove_all(&initramfs)?;
    Ok(outcome)
}

/// Runs QEMU by `command` and sees the host through that it emulates.
pub fn follow(
    mut command: Command,
    files: Files,
    host: &Expected,
    step: &Step,
    tell: &mut dyn FnMut(&serde_json::Value),
) -> Result<Outcome> {
    let start = Instant::now();
    let stderr = File::create(&files.qemu)
        .with_context(|| format!("cannot write {}", files.qemu.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut report = Follow::new(files.report)?;
    let mut running = Running::start(&mut command)?;

    let mut progress = Progress::new(host);
    let total = host.plan.steps.len();
    let status = loop {
        // Whether it ended is asked first, so that the last lines are read.
        let status = running.poll()?;
        for line in report.lines() {
            progress.take(host, &line);
        }
        progress.said.drain(..).for_each(|said| tell(&said));
        let at = progress.current.as_deref().unwrap_or("-");
        step.at(&format!("{}/{total} {at}", progress.ends.len()));
        if status.is_some() {
            break status;
        }
        if host.stops_at_failure && progress.has_failed() {
            running.kill();
            break None;
        }
        if host.in_vain.is_some_and(|it| it.load(Ordering::Relaxed)) {
            let place = progress.place();
            progress
                .problems
                .push(format!("stopped {place}, as another host failed"));
            progress.in_vain = true;
            running.kill();
            break None;
        }
        if Instant::now() > progress.deadline {
            progress
                .problems
                .push(format!("the host hangs {}", progress.place()));
            running.kill();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if let Some(status) = status {
        if !status.success() {
            let said = process::tail(&files.qemu, 3);
            let what = process::describe(status);
            progress.problems.push(format!(
                "QEMU ended with {what} {}: {}",
                progress.place(),
                said.trim()
            ));
        } else if progress.tainted.is_none() {
            progress
                .problems
                .push(format!("the host stopped {}", progress.place()));
        }
    }
    let text = fs::read(&files.log)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    Ok(judge(host, progress, text, files.log, start.elapsed()))
}

fn judge(
    host: &Expected,
    progress: Progress,
    console: String,
    log: PathBuf,
    elapsed: Duration,
) -> Outcome {
    let mut problems = progress.problems;
    if let Err(e) = host.mode.verify(&console) {
        problems.push(format!("{e:#}"));
    }
    // A host that does not come up says nothing, and that is a problem already.
    let says = progress.world_switch.as_deref();
    if progress.boot_ms.is_some() && says != host.world_switch {
        let says = match says {
            Some(language) => format!("says that its world switch is in {language}"),
            None => "does not say what its world switch is in".to_owned(),
        };
        let wanted = host.world_switch.unwrap_or("a kernel that says nothing");
        problems.push(format!("KVM {says}, {wanted} was asked for"));
    } else if let (Some(_), Some(language)) = (progress.boot_ms, says) {
        let line = format!("]: FP/SIMD handling and world switch in {language}");
        if !console.lines().any(|said| said.trim_end().ends_with(&line)) {
            problems.push(format!("its log does not say that KVM is in {language}"));
        }
    }
    let mut warnings = console::warnings(&console);
    if let Some(tainted) = progress.tainted {
        let expected = match host.mode {
            Mode::Protected => TAINT_TEST | TAINT_USER,
            _ => TAINT_TEST,
        };
        if tainted & !expected != 0 {
            warnings.push(format!("the kernel is tainted: {tainted:#x}"));
        }
    }
    Outcome {
        ends: progress.ends,
        problems,
        in_vain: progress.in_vain,
        warnings,
        boot_ms: progress.boot_ms.unwrap_or_default(),
        console,
        log,
        elapsed,
        recalled: None,
        before: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn host() -> Host {
        Host {
            name: "t".into(),
            kernel: "k".into(),
            world_switch: Some("Rust"),
            disk: Disk {
                path: "d".into(),
                signature: String::new(),
            },
            mode: Mode::Vhe,
            cpu: Cpu::Max,
            vector_lengths: VectorLengths::All,
            lpa2: true,
            parameters: String::new(),
            cpus: CPUS,
            qemu_arguments: Vec::new(),
            boot_limit: Duration::from_secs(60),
            quiet: QUIET,
            stops_at_failure: false,
            plan: Plan::of(vec![crate::plan::Step::new("a", &["/a"], 500)]),
        }
    }

    #[test]
    fn what_a_host_is_made_of_is_its_identity_and_not_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            files::write_atomic(&path, text.as_bytes()).unwrap();
            path
        };
        let programs = |folder: &str, init: &str| {
            put(&format!("{folder}/host-init"), init);
            image::Programs {
                ours: dir.path().join(folder),
                armhf: PathBuf::new(),
                tests: None,
                kernels: PathBuf::new(),
            }
        };
        let on = |kernel: PathBuf, disk: &str, signature: &str| Host {
            name: kernel.display().to_string(),
            kernel,
            disk: Disk {
                path: disk.into(),
                signature: signature.to_owned(),
            },
            ..host()
        };
        let first = identity(&on(put("a", "1"), "d", "s"), &programs("p", "i")).unwrap();
        let same =
            |host: &Host, programs: &image::Programs| identity(host, programs).unwrap() == first;
        let moved = on(put("b", "1"), "e", "s");
        assert!(same(&moved, &programs("q", "i")));
        assert!(!same(&on(put("c", "2"), "d", "s"), &programs("p", "i")));
        assert!(!same(&on(put("a", "1"), "d", "t"), &programs("p", "i")));
        assert!(!same(&moved, &programs("r", "j")), "another host-init");
        let cpu = Host {
            cpu: Cpu::NeoverseV1,
            ..moved.clone()
        };
        assert!(!same(&cpu, &programs("p", "i")));
        let plan = Host {
            plan: Plan::default(),
            ..moved
        };
        assert!(!same(&plan, &programs("p", "i")));
    }

    #[test]
    fn lines_arrive_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        std::fs::write(&path, "of an earlier boot\nwhich has ended\n").unwrap();
        let mut follow = Follow::new(path.clone()).unwrap();
        assert!(follow.lines().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(follow.lines(), ["one"]);
        assert!(follow.lines().is_empty());
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(follow.lines(), ["two", "three"]);
    }

    #[test]
    fn a_running_step_has_its_own_time() {
        let mut progress = Progress::new(&host().expected());
        assert_eq!(progress.place(), "before its userspace was up");
        progress.take(
            &host().expected(),
            r#"{"event":"up","uptime_ms":1500,"world_switch":"Rust"}"#,
        );
        progress.take(&host().expected(), r#"{"event":"start","name":"a"}"#);
        assert_eq!(progress.place(), "in a");
        assert!(progress.deadline > Instant::now() + Duration::from_secs(500));
        progress.take(&host().expected(), "garbage");
        assert_eq!(progress.problems.len(), 1);
    }

    #[test]
    fn the_last_step_is_what_failed_or_not() {
        let mut progress = Progress::new(&host().expected());
        assert!(!progress.has_failed());
        for (code, failed) in [(0, false), (1, true), (4, false)] {
            let end = format!(
                r#"{{"event":"end","name":"a","outcome":"exited","code":{code},"seconds":1}}"#
            );
            progress.take(&host().expected(), &end);
            assert_eq!(progress.has_failed(), failed, "{code}");
        }
    }

    #[test]
    fn a_step_that_says_how_far_it_is_may_not_be_silent_for_long() {
        let mut host = host();
        host.plan.steps[0].silence_s = Some(180);
        let mut progress = Progress::new(&host.expected());
        progress.take(&host.expected(), r#"{"event":"start","name":"a"}"#);
        let within =
            |deadline: Instant, seconds| deadline <= Instant::now() + Duration::from_secs(seconds);
        assert!(within(progress.deadline, 180) && !within(progress.deadline, 170));
        progress.deadline = Instant::now();
        progress.take(
            &host.expected(),
            r#"{"event":"progress","name":"a","progress":{"seconds":60}}"#,
        );
        assert!(within(progress.deadline, 180) && !within(progress.deadline, 170));
        assert_eq!(progress.said, [serde_json::json!({"seconds": 60})]);
    }

    #[test]
    fn another_implementation_than_was_asked_for_is_a_problem() {
        let judged = |wanted, says: &str, logs: &str| {
            let host = Host {
                world_switch: wanted,
                ..host()
            };
            let mut progress = Progress::new(&host.expected());
            progress.take(
                &host.expected(),
                &format!(r#"{{"event":"up","uptime_ms":1{says}}}"#),
            );
            let console = format!(
                "[    0.100000] kvm [1]: VHE mode initialized successfully\n\
                 [    0.100001] kvm [1]: FP/SIMD handling and world switch in {logs}\n"
            );
            let log = PathBuf::new();
            judge(&host.expected(), progress, console, log, Duration::ZERO).problems
        };
        let rust = r#","world_switch":"Rust""#;
        let c = r#","world_switch":"C""#;
        assert!(judged(Some("Rust"), rust, "Rust").is_empty());
        assert!(judged(Some("C"), c, "C").is_empty());
        assert_eq!(
            judged(Some("Rust"), rust, "C"),
            ["its log does not say that KVM is in Rust"]
        );
        assert_eq!(
            judged(Some("Rust"), c, "C"),
            ["KVM says that its world switch is in C, Rust was asked for"]
        );
        // One that says nothing is not taken for either.
        for nothing in ["", r#","world_switch":null"#] {
            assert_eq!(
                judged(Some("C"), nothing, ""),
                ["KVM does not say what its world switch is in, C was asked for"]
            );
            assert!(judged(None, nothing, "").is_empty());
        }
        assert_eq!(judged(None, c, "C").len(), 1);
    }

    #[test]
    fn a_sound_host_did_all_that_it_was_to_do() {
        let end = |code: i32| End {
            name: "a".into(),
            outcome: crate::plan::Outcome::Exited,
            code,
            seconds: 1.0,
            output_tail: String::new(),
            output: Vec::new(),
        };
        let plan = host().plan;
        let check = |ends: Vec<End>, console: &str, warning: Option<&str>| {
            let outcome = Outcome {
                ends,
                warnings: warning.map(str::to_owned).into_iter().collect(),
                console: console.to_owned(),
                ..Outcome::default()
            };
            outcome.check(&plan).map_err(|error| error.to_string())
        };
        let kunit = |word: &str| {
            format!("[    0.400003]     # Subtest: fp\n[    0.400005]     {word} 1 put\n")
        };
        assert_eq!(check(vec![end(0)], &kunit("ok"), None), Ok(()));
        for (came, what) in [
            (check(Vec::new(), "", None), "a did not run"),
            (check(vec![end(1)], "", None), "a: exit status 1"),
            (check(vec![end(4)], "", None), "a: no reason given"),
            (check(vec![end(0)], "", Some("WARNING: x")), "WARNING: x"),
            (
                check(vec![end(0)], &kunit("not ok"), None),
                "KUnit: fp.put failed",
            ),
        ] {
            let error = came.unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }

    /// What comes of a host if `script` runs in the place of QEMU, with its report in the file
    /// that is its argument.
    fn followed(script: &str, expected: &Expected) -> Outcome {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            log: dir.path().join("log"),
            report: dir.path().join("report"),
            qemu: dir.path().join("qemu"),
        };
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&files.report);
        let step = crate::progress::Ui::new().step("a host");
        follow(command, files, expected, &step, &mut |_| ()).unwrap()
    }

    #[test]
    fn a_host_that_another_waits_for_in_vain_is_stopped() {
        let in_vain = AtomicBool::new(true);
        let host = host();
        let expected = Expected {
            in_vain: Some(&in_vain),
            ..host.expected()
        };
        let outcome = followed("sleep 600", &expected);
        assert!(outcome.in_vain);
        let stopped = "stopped before its userspace was up, as another host failed";
        assert_eq!(outcome.problems[0], stopped);
    }

    #[test]
    fn a_host_that_hangs_is_ended() {
        let begin = Instant::now();
        let mut host = host();
        host.boot_limit = Duration::from_millis(300);
        let outcome = followed("sleep 600", &host.expected());
        let hangs = "the host hangs before its userspace was up";
        assert_eq!(outcome.problems[0], hangs);

        host.boot_limit = Duration::from_secs(60);
        host.plan.steps[0].silence_s = Some(1);
        let up = r#"{"event":"up","uptime_ms":1500,"world_switch":"Rust"}"#;
        let start = r#"{"event":"start","name":"a"}"#;
        let script = format!("printf '%s\\n' '{up}' '{start}' >\"$1\"; sleep 600");
        let outcome = followed(&script, &host.expected());
        assert_eq!(outcome.problems[0], "the host hangs in a");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn how_qemu_ended_is_said_if_the_host_did_not_end_itself() {
        for (script, said) in [
            (
                "echo why >&2; kill -9 $$",
                "QEMU ended with killed by signal 9 before its userspace was up: why",
            ),
            (
                "echo no such CPU >&2; exit 1",
                "QEMU ended with exit status 1 before its userspace was up: no such CPU",
            ),
            ("exit 0", "the host stopped before its userspace was up"),
        ] {
            let outcome = followed(script, &host().expected());
            assert_eq!(outcome.problems[0], said);
        }
    }

    #[test]
    fn wrong_mode_warnings_and_taint_are_problems() {
        let mut progress = Progress::new(&host().expected());
        progress.take(&host().expected(), r#"{"event":"done","tainted":512}"#);
        let console = "[    0.100000] kvm [1]: Hyp nVHE mode initialized successfully\n\
                       [    0.200000] WARNING: CPU: 0 PID: 1\n";
        let outcome = judge(
            &host().expected(),
            progress,
            console.into(),
            PathBuf::new(),
            Duration::ZERO,
        );
        assert_eq!(
            outcome.problems,
            ["KVM came up in Hyp nVHE mode, vhe was asked for"]
        );
        assert_eq!(outcome.warnings.len(), 2, "{:?}", outcome.warnings);
        let mut progress = Progress::new(&host().expected());
        progress.take(
            &host().expected(),
            &format!(r#"{{"event":"done","tainted":{TAINT_TEST}}}"#),
        );
        let console = "[    0.100000] kvm [1]: VHE mode initialized successfully\n";
        let outcome = judge(
            &host().expected(),
            progress,
            console.into(),
            PathBuf::new(),
            Duration::ZERO,
        );
        assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
        assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    }
}
