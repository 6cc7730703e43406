// SPDX-License-Identifier: GPL-2.0
//! Child processes: each in a process group of its own, its output in a log
//! file, and gone when this program goes.

use crate::error::{self, hinted};
use crate::progress::Step;
use crate::side_by_side::both;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Groups of the children that run now.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn running() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    // The set is consistent between any two statements, so a panic elsewhere
    // while it was held does not matter.
    RUNNING.lock().unwrap_or_else(|e| e.into_inner())
}

fn signal_group(group: i32, signal: libc::c_int) {
    // SAFETY: kill() takes no pointers. The group is that of a child that has
    // not been waited for, so its id cannot belong to anybody else.
    unsafe { libc::kill(-group, signal) };
}

/// Makes Ctrl-C and SIGTERM end every child and then this program.
pub fn handle_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        for &group in running().iter() {
            signal_group(group, libc::SIGKILL);
        }
        eprintln!(
            "\nerror: interrupted\n\
             hint: run the same command again, what was downloaded and built is still there"
        );
        std::process::exit(130);
    })
    .context("cannot handle signals")
}

/// A running child. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    reaped: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` in a group of its own.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.process_group(0);
        // SAFETY: the closure only makes one async-signal-safe system call.
        unsafe {
            command.pre_exec(|| {
                // Covers our own death by SIGKILL, for which no handler runs.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut set = running();
        let child = command.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => is_missing(&name),
            _ => anyhow::Error::new(e).context(format!("cannot start {name}")),
        })?;
        set.insert(child.id() as i32);
        Ok(Self {
            child,
            name,
            reaped: None,
        })
    }

    /// How the child ended, if it has.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        if self.reaped.is_none() {
            // The set stays locked so that the signal handler never signals a
            // group whose id is free again.
            let mut set = running();
            self.reaped = self
                .child
                .try_wait()
                .with_context(|| format!("cannot wait for {}", self.name))?;
            if self.reaped.is_some() {
                set.remove(&(self.child.id() as i32));
            }
        }
        Ok(self.reaped)
    }

    /// Kills the child and everything it started.
    pub fn kill(&mut self) {
        if self.reaped.is_none() {
            let mut set = running();
            signal_group(self.child.id() as i32, libc::SIGKILL);
            self.reaped = self.child.wait().ok();
            set.remove(&(self.child.id() as i32));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Says in words how a process ended.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// The last `lines` lines of a log, indented.
pub fn tail(path: &Path, lines: usize) -> String {
    const MOST: u64 = 64 << 10;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|e| format!("(cannot read the log: {e})"));
    let all: Vec<&str> = text.lines().collect();
    indented(&all[all.len().saturating_sub(lines)..])
}

/// Lines as they are shown below an error.
pub fn indented(lines: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str("    ");
        text.push_str(line.as_ref().trim_end());
        text.push('\n');
    }
    text
}

/// The lines of a build log that tell why it failed: those with an error and
/// what stands around them, otherwise the last ones.
fn reasons(path: &Path) -> String {
    const MOST: usize = 30;
    let text = fs::read(path)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let is_error = |l: &&str| {
        let l = l.trim_start();
        l.starts_with("error")
            || l.contains(": error:")
            || l.contains(" Error ")
            || l.starts_with("ERROR")
            || l.starts_with("E: ")
            || l.contains("ld.lld: error")
    };
    match lines.iter().position(is_error) {
        Some(first) => {
            let first = first.saturating_sub(2);
            indented(&lines[first..lines.len().min(first + MOST)])
        }
        None => tail(path, 15),
    }
}

/// Runs `command` to its end with its output appended to `log`. `step` shows
/// the last line now and then. Fails with the reasons from the log.
pub fn run(command: &mut Command, log: &Path, step: &Step) -> Result<()> {
    let status = run_status(command, log, step)?;
    if status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let reasons = reasons(log);
    let is_full = [&reasons, &tail(log, 15)]
        .iter()
        .any(|text| text.contains("No space left on device"));
    Err(hinted(
        format!(
            "{program} failed, {}:\n{reasons}log: {}",
            describe(status),
            log.display()
        ),
        if is_full {
            error::DISK_IS_FULL
        } else {
            "the first error in the log is the one to mend"
        },
    ))
}

/// Makes `to`, where there is nothing, a copy of the folder `from` whose files are links. Whoever
/// changes a file in it has to replace it.
pub fn copy_linked(from: &Path, to: &Path, log: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new("cp");
    command.args(["-a", "--link"]).args([from, to]);
    run(&mut command, log, step)
}

/// For how long a command may print nothing: what hangs is not waited for without end.
const SILENCE: Duration = Duration::from_secs(60 * 60);

/// As [`run`], but a failure is only returned, not an error.
pub fn run_status(command: &mut Command, log: &Path, step: &Step) -> Result<ExitStatus> {
    run_unless_silent(command, log, step, SILENCE)
}

fn run_unless_silent(
    command: &mut Command,
    log: &Path,
    step: &Step,
    silence: Duration,
) -> Result<ExitStatus> {
    if let Some(parent) = log.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write the log {}", log.display()))?;
    writeln!(file, "$ {}", words(command))
        .with_context(|| format!("cannot write {}", log.display()))?;
    let both = || file.try_clone().context("cannot share the log");
    command.stdin(Stdio::null()).stdout(both()?).stderr(both()?);
    let mut running = Running::start(command)?;
    let start = Instant::now();
    let mut looked = Instant::now();
    let mut printed = (0, Instant::now());
    loop {
        if let Some(status) = running.poll()? {
            return Ok(status);
        }
        // Short waits first: many commands take milliseconds.
        let wait = if start.elapsed() < Duration::from_millis(300) {
            5
        } else {
            50
        };
        std::thread::sleep(Duration::from_millis(wait));
        if looked.elapsed() > Duration::from_secs(1) {
            looked = Instant::now();
            step.at(tail(log, 1).trim());
            let length = file.metadata().map_or(0, |log| log.len());
            if length != printed.0 {
                printed = (length, looked);
            }
            if printed.1.elapsed() > silence {
                return Err(hinted(
                    format!(
                        "{} has printed nothing for {} min and was ended:\n{}log: {}",
                        running.name,
                        silence.as_secs() / 60,
                        tail(log, 15),
                        log.display()
                    ),
                    "the end of the log says where it was; a network or a disk may have been stuck",
                ));
            }
        }
    }
}

/// Runs `command` and returns what it printed on standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let bytes = output_bytes(command)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As [`output`], where that is no text.
pub fn output_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let out = try_output(command)?;
    if !out.status.success() {
        anyhow::bail!(
            "{}: {}: {}",
            words(command),
            describe(out.status),
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(out.stdout)
}

/// Runs `command` and returns what it printed and how it ended: a failure is no error.
pub fn try_output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
    let name = running.name.clone();
    // One of them may be full before the other one has ended.
    let (stdout, stderr) = both(|| read(stdout), || read(stderr));
    let cannot = || format!("cannot read what {name} prints");
    let (stdout, stderr) = (stdout.with_context(cannot)?, stderr.with_context(cannot)?);
    let status = loop {
        match running.poll()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

fn read(pipe: Option<impl Read>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Says of a program that it is not there.
fn is_missing(name: &str) -> anyhow::Error {
    let has_root = std::env::var_os("KVM_RUST_TOOLS").is_some_and(|tools| tools == "root");
    hinted(
        format!("the program {name} is not installed"),
        if has_root {
            "a package is missing in scripts/packages, or the tool root is damaged: make clean-cache"
        } else {
            "TOOLS=root takes the project's own tools"
        },
    )
}

/// The command as one would type it, for logs.
fn words(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let a = argument.to_string_lossy();
        if a.contains([' ', '"', '\'']) {
            text.push_str(&format!(" {a:?}"));
        } else {
            text.push_str(&format!(" {a}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Ui;

    #[test]
    fn failure_shows_the_error_and_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let step = Ui::new().step("t");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo before; echo 'x.c:1: error: no such thing'; exit 3",
        ]);
        let text = format!("{:#}", run(&mut command, &log, &step).unwrap_err());
        assert!(text.contains("exit status 3"), "{text}");
        assert!(text.contains("x.c:1: error: no such thing"), "{text}");
        assert!(text.contains(&log.display().to_string()), "{text}");
    }

    #[test]
    fn a_full_disk_is_what_there_is_to_mend() {
        let dir = tempfile::tempdir().unwrap();
        let step = Ui::new().step("t");
        let hint = |says: &str| {
            let log = dir.path().join(says);
            let mut command = Command::new("sh");
            command.args(["-c", "echo \"$1\"; exit 1", "sh", says]);
            let error = run(&mut command, &log, &step).unwrap_err();
            error::hint(&error).unwrap().to_owned()
        };
        let full = "x.c:1: fatal error: error writing to x.o: No space left on device";
        assert!(hint(full).contains("the disk is full"));
        assert!(hint("x.c:1: error: no such type").contains("first error"));
    }

    #[test]
    fn what_prints_nothing_for_long_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let step = Ui::new().step("t");
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            run_unless_silent(&mut command, &log, &step, Duration::from_millis(600))
        };
        // Longer in all, but not silent for so long.
        let steady = "for i in 1 2 3 4 5 6 7; do echo $i; sleep 0.2; done";
        assert!(run(steady).unwrap().success());
        let begin = Instant::now();
        let error = format!("{:#}", run("echo last words; sleep 100").unwrap_err());
        assert!(begin.elapsed() < Duration::from_secs(50));
        assert!(error.contains("sh has printed nothing"), "{error}");
        assert!(error.contains("last words"), "{error}");
    }

    #[test]
    fn what_is_printed_is_returned_whatever_comes_first() {
        let mut command = Command::new("sh");
        let script = "head -c 200000 /dev/zero >&2; head -c 100000 /dev/zero; exit 3";
        let out = try_output(command.args(["-c", script])).unwrap();
        assert_eq!((out.stdout.len(), out.stderr.len()), (100_000, 200_000));
        assert_eq!(out.status.code(), Some(3));
        assert!(output(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }

    #[test]
    fn missing_program_is_named() {
        let error = Running::start(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error
            .to_string()
            .contains("no-such-program-here is not installed"));
    }

    #[test]
    fn dropping_kills_the_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!(
            "sleep 100 & echo $! >{}.tmp; mv {0}.tmp {0}; wait",
            file.display()
        ));
        let running = Running::start(&mut command).unwrap();
        let begin = Instant::now();
        while !file.exists() && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        drop(running);
        // The grandchild is gone, or a zombie that nobody has reaped yet.
        let mut gone = false;
        for _ in 0..200 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            gone = stat.is_empty() || stat.contains(") Z ");
            if gone {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(gone, "the grandchild {pid} still runs");
    }
}
