// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::version;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use walkdir::WalkDir;

/// A checkout and a tree to put it into.
struct Case {
    dir: TempDir,
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const KCONFIG: &str = "menu\nconfig A\n\tbool\n\nconfig B\n\tbool\n\nendmenu\n";
const MAKEFILE: &str = "obj-y += a.o\nobj-y += b.o\nobj-y += c.o\n";

fn kconfig_patch(context: &str) -> String {
    format!(
        "From 1\nSubject: x\n\n---\ndiff --git a/arch/Kconfig b/arch/Kconfig\n--- a/arch/Kconfig\n+++ b/arch/Kconfig\n\
         @@ -5,4 +5,6 @@ x\n config B\n \tbool\n \n+source \"rust/Kconfig\"\n+\n {context}\n-- \n2.47\n"
    )
}

const MAKEFILE_PATCH: &str = "diff --git a/arch/Makefile b/arch/Makefile\n--- a/arch/Makefile\n+++ b/arch/Makefile\n\
     @@ -1,3 +1,3 @@\n obj-y += a.o\n-obj-y += b.o\n+obj-$(B) += b.o\n obj-y += c.o\n\
     diff --git a/arch/new.c b/arch/new.c\nnew file mode 100644\n--- /dev/null\n+++ b/arch/new.c\n@@ -0,0 +1 @@\n+int x;\n";

impl Case {
    fn new() -> Self {
        let case = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        write(case.tree().join("arch/Kconfig"), KCONFIG);
        write(case.tree().join("arch/Makefile"), MAKEFILE);
        write(case.tree().join("rust/kernel/lib.rs"), "// lib\n");
        write(case.here().join("Kconfig"), "config R\n");
        write(case.here().join("arch-arm64-kvm/a/fp.rs"), "fn fp() {}\n");
        write(case.here().join("rust/kernel/arm64.rs"), "// arm64\n");
        write(
            case.here().join("selftests/target/debug/x"),
            "build result\n",
        );
        write(
            case.here().join("patches/0001-kconfig.patch"),
            &kconfig_patch("endmenu"),
        );
        write(
            case.here().join("patches/0002-makefile.patch"),
            MAKEFILE_PATCH,
        );
        case
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    fn overlay(&self) -> Overlay {
        Overlay::read(&self.here()).unwrap()
    }

    fn apply(&self) -> Result<Outcome> {
        apply(&self.tree(), &self.overlay())
    }

    /// Everything in the tree: path, permissions, content.
    fn snapshot(&self) -> Vec<(PathBuf, u32, Option<Vec<u8>>)> {
        WalkDir::new(self.tree())
            .sort_by_file_name()
            .into_iter()
            .map(|e| {
                let e = e.unwrap();
                let content = e.file_type().is_file().then(|| fs::read(e.path()).unwrap());
                (
                    e.path().to_owned(),
                    e.metadata().unwrap().permissions().mode(),
                    content,
                )
            })
            .collect()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.tree().join(path)).unwrap()
    }

    /// Makes every file in the tree look old, to see which ones get written.
    fn age(&self) {
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for e in WalkDir::new(self.tree()) {
            let e = e.unwrap();
            if e.file_type().is_file() {
                fs::File::options()
                    .write(true)
                    .open(e.path())
                    .unwrap()
                    .set_modified(past)
                    .unwrap();
            }
        }
    }

    fn young(&self) -> Vec<String> {
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000);
        WalkDir::new(self.tree())
            .sort_by_file_name()
            .into_iter()
            .map(|e| e.unwrap())
            .filter(|e| e.file_type().is_file() && e.metadata().unwrap().modified().unwrap() > past)
            .map(|e| {
                e.path()
                    .strip_prefix(self.tree())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect()
    }
}

#[test]
fn applies_repeats_and_reverses_to_the_identical_tree() {
    let case = Case::new();
    let pristine = case.snapshot();
    assert_eq!(case.apply().unwrap(), Outcome::Changed(6));
    assert_eq!(case.read("arch/arm64/kvm/rust/Kconfig"), "config R\n");
    assert_eq!(case.read("arch/arm64/kvm/rust/a/fp.rs"), "fn fp() {}\n");
    assert_eq!(case.read("rust/kernel/arm64.rs"), "// arm64\n");
    assert!(case
        .read("arch/Kconfig")
        .contains("source \"rust/Kconfig\""));
    assert_eq!(case.read("arch/new.c"), "int x;\n");
    assert!(
        !case.tree().join("tools").exists(),
        "build results are not copied"
    );

    assert!(is_applied(&case.tree(), &case.overlay()).unwrap());
    case.age();
    assert_eq!(case.apply().unwrap(), Outcome::Unchanged);
    assert_eq!(case.young(), [""; 0], "a second run writes nothing");

    reverse(&case.tree()).unwrap();
    assert_eq!(case.snapshot(), pristine);
    assert_eq!(reverse(&case.tree()).unwrap(), Outcome::Unchanged);
}

#[test]
fn fuzz_is_refused_and_nothing_changes() {
    let case = Case::new();
    write(
        case.here().join("patches/0001-kconfig.patch"),
        &kconfig_patch("endmenu # x"),
    );
    let pristine = case.snapshot();
    let message = case.apply().unwrap_err().to_string();
    for part in ["patches/0001-kconfig.patch", "arch/Kconfig", "hunk 1 of 1"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn second_patch_fails_and_nothing_changes() {
    let case = Case::new();
    write(case.tree().join("arch/Makefile"), "obj-y += other.o\n");
    let pristine = case.snapshot();
    let message = case.apply().unwrap_err().to_string();
    assert!(
        message.contains("0002-makefile.patch") && message.contains("arch/Makefile"),
        "{message}"
    );
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn another_kernel_is_told_all_that_does_not_apply() {
    let case = Case::new();
    write(case.tree().join("arch/Kconfig"), "menu\nendmenu\n");
    write(case.tree().join("arch/Makefile"), "obj-y += other.o\n");
    write(
        case.here().join("patches/0003-again.patch"),
        &MAKEFILE_PATCH.replace("arch/new.c", "arch/newer.c"),
    );
    let pristine = case.snapshot();
    let message = case.apply().unwrap_err().to_string();
    for part in [
        "patches/0001-kconfig.patch does not apply",
        "arch/Kconfig: hunk 1 of 1",
        "patches/0002-makefile.patch does not apply",
        "arch/Makefile: hunk 1 of 1",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(message.lines().count(), 2, "each file once: {message}");
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn foreign_file_in_the_way_is_refused() {
    let case = Case::new();
    write(
        case.tree().join("rust/kernel/arm64.rs"),
        "// somebody else's\n",
    );
    let pristine = case.snapshot();
    let message = case.apply().unwrap_err().to_string();
    assert!(
        message.contains("rust/kernel/arm64.rs exists in the tree as something else"),
        "{message}"
    );
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn changed_overlay_writes_only_what_changed() {
    let case = Case::new();
    let pristine = case.snapshot();
    case.apply().unwrap();
    case.age();
    write(case.here().join("arch-arm64-kvm/a/fp.rs"), "fn fp2() {}\n");
    write(case.here().join("arch-arm64-kvm/b/sve.rs"), "fn sve() {}\n");
    fs::remove_file(case.here().join("rust/kernel/arm64.rs")).unwrap();
    fs::remove_file(case.here().join("patches/0002-makefile.patch")).unwrap();
    case.apply().unwrap();
    assert_eq!(
        case.young(),
        [
            ".kvm-arm64-rust.json",
            "arch/Makefile",
            "arch/arm64/kvm/rust/a/fp.rs",
            "arch/arm64/kvm/rust/b/sve.rs"
        ]
    );
    assert_eq!(case.read("arch/Makefile"), MAKEFILE);
    assert!(!case.tree().join("arch/new.c").exists());
    assert!(!case.tree().join("rust/kernel/arm64.rs").exists());
    reverse(&case.tree()).unwrap();
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn edits_in_the_tree_are_not_lost() {
    let case = Case::new();
    case.apply().unwrap();
    write(case.tree().join("rust/kernel/arm64.rs"), "// edited\n");
    let edited = case.snapshot();
    for result in [reverse(&case.tree()), {
        write(case.here().join("Kconfig"), "config Q\n");
        case.apply()
    }] {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("rust/kernel/arm64.rs was edited in the tree"),
            "{message}"
        );
        assert_eq!(case.snapshot(), edited);
    }
    // An edit elsewhere in a patched file stays when the patch goes.
    case.apply().unwrap_err();
    write(case.tree().join("rust/kernel/arm64.rs"), "// arm64\n");
    let text = case.read("arch/Makefile");
    write(
        case.tree().join("arch/Makefile"),
        &format!("{text}obj-y += mine.o\n"),
    );
    reverse(&case.tree()).unwrap();
    assert_eq!(
        case.read("arch/Makefile"),
        format!("{MAKEFILE}obj-y += mine.o\n")
    );
}

#[test]
fn interrupted_run_is_repaired() {
    let whole = Case::new();
    whole.apply().unwrap();
    let relative = |case: &Case| -> Vec<_> {
        case.snapshot()
            .into_iter()
            .map(|(p, m, c)| (p.strip_prefix(case.tree()).unwrap().to_owned(), m, c))
            .collect()
    };
    let count = plan(&Case::new().tree(), Some(&whole.overlay()))
        .unwrap()
        .unwrap()
        .changes
        .len();
    for killed_at in 0..=count {
        let case = Case::new();
        let pristine = case.snapshot();
        let journal = plan(&case.tree(), Some(&case.overlay()))
            .unwrap()
            .unwrap()
            .stage(&case.tree())
            .unwrap();
        assert_eq!(journal.len(), count);
        journal.crash_after(&case.tree(), killed_at);
        assert!(!is_applied(&case.tree(), &case.overlay()).unwrap());
        assert_eq!(
            case.apply().unwrap(),
            Outcome::Unchanged,
            "recovery did the work"
        );
        assert_eq!(
            relative(&case),
            relative(&whole),
            "killed after {killed_at}"
        );
        reverse(&case.tree()).unwrap();
        assert_eq!(case.snapshot(), pristine);
    }
}

#[test]
fn interrupted_staging_is_dropped() {
    let case = Case::new();
    let pristine = case.snapshot();
    write(case.tree().join(".kvm-arm64-rust.stage/0"), "half");
    assert_eq!(reverse(&case.tree()).unwrap(), Outcome::Unchanged);
    assert_eq!(case.snapshot(), pristine);
}

#[test]
fn change_that_is_there_without_record_is_explained() {
    let case = Case::new();
    case.apply().unwrap();
    fs::remove_file(case.tree().join(state::STATE)).unwrap();
    let error = case.apply().unwrap_err();
    let hint = crate::error::hint(&error).unwrap();
    assert!(hint.contains("no record of it"), "{hint}");
}

/// A kernel can be built in its own tree, where a program comes to be beside its sources.
#[test]
fn no_program_of_the_build_has_the_name_of_a_folder() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut makefiles = vec![checkout.join("Kbuild")];
    let patches = fs::read_dir(checkout.join("patches")).unwrap();
    makefiles.extend(patches.map(|entry| entry.unwrap().path()));
    let mut programs = 0;
    for makefile in makefiles {
        let text = fs::read_to_string(&makefile).unwrap();
        let lines = text.lines().map(|line| line.trim_start_matches('+'));
        let listed = lines.filter(|line| line.starts_with("hostprogs"));
        for program in listed.flat_map(|line| line.split_whitespace().skip(2)) {
            programs += 1;
            for folder in ["arch-arm64-kvm", "rust"] {
                let path = checkout.join(folder).join(program);
                assert!(!path.is_dir(), "{program} of {}", makefile.display());
            }
        }
    }
    assert!(programs >= 2, "the build has programs");
}

#[test]
fn a_newer_kernel_is_refused_with_what_does_not_apply_to_it() {
    let case = Case::new();
    let refused = |minor: u32| {
        let makefile = version::makefile(&format!("7.{minor}.0"));
        write(case.tree().join("Makefile"), &makefile);
        let before = case.snapshot();
        let supported = supported(&case.here(), &case.tree(), "KDIR=x");
        assert_eq!(case.snapshot(), before);
        supported.err().map(|error| error.to_string())
    };
    assert_eq!(refused(3), None);
    let fits = refused(4).unwrap();
    assert!(fits.starts_with("KDIR=x is Linux 7.4.0; supported: 7.3"));
    assert!(fits.contains("\neverything applies"));
    write(case.tree().join("arch/Makefile"), "obj-y += d.o\n");
    let text = refused(4).unwrap();
    assert!(
        text.contains("0002-makefile.patch does not apply"),
        "{text}"
    );
    assert!(!text.contains("0001"), "{text}");
    // Of an older one, nothing is said.
    assert_eq!(refused(2).unwrap().lines().count(), 1);
}
