// SPDX-License-Identifier: GPL-2.0
//! Results of what is not part of `make test`, as other commands leave them in
//! the cache folder: mutations and the soak.

use crate::error::hinted;
use crate::mutation::{self, HostsReport};
use crate::soak;
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What mutations of the code came to: each must make a test fail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mutation {
    /// When.
    pub date: String,
    /// Of which commit.
    pub commit: String,
    /// Those that a test noticed.
    pub killed: u64,
    /// Those that none did.
    pub survived: u64,
    /// Those that do not compile.
    pub unviable: u64,
    /// The ones that survived.
    pub survivors: Vec<Survivor>,
    /// The same numbers of each file.
    pub files: Vec<MutatedFile>,
}

/// A mutation that no test noticed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Survivor {
    /// Where.
    pub file: String,
    /// In which function.
    pub function: String,
    /// What was changed.
    pub mutation: String,
    /// Why that need not be noticed, if somebody has found out.
    pub reason: Option<String>,
}

/// The mutations of a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MutatedFile {
    /// Which.
    pub file: String,
    /// Those that a test noticed.
    pub killed: u64,
    /// Those that none did.
    pub survived: u64,
}

/// What hosts came to that worked at length.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Soak {
    /// When.
    pub date: String,
    /// Of which commit.
    pub commit: String,
    /// What makes the same again.
    pub seed: u64,
    /// In each mode.
    pub modes: Vec<Soaked>,
}

/// A host that worked at length.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Soaked {
    /// How KVM ran.
    pub mode: String,
    /// How long.
    pub seconds: u64,
    /// Guests that were run.
    pub guests: u64,
    /// Entries to guests.
    pub vcpu_runs: u64,
    /// Checks of registers.
    pub checks: u64,
    /// Those that found something else.
    pub corruptions: u64,
    /// Warnings of the kernel.
    pub warnings: u64,
    /// CPUs that went and came.
    pub hotplugs: u64,
    /// Signals to vCPUs.
    pub signals: u64,
    /// Failures that were injected.
    pub faults_injected: u64,
}

impl Soak {
    /// All modes together.
    pub fn all(&self) -> Soaked {
        let sum = |of: fn(&Soaked) -> u64| self.modes.iter().map(of).sum();
        Soaked {
            mode: "all".to_owned(),
            seconds: sum(|soaked| soaked.seconds),
            guests: sum(|soaked| soaked.guests),
            vcpu_runs: sum(|soaked| soaked.vcpu_runs),
            checks: sum(|soaked| soaked.checks),
            corruptions: sum(|soaked| soaked.corruptions),
            warnings: sum(|soaked| soaked.warnings),
            hotplugs: sum(|soaked| soaked.hotplugs),
            signals: sum(|soaked| soaked.signals),
            faults_injected: sum(|soaked| soaked.faults_injected),
        }
    }
}

impl Mutation {
    /// Those that `folder` has.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read(&folder.join(mutation::REPORT), super::MUTATION_COMMAND)
    }
}

/// What hosts noticed of mutations, if `folder` has that.
pub fn mutation_on_hosts(folder: &Path) -> Result<Option<HostsReport>> {
    let command = super::MUTATION_HOSTS_COMMAND;
    read(&folder.join(mutation::HOSTS_REPORT), command)
}

impl Soak {
    /// The one that `folder` has.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read(&folder.join(soak::RECORD), super::SOAK_COMMAND)
    }
}

/// What is in a file that `command` writes, if it was run.
fn read<T: DeserializeOwned>(path: &Path, command: &str) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|error| {
        hinted(
            format!("{} is not right: {error}", path.display()),
            format!("{command} writes it anew; without the file the page says that it was not run"),
        )
    });
    parsed.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_run_is_not_there_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Mutation::read(dir.path()).unwrap(), None);
        assert_eq!(Soak::read(dir.path()).unwrap(), None);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
        let mutation = Mutation::read(&sample).unwrap().unwrap();
        assert_eq!(mutation.survived as usize, mutation.survivors.len());
        assert_eq!(mutation_on_hosts(dir.path()).unwrap(), None);
        let on_hosts = mutation_on_hosts(&sample).unwrap().unwrap();
        assert_eq!((on_hosts.killed(), on_hosts.viable()), (36, 44));
        let soak = Soak::read(&sample).unwrap().unwrap();
        assert_eq!((soak.modes.len(), soak.all().warnings), (2, 1));
        fs::write(dir.path().join("soak.json"), "{\"date\":\"\"}").unwrap();
        let error = Soak::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("missing field"), "{error}");
        assert!(crate::error::hint(&error).is_some());
    }
}
