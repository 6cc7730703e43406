// SPDX-License-Identifier: GPL-2.0
//! Holds the flags by which the kernel's build compiles Rust for EL2, and for the
//! VHE part of the kernel, against those of the C beside it. Where C goes without a
//! shadow call stack or a sanitizer, Rust must, too, and the other way around.

use crate::compile::{self, Compiler, FOLDER};
use crate::context::Context;
use crate::error::hinted;
use crate::files;
use crate::kernel::{self, Kernel};
use crate::plan::Verdict;
use crate::process;
use crate::progress::Step;
use anyhow::{Context as _, Result};
use std::path::Path;

/// A part of KVM that both languages have files of.
pub struct Part {
    /// Name of the test.
    pub test: &'static str,
    /// Where the code runs, for messages.
    place: &'static str,
    /// An object of C, in the build folder.
    c: &'static str,
    /// That of Rust, in [`FOLDER`].
    rust: compile::Object,
    /// The folder whose Makefile has the object of Rust built.
    folder: &'static str,
    /// The way from there to that object.
    way: &'static str,
    /// Where flags of Rust are given and taken away.
    makefile: &'static str,
}

/// All of them.
pub const PARTS: [Part; 2] = [
    Part {
        test: "hypervisor-flags/el2",
        place: "the hypervisor's object",
        c: "arch/arm64/kvm/hyp/nvhe/hyp-main.nvhe.o",
        rust: compile::HYPERVISOR,
        folder: "arch/arm64/kvm/hyp/nvhe",
        way: "../../rust/",
        makefile: "arch/arm64/kvm/hyp/nvhe/Makefile",
    },
    Part {
        test: "hypervisor-flags/vhe",
        place: "the VHE part of the kernel",
        c: "arch/arm64/kvm/hyp/vhe/debug-sr.o",
        rust: compile::KERNEL,
        folder: FOLDER,
        way: "",
        makefile: "arch/arm64/kvm/rust/Kbuild",
    },
];

/// Options that give flags to all files of the kernel, and that the kernels of the
/// tests do not have: the build is asked what it would do with them.
const OPTIONS: [&str; 13] = [
    "CONFIG_SHADOW_CALL_STACK=y",
    "CONFIG_UNWIND_TABLES=y",
    "CONFIG_CFI=y",
    "CONFIG_CFI_ICALL_NORMALIZE_INTEGERS=y",
    "CONFIG_KASAN=y",
    "CONFIG_KASAN_GENERIC=y",
    "CONFIG_KASAN_SHADOW_OFFSET=0xdfff800000000000",
    "CONFIG_KCOV=y",
    "CONFIG_KCOV_INSTRUMENT_ALL=y",
    "CONFIG_GCOV_KERNEL=y",
    "CONFIG_GCOV_PROFILE_ALL=y",
    "CONFIG_FUNCTION_TRACER=y",
    "CONFIG_DYNAMIC_FTRACE_WITH_ARGS=y",
];

/// Flags that the user gives to all files.
const USERS_FLAGS: [&str; 2] = [
    "KCFLAGS=-fprofile-sample-use=profile",
    "KRUSTFLAGS=-Zprofile-sample-use=profile",
];

/// Rules by which Kbuild says what flags it has for an object. The ending is not that
/// of the object, so that nothing is built; but all before it is, and by that Kbuild
/// decides.
const RULES: [&str; 3] = [
    "--eval=%.c-flags: ; $(info $@: $(c_flags))@:",
    "--eval=%.rust-flags: ; $(info $@: $(rust_flags))@:",
    "--eval=hypervisor-flags: ; $(Q)$(MAKE) $(build)=$(IN) $(OBJECT)",
];

/// A flag: a word of the command that begins in one way, and has something in it.
struct Flag {
    start: &'static str,
    part: &'static str,
    /// What the code has from here on, unless a later flag says otherwise.
    is_on: bool,
}

const fn on(start: &'static str, part: &'static str) -> Flag {
    Flag {
        start,
        part,
        is_on: true,
    }
}

const fn off(start: &'static str, part: &'static str) -> Flag {
    Flag {
        start,
        part,
        is_on: false,
    }
}

impl Flag {
    fn is(&self, word: &str) -> bool {
        word.strip_prefix(self.start)
            .is_some_and(|rest| rest.contains(self.part))
    }
}

/// Whether Rust has to have what C has.
#[derive(PartialEq, Eq)]
enum Demand {
    /// Exactly where C has it.
    Same,
    /// It may go without, as all Rust of the kernel does; but it must not have what
    /// C has not.
    NotMore,
}

/// Something that flags of either compiler give to the code.
struct Pair {
    name: &'static str,
    c: &'static [Flag],
    rust: &'static [Flag],
    demand: Demand,
}

const PAIRS: [Pair; 20] = [
    Pair {
        name: "optimisation of the kernel as a whole (LTO)",
        c: &[on("-flto", ""), off("-fno-lto", "")],
        rust: &[
            on("-Clinker-plugin-lto", ""),
            on("-Clto", ""),
            off("-Clto=n", ""),
        ],
        demand: Demand::NotMore,
    },
    Pair {
        name: "a shadow call stack",
        c: &[
            on("-fsanitize=", "shadow-call-stack"),
            off("-fno-sanitize=", "shadow-call-stack"),
        ],
        rust: &[on("-Zsanitizer=", "shadow-call-stack")],
        demand: Demand::Same,
    },
    Pair {
        name: "X18 kept free",
        c: &[on("-ffixed-x18", "")],
        rust: &[on("-Zfixed-x18", "")],
        demand: Demand::Same,
    },
    Pair {
        name: "unwind tables",
        c: &[
            on("-funwind-tables", ""),
            on("-fasynchronous-unwind-tables", ""),
            off("-fno-asynchronous-unwind-tables", ""),
            off("-fno-unwind-tables", ""),
        ],
        rust: &[
            on("-Cforce-unwind-tables=", "y"),
            off("-Cforce-unwind-tables=", "n"),
        ],
        demand: Demand::Same,
    },
    Pair {
        name: "unwind tables that hold for each instruction",
        c: &[
            on("-fasynchronous-unwind-tables", ""),
            off("-fno-asynchronous-unwind-tables", ""),
        ],
        rust: &[
            on("-Zuse-sync-unwind=", "n"),
            off("-Zuse-sync-unwind=", "y"),
            on("-Zllvm_module_flag=uwtable:", ""),
        ],
        demand: Demand::Same,
    },
    Pair {
        name: "checks of indirect calls (kCFI)",
        c: &[on("-fsanitize=", "kcfi"), off("-fno-sanitize=", "kcfi")],
        rust: &[on("-Zsanitizer=", "kcfi")],
        demand: Demand::Same,
    },
    Pair {
        name: "kCFI that takes integers of one size for one type",
        c: &[on(
            "-fsanitize-cfi-icall-experimental-normalize-integers",
            "",
        )],
        rust: &[on("-Zsanitizer-cfi-normalize-integers", "")],
        demand: Demand::Same,
    },
    Pair {
        name: "KASAN",
        c: &[on("-fsanitize=", "kernel-address")],
        rust: &[on("-Zsanitizer=", "kernel-address")],
        demand: Demand::Same,
    },
    Pair {
        name: "KASAN by tags",
        c: &[on("-fsanitize=", "kernel-hwaddress")],
        rust: &[on("-Zsanitizer=", "kernel-hwaddress")],
        demand: Demand::Same,
    },
    Pair {
        name: "KCSAN",
        c: &[on("-fsanitize=", "thread")],
        rust: &[on("-Zsanitizer=", "thread")],
        demand: Demand::NotMore,
    },
    Pair {
        name: "KCOV",
        c: &[on("-fsanitize-coverage=", "")],
        rust: &[on("-Cpasses=", "sancov")],
        demand: Demand::Same,
    },
    Pair {
        name: "GCOV",
        c: &[on("-fprofile-arcs", ""), on("-ftest-coverage", "")],
        rust: &[on("-Cinstrument-coverage", "")],
        demand: Demand::NotMore,
    },
    Pair {
        name: "optimisation by a profile",
        c: &[on("-fprofile-use=", ""), on("-fprofile-sample-use=", "")],
        rust: &[on("-Cprofile-use=", ""), on("-Zprofile-sample-use=", "")],
        demand: Demand::Same,
    },
    Pair {
        name: "a place for ftrace in each function",
        c: &[on("-pg", ""), on("-fpatchable-function-entry=", "")],
        rust: &[on("-Zpatchable-function-entry=", "")],
        demand: Demand::NotMore,
    },
    Pair {
        name: "a stack protector",
        c: &[on("-fstack-protector", ""), off("-fno-stack-protector", "")],
        rust: &[
            on("-Zstack-protector=", ""),
            off("-Zstack-protector=none", ""),
        ],
        demand: Demand::NotMore,
    },
    Pair {
        name: "landing pads (BTI)",
        c: &[
            off("-mbranch-protection=", ""),
            on("-mbranch-protection=", "bti"),
        ],
        rust: &[
            off("-Zbranch-protection=", ""),
            on("-Zbranch-protection=", "bti"),
        ],
        demand: Demand::Same,
    },
    Pair {
        name: "signed return addresses",
        c: &[
            off("-mbranch-protection=", ""),
            on("-mbranch-protection=", "pac-ret"),
            on("-msign-return-address=", ""),
        ],
        rust: &[
            off("-Zbranch-protection=", ""),
            on("-Zbranch-protection=", "pac-ret"),
        ],
        demand: Demand::Same,
    },
    Pair {
        name: "frame pointers",
        c: &[
            on("-fno-omit-frame-pointer", ""),
            off("-fomit-frame-pointer", ""),
        ],
        rust: &[
            on("-Cforce-frame-pointers=", "y"),
            off("-Cforce-frame-pointers=", "n"),
            on("-Cforce-frame-pointers=", "non-leaf"),
        ],
        demand: Demand::Same,
    },
    Pair {
        // Without a flag, clang has none for arm64.
        name: "frames of functions that call nothing",
        c: &[
            on("-mno-omit-leaf-frame-pointer", ""),
            off("-momit-leaf-frame-pointer", ""),
        ],
        rust: &[
            on("-Cforce-frame-pointers=", "y"),
            off("-Cforce-frame-pointers=", "n"),
        ],
        demand: Demand::Same,
    },
    Pair {
        name: "no FP registers",
        c: &[on("-mgeneral-regs-only", "")],
        rust: &[
            on("--target=", "softfloat"),
            on("-Ctarget-feature=", "-neon"),
        ],
        demand: Demand::Same,
    },
];

/// Whether the command `words` gives the code what `flags` are about, and by which
/// of its words that is decided.
fn state<'a>(words: &[&'a str], flags: &[Flag]) -> (bool, Option<&'a str>) {
    let mut state = (false, None);
    for word in words {
        for flag in flags.iter().filter(|flag| flag.is(word)) {
            state = (flag.is_on, Some(*word));
        }
    }
    state
}

/// What the commands `c` and `rust` do not do alike, one line each.
fn differences(c: &str, rust: &str) -> Vec<String> {
    let words = |command| str::split_whitespace(command).collect::<Vec<_>>();
    let (c, rust) = (words(c), words(rust));
    let mut found = Vec::new();
    for pair in &PAIRS {
        let ((of_c, flag_of_c), (of_rust, flag_of_rust)) =
            (state(&c, pair.c), state(&rust, pair.rust));
        let because = |flag: Option<&str>, flags: &[Flag]| match flag {
            Some(flag) => format!("by {flag}"),
            None => format!("for want of {}{}", flags[0].start, flags[0].part),
        };
        let (c, rust) = (because(flag_of_c, pair.c), because(flag_of_rust, pair.rust));
        match (of_c, of_rust) {
            (true, false) if pair.demand == Demand::Same => found.push(format!(
                "C has {}, {c}, and Rust has not, {rust}",
                pair.name
            )),
            (false, true) => found.push(format!(
                "Rust has {}, {rust}, and C has not, {c}",
                pair.name
            )),
            _ => {}
        }
    }
    found
}

/// The command by which Kbuild made `object`.
fn saved(object: &Path) -> Result<String> {
    let name = object.file_name().context("an object has a name")?;
    let path = object.with_file_name(format!(".{}.cmd", name.to_string_lossy()));
    let text = files::read_text(&path)?;
    let (_, command) = compile::saved_command(&text).ok_or_else(|| {
        hinted(
            format!("{} does not begin with a command", path.display()),
            "bring scripts/src/compile.rs in line with scripts/Kbuild.include of the kernel",
        )
    })?;
    Ok(command)
}

/// The flags that the rules have printed for `target`. The last are those of the last
/// call.
fn flags_of<'a>(printed: &'a str, target: &str) -> Option<&'a str> {
    let mut lines = printed.lines().rev();
    lines.find_map(|line| line.strip_prefix(target)?.strip_prefix(": "))
}

impl Part {
    /// Compares the commands that `kernel` was built by, and those that it would be
    /// built by with further options.
    pub fn verdict(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> (Verdict, String) {
        Verdict::of(self.test(ctx, kernel, step))
    }

    fn test(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> Result<()> {
        let compiler = Compiler::new(ctx, kernel)?;
        let c = saved(&compiler.out.join(self.c))?;
        let rust = saved(&compiler.out.join(FOLDER).join(self.rust.file))?;
        // What follows rustc makes an object of what that wrote.
        let rust = rust.split(';').next().unwrap_or_default();
        self.hold("", &c, rust)?;

        let log = ctx.log(self.test);
        let asked = |folder: &str, object: &str, kind: &str| {
            let object = Path::new(object).with_extension("");
            let target = format!("{}.{kind}-flags", object.display());
            let mut make = kernel::make(ctx, compiler.tree(), &compiler.out);
            make.args(["-s", "hypervisor-flags"])
                .args(RULES)
                .args(OPTIONS)
                .args(USERS_FLAGS)
                .args([format!("IN={folder}"), format!("OBJECT={target}")]);
            process::run(&mut make, &log, step)?;
            let printed = files::read_text(&log)?;
            let flags = flags_of(&printed, &target).with_context(|| {
                hinted(
                    format!("make does not say what flags {target} has: {}", log.display()),
                    "bring scripts/src/hypervisor_flags.rs in line with scripts/Makefile.lib of the kernel",
                )
            })?;
            anyhow::Ok(flags.to_owned())
        };
        let (folder, _) = self.c.rsplit_once('/').context("it is in a folder")?;
        let c = asked(folder, self.c, "c")?;
        let rust = format!("{}/{}{}", self.folder, self.way, self.rust.file);
        let rust = asked(self.folder, &rust, "rust")?;
        self.hold(&format!(" with {}", OPTIONS.join(" ")), &c, &rust)
    }

    /// Says what is different, if anything is.
    fn hold(&self, with: &str, c: &str, rust: &str) -> Result<()> {
        let found = differences(c, rust);
        if found.is_empty() {
            return Ok(());
        }
        Err(hinted(
            format!("in {}{with}: {}", self.place, found.join("; ")),
            format!("give rustc the same, or take it away, in {}", self.makefile),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags of C and Rust that give the code each of [`PAIRS`] that both can have.
    const C: &str = "clang -fsanitize=shadow-call-stack -ffixed-x18 -fasynchronous-unwind-tables \
        -fsanitize=kcfi -fsanitize-cfi-icall-experimental-normalize-integers \
        -fsanitize=kernel-address -fsanitize=kernel-hwaddress -fsanitize-coverage=trace-pc \
        -fprofile-sample-use=p -mbranch-protection=pac-ret+bti -fno-omit-frame-pointer \
        -mno-omit-leaf-frame-pointer -mgeneral-regs-only -c a.c";
    const RUST: &str = "rustc --target=aarch64-unknown-none-softfloat \
        -Zsanitizer=shadow-call-stack -Zfixed-x18 -Cforce-unwind-tables=n \
        -Cforce-unwind-tables=y -Zuse-sync-unwind=n -Zsanitizer=kcfi \
        -Zsanitizer-cfi-normalize-integers -Zsanitizer=kernel-address \
        -Zsanitizer=kernel-hwaddress -Cpasses=sancov-module -Zprofile-sample-use=p \
        -Zbranch-protection=bti,pac-ret -Cforce-frame-pointers=y a.rs";

    /// `command` without the words that begin with `flag`.
    fn without(command: &str, flag: &str) -> String {
        let words = command.split_whitespace();
        let rest: Vec<&str> = words.filter(|word| !word.starts_with(flag)).collect();
        assert_ne!(rest.len(), command.split_whitespace().count(), "{flag}");
        rest.join(" ")
    }

    #[test]
    fn the_same_flags_are_no_difference() {
        assert!(
            differences(C, RUST).is_empty(),
            "{:?}",
            differences(C, RUST)
        );
        assert!(differences("clang -c a.c", "rustc a.rs").is_empty());
    }

    #[test]
    fn a_flag_that_only_one_has_is_named() {
        // Each pair of which both compilers have a flag here.
        for pair in PAIRS.iter().filter(|pair| pair.demand == Demand::Same) {
            let words = |command| str::split_whitespace(command).collect::<Vec<_>>();
            let (is_on, flag_of_c) = state(&words(C), pair.c);
            let flag_of_c = flag_of_c.unwrap_or_else(|| panic!("C has no {}", pair.name));
            let (rust_is_on, flag_of_rust) = state(&words(RUST), pair.rust);
            let flag_of_rust = flag_of_rust.unwrap_or_else(|| panic!("Rust: {}", pair.name));
            assert!(is_on && rust_is_on, "{}", pair.name);

            let lost = without(RUST, flag_of_rust);
            let found = differences(C, &lost).join("\n");
            let start = format!("C has {}, by {flag_of_c}, and Rust has not, ", pair.name);
            assert!(found.contains(&start), "{start}:\n{found}");

            let lost = without(C, flag_of_c);
            let found = differences(&lost, RUST).join("\n");
            let start = format!("Rust has {}, by {flag_of_rust}, and C has not, ", pair.name);
            assert!(found.contains(&start), "{start}:\n{found}");
        }
    }

    #[test]
    fn the_last_flag_counts() {
        let c = "clang -fasynchronous-unwind-tables -fno-asynchronous-unwind-tables \
                 -fno-unwind-tables -fstack-protector-strong -fno-stack-protector -c a.c";
        assert!(differences(c, "rustc -Cforce-unwind-tables=y -Cforce-unwind-tables=n").is_empty());
        // As the hypervisor's object was compiled once.
        assert_eq!(
            differences(
                c,
                "rustc -Cforce-unwind-tables=y -Zuse-sync-unwind=n -Zsanitizer=shadow-call-stack"
            ),
            [
                "Rust has a shadow call stack, by -Zsanitizer=shadow-call-stack, and C has not, \
                 for want of -fsanitize=shadow-call-stack",
                "Rust has unwind tables, by -Cforce-unwind-tables=y, and C has not, \
                 by -fno-unwind-tables",
                "Rust has unwind tables that hold for each instruction, by -Zuse-sync-unwind=n, \
                 and C has not, by -fno-asynchronous-unwind-tables",
            ]
        );
    }

    #[test]
    fn frames_of_all_functions_are_more_than_those_of_callers() {
        let c = "clang -fno-omit-frame-pointer -c a.c";
        assert!(differences(c, "rustc -Cforce-frame-pointers=non-leaf a.rs").is_empty());
        assert_eq!(
            differences(c, "rustc -Cforce-frame-pointers=y a.rs"),
            [
                "Rust has frames of functions that call nothing, by -Cforce-frame-pointers=y, \
                 and C has not, for want of -mno-omit-leaf-frame-pointer"
            ]
        );
    }

    #[test]
    fn what_no_rust_of_the_kernel_has_is_not_asked_for() {
        let c = "clang -pg -fstack-protector-strong -ftest-coverage -fsanitize=thread -c a.c";
        assert!(differences(c, "rustc a.rs").is_empty());
        assert!(differences(c, "rustc -Clto=n a.rs").is_empty());
        for (flag, name) in [
            ("-Zpatchable-function-entry=4,2", "a place for ftrace"),
            ("-Zstack-protector=strong", "a stack protector"),
            ("-Cinstrument-coverage", "GCOV"),
            ("-Zsanitizer=thread", "KCSAN"),
            ("-Clinker-plugin-lto", "LTO"),
            ("-Clto=thin", "LTO"),
        ] {
            let found = differences("clang -c a.c", &format!("rustc {flag} a.rs"));
            assert_eq!(found.len(), 1, "{flag}: {found:?}");
            assert!(
                found[0].contains(name) && found[0].contains(flag),
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_last_call_is_what_make_has_said() {
        let printed = "make[1]: x\na/b.o: -1\na/b.rust-flags: -1 -2\na/b.rust-flags: -3\n";
        assert_eq!(flags_of(printed, "a/b.rust-flags"), Some("-3"));
        assert_eq!(flags_of(printed, "a/b.c-flags"), None);
    }
}
