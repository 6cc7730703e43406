// SPDX-License-Identifier: GPL-2.0
//! Fragments of kernel configurations, and whether they came out as asked.

/// A line of a fragment: option and value.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|l| l.starts_with("CONFIG_"))
        .filter_map(|l| l.trim_end().split_once('='))
}

/// The lines of `fragment` that `config`, a .config, does not have. A later
/// line of the fragment for the same option wins, as it does in Kconfig.
pub fn lost(fragment: &str, config: &str) -> Vec<String> {
    let found: std::collections::HashMap<&str, &str> = settings(config).collect();
    let wanted: std::collections::BTreeMap<&str, &str> = settings(fragment).collect();
    wanted
        .into_iter()
        .filter(|(option, value)| match found.get(option) {
            Some(found) => found != value,
            None => *value != "n",
        })
        .map(|(option, value)| match found.get(option) {
            Some(found) => format!("{option}={value} (came out as {found})"),
            None => format!("{option}={value}"),
        })
        .collect()
}

/// Options of our own, in which variants of the kernel differ.
const OURS: &str = "CONFIG_KVM_ARM64_RUST";

/// The lines of `fragment` that say nothing of our own code.
pub fn common(fragment: &str) -> Vec<String> {
    let lines = settings(fragment).filter(|(option, _)| !option.starts_with(OURS));
    lines
        .map(|(option, value)| format!("{option}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{common, lost};

    #[test]
    fn variants_differ_in_our_own_options() {
        let rust = "# text\nCONFIG_HZ_250=y\nCONFIG_KVM_ARM64_RUST=y\n";
        let faults = format!("{rust}CONFIG_KVM_ARM64_RUST_FAULTS=y\n");
        assert_eq!(common(rust), ["CONFIG_HZ_250=y"]);
        assert_eq!(common(rust), common(&faults));
        assert_ne!(common(rust), common("CONFIG_HZ_100=y\n"));
    }

    #[test]
    fn every_lost_option_is_named() {
        let fragment = "# text\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=y\nCONFIG_D=8\nCONFIG_E=n\nCONFIG_F=y\nCONFIG_F=n\n";
        let config =
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=4\nCONFIG_E=y\n# CONFIG_F is not set\n";
        assert_eq!(
            lost(fragment, config),
            [
                "CONFIG_C=y",
                "CONFIG_D=8 (came out as 4)",
                "CONFIG_E=n (came out as y)"
            ]
        );
        assert!(lost("CONFIG_A=y\n", config).is_empty());
    }
}
