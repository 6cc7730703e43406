// SPDX-License-Identifier: GPL-2.0
//! `scripts/xtask rust-analyzer`: what rust-analyzer needs to know of the kernel code.
//!
//! The kernel's own `make rust-analyzer` knows the crates of `rust/`, and further ones in
//! `drivers/` and `samples/` only. Ours are added here, with the files of this checkout.

use crate::context::Context;
use crate::kernel::{self, Kernel, Variant};
use crate::{files, objects, process, source, tree};
use anyhow::{Context as _, Result};
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// Name of the file.
const NAME: &str = "rust-project.json";
/// The crates that ours are compiled with, besides those of [`LIBRARY`].
const WITH: [&str; 4] = ["kernel", "pin_init", "zerocopy", "zerocopy_derive"];
/// The sources of Rust's own crates, in the folder of the compiler.
const LIBRARY: &str = "lib/rustlib/src/rust/library";
/// The one whose configuration is the kernel's.
const KERNEL: &str = "kernel";

/// Writes the file for the kernel with Rust into the checkout, where rust-analyzer looks for it,
/// and returns where it is.
pub fn write(ctx: &Context) -> Result<PathBuf> {
    let kernel = kernel::build(ctx, Variant::Rust)?;
    let step = ctx.ui.step(NAME);
    let text = of_the_kernel(ctx, &kernel)?;
    let project = serde_json::from_str(&text).context("the kernel's is not as expected")?;
    // The paths of tools are those in their root.
    let root = std::env::var("KVM_RUST_TOOL_ROOT").unwrap_or_default();
    let project = with_ours(project, &ctx.checkout, &root)?;
    let path = ctx.checkout.join(NAME);
    let mut text = serde_json::to_string_pretty(&project)?;
    text.push('\n');
    files::write_atomic(&path, text.as_bytes())?;
    step.end("written");
    Ok(path)
}

fn of_the_kernel(ctx: &Context, kernel: &Kernel) -> Result<String> {
    let tree = tree::prepare(ctx, &source::find(ctx)?)?;
    let log = ctx.log("rust-analyzer");
    let step = ctx.ui.step("the kernel's own");
    let mut make = kernel::make(ctx, &tree.path, kernel.folder());
    process::run(make.arg("rust-analyzer"), &log, &step)?;
    step.end("written");
    files::read_text(&kernel.folder().join(NAME))
}

/// `project` with our crates, and with the sources of Rust's own crates below `root`.
///
/// rust-analyzer looks for what primitive types can do in the crates of `sysroot_src` alone, and
/// gives these to each crate (rust-analyzer pull request 21282). Linux 7.3 lists them among its
/// own, where they are others: nothing may depend on those.
fn with_ours(mut project: Value, checkout: &Path, root: &str) -> Result<Value> {
    let sysroot = project["sysroot"].as_str();
    let sysroot = below(root, sysroot.context("the kernel names no sysroot")?);
    let library = format!("{sysroot}/{LIBRARY}");
    project["sysroot"] = sysroot.into();
    project["sysroot_src"] = library.into();
    let crates = project["crates"].as_array_mut();
    let crates = crates.context("the kernel names no crates")?;
    let mut of_library = Vec::new();
    for (index, each) in crates.iter_mut().enumerate() {
        let path = each["root_module"].as_str().unwrap_or_default();
        if path.contains(LIBRARY) {
            each["root_module"] = below(root, path).into();
            of_library.push(index as u64);
        }
    }
    for each in &mut *crates {
        let Some(deps) = each["deps"].as_array_mut() else {
            continue;
        };
        // What the kernel tells rustc by the command line.
        let is_of_the_kernel = !deps.iter().any(|dep| dep["name"] == "std");
        deps.retain(|dep| {
            let index = dep["crate"].as_u64();
            !index.is_some_and(|index| of_library.contains(&index))
        });
        if is_of_the_kernel && each["is_proc_macro"] != true {
            each["crate_attrs"] = no_std();
        }
    }
    let index = |name: &str| {
        let found = crates.iter().position(|it| it["display_name"] == name);
        found.with_context(|| format!("the kernel names no crate {name}"))
    };
    let cfg = crates[index(KERNEL)?]["cfg"].clone();
    let deps = WITH.map(|name| Ok(json!({"crate": index(name)?, "name": name})));
    let deps: Vec<Value> = deps.into_iter().collect::<Result<_>>()?;
    for path in objects::roots() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        crates.push(json!({
            "display_name": name,
            "root_module": checkout.join(&path),
            "is_workspace_member": true,
            "deps": deps,
            "cfg": cfg,
            "crate_attrs": no_std(),
            "edition": "2021",
            "env": {"RUST_MODFILE": "This is only for rust-analyzer"},
        }));
    }
    Ok(project)
}

fn no_std() -> Value {
    json!(["no_std"])
}

fn below(root: &str, path: &str) -> String {
    format!("{}{path}", root.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels() -> Value {
        let named = |name: &str, root: &str| json!({"display_name": name, "root_module": root});
        let mut crates: Vec<Value> = ["pin_init", "zerocopy", "zerocopy_derive"]
            .map(|name| named(name, "/tree/rust/x.rs"))
            .into();
        crates.push(named(
            "core",
            "/usr/lib/rustlib/src/rust/library/core/src/lib.rs",
        ));
        let mut kernel = named("kernel", "/tree/rust/kernel/lib.rs");
        kernel["cfg"] = json!(["CONFIG_KVM"]);
        kernel["deps"] = json!([{"crate": 0, "name": "pin_init"}, {"crate": 3, "name": "core"}]);
        crates.push(kernel);
        let mut macros = named("macros", "/tree/rust/macros/lib.rs");
        macros["is_proc_macro"] = true.into();
        macros["deps"] = json!([{"crate": 3, "name": "core"}]);
        crates.push(macros);
        json!({"crates": crates, "sysroot": "/usr"})
    }

    #[test]
    fn our_crates_have_what_the_kernels_have() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let project = with_ours(kernels(), checkout, "").unwrap();
        let crates = project["crates"].as_array().unwrap();
        for name in ["kvm_arm64", "kvm_arm64_nvhe", "fp_kunit", "neon_softirq"] {
            let found = crates.iter().find(|it| it["display_name"] == name);
            let found = found.unwrap_or_else(|| panic!("no {name}"));
            assert!(Path::new(found["root_module"].as_str().unwrap()).is_file());
            assert_eq!(found["cfg"], json!(["CONFIG_KVM"]));
            let deps = found["deps"].as_array().unwrap();
            for dep in deps {
                let index = dep["crate"].as_u64().unwrap() as usize;
                assert_eq!(crates[index]["display_name"], dep["name"]);
            }
            assert_eq!(deps.len(), WITH.len());
            assert_eq!(found["crate_attrs"], json!(["no_std"]));
        }
    }

    #[test]
    fn rusts_own_crates_are_those_that_rust_analyzer_takes_for_them() {
        let project = with_ours(kernels(), Path::new("/checkout"), "/root").unwrap();
        let library = "/root/usr/lib/rustlib/src/rust/library";
        assert_eq!(project["sysroot_src"], library);
        let [.., kernel, macros] = &project["crates"].as_array().unwrap()[..6] else {
            panic!("fewer crates than before");
        };
        assert_eq!(kernel["deps"], json!([{"crate": 0, "name": "pin_init"}]));
        assert_eq!(kernel["crate_attrs"], json!(["no_std"]));
        assert_eq!(macros["deps"], json!([]));
        assert_eq!(macros["crate_attrs"], Value::Null, "it runs on the machine");
    }

    #[test]
    fn the_standard_library_is_where_the_tools_are() {
        let project = with_ours(kernels(), Path::new("/checkout"), "/root/").unwrap();
        assert_eq!(project["sysroot"], "/root/usr");
        let modules = project["crates"].as_array().unwrap().iter();
        let modules: Vec<&str> = modules
            .map(|it| it["root_module"].as_str().unwrap())
            .collect();
        assert!(modules.contains(&"/root/usr/lib/rustlib/src/rust/library/core/src/lib.rs"));
        assert!(modules.contains(&"/tree/rust/kernel/lib.rs"));
    }

    #[test]
    fn another_list_of_crates_is_an_error() {
        let none = json!({"crates": [], "sysroot": "/usr"});
        let error = with_ours(none, Path::new("/"), "").unwrap_err();
        assert!(error.to_string().contains("no crate kernel"));
    }
}
