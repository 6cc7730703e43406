// SPDX-License-Identifier: GPL-2.0
//! What a host is to do, and what it reports: the interface to host-init.

use crate::error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps of a host, one after the other.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// What becomes the root in the place of the initramfs.
    #[serde(skip_serializing_if = "Root::is_image")]
    pub root: Root,
    /// The steps.
    pub steps: Vec<Step>,
}

/// What becomes the root of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// An overlay over the disk image. Also where a system of its own is there already.
    #[default]
    Image,
    /// The file system on this device of the host.
    Disk(String),
}

impl Root {
    fn is_image(&self) -> bool {
        *self == Self::Image
    }
}

impl Plan {
    /// A plan of these steps, done in the disk image or a system that is there.
    pub fn of(steps: Vec<Step>) -> Self {
        Self {
            root: Root::Image,
            steps,
        }
    }
}

/// A program to run on the host.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Name in reports.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// After so many seconds the program is killed.
    pub timeout_s: u64,
    /// Folder to run in.
    pub cwd: Option<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Of a program that says how far it is: seconds that it may be silent.
    #[serde(skip)]
    pub silence_s: Option<u64>,
}

impl Step {
    /// A step that runs `argv`.
    pub fn new(name: impl Into<String>, argv: &[&str], timeout_s: u64) -> Self {
        Self {
            name: name.into(),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            timeout_s,
            cwd: None,
            env: BTreeMap::new(),
            silence_s: None,
        }
    }
}

/// A line of the host's report.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The host runs and begins with the plan.
    Up {
        /// Time since the kernel started.
        uptime_ms: u64,
        /// Which implementation of the world switch KVM says that it has, if it says so.
        world_switch: Option<String>,
    },
    /// A step begins.
    Start {
        /// Its name.
        name: String,
    },
    /// A step says how far it is.
    Progress {
        /// What it says.
        progress: serde_json::Value,
    },
    /// A step ended.
    End(End),
    /// The plan is carried out.
    Done {
        /// /proc/sys/kernel/tainted.
        tainted: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct End {
    /// Name of the step.
    pub name: String,
    /// How the program ended.
    pub outcome: Outcome,
    /// Exit status, or the signal.
    #[serde(default)]
    pub code: i32,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// The end of its output.
    #[serde(default)]
    pub output_tail: String,
    /// What the program reported for machines.
    #[serde(default)]
    pub output: Vec<serde_json::Value>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited.
    Exited,
    /// A signal ended it.
    Signalled,
    /// It took too long.
    Timeout,
    /// There is no such program.
    NotFound,
    /// It ended, but something that it left behind keeps its output open.
    OutputOpen,
}

/// Exit status of a kernel selftest that found nothing to test.
const SKIP: i32 = 4;

/// What a step's end means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It did not find what it needs, for this reason.
    Skipped(String),
    /// It failed, in this way.
    Failed(String),
}

impl Verdict {
    /// What a check that succeeds or says why not comes to, with the detail.
    pub fn of(result: anyhow::Result<()>) -> (Self, String) {
        Self::of_ref(&result)
    }

    /// As [`Self::of`], of a result that is still needed.
    pub fn of_ref<T>(result: &anyhow::Result<T>) -> (Self, String) {
        match result {
            Ok(_) => (Self::Passed, String::new()),
            Err(error) => Self::failed(error),
        }
    }

    /// What an error comes to, with the detail: what follows its first line, and
    /// what to do about it.
    pub fn failed(error: &anyhow::Error) -> (Self, String) {
        let text = format!("{error:#}");
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let mut detail = rest.to_owned();
        if let Some(hint) = error::hint(error) {
            if !detail.is_empty() && !detail.ends_with('\n') {
                detail.push('\n');
            }
            detail.push_str(&format!("    hint: {hint}\n"));
        }
        (Self::Failed(first.to_owned()), detail)
    }

    /// The word for it in progress.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "FAILED",
        }
    }
}

impl End {
    /// What it means.
    pub fn verdict(&self) -> Verdict {
        match (self.outcome, self.code) {
            (Outcome::Exited, 0) => Verdict::Passed,
            (Outcome::Exited, SKIP) => Verdict::Skipped(self.reason()),
            (Outcome::Exited, code) => Verdict::Failed(format!("exit status {code}")),
            (Outcome::Signalled, signal) => Verdict::Failed(format!("killed by signal {signal}")),
            (Outcome::Timeout, _) => {
                Verdict::Failed(format!("timeout after {:.0} s", self.seconds))
            }
            (Outcome::NotFound, _) => Verdict::Failed("the program is not in the image".to_owned()),
            (Outcome::OutputOpen, _) => Verdict::Failed(
                "ended, but its output did not: something that it started still runs".to_owned(),
            ),
        }
    }

    /// The line of the output that says why it skipped.
    fn reason(&self) -> String {
        let line = self
            .output_tail
            .lines()
            .rev()
            .find(|l| l.to_ascii_lowercase().contains("skip"));
        let line = line.or_else(|| {
            self.output_tail
                .lines()
                .rev()
                .find(|l| !l.trim().is_empty())
        });
        let text = line.unwrap_or("no reason given").trim();
        match text.split_once("SKIP") {
            Some((_, rest)) if !rest.trim_matches([' ', '-', ':']).is_empty() => {
                rest.trim_matches([' ', '-', ':']).to_owned()
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(line: &str) -> End {
        match serde_json::from_str(line).unwrap() {
            Event::End(end) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_reports() {
        let up: Event = serde_json::from_str(
            r#"{"event":"up","uptime_ms":1500,"kernel":"7.3.4","cpus":2,"world_switch":"C"}"#,
        )
        .unwrap();
        assert!(matches!(
            up,
            Event::Up {
                uptime_ms: 1500,
                ..
            }
        ));
        let done: Event = serde_json::from_str(r#"{"event":"done","tainted":512}"#).unwrap();
        assert!(matches!(done, Event::Done { tainted: 512 }));
        let progress = r#"{"event":"progress","name":"x","progress":{"a":1}}"#;
        match serde_json::from_str(progress).unwrap() {
            Event::Progress { progress } => assert_eq!(progress["a"], 1),
            other => panic!("{other:?}"),
        }
        let base = r#"{"event":"end","name":"x","outcome":"exited","code":CODE,"seconds":1.5,"output_tail":"TAIL","output":[{"a":1}]}"#;
        let with = |code: &str, tail: &str| end(&base.replace("CODE", code).replace("TAIL", tail));
        assert_eq!(with("0", "").verdict(), Verdict::Passed);
        assert_eq!(with("0", "").output[0]["a"], 1);
        assert_eq!(
            with("1", "").verdict(),
            Verdict::Failed("exit status 1".into())
        );
        assert_eq!(
            with("4", "1..0 # SKIP - KVM_CAP_ARM_EL2 not available\\n").verdict(),
            Verdict::Skipped("KVM_CAP_ARM_EL2 not available".into())
        );
        let lost = end(
            r#"{"event":"end","name":"x","outcome":"not_found","code":-1,"seconds":0,"output_tail":"","output":[]}"#,
        );
        assert!(matches!(lost.verdict(), Verdict::Failed(_)));
        let open = end(r#"{"event":"end","name":"x","outcome":"output_open"}"#);
        assert!(matches!(open.verdict(), Verdict::Failed(_)));
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let (verdict, detail) = Verdict::of(Err(error::hinted("bad\nline 2", "mend it")));
        assert_eq!(verdict, Verdict::Failed("bad".into()));
        assert_eq!(detail, "line 2\n    hint: mend it\n");
        let (verdict, detail) = Verdict::of(Err(anyhow::anyhow!("bad")));
        assert_eq!((verdict.word(), detail.as_str()), ("FAILED", ""));
        assert_eq!(Verdict::of(Ok(())), (Verdict::Passed, String::new()));
    }

    #[test]
    fn plan_is_what_host_init_reads() {
        let plan = Plan::of(vec![Step::new("kvm/x", &["/bin/x", "-a"], 60)]);
        assert_eq!(
            serde_json::to_string(&plan).unwrap(),
            r#"{"steps":[{"name":"kvm/x","argv":["/bin/x","-a"],"timeout_s":60,"cwd":null,"env":{}}]}"#
        );
    }
}
