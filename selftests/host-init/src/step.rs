// SPDX-License-Identifier: GPL-2.0

//! One step of the plan: a program with a time limit.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;

use crate::console::Console;
use crate::plan::Step;
use crate::report::Outcome;

/// How much of the output is reported.
const TAIL: usize = 4096;

/// Longest line that is shown as one.
const LONGEST_LINE: u64 = 64 * 1024;

/// How long the output of a step may take to end after its processes have.
/// Reading what is left in two pipes takes no time, but the host may be busy.
const DRAIN: Duration = Duration::from_secs(10);

/// Who is told how far a step is, while it runs.
pub type Progress = Arc<dyn Fn(serde_json::Value) + Send + Sync>;

/// What became of a step.
pub struct Finished {
    pub outcome: Outcome,
    pub code: i32,
    pub seconds: f64,
    pub output: Output,
}

/// What a step printed.
#[derive(Clone, Default)]
pub struct Output {
    /// The end of it.
    pub tail: String,
    /// Objects from lines that begin with `result: `.
    pub results: Vec<serde_json::Value>,
}

impl Output {
    fn add(&mut self, line: &str) {
        if let Some(object) = line.strip_prefix("result: ") {
            if let Ok(value) = serde_json::from_str(object) {
                self.results.push(value);
            }
        }
        self.tail.push_str(line);
        self.tail.push('\n');
        if self.tail.len() > 2 * TAIL {
            let from = self.tail.ceil_boundary(self.tail.len() - TAIL);
            self.tail.drain(..from);
        }
    }
}

trait CeilBoundary {
    fn ceil_boundary(&self, index: usize) -> usize;
}

impl CeilBoundary for str {
    /// The first start of a character at `index` or behind.
    fn ceil_boundary(&self, index: usize) -> usize {
        (index..self.len())
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(self.len())
    }
}

/// Runs `step` to its end, or kills it and all its children. Objects from lines that
/// begin with `progress: ` go to `progress` at once.
pub fn run(step: &Step, progress: Progress) -> Finished {
    run_on(Console::host(), step, DRAIN, progress)
}

fn run_on(console: &'static Console, step: &Step, drain: Duration, progress: Progress) -> Finished {
    let start = Instant::now();
    let finished = |outcome, code, output| Finished {
        outcome,
        code,
        seconds: start.elapsed().as_secs_f64(),
        output,
    };
    let mut child = match spawn(step) {
        Ok(child) => child,
        Err(error) => {
            let mut output = Output::default();
            let line = format!("cannot start {}: {error}", step.argv.join(" "));
            console.line(&format!("[{}] {line}", step.name));
            output.add(&line);
            return finished(Outcome::NotFound, 0, output);
        }
    };
    let group = Pid::from_raw(child.id() as i32);
    let output = Arc::new(Mutex::new(Output::default()));
    let drained = pump(&mut child, &step.name, &output, console, progress);
    let ended = wait(child);

    let limit = Duration::from_secs(step.timeout_s);
    let status = ended.recv_timeout(limit).ok();
    // What the program left behind must not disturb the next step, nor keep
    // the output open. An empty group is no error.
    let _ = killpg(group, Signal::SIGKILL);
    let whole = drained.recv_timeout(drain).is_ok();
    let output = output
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if !whole {
        console.line(&format!("[{}] the output did not end", step.name));
    }
    if status.is_none() {
        console.line(&format!(
            "[{}] killed after {} s",
            step.name, step.timeout_s
        ));
    }
    console.flush();
    match status {
        None => finished(Outcome::Timeout, 0, output),
        // Part of a result is none.
        Some(_) if !whole => finished(Outcome::OutputOpen, 0, output),
        Some(status) => match status.signal() {
            Some(signal) => finished(Outcome::Signalled, signal, output),
            None => finished(Outcome::Exited, status.code().unwrap_or(0), output),
        },
    }
}

fn spawn(step: &Step) -> io::Result<Child> {
    let (program, arguments) = step
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("the step has no program"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&step.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(folder) = &step.cwd {
        command.current_dir(folder);
    }
    command.spawn()
}

/// Copies the child's output to the console and to `output`; the receiver gets
/// a message when both streams have ended.
fn pump(
    child: &mut Child,
    name: &str,
    output: &Arc<Mutex<Output>>,
    console: &'static Console,
    progress: Progress,
) -> Receiver<()> {
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|s| Box::new(s) as _),
        child.stderr.take().map(|s| Box::new(s) as _),
    ];
    let pumps: Vec<_> = streams
        .into_iter()
        .flatten()
        .map(|stream| {
            let (name, output) = (name.to_owned(), Arc::clone(output));
            let progress = Arc::clone(&progress);
            thread::spawn(move || copy_lines(stream, &name, &output, console, &progress))
        })
        .collect();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for pump in pumps {
            let _ = pump.join();
        }
        let _ = sender.send(());
    });
    receiver
}

fn copy_lines(
    stream: impl Read,
    name: &str,
    output: &Mutex<Output>,
    console: &Console,
    progress: &Progress,
) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // A line without an end must not take all memory: it is cut.
    while matches!(
        reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line),
        Ok(1..)
    ) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        console.line(&format!("[{name}] {text}"));
        let object = text.strip_prefix("progress: ");
        if let Some(Ok(object)) = object.map(serde_json::from_str) {
            progress(object);
        }
        output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(text);
        line.clear();
    }
}

fn wait(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = sender.send(status);
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::slow;

    fn nobody() -> Progress {
        Arc::new(|_| ())
    }

    fn step(argv: &[&str], timeout_s: u64) -> Step {
        Step {
            name: "t".into(),
            argv: argv.iter().map(|a| a.to_string()).collect(),
            timeout_s,
            cwd: None,
            env: Default::default(),
        }
    }

    #[test]
    fn exit_status_output_and_results_are_reported() {
        let step = step(
            &[
                "sh",
                "-c",
                "echo hello; echo 'result: {\"a\":1}' >&2; exit 3",
            ],
            10,
        );
        let done = run(&step, nobody());
        assert_eq!((done.outcome, done.code), (Outcome::Exited, 3));
        assert!(done.output.tail.contains("hello\n"));
        assert_eq!(done.output.results, [serde_json::json!({"a": 1})]);
    }

    #[test]
    fn progress_is_told_while_the_step_runs() {
        let (sender, told) = channel();
        let progress: Progress = Arc::new(move |object| {
            let _ = sender.send((object, Instant::now()));
        });
        let script = "echo 'progress: {\"a\":1}'; echo 'progress: no object'; sleep 1";
        let done = run(&step(&["sh", "-c", script], 30), progress);
        let end = Instant::now();
        let (object, at) = told.recv().unwrap();
        assert_eq!(object, serde_json::json!({"a": 1}));
        assert!(end - at > Duration::from_millis(500));
        assert!(told.recv().is_err(), "there was one");
        assert!(done.output.results.is_empty());
    }

    #[test]
    fn a_slow_console_loses_no_result() {
        let (console, printed) = slow(Duration::from_millis(10));
        let script = "for i in $(seq 500); do echo \"result: $i\"; done";
        let step = step(&["sh", "-c", script], 30);
        let done = run_on(
            Box::leak(Box::new(console)),
            &step,
            Duration::from_secs(3),
            nobody(),
        );
        assert_eq!((done.outcome, done.code), (Outcome::Exited, 0));
        assert_eq!(done.output.results.len(), 500);
        assert_eq!(printed().lines().count(), 500, "the next step has begun");
    }

    #[test]
    fn output_that_does_not_end_is_no_success() {
        // setsid: not in the group that is killed.
        let step = step(&["sh", "-c", "setsid sleep 3 & sleep 1; echo x"], 30);
        let done = run_on(Console::host(), &step, Duration::from_secs(1), nobody());
        assert_eq!(done.outcome, Outcome::OutputOpen);
        assert!(done.output.tail.contains("x\n"));
    }

    #[test]
    fn a_step_that_hangs_is_killed_with_its_children() {
        let start = Instant::now();
        let done = run(&step(&["sh", "-c", "sleep 60 & sleep 60"], 1), nobody());
        assert_eq!(done.outcome, Outcome::Timeout);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn signals_and_missing_programs_are_told_apart() {
        let done = run(&step(&["sh", "-c", "kill -9 $$"], 10), nobody());
        assert_eq!((done.outcome, done.code), (Outcome::Signalled, 9));
        assert_eq!(
            run(&step(&["/no/such/program"], 10), nobody()).outcome,
            Outcome::NotFound
        );
    }

    #[test]
    fn the_tail_is_the_end_of_the_output() {
        let mut output = Output::default();
        for number in 0..10_000 {
            output.add(&format!("line {number} ä"));
        }
        assert!(output.tail.ends_with("line 9999 ä\n"));
        assert!(output.tail.len() <= 2 * TAIL);
    }
}
