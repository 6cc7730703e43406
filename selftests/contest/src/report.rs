// SPDX-License-Identifier: GPL-2.0

//! What guest-init reports, line by line on the guest's console.

use serde::Deserialize;

/// A report.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Report {
    /// The guest has reached userspace.
    Boot {},
    /// A register did not keep its value.
    Corruption {
        /// Number of the thread that found it.
        thread: u64,
        /// The register.
        register: String,
        /// What was loaded.
        expected: String,
        /// What was found.
        found: String,
        /// Whose value was found, where that can be told.
        owner: Option<String>,
    },
    /// The check of the FP registers is over.
    Fp {
        /// Comparisons of all registers.
        checks: u64,
        /// Comparisons that found a difference.
        corruptions: u64,
    },
    /// The guest cannot go on.
    Error {
        /// Why.
        message: String,
    },
    /// All is done, the guest powers off.
    Done,
}

/// A line of a guest's console.
pub enum Line {
    /// A report.
    Report(Report),
    /// What else is printed there.
    Other(String),
}

/// Reads a line.
pub fn parse(text: &str) -> Line {
    match text.strip_prefix("guest: ").map(serde_json::from_str) {
        Some(Ok(report)) => Line::Report(report),
        _ => Line::Other(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_told_from_other_lines() {
        let line = r#"guest: {"event":"fp","seconds":1,"threads":2,"checks":7,"corruptions":1}"#;
        assert!(matches!(
            parse(line),
            Line::Report(Report::Fp {
                checks: 7,
                corruptions: 1
            })
        ));
        assert!(matches!(
            parse(r#"guest: {"event":"done"}"#),
            Line::Report(Report::Done)
        ));
        assert!(matches!(parse("[    0.1] guest: x"), Line::Other(_)));
        let boot = r#"guest: {"event":"boot","uptime_ms":5,"cpus":1,"sve_vl":0}"#;
        assert!(matches!(parse(boot), Line::Report(Report::Boot {})));
    }
}
