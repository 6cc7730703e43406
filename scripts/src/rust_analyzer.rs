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
/// The crates that ours are compiled with.
const WITH: [&str; 5] = ["core", "kernel", "pin_init", "zerocopy", "zerocopy_derive"];
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

/// `project` with our crates, and with the sources of the standard library below `root`.
fn with_ours(mut project: Value, checkout: &Path, root: &str) -> Result<Value> {
    for key in ["sysroot", "sysroot_src"] {
        if let Some(path) = project[key].as_str() {
            project[key] = below(root, path).into();
        }
    }
    let crates = project["crates"].as_array_mut();
    let crates = crates.context("the kernel names no crates")?;
    for each in &mut *crates {
        let path = each["root_module"].as_str().unwrap_or_default();
        // In a folder of the compiler's, not in that of the kernel.
        if path.contains("/lib/rustlib/") {
            each["root_module"] = below(root, path).into();
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
            "edition": "2021",
            "env": {"RUST_MODFILE": "This is only for rust-analyzer"},
        }));
    }
    Ok(project)
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
        crates.push(kernel);
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
        }
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
        let error = with_ours(json!({"crates": []}), Path::new("/"), "").unwrap_err();
        assert!(error.to_string().contains("no crate kernel"));
    }
}
