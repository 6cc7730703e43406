// SPDX-License-Identifier: GPL-2.0
//! What the exploration of selftests/simulated-cpu says that it came to.

use crate::context::Context;
use crate::table;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;

/// The variable that names the file to its tests.
pub const VARIABLE: &str = "KVM_RUST_EXPLORED";

/// That file, of this run.
pub fn file(ctx: &Context) -> PathBuf {
    ctx.logs.join("explored.jsonl")
}

/// An exploration, by a line of the file.
#[derive(Debug, Deserialize)]
struct Explored {
    machine: String,
    states: u64,
    depth: u64,
    steps: u64,
    violations: u64,
    seconds: f64,
}

/// The explorations of this run, as a table; None if there were none.
pub fn table(ctx: &Context) -> Result<Option<String>> {
    let path = file(ctx);
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(None);
    };
    let mut all = parse(&text).with_context(|| format!("{} is not right", path.display()))?;
    all.sort_by(|a, b| a.machine.cmp(&b.machine));
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
    Ok(Some(table::render(&head, &rows)))
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
