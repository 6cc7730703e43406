// SPDX-License-Identifier: GPL-2.0
//! How much the series changes of what the kernel has.

use crate::table;

/// So many lines of C and Kbuild may change.
const MOST: usize = 300;

/// Lines of C and Kbuild that change, by file.
pub struct Lines(Vec<(String, usize)>);

/// True for what is neither Rust nor for readers only.
fn is_counted(path: &str) -> bool {
    !(path.ends_with(".rs") || path.starts_with("Documentation/") || path == "MAINTAINERS")
}

impl Lines {
    /// Of all files that `changed` names, those that count.
    pub fn of(changed: &[(String, usize)]) -> Self {
        let counted = changed.iter().filter(|(path, _)| is_counted(path));
        Self(counted.cloned().collect())
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.0.iter().map(|(_, lines)| lines).sum()
    }

    /// What is wrong, if they are too many.
    pub fn too_many(&self) -> Option<String> {
        let total = self.total();
        (total > MOST).then(|| {
            format!("{total} lines of C and Kbuild change outside of the folders of the series: {MOST} at most")
        })
    }

    /// The files, and how many lines of each.
    pub fn table(&self) -> String {
        let mut rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|(path, lines)| vec![path.clone(), lines.to_string()])
            .collect();
        rows.push(vec![
            format!("all: {MOST} at most"),
            self.total().to_string(),
        ]);
        table::render(&["lines of C and Kbuild that change", "+ and -"], &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_and_kbuild_count_up_to_the_limit() {
        let of = |makefile| {
            Lines::of(&[
                ("arch/arm64/kvm/Makefile".to_owned(), makefile),
                ("rust/.gitignore".to_owned(), 2),
                ("arch/arm64/kvm/arm.c".to_owned(), 8),
                ("rust/kernel/lib.rs".to_owned(), 1000),
                ("Documentation/virt/kvm/api.rst".to_owned(), 1000),
                ("MAINTAINERS".to_owned(), 1000),
            ])
        };
        assert_eq!(of(10).total(), 20);
        assert_eq!(of(290).too_many(), None);
        let wrong = of(291).too_many().unwrap();
        assert!(wrong.starts_with("301 lines"), "{wrong}");
    }
}
