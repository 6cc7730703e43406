// SPDX-License-Identifier: GPL-2.0
//! Configurations that people run: each is built, and booted as host and as guest.

use crate::boot;
use crate::context::Context;
use crate::error::hinted;
use crate::files;
use crate::host::Mode;
use crate::kernel::{self, Variant};
use crate::matrix;
use crate::plan::Verdict;
use crate::prepare::{Built, Spec};
use crate::progress::Step;
use crate::results::Results;
use crate::table;
use anyhow::{ensure, Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// The list, in the checkout.
const LIST: &str = "scripts/configurations.toml";
/// How the names of the tests begin.
pub const PREFIX: &str = "configuration/";

/// The modes that each is booted in: one for each world of the switch, and the one that has
/// the most code at EL2.
const MODES: [Mode; 2] = [Mode::Vhe, Mode::Protected];

/// A configuration on top of host.config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    name: String,
    options: Vec<String>,
    #[serde(default)]
    traces: bool,
    /// Why Kconfig has no Rust in KVM with these options, if so.
    #[serde(default)]
    refused: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    configuration: Vec<Configuration>,
}

/// Reads the list.
pub fn read(checkout: &Path) -> Result<Vec<Configuration>> {
    let path = checkout.join(LIST);
    let text = files::read_text(&path)?;
    let list: List = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(list.configuration)
}

/// Those that are asked for, or all if none is.
pub fn choose(all: Vec<Configuration>, names: &[String]) -> Result<Vec<Configuration>> {
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all.iter().find(|c| c.name == *name).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
            hinted(
                format!("there is no configuration {name}"),
                format!("they are: {}", known.join(" ")),
            )
        })
    };
    names.iter().map(find).collect()
}

impl Configuration {
    fn fragment(&self) -> String {
        let mut text = self.options.join("\n");
        text.push('\n');
        text
    }

    /// Whether the kernel can trace the calls of its functions, which it does then.
    fn traces_functions(&self) -> bool {
        let mut options = self.options.iter();
        options.any(|option| option == "CONFIG_FUNCTION_TRACER=y")
    }
}

/// Builds and boots `configurations`, and adds a test for each build and each host. Returns
/// the table's rows.
fn test(
    ctx: &Context,
    configurations: &[Configuration],
    results: &mut Results,
) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for configuration in configurations {
        let name = format!("{PREFIX}{}", configuration.name);
        let ctx = &Context {
            fragment: Some(configuration.fragment().into()),
            ..ctx.clone()
        };
        let mut row = vec![configuration.name.clone()];
        if configuration.refused.is_some() {
            let step = ctx.ui.step(&name);
            let refused = is_refused(ctx, &configuration.options, &name, &step);
            let (verdict, detail) = Verdict::of(refused);
            step.end(verdict.word());
            let shown = if verdict == Verdict::Passed {
                "refused"
            } else {
                "FAILED"
            };
            row.extend([shown, "-", "-"].map(str::to_owned));
            results.add(&ctx.ui, name, verdict, &detail);
            rows.push(row);
            continue;
        }
        let built = Built::new(ctx, &[Variant::Rust], false);
        let (verdict, detail) = Verdict::of_ref(&built);
        row.push(verdict.word().to_owned());
        results.add(&ctx.ui, &name, verdict, &detail);
        for mode in MODES {
            let Ok(built) = &built else {
                row.push("-".to_owned());
                continue;
            };
            let spec =
                matrix::configured(mode, configuration.traces, configuration.traces_functions());
            let name = format!("{name}@{}", mode.name());
            let step = ctx.ui.step(&name);
            let (verdict, detail) =
                Verdict::of(host(ctx, built, &spec, &configuration.name, &step));
            step.end(verdict.word());
            row.push(verdict.word().to_owned());
            results.add(&ctx.ui, name, verdict, &detail);
        }
        rows.push(row);
        drop(built);
        // All of them would not fit on most disks. The compiler's cache has what a second run
        // needs.
        if let Err(error) = kernel::discard(ctx, Variant::Rust) {
            results.add(
                &ctx.ui,
                format!("{name}/discarded"),
                Verdict::Failed(format!("{error:#}")),
                "",
            );
        }
    }
    rows
}

/// Fails unless Kconfig lets `options` be, and leaves the Rust out because of them.
fn is_refused(ctx: &Context, options: &[String], name: &str, step: &Step) -> Result<()> {
    let lost = kernel::refused(ctx, Variant::Rust, &ctx.log(name), step)?;
    let own = |lost: &&String| options.iter().any(|option| lost.starts_with(option));
    let own = lost.iter().find(own);
    ensure!(own.is_none(), "Kconfig does not let it be at all: {lost:?}");
    let rust = "CONFIG_KVM_ARM64_RUST=y";
    let is_lost = lost.iter().any(|option| option.starts_with(rust));
    ensure!(is_lost, "Kconfig lets it be, and loses {lost:?}");
    Ok(())
}

fn host(ctx: &Context, built: &Built, spec: &Spec, name: &str, step: &Step) -> Result<()> {
    let mut host = built.host(spec)?;
    host.name = format!("{name}-{}", host.name);
    boot::boot(ctx, &host, &built.programs, step)?.check(&host.plan)
}

/// `xtask configurations`: all of them, or those with these names. True if all held.
pub fn run(ctx: &Context, names: &[String]) -> Result<bool> {
    let chosen = choose(read(&ctx.checkout)?, names)?;
    ctx.ui.expect(steps_to_come(chosen.len()));
    let mut results = Results::default();
    add(ctx, &chosen, &mut results);
    println!("logs: {}", ctx.logs.display());
    println!("{}", results.summary());
    Ok(results.held())
}

/// Adds the tests of `configurations`, and prints what was built and booted.
pub fn add(ctx: &Context, configurations: &[Configuration], results: &mut Results) {
    let rows = test(ctx, configurations, results);
    let modes = MODES.map(|mode| mode.name());
    let head: Vec<&str> = ["configuration", "built"]
        .into_iter()
        .chain(modes)
        .collect();
    print!("\n{}", table::render(&head, &rows));
}

/// Steps that [`add`] takes at most: the build of each, and its hosts.
pub fn steps_to_come(configurations: usize) -> usize {
    configurations * (1 + MODES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Guests;
    use std::collections::BTreeSet;

    fn list() -> Vec<Configuration> {
        read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap()
    }

    #[test]
    fn each_of_this_repository_has_a_name_and_options() {
        let list = list();
        let names: BTreeSet<&str> = list.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), list.len());
        for configuration in &list {
            assert!(!configuration.options.is_empty(), "{configuration:?}");
            for option in &configuration.options {
                let (name, value) = option.split_once('=').unwrap();
                assert!(
                    name.starts_with("CONFIG_") && ["y", "n"].contains(&value),
                    "{option}"
                );
            }
            let fragment = configuration.fragment();
            assert_eq!(configuration.traces, fragment.contains("CONFIG_FTRACE=y\n"));
            let why = configuration.refused.as_deref();
            assert!(why.is_none_or(|why| !why.is_empty()));
        }
        // No two are the same kernel.
        let fragments: BTreeSet<String> = list.iter().map(Configuration::fragment).collect();
        assert_eq!(fragments.len(), list.len());
    }

    #[test]
    fn names_select_and_unknown_ones_list_the_known() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(choose(list(), &[]).unwrap(), list());
        let chosen = choose(list(), &names(&["kcfi", "16k-pages"])).unwrap();
        assert_eq!(
            chosen.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            ["kcfi", "16k-pages"]
        );
        let error = choose(list(), &names(&["128k-pages"])).unwrap_err();
        assert!(crate::error::hint(&error).unwrap().contains("64k-pages"));
    }

    #[test]
    fn hosts_check_the_registers_and_what_is_counted_of_them() {
        for configuration in list() {
            for mode in MODES {
                let spec = matrix::configured(
                    mode,
                    configuration.traces,
                    configuration.traces_functions(),
                );
                assert!(spec.lpa2);
                let steps = &spec.plan.steps;
                assert!(steps.iter().any(|s| Guests::of_step(&s.name).is_some()));
                let counters = steps.iter().find(|s| s.name == "fp-counters").unwrap();
                let traces = counters.argv.contains(&"--trace".to_owned());
                assert_eq!(traces, configuration.traces);
                let traces_functions =
                    |step: &crate::plan::Step| step.argv.contains(&"--trace-functions".to_owned());
                let contests = steps.iter().filter(|s| Guests::of_step(&s.name).is_some());
                let traced = contests.filter(|step| traces_functions(step)).count();
                assert_eq!(traced > 0, configuration.name == "ftrace");
            }
        }
    }
}
