// SPDX-License-Identifier: GPL-2.0
//! What the hypervisor's text takes, and the memory of each vCPU and each CPU.

use crate::files;
use crate::kernel::Kernel;
use crate::process;
use anyhow::{ensure, Context as _, Result};
use object::{Object, ObjectSymbol, SymbolKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Bytes that something takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// What.
    pub what: String,
    /// With C.
    pub c: u64,
    /// With Rust.
    pub rust: u64,
}

/// Sizes of one kernel, by what they are of.
type Sizes = Vec<(&'static str, u64)>;

/// The sizes of both kernels; `workplace` is for what the compiler writes.
pub fn of(c: &Kernel, rust: &Kernel, workplace: &Path) -> Result<Vec<Size>> {
    let sizes = |kernel: &Kernel| {
        of_kernel(kernel, workplace)
            .with_context(|| format!("cannot tell sizes of {}", kernel.vmlinux.display()))
    };
    Ok(side_by_side(sizes(c)?, sizes(rust)?))
}

fn side_by_side(c: Sizes, rust: Sizes) -> Vec<Size> {
    let both = c.into_iter().zip(rust);
    both.map(|((what, c), (_, rust))| Size {
        what: what.to_owned(),
        c,
        rust,
    })
    .collect()
}

fn of_kernel(kernel: &Kernel, workplace: &Path) -> Result<Sizes> {
    let bytes = fs::read(&kernel.vmlinux)?;
    let vmlinux = Symbols::read(&bytes)?;
    let mut sizes = vec![
        ("functions of the hypervisor", vmlinux.hypervisor_text()?),
        (
            "per CPU, the kernel's variables",
            vmlinux.between("__per_cpu_start", "__per_cpu_end")?,
        ),
        (
            "per CPU, the hypervisor's variables",
            vmlinux.between("__kvm_nvhe___per_cpu_start", "__kvm_nvhe___per_cpu_end")?,
        ),
    ];
    sizes.extend(of_structures(kernel, workplace)?);
    Ok(sizes)
}

/// The symbols of a file.
#[derive(Debug, Default)]
struct Symbols {
    /// Addresses by name.
    addresses: BTreeMap<String, u64>,
    /// The size of what is at an address, as the largest of its symbols has it,
    /// and whether it is a function.
    sizes: BTreeMap<u64, (u64, bool)>,
}

impl Symbols {
    fn read(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes).context("it is not an ELF file")?;
        let mut symbols = Self::default();
        for symbol in file.symbols() {
            let name = symbol.name().unwrap_or_default();
            let is_function = symbol.kind() == SymbolKind::Text;
            symbols.add(name, symbol.address(), symbol.size(), is_function);
        }
        Ok(symbols)
    }

    fn add(&mut self, name: &str, address: u64, size: u64, is_function: bool) {
        self.addresses.insert(name.to_owned(), address);
        let known = self.sizes.entry(address).or_default();
        known.0 = known.0.max(size);
        known.1 |= is_function;
    }

    fn address(&self, name: &str) -> Result<u64> {
        let address = self.addresses.get(name).copied();
        address.with_context(|| format!("it has no symbol {name}"))
    }

    fn between(&self, start: &str, end: &str) -> Result<u64> {
        let (start, end) = (self.address(start)?, self.address(end)?);
        end.checked_sub(start).context("it ends before it starts")
    }

    /// What the functions of the hypervisor's text take together. What is between
    /// them, the linker put there, and it rounds the whole up to pages.
    fn hypervisor_text(&self) -> Result<u64> {
        let text = self.address("__hyp_text_start")?..self.address("__hyp_text_end")?;
        let functions = self
            .sizes
            .range(text)
            .filter(|(_, (_, function))| *function);
        let sum = functions.map(|(_, (size, _))| size).sum();
        ensure!(sum > 0, "there are no functions in the hypervisor's text");
        Ok(sum)
    }
}

/// A file of the kernel whose command is taken: it is compiled like any other, and
/// there is one in each build.
const LIKE: &str = "arch/arm64/kernel/asm-offsets";

/// Structures, and what C has for their sizes. The statistics of a vCPU, which Rust has more of,
/// are a part of it.
const STRUCTURES: [(&str, &str); 3] = [
    (
        "struct kvm_vcpu, but for its statistics",
        "sizeof(struct kvm_vcpu) - sizeof(struct kvm_vcpu_stat)",
    ),
    ("struct kvm_vcpu_stat", "sizeof(struct kvm_vcpu_stat)"),
    ("struct kvm_host_data", "sizeof(struct kvm_host_data)"),
];

/// Asks the compiler: the kernel is built without debug information.
fn of_structures(kernel: &Kernel, workplace: &Path) -> Result<Sizes> {
    let like = kernel.folder().join(LIKE);
    let (folder, name) = (like.parent(), like.file_name());
    let (folder, name) = (folder.zip(name)).context("it has no name")?;
    let saved = folder.join(format!(".{}.s.cmd", name.to_string_lossy()));
    let text = files::read_text(&saved)?;
    let (source, object) = (workplace.join("sizes.c"), workplace.join("sizes.o"));
    fs::write(&source, program()).with_context(|| format!("cannot write {}", source.display()))?;
    let line = command(&text, &source, &object)?;
    process::output(
        Command::new("sh")
            .args(["-c", &line])
            .current_dir(kernel.folder()),
    )?;
    let bytes = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
    let file = object::File::parse(&*bytes).context("it is not an ELF file")?;
    let size = |(index, (what, _)): (usize, (&'static str, _))| {
        let name = variable(index);
        let symbol = file.symbol_by_name(&name);
        let symbol = symbol.with_context(|| format!("the compiler left out {name}"))?;
        Ok((what, symbol.size()))
    };
    STRUCTURES.into_iter().enumerate().map(size).collect()
}

fn variable(index: usize) -> String {
    format!("structure_{index}")
}

/// A program that has a variable as long as each of the structures.
fn program() -> String {
    let mut text = "#include <linux/kvm_host.h>\n".to_owned();
    for (index, (_, size)) in STRUCTURES.iter().enumerate() {
        let name = variable(index);
        text.push_str(&format!("unsigned char {name}[{size}];\n"));
    }
    text
}

/// The command of [`LIKE`] that was saved in `text`, for another file.
fn command(text: &str, source: &Path, object: &Path) -> Result<String> {
    let expected = || format!("the command of {LIKE} is written in another way now");
    let line = text.lines().find_map(|line| {
        let rest = line.strip_prefix("savedcmd_")?;
        Some(rest.split_once(" := ")?.1)
    });
    let line = line.with_context(expected)?;
    // What it depends on is of no interest, and the file belongs to the build.
    let words = line
        .split(' ')
        .filter(|word| !word.starts_with("-Wp,-MMD,"));
    let words: Vec<&str> = words.collect();
    let [flags @ .., "-S", "-o", _, _] = &*words else {
        anyhow::bail!(expected());
    };
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    Ok(format!(
        "{} -c -o {} {}",
        flags.join(" "),
        quoted(object),
        quoted(source)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(all: &[(&str, u64, u64, bool)]) -> Symbols {
        let mut symbols = Symbols::default();
        for (name, address, size, is_function) in all {
            symbols.add(name, *address, *size, *is_function);
        }
        symbols
    }

    #[test]
    fn functions_of_the_hypervisor_are_added_up_once() {
        let symbols = symbols(&[
            ("before", 0x0fff, 1, true),
            ("__hyp_text_start", 0x1000, 0, false),
            ("f", 0x1000, 0x10, true),
            ("alias_of_f", 0x1000, 0x10, true),
            ("a_label", 0x1008, 4, false),
            ("g", 0x1040, 0x20, true),
            ("__hyp_text_end", 0x2000, 0, false),
            ("behind", 0x2000, 0x100, true),
        ]);
        assert_eq!(symbols.hypervisor_text().unwrap(), 0x30);
        let error = symbols.between("f", "h").unwrap_err().to_string();
        assert_eq!(error, "it has no symbol h");
        assert_eq!(symbols.between("f", "g").unwrap(), 0x40);
        assert!(symbols.between("g", "f").is_err());
    }

    #[test]
    fn a_hypervisor_without_functions_is_none() {
        let ends = [
            ("__hyp_text_start", 0, 0, false),
            ("__hyp_text_end", 8, 0, false),
        ];
        assert!(symbols(&ends).hypervisor_text().is_err());
    }

    #[test]
    fn the_command_is_that_of_the_kernel() {
        let saved = "savedcmd_arch/arm64/kernel/asm-offsets.s := ccache clang \
            -Wp,-MMD,arch/.asm-offsets.s.d -nostdinc -DA='\"b\"' -fverbose-asm -S \
            -o arch/arm64/kernel/asm-offsets.s /tree/asm-offsets.c\n\nsource_x := y\n";
        assert_eq!(
            command(saved, Path::new("/w/it's.c"), Path::new("/w/sizes.o")).unwrap(),
            "ccache clang -nostdinc -DA='\"b\"' -fverbose-asm -c -o '/w/sizes.o' '/w/it'\\''s.c'"
        );
        let other = saved.replace(" -S ", " -c ");
        assert!(command(&other, Path::new("/w/s.c"), Path::new("/w/s.o")).is_err());
    }

    #[test]
    fn sizes_are_side_by_side() {
        assert_eq!(
            side_by_side(vec![("a", 1), ("b", 2)], vec![("a", 3), ("b", 4)])[1],
            Size {
                what: "b".to_owned(),
                c: 2,
                rust: 4
            }
        );
    }
}
