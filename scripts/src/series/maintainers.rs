// SPDX-License-Identifier: GPL-2.0
//! Whether the kernel's list of maintainers has what the series adds. checkpatch
//! only asks whether it needs an update, at each patch that adds a file.

/// Those of `paths` that no line of the list `text` names, alone or with a folder
/// above it. Patterns that match across the tree are for nobody in particular.
pub fn without<'a>(text: &str, paths: &'a [String]) -> Vec<&'a str> {
    let named: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("F:").map(str::trim))
        .collect();
    let is_named = |path: &str| {
        named.iter().any(|name| match name.ends_with('/') {
            true => path.starts_with(name),
            false => path == *name,
        })
    };
    let paths = paths.iter().map(String::as_str);
    paths.filter(|path| !is_named(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn files_and_folders_are_found() {
        let text =
            "KVM\nM:\tA <a@b>\nF:\tarch/arm64/kvm/\nF:\trust/a.rs\n\nTHE REST\nF:\t*\nF:\t*/\n";
        let paths = [
            "arch/arm64/kvm/rust/x.rs",
            "rust/a.rs",
            "rust/a.rs2",
            "lib/x.c",
        ];
        let paths = paths.map(str::to_owned);
        assert_eq!(without(text, &paths), ["rust/a.rs2", "lib/x.c"]);
    }
}
