// SPDX-License-Identifier: GPL-2.0
//! Checks the pages of Documentation/ and those at the top: that they lead to
//! each other, and that what they name is there. And makes what people read of them and of
//! the code.
//!
//! What a name stands for is not understood. A word is known if the sources have
//! it anywhere. So this notices what was renamed or taken away, but not what was
//! described wrongly. Only commands are looked at in literal blocks.

mod commands;
pub mod html;
mod names;
mod page;
pub mod rustdoc;

use crate::context::Context;
use crate::error::hinted;
use crate::kernel::{self, Variant};
use crate::overlay;
use crate::source;
use anyhow::{Context as _, Result};
use names::Names;
use page::{At, Page};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the pages are.
const FOLDER: &str = "Documentation/";
/// Where this is.
const SELF: &str = "scripts/src/documents/";
/// The page that has the tables of contents, by its name in the folder.
const INDEX: &str = "index.rst";

/// What pages name and the sources do not have, and where it is from. Each line
/// must be needed.
const FROM_ELSEWHERE: [(&str, &str); 4] = [
    ("llvm-symbolizer", "a program of LLVM's"),
    ("log/", "a folder in the cache"),
    ("vfp_set_fpcr_masked", "a function of QEMU's"),
    ("vmstate_zreg_hi_reg", "a variable of QEMU's"),
];

/// The pages by their paths, the other files by theirs, and what is in them.
struct Documents {
    pages: BTreeMap<String, Page>,
    /// Paths of all files here.
    files: BTreeSet<String>,
    makefile: String,
    names: Names,
    /// Links from the code into the kernel tree: file, and where to.
    links: Vec<(String, String)>,
}

/// Checks the pages among `files` of `checkout`, which also name what the kernel tree
/// `kernel` has.
pub fn check(checkout: &Path, files: &[PathBuf], kernel: &Path) -> Result<()> {
    let mut documents = Documents::read(checkout, files)?;
    let mut problems = documents.not_whole();
    let literals = documents.pages.values().flat_map(|page| &page.literals);
    let literals = literals.map(|at| at.text.as_str());
    let from_elsewhere = |name: &&str| FROM_ELSEWHERE.iter().any(|(other, _)| other == name);
    let literals = literals.filter(|literal| !from_elsewhere(literal));
    documents.names.add_kernel(kernel, literals)?;
    problems.extend(documents.unknown_names(&FROM_ELSEWHERE));
    if problems.is_empty() {
        return Ok(());
    }
    Err(hinted(
        problems.join("\n"),
        "correct the page; a name that is right but not in the sources goes to FROM_ELSEWHERE in \
         scripts/src/documents/mod.rs",
    ))
}

/// `make docs`: the pages and what rustdoc makes of the code, and where they are.
pub fn docs(ctx: &Context) -> Result<()> {
    ctx.ui
        .expect(source::steps_to_come(ctx) + kernel::steps_to_come(ctx, Variant::Rust) + 2);
    let step = ctx.ui.step("pages");
    let pages = html::make(ctx, &ctx.log("html"), &step)?;
    step.end("made");
    let kernel = kernel::build(ctx, Variant::Rust)?;
    let step = ctx.ui.step("rustdoc");
    let code = rustdoc::make(ctx, &kernel, &step)?;
    step.end("made");
    println!("pages: {}", pages.display());
    println!("code: {}", code.display());
    Ok(())
}

impl Documents {
    fn read(checkout: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut documents = Self {
            pages: BTreeMap::new(),
            files: BTreeSet::new(),
            makefile: String::new(),
            names: Names::default(),
            links: Vec::new(),
        };
        for file in files {
            let path = file.to_string_lossy().into_owned();
            let full = checkout.join(file);
            let bytes =
                fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
            // A picture has no words.
            let text = String::from_utf8(bytes).unwrap_or_default();
            if path == "Makefile" {
                documents.makefile.clone_from(&text);
            }
            let page = match path.rsplit_once('.') {
                Some((_, "rst")) => Some(Page::of_rst(&text)),
                Some((_, "md")) => Some(Page::of_markdown(&text)),
                _ => None,
            };
            let there = overlay::in_tree(&path);
            let mut paths = vec![path.as_str()];
            paths.extend(there.as_deref());
            match page {
                // That one page has a name does not make it one for another.
                Some(page) => {
                    documents.names.add(&paths, "");
                    documents.pages.insert(path.clone(), page);
                }
                // The names in here are of what there is not.
                None if path.starts_with(SELF) => documents.names.add(&paths, ""),
                None => documents.names.add(&paths, &text),
            }
            if path.ends_with(".rs") && there.is_some() {
                let targets = text.split("](srctree/").skip(1);
                let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
                let links = targets.map(|target| (path.clone(), target.to_owned()));
                documents.links.extend(links);
            }
            documents.files.insert(path);
        }
        Ok(documents)
    }

    /// Pages and pictures that nothing leads to, and links that lead nowhere.
    fn not_whole(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut led_to = BTreeSet::new();
        for (path, page) in &self.pages {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let here = |name: &str| match folder {
                "" => name.to_owned(),
                _ => format!("{folder}/{name}"),
            };
            let mut problem = |at: &At, what: &str| {
                problems.push(format!("{path}:{}: {}: {what}", at.line, at.text))
            };
            for title in &page.short_rules {
                problem(title, "the line of the heading is shorter than the heading");
            }
            for image in &page.images {
                if !self.files.contains(&here(&image.text)) {
                    problem(image, "there is no such picture");
                }
                led_to.insert(here(&image.text));
            }
            for link in &page.links {
                if is_kernels(path, link) {
                    continue;
                }
                let target = link.text.split('#').next().unwrap_or_default();
                let target = here(target);
                if !self.files.contains(&target) {
                    problem(link, "there is no such page");
                }
                led_to.insert(target);
            }
            for (title, target) in &page.sections {
                let target = self.pages.get(&here(target));
                let is_there =
                    |page: &Page| page.titles.iter().any(|other| other.text == title.text);
                if !target.is_some_and(is_there) {
                    problem(title, "that page has no such heading");
                }
            }
            for entry in &page.entries {
                if !self.files.contains(&here(&format!("{}.rst", entry.text))) {
                    problem(entry, "there is no such page");
                }
            }
        }
        let index = self.pages.get(&format!("{FOLDER}{INDEX}"));
        let entries = |name: &str| {
            let entries = index.iter().flat_map(|page| &page.entries);
            entries.filter(|entry| entry.text == name).count()
        };
        for file in &self.files {
            let Some(name) = file.strip_prefix(FOLDER) else {
                continue;
            };
            if let Some(name) = name.strip_suffix(".rst").filter(|_| name != INDEX) {
                match entries(name) {
                    1 => (),
                    0 => problems.push(format!("{file}: {FOLDER}{INDEX} does not have it")),
                    _ => problems.push(format!("{file}: {FOLDER}{INDEX} has it more than once")),
                }
            } else if name.ends_with(".svg") && !led_to.contains(file) {
                problems.push(format!("{file}: no page shows it"));
            }
        }
        problems
    }

    /// Names of what is not there. `from_elsewhere` are not looked for.
    fn unknown_names(&self, from_elsewhere: &[(&str, &str)]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut needed = BTreeSet::new();
        for (path, page) in &self.pages {
            let lines = page.blocks.iter().filter(|at| is_ours(&at.text));
            let kernels = page.links.iter().filter(|at| is_kernels(path, at));
            let names = page.literals.iter().chain(kernels);
            let names = names.map(|at| (at.line, self.names.unknown(&at.text)));
            let in_commands = lines
                .clone()
                .map(|at| (at.line, self.names.unknown_in_command(&at.text)));
            for (line, word) in names.chain(in_commands) {
                match word {
                    None => (),
                    Some(word) if from_elsewhere.iter().any(|(name, _)| *name == word) => {
                        needed.insert(word);
                    }
                    Some(word) => {
                        problems.push(format!("{path}:{line}: {word}: nothing is called so"));
                    }
                }
            }
            for at in page.literals.iter().chain(lines) {
                let wrong = commands::wrong(&at.text, &self.makefile);
                problems.extend(wrong.map(|wrong| format!("{path}:{}: {wrong}", at.line)));
            }
        }
        for (file, link) in &self.links {
            if !self.names.is_file(link) {
                problems.push(format!("{file}: srctree/{link}: there is no such file"));
            }
        }
        for (name, _) in from_elsewhere
            .iter()
            .filter(|(name, _)| !needed.contains(name))
        {
            problems.push(format!(
                "{name}: is in FROM_ELSEWHERE, and no page needs it"
            ));
        }
        problems
    }
}

/// Whether a link of the page `path` leads to a page of the kernel, which is a name
/// as any other.
fn is_kernels(path: &str, link: &At) -> bool {
    path.ends_with(".rst") && link.text.starts_with(FOLDER)
}

/// Whether a line of a literal block is a command of this project.
fn is_ours(line: &str) -> bool {
    line.contains("scripts/") || line.split_whitespace().any(|word| word == "make")
}

#[cfg(test)]
mod tests {
    use super::*;
    use walkdir::WalkDir;

    const INDEX_PAGE: &str = "\
=====
Index
=====

.. toctree::

   one
   two
";
    const ONE: &str = "\
===
One
===

See two.rst, \"Two\" in two.rst and Documentation/virt/kvm/api.rst about ``run()`` in
``vhe/switch.rs``.

.. image:: images/one.svg

::

    make test
    $ gone() is output
";

    /// A repository of a few files, of which some are replaced.
    fn problems(changes: &[(&str, &str)], from_elsewhere: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut files = BTreeMap::from([
            ("Documentation/index.rst", INDEX_PAGE),
            ("Documentation/one.rst", ONE),
            ("Documentation/two.rst", "===\nTwo\n===\n"),
            ("Documentation/images/one.svg", "<svg/>"),
            (
                "README.md",
                "[One](Documentation/one.rst#one), `vhe::switch::run`\n",
            ),
            ("Makefile", "test:\n"),
            (
                "arch-arm64-kvm/vhe/switch.rs",
                "//! [`x`](srctree/include/x.h)\nfn run() {}",
            ),
        ]);
        files.extend(changes.iter().copied());
        let kernel = [
            "Documentation/virt/kvm/api.rst",
            "arch/arm64/x.c",
            "include/x.h",
            "kernel/trace/x.c",
            "rust/x.rs",
            "scripts/x",
            "tools/testing/selftests/arm64/x",
            "tools/testing/selftests/kvm/x",
            "virt/kvm/x.c",
        ];
        let tree = folder.path().join("linux");
        let kernel = kernel.map(|path| (tree.join(path), ""));
        let here = files.iter();
        let here = here.map(|(path, text)| (folder.path().join(path), *text));
        for (path, text) in here.chain(kernel) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files: Vec<PathBuf> = files.keys().map(PathBuf::from).collect();
        let mut documents = Documents::read(folder.path(), &files).unwrap();
        documents.names.add_kernel(&tree, [].into_iter()).unwrap();
        let mut problems = documents.not_whole();
        problems.extend(documents.unknown_names(from_elsewhere));
        assert_eq!(
            check(folder.path(), &files, &tree).is_ok(),
            documents.not_whole().is_empty() && documents.unknown_names(&FROM_ELSEWHERE).is_empty()
        );
        problems
    }

    #[test]
    fn pages_that_are_whole_pass() {
        assert_eq!(problems(&[], &[]), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let one = |from: &str, to: &str| -> Vec<String> {
            let changed = ONE.replace(from, to);
            assert_ne!(changed, ONE);
            problems(&[("Documentation/one.rst", &changed)], &[])
        };
        let of_one = "Documentation/one.rst:";
        assert_eq!(
            one("===\nOne\n===", "==\nOne\n=="),
            [format!(
                "{of_one}2: One: the line of the heading is shorter than the heading"
            )]
        );
        assert_eq!(
            one("See two.rst", "See three.rst"),
            [format!("{of_one}5: three.rst: there is no such page")]
        );
        assert_eq!(
            one("\"Two\"", "\"Three\""),
            [format!("{of_one}5: Three: that page has no such heading")]
        );
        assert_eq!(
            one("api.rst", "gone.rst"),
            [format!(
                "{of_one}5: Documentation/virt/kvm/gone.rst: nothing is called so"
            )]
        );
        assert_eq!(
            one("run()", "walk()"),
            [format!("{of_one}5: walk: nothing is called so")]
        );
        assert_eq!(
            one("vhe/switch.rs", "vhe/gone.rs"),
            [format!("{of_one}6: vhe/gone.rs: nothing is called so")]
        );
        assert_eq!(
            one("make test", "make all"),
            [format!(
                "{of_one}12: make all: the Makefile has no such target"
            )]
        );
        assert_eq!(
            one("images/one.svg", "images/two.svg"),
            [
                format!("{of_one}8: images/two.svg: there is no such picture"),
                "Documentation/images/one.svg: no page shows it".to_owned()
            ]
        );
    }

    #[test]
    fn a_page_is_once_in_the_tables_of_contents() {
        let index = |entries: &str| {
            let changed = INDEX_PAGE.replace("   two\n", entries);
            problems(&[("Documentation/index.rst", &changed)], &[])
        };
        let two = "Documentation/two.rst: Documentation/index.rst";
        assert_eq!(index(""), [format!("{two} does not have it")]);
        assert_eq!(
            index("   two\n   two\n"),
            [format!("{two} has it more than once")]
        );
        assert_eq!(
            index("   two\n   six\n"),
            ["Documentation/index.rst:9: six: there is no such page"]
        );
    }

    #[test]
    fn links_of_code_lead_to_files() {
        let code = "//! [`x`](srctree/include/y.h)\nfn run() {}";
        assert_eq!(
            problems(&[("arch-arm64-kvm/vhe/switch.rs", code)], &[]),
            ["arch-arm64-kvm/vhe/switch.rs: srctree/include/y.h: there is no such file"]
        );
    }

    #[test]
    fn names_from_elsewhere_are_listed_and_needed() {
        let page = ONE.replace("run()", "vmstate_one()");
        let page = [("Documentation/one.rst", page.as_str())];
        assert_eq!(problems(&page, &[("vmstate_one", "QEMU's")]), [""; 0]);
        assert_eq!(
            problems(&[], &[("vmstate_one", "QEMU's")]),
            ["vmstate_one: is in FROM_ELSEWHERE, and no page needs it"]
        );
    }

    #[test]
    fn pages_of_this_repository_lead_to_each_other() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
        for entry in WalkDir::new(checkout.join(FOLDER)) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                files.push(entry.path().strip_prefix(checkout).unwrap().to_owned());
            }
        }
        let documents = Documents::read(checkout, &files).unwrap();
        assert_eq!(documents.not_whole(), [""; 0]);
    }
}
