// SPDX-License-Identifier: GPL-2.0
//! What the exploration of selftests/simulated-cpu says that it came to.

use crate::context::Context;
use crate::files;
use crate::table;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// The variable that names the file to its tests.
pub const VARIABLE: &str = "KVM_RUST_EXPLORED";

/// How the names of such files begin.
const BEGIN: &str = "explored-";

/// That file, of the check `name` in this run.
pub fn file(ctx: &Context, name: &str) -> PathBuf {
    let name = name.replace('/', "-");
    ctx.logs.join(format!("{BEGIN}{name}.jsonl"))
}

/// What the check `name` wrote there, if it did.
pub fn written(ctx: &Context, name: &str) -> Result<String> {
    let path = file(ctx, name);
    if !path.exists() {
        return Ok(String::new());
    }
    files::read_text(&path)
}

/// An exploration, by a line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explored {
    /// The world of the switch, and what its CPUs have.
    pub machine: String,
    /// Different states that were reached.
    pub states: u64,
    /// The most actions that it takes to reach one.
    pub depth: u64,
    /// How often the code was executed.
    pub steps: u64,
    /// States that are wrong.
    pub violations: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The explorations of this run.
pub fn read(ctx: &Context) -> Result<Vec<Explored>> {
    let logs =
        fs::read_dir(&**ctx.logs).with_context(|| format!("cannot read {}", ctx.logs.display()))?;
    let mut all = Vec::new();
    for entry in logs.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(BEGIN) {
            continue;
        }
        let path = entry.path();
        let text = files::read_text(&path)?;
        all.extend(parse(&text).with_context(|| format!("{} is not right", path.display()))?);
    }
    all.sort_by(|a, b| a.machine.cmp(&b.machine));
    Ok(all)
}

/// Explorations for people.
pub fn table(all: &[Explored]) -> String {
    let head = [
        "explored",
        "states",
        "depth",
        "steps of the code",
        "violations",
        "time",
    ];
    let row = |e: &Explored| {
        vec![
            e.machine.clone(),
            e.states.to_string(),
            e.depth.to_string(),
            e.steps.to_string(),
            e.violations.to_string(),
            format!("{:.1} s", e.seconds),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table::render(&head, &rows)
}

fn parse(text: &str) -> Result<Vec<Explored>> {
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_explorations() {
        let line = "{\"machine\":\"VHE SVE\",\"states\":27194,\"depth\":51,\"steps\":8253,\
                    \"violations\":0,\"seconds\":1.2}";
        let all = parse(&format!("{line}\n{line}\n")).unwrap();
        assert_eq!((all.len(), all[1].states, all[0].depth), (2, 27194, 51));
        assert!(parse("{\"machine\":\"VHE\"}\n").is_err());
    }
}
