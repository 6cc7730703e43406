// SPDX-License-Identifier: GPL-2.0
//! Deliberate defects that the KUnit tests must find. Their names are read
//! from the sources that define them.

use crate::files;
use crate::plan::Step;
use anyhow::{ensure, Result};
use std::path::Path;

const SOURCE: &str = "arch-arm64-kvm/faults.rs";
/// Start of the names of fault steps.
pub const PREFIX: &str = "fault:";

/// Names in the `selectable! { ... Variant = "name", ... }` of `text`.
fn parse(text: &str) -> Vec<String> {
    let Some((_, list)) = text.split_once("\nselectable! {") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.starts_with('}'))
        .filter_map(|line| {
            let (variant, value) = line.trim().split_once(" = \"")?;
            let name = value.strip_suffix("\",")?;
            (!variant.contains("//")).then(|| name.to_owned())
        })
        .collect()
}

/// The names of all faults.
pub fn names(checkout: &Path) -> Result<Vec<String>> {
    names_in(&checkout.join(SOURCE))
}

/// The names of what the kernel source at `path` lets tests switch on.
pub fn names_in(path: &Path) -> Result<Vec<String>> {
    let text = files::read_text(path)?;
    let names = parse(&text);
    ensure!(
        !names.is_empty(),
        "{} has no selectable! with names in it",
        path.display()
    );
    Ok(names)
}

/// A step that succeeds if the KUnit tests fail with the fault switched on.
pub fn step(name: &str) -> Step {
    Step::new(
        format!("{PREFIX}{name}"),
        &["/kvm-rust/bin/kunit", "--fault", name],
        120,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_source() {
        let text = "use selectable;\n\nselectable! {\n    /// Of faults.\n    enum F {\n        /// Says a = \"b\",\n        A = \"a_b\",\n        B = \"c\",\n    }\n}\n\nC = \"no\",\n";
        assert_eq!(parse(text), ["a_b", "c"]);
        assert!(parse("nothing").is_empty());
    }

    #[test]
    fn this_repository_has_them() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(names(checkout).unwrap().len() >= 8);
    }
}
