// SPDX-License-Identifier: GPL-2.0
//! What earlier runs came to. A result is kept by a digest of all that it depends on:
//! while that is the same to the bit, there is nothing to learn from getting the result
//! again, and it is recalled. `make test-full` recalls nothing.

use crate::context::{self, Context};
use crate::kernel::Kernel;
use crate::series::identity;
use crate::source::Source;
use crate::{checks, digest, files, process, programs, tree};
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::SystemTime;

/// How many results of tests are kept. A run of `make test` has about 30.
const KEEP: usize = 1000;
/// What decides what this program finds, next to what it looks at.
const JUDGE: [&str; 3] = ["scripts/src", "scripts/Cargo.toml", "scripts/Cargo.lock"];
/// Programs that compile, lint and test.
const TOOLS: [&str; 10] = [
    "rustc",
    "cargo",
    "clippy-driver",
    "clang",
    "ld.lld",
    "llvm-objdump",
    "bindgen",
    "aarch64-linux-gnu-gcc",
    "qemu-system-aarch64",
    "git",
];
/// What Debian has installed, with all other tools that tests run.
const PACKAGES: &str = "/var/lib/dpkg/status";
/// How the names of variables begin that compilers and tests listen to.
const VARIABLES: [&str; 9] = [
    "CARGO",
    "RUST",
    "KVM_RUST_",
    "PROPTEST_",
    "INSTA_",
    "CC",
    "CFLAGS",
    "LD_",
    "TARGET_",
];

static TOOLCHAIN: LazyLock<String> = LazyLock::new(|| toolchain(&TOOLS, Path::new(PACKAGES)));

/// What the tools say of themselves, and what else is installed. Where that cannot be
/// told, no other run has this, so nothing is recalled.
fn toolchain(tools: &[&str], packages: &Path) -> String {
    let mut text = String::new();
    for tool in tools {
        // Of rustc and cargo, with the commit that they were built from.
        let version = process::output(Command::new(tool).arg("--version").arg("--verbose"))
            .or_else(|_| process::output(Command::new(tool).arg("--version")));
        text.push_str(&format!("{tool}: {}\n", version.unwrap_or_default()));
    }
    text.push_str(&digest::of_file(packages).unwrap_or_else(|_| {
        let now = SystemTime::now();
        format!("of process {} at {now:?} alone", std::process::id())
    }));
    digest::of_bytes(text.as_bytes())
}

fn digest_if_there(path: &Path) -> String {
    digest::of_file(path).unwrap_or_default()
}

/// Those of `variables` that compilers and tests listen to. Whose patches would be made
/// is none: it has the time in it.
fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> String {
    let mut heard: Vec<_> = variables
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            name != identity::VARIABLE && VARIABLES.iter().any(|begin| name.starts_with(begin))
        })
        .collect();
    heard.sort();
    format!("{heard:?}")
}

/// All that a result depends on. `None` where not all of it is known.
#[derive(Debug, Clone)]
pub struct Inputs(Option<String>);

impl Inputs {
    /// Those of the test `name`, as far as all tests have them.
    pub fn of(ctx: &Context, name: &str) -> Self {
        Self::with(ctx, name, &TOOLCHAIN, &environment(std::env::vars_os()))
    }

    fn with(ctx: &Context, name: &str, toolchain: &str, environment: &str) -> Self {
        let mut inputs = Self(Some(String::new()))
            .value("test", name)
            .value("toolchain", toolchain)
            .value("environment", environment);
        // Where cargo looks for its configuration, from the checkout upwards.
        let above = ctx.checkout.ancestors().map(|path| path.join(".cargo"));
        let mut folders: Vec<_> = above.collect();
        let home = programs::cargo_home();
        if !folders.contains(&home) {
            folders.push(home);
        }
        for folder in folders {
            for name in ["config.toml", "config"] {
                let found = digest_if_there(&folder.join(name));
                if !found.is_empty() {
                    inputs = inputs.value("cargo's configuration", &found);
                }
            }
        }
        inputs
    }

    /// With something more, by its name.
    pub fn value(mut self, name: &str, value: &str) -> Self {
        let digest = digest::of_bytes(value.as_bytes());
        self.add(&format!("{name:?} {digest}\n"));
        self
    }

    fn add(&mut self, line: &str) {
        if let Some(text) = &mut self.0 {
            text.push_str(line);
        }
    }

    /// With every file of the repository in one of `folders`, but for those that are
    /// ignored. A file may be named as well, and "" is all of it.
    pub fn files(mut self, ctx: &Context, folders: &[&str]) -> Result<Self> {
        let mut all = checks::repository_files(ctx)?;
        all.retain(|file| folders.iter().any(|folder| file.starts_with(folder)));
        all.sort();
        // Those of a conflict are listed once for each side.
        all.dedup();
        for file in all {
            let path = ctx.checkout.join(&file);
            let meta =
                fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let can_run = meta.permissions().mode() & 0o111 != 0;
            let digest = digest::of_file(&path)?;
            self.add(&format!("{file:?} {can_run} {digest}\n"));
        }
        Ok(self)
    }

    /// With the sources of this program, where it judges.
    pub fn judge(self, ctx: &Context) -> Result<Self> {
        self.files(ctx, &JUDGE)
    }

    /// With the kernel source.
    pub fn source(self, source: &Source) -> Result<Self> {
        let signature = tree::signature(source)?;
        Ok(self.value("kernel source", &signature))
    }

    /// With a kernel that was built, if it is known from what.
    pub fn kernel(self, kernel: &Kernel) -> Self {
        let name = format!("kernel {}", kernel.variant.name());
        match kernel.signature() {
            Some(signature) => self.value(&name, &signature),
            None => Self(None),
        }
    }

    /// With a command. Where the checkout is, its target folders and its logs, does not
    /// matter.
    pub fn command(self, ctx: &Context, command: &Command) -> Self {
        let anywhere = |text: &OsStr| {
            let text = text.to_string_lossy().into_owned();
            let places = [
                (ctx.logs.to_path_buf(), "/logs"),
                (ctx.target(""), "/target/"),
                (ctx.checkout.clone(), "/checkout"),
            ];
            places.iter().fold(text, |text, (from, to)| {
                text.replace(&from.display().to_string(), to)
            })
        };
        let mut words = vec![anywhere(command.get_program())];
        words.extend(command.get_args().map(anywhere));
        let folder = command.get_current_dir().unwrap_or(Path::new(""));
        words.push(anywhere(folder.as_os_str()));
        let variables: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (anywhere(name), value.map(anywhere)))
            .collect();
        self.value("command", &format!("{words:?} {variables:?}"))
    }

    /// What nothing else has that differs in any of them.
    pub fn identity(&self) -> Option<String> {
        Some(digest::of_bytes(self.0.as_ref()?.as_bytes()))
    }
}

/// A result of an earlier run.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it was kept, in UTC, as YYYYMMDD-HHMMSS.
    pub date: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// The first line of a file with a result.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    date: String,
    /// Of all else: a file of which a part is missing, or that is another's, is none.
    digest: String,
}

impl Head {
    fn digest(identity: &str, date: &str, bytes: &[u8]) -> String {
        let result = digest::of_bytes(bytes);
        digest::of_bytes(format!("{identity} {date} {result}").as_bytes())
    }
}

/// A folder of results.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    keep: usize,
}

impl Store {
    /// The one with this name in the cache folder, with room for `keep` results.
    pub fn new(ctx: &Context, name: &str, keep: usize) -> Self {
        Self {
            folder: ctx.cache.join("earlier").join(name),
            keep,
        }
    }

    fn place(&self, identity: &str) -> PathBuf {
        self.folder.join(identity)
    }

    /// The result with this identity, if there is one and it is whole.
    pub fn recall(&self, identity: &str) -> Option<Kept> {
        let path = self.place(identity);
        let all = fs::read(&path).ok()?;
        let end = all.iter().position(|&byte| byte == b'\n')?;
        let head: Head = serde_json::from_slice(&all[..end]).ok()?;
        let bytes = all[end + 1..].to_vec();
        if head.digest != Head::digest(identity, &head.date, &bytes) {
            return None;
        }
        // Those that were not used for longest go first. Where nothing can be written,
        // it is good all the same.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(Kept {
            date: head.date,
            bytes,
        })
    }

    /// Keeps the result with this identity.
    pub fn keep(&self, identity: &str, bytes: &[u8]) -> Result<()> {
        let date = context::now();
        let digest = Head::digest(identity, &date, bytes);
        let mut all = serde_json::to_vec(&Head { date, digest })?;
        all.push(b'\n');
        all.extend_from_slice(bytes);
        files::write_atomic(&self.place(identity), &all)?;
        self.forget_oldest()
    }

    fn forget_oldest(&self) -> Result<()> {
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("cannot read {}", self.folder.display()))?;
        let mut known: Vec<_> = entries
            .flatten()
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .collect();
        known.sort();
        for (_, old) in &known[..known.len().saturating_sub(self.keep)] {
            files::remove_all(old)?;
        }
        Ok(())
    }
}

/// What came of a test, and since when that is known where an earlier run got it.
#[derive(Debug)]
pub struct Came<T> {
    /// What came of it.
    pub result: Result<T>,
    /// When an earlier run got it.
    pub recalled: Option<String>,
}

/// How a step ends that came to what was `recalled`, or to `word`.
pub fn outcome(recalled: Option<&str>, word: &str) -> String {
    match recalled {
        Some(date) => format!("recalled from {date}"),
        None => word.to_owned(),
    }
}

/// Runs a test, or recalls that it passed: where `recall`, and an earlier run had it pass
/// with the same `inputs`. A failure is never kept, nor is what was found while the inputs
/// changed, nor anything where they are not known.
pub fn recall_or_run<T: Serialize + DeserializeOwned>(
    ctx: &Context,
    recall: bool,
    inputs: impl Fn() -> Result<Inputs>,
    run: impl FnOnce() -> Result<T>,
) -> Came<T> {
    let store = Store::new(ctx, "passed", KEEP);
    let identity = || {
        let inputs = inputs().context("what the test depends on cannot be read")?;
        anyhow::Ok(inputs.identity())
    };
    let run = || {
        let before = identity()?;
        if let (true, Some(identity)) = (recall, &before) {
            let kept = store.recall(identity);
            let known = kept.and_then(|kept| {
                let result = serde_json::from_slice(&kept.bytes).ok()?;
                Some((result, Some(kept.date)))
            });
            if let Some(known) = known {
                return Ok(known);
            }
        }
        let result = run()?;
        if let (Some(before), Ok(Some(after))) = (before, identity()) {
            if before == after {
                // It holds all the same where it cannot be kept.
                if let Err(error) = store.keep(&before, &serde_json::to_vec(&result)?) {
                    ctx.ui.line(&format!("not kept for later runs: {error:#}"));
                }
            }
        }
        Ok((result, None))
    };
    match run() {
        Ok((result, recalled)) => Came {
            result: Ok(result),
            recalled,
        },
        Err(error) => Came {
            result: Err(error),
            recalled: None,
        },
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::kernel::Variant;
    use crate::version::{self, Version};
    use anyhow::bail;
    use std::cell::Cell;
    use std::time::Duration;

    /// A checkout at `checkout` in `folder`, which has the cache folder, too.
    pub fn context(folder: &Path, checkout: &str) -> Context {
        let checkout = folder.join(checkout);
        fs::create_dir_all(checkout.join("scripts/src")).unwrap();
        let git = ["init", "--quiet"];
        process::output(Command::new("git").args(git).arg(&checkout)).unwrap();
        for (name, text) in [
            (".gitignore", "*.o\n"),
            ("scripts/src/main.rs", "fn main() {}\n"),
            ("scripts/Cargo.lock", "version = 4\n"),
            ("README.md", "It.\n"),
        ] {
            fs::write(checkout.join(name), text).unwrap();
        }
        Context::of_test(&checkout, &folder.join("cache"))
    }

    /// Whether a test with these inputs runs, though they were seen to pass before.
    fn runs(ctx: &Context, inputs: &Inputs) -> bool {
        let ran = Cell::new(false);
        let came = recall_or_run(
            ctx,
            true,
            || Ok(inputs.clone()),
            || {
                ran.set(true);
                Ok(7)
            },
        );
        assert_eq!(came.result.unwrap(), 7);
        assert_eq!(came.recalled.is_none(), ran.get());
        ran.get()
    }

    #[test]
    fn a_test_runs_again_when_a_file_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let runs = || runs(&ctx, &Inputs::of(&ctx, "t").judge(&ctx).unwrap());
        let write = |name: &str, text: &str| fs::write(ctx.checkout.join(name), text).unwrap();
        assert!(runs() && !runs());
        // Text, a file that git does not know yet, one that is gone, and the lock file.
        write("scripts/src/main.rs", "fn main() { }\n");
        assert!(runs() && !runs());
        write("scripts/src/new.rs", "");
        assert!(runs() && !runs());
        files::remove_all(&ctx.checkout.join("scripts/src/new.rs")).unwrap();
        assert!(!runs(), "it is as it was");
        files::remove_all(&ctx.checkout.join("scripts/src/main.rs")).unwrap();
        assert!(runs() && !runs());
        write("scripts/Cargo.lock", "version = 3\n");
        assert!(runs() && !runs());
        let path = ctx.checkout.join("scripts/Cargo.lock");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(runs() && !runs());
        // Neither what is ignored nor what is elsewhere.
        write("scripts/src/main.o", "object");
        write("README.md", "That.\n");
        assert!(!runs());
    }

    #[test]
    fn a_file_with_another_name_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let all = || Inputs::of(&ctx, "t").files(&ctx, &[""]).unwrap();
        assert!(runs(&ctx, &all()) && !runs(&ctx, &all()));
        let rename = |from: &str, to: &str| {
            fs::rename(ctx.checkout.join(from), ctx.checkout.join(to)).unwrap();
        };
        rename("README.md", "README.rst");
        assert!(runs(&ctx, &all()));
        let before = all().identity();
        fs::write(ctx.checkout.join("README.rst"), "Other.\n").unwrap();
        assert_ne!(all().identity(), before);
    }

    #[test]
    fn a_test_runs_again_with_other_tools_variables_and_values() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let with = |name, toolchain, environment, fault| {
            Inputs::with(&ctx, name, toolchain, environment).value("fault", fault)
        };
        assert!(runs(&ctx, &with("t", "1.85.0", "[]", "f")));
        assert!(!runs(&ctx, &with("t", "1.85.0", "[]", "f")));
        for other in [
            with("u", "1.85.0", "[]", "f"),
            with("t", "1.85.1", "[]", "f"),
            with("t", "1.85.0", "[RUSTFLAGS]", "f"),
            with("t", "1.85.0", "[]", "g"),
        ] {
            assert!(runs(&ctx, &other) && !runs(&ctx, &other), "{other:?}");
        }
    }

    #[test]
    fn a_tool_is_another_by_its_version_or_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let (tool, packages) = (dir.path().join("tool"), dir.path().join("status"));
        let put = |program: &str| {
            files::remove_all(&tool).unwrap();
            std::os::unix::fs::symlink(program, &tool).unwrap();
        };
        let name = tool.to_str().unwrap().to_owned();
        let toolchain = || toolchain(&[&name], &packages);
        fs::write(&packages, "").unwrap();
        put("/bin/cat");
        let first = toolchain();
        assert_eq!(toolchain(), first);
        put("/bin/ls");
        let second = toolchain();
        let mut seen = vec![first, second];
        for text in ["Package: gcc\nVersion: 1\n", "Package: gcc\nVersion: 2\n"] {
            fs::write(&packages, text).unwrap();
            seen.push(toolchain());
        }
        // Nobody knows what there is.
        files::remove_all(&packages).unwrap();
        seen.extend([toolchain(), toolchain()]);
        let different: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len());
    }

    #[test]
    fn variables_that_nobody_listens_to_do_not_matter() {
        let environment = |name: &str, value: &str| {
            environment(
                [
                    (name.into(), value.into()),
                    ("RUSTFLAGS".into(), "-g".into()),
                ]
                .into_iter(),
            )
        };
        for name in ["TERM", identity::VARIABLE] {
            assert_eq!(environment(name, "a"), environment(name, "b"), "{name}");
        }
        for name in [
            "RUSTC_WRAPPER",
            "CARGO_BUILD_JOBS",
            "PROPTEST_CASES",
            "KVM_RUST_TOOLS",
        ] {
            assert_ne!(environment(name, "a"), environment(name, "b"), "{name}");
        }
    }

    #[test]
    fn cargo_may_be_configured_in_another_way() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let before = Inputs::of(&ctx, "t").identity();
        // Above the checkout.
        let config = dir.path().join(".cargo/config.toml");
        files::write_atomic(&config, b"[build]\nrustflags = \"-g\"\n").unwrap();
        assert_ne!(Inputs::of(&ctx, "t").identity(), before);
    }

    #[test]
    fn a_test_runs_again_with_another_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let write = |name: &str, text: &str| {
            files::write_atomic(&dir.path().join(name), text.as_bytes()).unwrap();
        };
        write("tree/Makefile", &version::makefile("7.3.4"));
        let (tree, out) = (dir.path().join("tree"), dir.path().join("rust"));
        let source = Source {
            path: tree.clone(),
            version: Version::of_tree(&tree).unwrap(),
            unpacked: false,
        };
        let mut kernel = Kernel {
            variant: Variant::Rust,
            image: out.join("Image"),
            vmlinux: out.join("vmlinux"),
            built_from: Some("1".into()),
        };
        write("tree/a.c", "int a;");
        write("rust.stamp", "1");
        let runs = |kernel: &Kernel| {
            let inputs = Inputs::of(&ctx, "t").source(&source).unwrap();
            runs(&ctx, &inputs.kernel(kernel))
        };
        assert!(runs(&kernel) && !runs(&kernel));
        write("tree/a.c", "int ab;");
        assert!(runs(&kernel) && !runs(&kernel));
        // Another run has built it from something else, or builds it.
        write("rust.stamp", "2");
        assert!(runs(&kernel) && runs(&kernel));
        assert!(kernel.check_is_there().is_err());
        kernel.built_from = Some("2".into());
        assert!(runs(&kernel) && !runs(&kernel));
        kernel.check_is_there().unwrap();
        files::remove_all(&dir.path().join("rust.stamp")).unwrap();
        assert!(runs(&kernel) && runs(&kernel));
        assert!(kernel.check_is_there().is_err());
        // Whatever was built last.
        kernel.built_from = None;
        assert!(runs(&kernel) && runs(&kernel));
        kernel.check_is_there().unwrap();
    }

    #[test]
    fn a_test_runs_again_with_another_command_but_not_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let inputs = |checkout: &str, arguments: &[&str], value: &str| {
            let ctx = context(dir.path(), checkout);
            let mut command = Command::new("cargo");
            command
                .args(arguments)
                .current_dir(ctx.checkout.join("selftests"))
                .env("CARGO_TARGET_DIR", ctx.target("selftests"))
                .env("KVM_RUST_EXPLORED", ctx.log("explored"))
                .env("FLAGS", format!("-C{value}={}", ctx.checkout.display()));
            let inputs = Inputs::of(&ctx, "t").command(&ctx, &command);
            let inputs = inputs.files(&ctx, &[""]).unwrap();
            (ctx, inputs)
        };
        let runs = |(ctx, inputs): (Context, Inputs)| runs(&ctx, &inputs);
        assert!(runs(inputs("a", &["test"], "x")));
        assert!(!runs(inputs("a", &["test"], "x")));
        assert!(!runs(inputs("b/c", &["test"], "x")), "the same elsewhere");
        assert!(runs(inputs("a", &["test", "--release"], "x")));
        assert!(runs(inputs("a", &["test"], "y")));
    }

    #[test]
    fn failures_are_not_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let inputs = Inputs::of(&ctx, "t");
        let fail = || {
            recall_or_run(
                &ctx,
                true,
                || Ok(inputs.clone()),
                || -> Result<u32> { bail!("no") },
            )
        };
        assert!(fail().result.is_err() && fail().result.is_err());
        assert!(runs(&ctx, &inputs) && !runs(&ctx, &inputs));
        assert_eq!(fail().result.unwrap(), 7, "recalled from the run before");
    }

    #[test]
    fn nothing_is_recalled_where_nothing_is_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let inputs = Inputs::of(&ctx, "t");
        let run = |recall| recall_or_run(&ctx, recall, || Ok(inputs.clone()), || Ok(7)).recalled;
        assert_eq!((run(false), run(false)), (None, None));
        let date = run(true).expect("it is kept all the same");
        assert_eq!(date.len(), context::now().len());
    }

    #[test]
    fn what_was_found_while_files_changed_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let number = Cell::new(0);
        let inputs = || {
            number.set(number.get() + 1);
            Ok(Inputs::of(&ctx, "t").value("n", &number.get().to_string()))
        };
        assert_eq!(recall_or_run(&ctx, true, inputs, || Ok(7)).recalled, None);
        for n in ["1", "2"] {
            assert!(runs(&ctx, &Inputs::of(&ctx, "t").value("n", n)), "{n}");
        }
    }

    #[test]
    fn a_result_that_is_not_whole_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&context(dir.path(), "a"), "s", 10);
        assert_eq!(store.recall("a"), None);
        store.keep("a", b"{\"one\":\n1}").unwrap();
        assert_eq!(store.recall("a").unwrap().bytes, b"{\"one\":\n1}");
        assert_eq!(store.recall("b"), None);
        let path = store.place("a");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(store.recall("a"), None, "{length} of {} bytes", whole.len());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(store.recall("a"), None, "byte {at} is another");
        }
        fs::write(&path, &whole).unwrap();
        assert!(store.recall("a").is_some());
        // One that was given another's name.
        fs::rename(&path, store.place("b")).unwrap();
        assert_eq!(store.recall("b"), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&context(dir.path(), "a"), "s", 2);
        let set_age = |identity: &str, seconds| {
            let time = SystemTime::now() - Duration::from_secs(seconds);
            let file = File::open(store.place(identity)).unwrap();
            file.set_modified(time).unwrap();
        };
        for (identity, age) in [("a", 900), ("b", 600)] {
            store.keep(identity, b"").unwrap();
            set_age(identity, age);
        }
        assert!(store.recall("a").is_some(), "and it is used now");
        store.keep("c", b"").unwrap();
        let there = ["a", "b", "c"].map(|identity| store.recall(identity).is_some());
        assert_eq!(there, [true, false, true]);
    }
}
