// SPDX-License-Identifier: GPL-2.0
//! Counts the unsafe code of each layer, and sees to it that the logic has
//! none.
//!
//! Tokens are looked at, not syntax: what is in a macro counts as well.

use crate::files;
use crate::table;
use anyhow::{anyhow, ensure, Result};
use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What code is there for, from the hardware up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Primitives,
    Views,
    Boundary,
    Logic,
    Tests,
    HostPrograms,
}

impl Layer {
    const ALL: [Self; 6] = [
        Self::Primitives,
        Self::Views,
        Self::Boundary,
        Self::Logic,
        Self::Tests,
        Self::HostPrograms,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Primitives => "primitives",
            Self::Views => "views",
            Self::Boundary => "boundary to C",
            Self::Logic => "logic",
            Self::Tests => "tests",
            Self::HostPrograms => "host programs",
        }
    }

    /// Whether unsafe code has no business there.
    fn is_safe(self) -> bool {
        matches!(self, Self::Logic | Self::HostPrograms)
    }

    /// The layer of a file; `None` for one that is not Rust for the kernel.
    fn of(path: &Path) -> Option<Self> {
        if path.extension()? != "rs" {
            return None;
        }
        let path = path.with_extension("");
        let mut parts = path.iter().map(|part| part.to_str().unwrap_or_default());
        let folder = parts.next()?;
        let parts: Vec<&str> = parts.collect();
        match (folder, &parts[..]) {
            ("rust", ["kernel", ..]) => Some(Self::Primitives),
            ("rust", _) => Some(Self::HostPrograms),
            ("arch-arm64-kvm", ["calls", ..]) => Some(Self::HostPrograms),
            ("arch-arm64-kvm", ["fp_kunit" | "neon_softirq", ..]) => Some(Self::Tests),
            ("arch-arm64-kvm", ["kvm_arm64" | "kvm_arm64_nvhe"]) => Some(Self::Boundary),
            // Assembly.
            ("arch-arm64-kvm", ["hyp", "entry"] | ["nvhe", "host_call"]) => Some(Self::Primitives),
            ("arch-arm64-kvm", parts) if parts.contains(&"view") => Some(Self::Views),
            ("arch-arm64-kvm", _) => Some(Self::Logic),
            _ => None,
        }
    }
}

/// Whether a file has logic of KVM's.
pub fn is_logic(path: &Path) -> bool {
    Layer::of(path) == Some(Layer::Logic)
}

/// Unsafe code that is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Block,
    Function,
    Impl,
    /// A trait, a block of foreign functions, an attribute.
    Other,
}

/// What a layer has.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Count {
    files: usize,
    unsafe_code: BTreeMap<Kind, usize>,
}

/// What the layers have.
#[derive(Debug)]
pub struct Counts {
    layers: BTreeMap<Layer, Count>,
    problems: Vec<String>,
}

impl Counts {
    /// Counts in `files` of `checkout`.
    pub fn of(checkout: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut counts = Self {
            layers: BTreeMap::new(),
            problems: Vec::new(),
        };
        for file in files {
            if let Some(layer) = Layer::of(file) {
                let full = checkout.join(file);
                let text = files::read_text(&full)?;
                counts.add(layer, &file.display().to_string(), &text)?;
            }
        }
        Ok(counts)
    }

    fn add(&mut self, layer: Layer, file: &str, text: &str) -> Result<()> {
        let tokens: TokenStream = text
            .parse()
            .map_err(|e| anyhow!("{file} is not Rust: {e}"))?;
        let count = self.layers.entry(layer).or_default();
        count.files += 1;
        for (kind, line) in unsafe_code(tokens.clone()) {
            *count.unsafe_code.entry(kind).or_default() += 1;
            if layer.is_safe() {
                self.problems.push(format!(
                    "{file}:{line}: {} must not have unsafe code: make it part of a primitive or \
                     of a view, behind a function that is safe",
                    layer.name()
                ));
            }
        }
        // That of a module is that of the modules in it, so not where those
        // are views.
        let words: Vec<String> = words(tokens).collect();
        let has = |sequence: &[&str]| words.windows(sequence.len()).any(|w| w == sequence);
        if layer == Layer::Logic && !has(&["forbid", "unsafe_code"]) && !has(&["mod", "view"]) {
            self.problems.push(format!(
                "{file}: the compiler does not check that there is no unsafe code: \
                 add #![forbid(unsafe_code)]"
            ));
        }
        Ok(())
    }

    /// Fails if the logic has unsafe code.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.layers.contains_key(&Layer::Logic),
            "no file of the logic was found: bring scripts/src/unsafe_count.rs in line with \
             the folders"
        );
        ensure!(self.problems.is_empty(), "{}", self.problems.join("\n"));
        Ok(())
    }

    /// The counts, a row for each layer.
    pub fn rows(&self) -> Vec<LayerCount> {
        let row = |layer: &Layer| {
            let count = self.layers.get(layer).cloned().unwrap_or_default();
            let number = |kind| count.unsafe_code.get(&kind).copied().unwrap_or(0);
            LayerCount {
                layer: layer.name().to_owned(),
                files: count.files,
                blocks: number(Kind::Block),
                functions: number(Kind::Function),
                impls: number(Kind::Impl),
                other: number(Kind::Other),
            }
        };
        Layer::ALL.iter().map(row).collect()
    }
}

/// How much unsafe code a layer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerCount {
    /// Its name.
    pub layer: String,
    /// Its files.
    pub files: usize,
    /// Unsafe blocks in them.
    pub blocks: usize,
    /// Unsafe functions.
    pub functions: usize,
    /// Unsafe implementations.
    pub impls: usize,
    /// Traits, blocks of foreign functions, attributes.
    pub other: usize,
}

/// Counts for people.
pub fn table(counts: &[LayerCount]) -> String {
    let row = |count: &LayerCount| {
        let numbers = [
            count.files,
            count.blocks,
            count.functions,
            count.impls,
            count.other,
        ];
        std::iter::once(count.layer.clone())
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    };
    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
    let head = [
        "layer",
        "files",
        "unsafe blocks",
        "functions",
        "impls",
        "other",
    ];
    table::render(&head, &rows)
}

/// All words, in their order, those in groups included.
fn words(tokens: TokenStream) -> Box<dyn Iterator<Item = String>> {
    Box::new(tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(ident) => Box::new(std::iter::once(ident.to_string())),
        TokenTree::Group(group) => words(group.stream()),
        _ => Box::new(std::iter::empty()),
    }))
}

/// The unsafe code in `tokens`, each with its line.
fn unsafe_code(tokens: TokenStream) -> Vec<(Kind, usize)> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(unsafe_code(group.stream())),
            TokenTree::Ident(ident) if ident == "unsafe" => {
                let kind = kind(&tokens[index + 1..]);
                found.extend(kind.map(|kind| (kind, ident.span().start().line)));
            }
            _ => {}
        }
    }
    found
}

/// What the tokens behind `unsafe` make of it; `None` for the type of a
/// pointer.
fn kind(behind: &[TokenTree]) -> Option<Kind> {
    let is_group = |token: Option<&TokenTree>, delimiter| match token {
        Some(TokenTree::Group(group)) => group.delimiter() == delimiter,
        _ => false,
    };
    let word = |token: Option<&TokenTree>| match token {
        Some(TokenTree::Ident(ident)) => Ident::to_string(ident),
        _ => String::new(),
    };
    let function = |behind: &[TokenTree]| match is_group(behind.first(), Delimiter::Parenthesis) {
        true => None,
        false => Some(Kind::Function),
    };
    match word(behind.first()).as_str() {
        "impl" => Some(Kind::Impl),
        "fn" => function(&behind[1..]),
        "extern" => {
            let has_abi = matches!(behind.get(1), Some(TokenTree::Literal(_)));
            let behind = &behind[1 + usize::from(has_abi)..];
            match word(behind.first()).as_str() {
                "fn" => function(&behind[1..]),
                _ => Some(Kind::Other),
            }
        }
        _ if is_group(behind.first(), Delimiter::Brace) => Some(Kind::Block),
        _ => Some(Kind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, usize)> {
        unsafe_code(text.parse().unwrap())
    }

    #[test]
    fn each_kind_is_counted() {
        let text = "\
// unsafe { comment }
/// unsafe { documentation }
fn f() -> &'static str { unsafe { g() }; \"unsafe { text }\" }
unsafe fn g() {}
pub(crate) const unsafe fn h() {}
unsafe extern \"C\" fn i(call: unsafe extern \"C\" fn(u8), other: unsafe fn()) {}
unsafe impl Send for A {}
unsafe trait B { unsafe fn j(); }
unsafe extern \"C\" {}
#[unsafe(no_mangle)]
fn r#unsafe() { let unsafe_code = 1; }
";
        assert_eq!(
            kinds(text),
            [
                (Kind::Block, 3),
                (Kind::Function, 4),
                (Kind::Function, 5),
                (Kind::Function, 6),
                (Kind::Impl, 7),
                (Kind::Other, 8),
                (Kind::Function, 8),
                (Kind::Other, 9),
                (Kind::Other, 10),
            ]
        );
    }

    #[test]
    fn macros_are_looked_into() {
        assert_eq!(
            kinds("m! {\n  x => [unsafe { y }]\n}\nmacro_rules! n { ($a:expr) => { unsafe $a } }"),
            [(Kind::Block, 2), (Kind::Other, 4)]
        );
        assert_eq!(
            kinds("macro_rules! m { ($n:ident) => { unsafe fn $n() {} } }"),
            [(Kind::Function, 1)]
        );
    }

    #[test]
    fn files_belong_to_layers() {
        let layer = |path: &str| Layer::of(Path::new(path));
        for (path, expected) in [
            ("rust/kernel/arm64/fp.rs", Layer::Primitives),
            ("rust/kernel/preempt.rs", Layer::Primitives),
            ("rust/arm64/sysreg/list.rs", Layer::HostPrograms),
            ("arch-arm64-kvm/calls/check_calls.rs", Layer::HostPrograms),
            ("arch-arm64-kvm/calls/elf.rs", Layer::HostPrograms),
            ("arch-arm64-kvm/view.rs", Layer::Views),
            ("arch-arm64-kvm/hyp/view/vm.rs", Layer::Views),
            ("arch-arm64-kvm/nvhe/view.rs", Layer::Views),
            ("arch-arm64-kvm/kvm_arm64.rs", Layer::Boundary),
            ("arch-arm64-kvm/kvm_arm64_nvhe.rs", Layer::Boundary),
            ("arch-arm64-kvm/fp_kunit/cpu.rs", Layer::Tests),
            ("arch-arm64-kvm/neon_softirq.rs", Layer::Tests),
            ("arch-arm64-kvm/hyp/sysreg_sr.rs", Layer::Logic),
            ("arch-arm64-kvm/viewer.rs", Layer::Logic),
        ] {
            assert_eq!(layer(path), Some(expected), "{path}");
        }
        assert_eq!(layer("scripts/src/main.rs"), None);
        assert_eq!(layer("arch-arm64-kvm/kvm_arm64.calls"), None);
        assert_eq!(layer("rust/kernel/arm64/generated_x.rs.S"), None);
    }

    /// The problems of files with these names and contents.
    fn problems(files: &[(&str, &str)]) -> String {
        let mut counts = Counts {
            layers: BTreeMap::new(),
            problems: Vec::new(),
        };
        for (path, text) in files {
            let layer = Layer::of(Path::new(path)).unwrap();
            counts.add(layer, path, text).unwrap();
        }
        match counts.check() {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn unsafe_code_in_the_logic_is_refused() {
        let forbid = "#![forbid(unsafe_code)]\n";
        let code = "macro_rules! m { () => { unsafe { f() } } }";
        let bad = format!("{forbid}{code}");
        let found = problems(&[("arch-arm64-kvm/a.rs", &bad)]);
        assert!(found.starts_with("arch-arm64-kvm/a.rs:2: logic must not have unsafe code"));
        assert_eq!(found.lines().count(), 1);
        let view = ("arch-arm64-kvm/view/a.rs", code);
        assert_eq!(problems(&[view, ("arch-arm64-kvm/a.rs", forbid)]), "");
        let found = problems(&[("arch-arm64-kvm/calls/check_calls.rs", code)]);
        assert!(found.contains("no file of the logic"), "{found}");
    }

    #[test]
    fn the_compiler_checks_the_logic_too() {
        let found = problems(&[("arch-arm64-kvm/a.rs", "fn f() {}")]);
        assert!(found.ends_with("add #![forbid(unsafe_code)]"), "{found}");
        assert_eq!(problems(&[("arch-arm64-kvm/a.rs", "mod view;")]), "");
    }

    #[test]
    fn this_repository_has_all_layers() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files: Vec<PathBuf> = ["arch-arm64-kvm", "rust"]
            .iter()
            .flat_map(|folder| walkdir::WalkDir::new(checkout.join(folder)))
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.is_file())
            .map(|path| path.strip_prefix(checkout).unwrap().to_owned())
            .collect();
        let counts = Counts::of(checkout, &files).unwrap();
        for layer in Layer::ALL {
            assert!(counts.layers.contains_key(&layer), "{layer:?}");
        }
        let faq = files::read_text(&checkout.join("Documentation/faq.rst")).unwrap();
        let said: Vec<Vec<&str>> = faq.lines().map(|l| l.split("  ").collect()).collect();
        let is_of_kvm = |row: &LayerCount| !["tests", "host programs"].contains(&&*row.layer);
        for row in counts.rows().into_iter().filter(is_of_kvm) {
            let numbers = [row.files, row.blocks, row.functions, row.impls + row.other];
            let row = std::iter::once(row.layer).chain(numbers.map(|number| number.to_string()));
            let row: Vec<String> = row.collect();
            let is = |line: &&Vec<&str>| {
                let cells = line.iter().map(|cell| cell.trim());
                let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
                cells == row
            };
            assert!(
                said.iter().any(|line| is(&line)),
                "faq.rst does not say {row:?}"
            );
        }
    }

    #[test]
    fn the_table_has_all_layers() {
        let mut counts = Counts {
            layers: BTreeMap::new(),
            problems: Vec::new(),
        };
        counts
            .add(Layer::Views, "a.rs", "unsafe fn f() { unsafe { g() } }")
            .unwrap();
        let table = table(&counts.rows());
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 1 + Layer::ALL.len());
        assert_eq!(rows[2], ["views", "1", "1", "1", "0", "0"]);
        assert_eq!(rows[4], ["logic", "0", "0", "0", "0", "0"]);
    }
}
