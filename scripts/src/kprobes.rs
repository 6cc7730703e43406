// SPDX-License-Identifier: GPL-2.0
//! That functions cannot be probed which run, under VHE, while exceptions go to the hypervisor's
//! vectors: a kprobe is an exception there that nobody expects. The hypervisor's object is not the
//! kernel's to probe.

use crate::compile::{FOLDER, KERNEL};
use crate::error::hinted;
use crate::kernel::Kernel;
use anyhow::{ensure, Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};
use std::collections::BTreeSet;
use std::fs;

/// Name of the test.
pub const TEST: &str = "kprobes/vhe";
/// Where the functions are that run there.
const MODULES: [&str; 2] = ["kvm_arm64::hyp::", "kvm_arm64::vhe::"];
/// The list that the kernel reads at boot.
const LIST: &str = "_kprobe_blacklist";
/// Those in [`MODULES`] that run while exceptions go to the kernel's vectors, and when.
const MAY_BE_PROBED: [(&str, &str); 3] = [
    (
        "kvm_arm64::hyp::traps::save_constants",
        "when the first vCPU is loaded on a CPU",
    ),
    (
        "kvm_arm64::hyp::view::features::",
        "when a vCPU is loaded whose features have changed",
    ),
    (
        "kvm_arm64::hyp::view::vm::",
        "when a vCPU is loaded whose MIDR_EL1 userspace has set",
    ),
];

/// Fails unless all of them are on the list of `kernel`, which has kprobes.
pub fn check(kernel: &Kernel) -> Result<()> {
    kernel.check_is_there()?;
    let path = kernel.folder().join(FOLDER).join(KERNEL.file);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (functions, listed) =
        read(&bytes).with_context(|| format!("{} is not as expected", path.display()))?;
    judge(&functions, &listed)
}

/// The functions of [`MODULES`] and those on the list, by their paths.
fn read(object: &[u8]) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let file = object::File::parse(object)?;
    let defined = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    let functions = defined.filter_map(|symbol| Some(path(symbol.name().ok()?)));
    let functions = functions.filter(|path| MODULES.iter().any(|module| path.starts_with(module)));
    let list = file.section_by_name(LIST);
    let list = list.with_context(|| format!("there is no {LIST}: is CONFIG_KPROBES set?"))?;
    let targets = list.relocations().map(|(_, relocation)| {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            anyhow::bail!("an entry of {LIST} is no function");
        };
        Ok(path(file.symbol_by_index(index)?.name()?))
    });
    let listed = targets.collect::<Result<_>>()?;
    Ok((functions.collect(), listed))
}

/// The path of the function that `symbol` is.
fn path(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

fn judge(functions: &BTreeSet<String>, listed: &BTreeSet<String>) -> Result<()> {
    ensure!(!functions.is_empty(), "there are no such functions");
    let may = |path: &String| {
        let mut begins = MAY_BE_PROBED.iter();
        begins.any(|(begin, _)| path.trim_start_matches('<').starts_with(begin))
    };
    let missing: Vec<&str> = functions
        .iter()
        .filter(|path| !listed.contains(*path) && !may(path))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(hinted(
        format!(
            "a probe can be in what runs with the hypervisor's vectors: {}",
            missing.join(", ")
        ),
        "add it to nokprobe! in arch-arm64-kvm/kvm_arm64.rs, or have it inlined",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use std::path::Path;

    /// A tracer may fault, which is an exception that nobody expects, too.
    #[test]
    fn what_cannot_be_probed_cannot_be_traced_either() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let patches = fs::read_dir(scripts.join("../patches")).unwrap();
        let mut marked = 0;
        for entry in patches {
            let text = files::read_text(&entry.unwrap().path()).unwrap();
            for line in text.lines() {
                let name = line.strip_prefix("+NOKPROBE_SYMBOL(");
                let Some(name) = name.and_then(|rest| rest.strip_suffix(");")) else {
                    continue;
                };
                marked += 1;
                let is_its = |line: &str| {
                    line.starts_with('+')
                        && line.contains("notrace ")
                        && line.contains(&format!(" {name}("))
                };
                assert!(text.lines().any(is_its), "{name} can be traced");
            }
        }
        assert!(marked > 0);
    }

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn what_is_not_on_the_list_is_named() {
        let functions = set(&[
            "kvm_arm64::hyp::pstate::from_above_el1",
            "kvm_arm64::vhe::traps::compute_hcr",
            "<kvm_arm64::hyp::view::features::Features>::renew::<Vhe>",
        ]);
        let all = set(&[
            "kvm_arm64::hyp::pstate::from_above_el1",
            "kvm_arm64::vhe::traps::compute_hcr",
        ]);
        judge(&functions, &all).unwrap();
        let error = judge(&functions, &set(&["kvm_arm64::vhe::traps::compute_hcr"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(": kvm_arm64::hyp::pstate::from_above_el1"),
            "{error}"
        );
        assert!(judge(&set(&[]), &all).is_err());
    }

    /// Helpers that are only called with the kernel's own vectors.
    const WITH_THE_KERNELS_VECTORS: [&str; 15] = [
        "clear_thread_flag",
        "irqs_disabled",
        "kvm_run_vcpu_at_el2",
        "local_daif_mask",
        "local_daif_restore",
        "may_use_simd",
        "preempt_disable",
        "preempt_enable",
        "read_svcr",
        "set_thread_flag",
        "sve_max_virtualisable_vl",
        "sve_max_vl",
        "sve_vq_available",
        "test_thread_flag",
        "this_cpu_fpsimd_last_state",
    ];

    /// Kernels of the tests have them inlined.
    #[test]
    fn helpers_are_on_the_list_where_they_are_functions() {
        let helpers = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust/helpers");
        let mut open = Vec::new();
        for file in ["kvm_arm64.c", "preempt.c"] {
            let text = fs::read_to_string(helpers.join(file)).unwrap();
            for line in text
                .lines()
                .filter(|line| line.starts_with("__rust_helper "))
            {
                let (_, name) = line.split_once("rust_helper_").unwrap();
                let (name, _) = name.split_once('(').unwrap();
                if !text.contains(&format!("NOKPROBE_SYMBOL(rust_helper_{name});")) {
                    open.push(name.to_owned());
                }
            }
        }
        open.sort();
        assert_eq!(open, WITH_THE_KERNELS_VECTORS);
    }

    #[test]
    fn symbols_are_read_as_paths() {
        assert_eq!(
            path("_RNvNtNtCsaE4nPQYlo8G_9kvm_arm643hyp6pstate14from_above_el1"),
            "kvm_arm64::hyp::pstate::from_above_el1"
        );
        assert_eq!(path("__kvm_vcpu_run"), "__kvm_vcpu_run");
    }
}
