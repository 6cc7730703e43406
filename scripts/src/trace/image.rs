// SPDX-License-Identifier: GPL-2.0
//! The functions of a kernel, and where its guests exit and are entered.

use super::insn;
use crate::error::hinted;
use crate::host::Mode;
use anyhow::{Context as _, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// A kernel.
#[derive(Debug)]
pub struct Image {
    /// Its virtual addresses.
    pub addresses: Range<u64>,
    /// Names of functions by address. An empty one ends what is before.
    functions: BTreeMap<u64, String>,
    /// Instructions of __guest_enter and its twin that end a window.
    erets: BTreeMap<&'static str, u64>,
}

/// The symbols of the code that enters and leaves guests: prefix of those of
/// the hypervisor object, which nVHE, hVHE and pKVM use.
fn world(mode: Mode) -> &'static str {
    match mode {
        Mode::Vhe | Mode::Nested => "",
        Mode::Nvhe | Mode::Hvhe | Mode::Protected => NVHE,
    }
}

/// What stands for the function of code in userspace.
pub const USERSPACE: &str = "userspace";

/// Prefix of the symbols of the hypervisor object.
const NVHE: &str = "__kvm_nvhe_";

/// A function may be so long until its ERET.
const MOST: u64 = 4096;

impl Image {
    /// Reads the symbols of `vmlinux`, from which the Image at `booted` was
    /// made.
    pub fn read(vmlinux: &Path, booted: &Path) -> Result<Self> {
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let (vmlinux_bytes, booted_bytes) = (read(vmlinux)?, read(booted)?);
        let file = object::File::parse(&*vmlinux_bytes)
            .with_context(|| format!("{} is not an ELF file", vmlinux.display()))?;
        Self::of(&file, &booted_bytes)
            .with_context(|| format!("cannot make use of {}", vmlinux.display()))
    }

    fn of(file: &object::File<'_>, booted: &[u8]) -> Result<Self> {
        let symbol = |name: &str| {
            file.symbol_by_name(name)
                .map(|s| s.address())
                .with_context(|| format!("it has no symbol {name}"))
        };
        let addresses = symbol("_text")?..symbol("_end")?;
        let text: Vec<_> = file
            .sections()
            .filter(|s| s.kind() == SectionKind::Text)
            .map(|s| s.address()..s.address() + s.size())
            .collect();
        let mut functions: BTreeMap<u64, String> =
            text.iter().map(|t| (t.end, String::new())).collect();
        for symbol in file.symbols() {
            // Assembly has entry points that are no functions to the linker;
            // its local labels are none to anybody.
            let is_function = symbol.kind() == SymbolKind::Text
                || (matches!(symbol.kind(), SymbolKind::Unknown | SymbolKind::Label)
                    && symbol.is_global());
            let address = symbol.address();
            if let (true, Ok(name)) = (is_function, symbol.name()) {
                if text.iter().any(|range| range.contains(&address)) {
                    let name = readable(name);
                    let known = functions.entry(address).or_default();
                    // Of several names for one place always the same.
                    if known.is_empty() || name < *known {
                        *known = name;
                    }
                }
            }
        }
        // As much of the range as there is: it may reach past the end of a section.
        let code = |range: Range<u64>| {
            file.sections().find_map(|section| {
                let end = range.end.min(section.address() + section.size());
                let size = end.checked_sub(range.start)?;
                section.data_range(range.start, size).ok()?
            })
        };
        let mut erets = BTreeMap::new();
        for prefix in ["", NVHE] {
            let start = symbol(&format!("{prefix}__guest_enter"))?;
            let bytes = code(start..start + MOST)
                .with_context(|| format!("{prefix}__guest_enter has no code"))?;
            let offset = (start - addresses.start) as usize;
            if booted.get(offset..offset + bytes.len()) != Some(bytes) {
                return Err(hinted(
                    "it is not what the booted Image was made from",
                    "leave out --no-build",
                ));
            }
            let eret = bytes
                .chunks_exact(4)
                .position(|w| w == insn::ERET.to_le_bytes())
                .with_context(|| format!("{prefix}__guest_enter has no ERET"))?;
            erets.insert(prefix, start + 4 * eret as u64);
        }
        Ok(Self {
            addresses,
            functions,
            erets,
        })
    }

    /// One that only knows these functions.
    #[cfg(test)]
    pub fn with_functions(functions: &[(u64, &str)]) -> Self {
        let own = |(address, name): &(u64, &str)| (*address, (*name).to_owned());
        Self {
            addresses: 0..0,
            functions: functions.iter().map(own).collect(),
            erets: BTreeMap::new(),
        }
    }

    /// The first and the last instruction of a window: the first of
    /// __guest_exit, and the ERET of __guest_enter.
    pub fn window(&self, mode: Mode) -> Result<(u64, u64)> {
        let name = format!("{}__guest_exit", world(mode));
        let begin = self
            .functions
            .iter()
            .find(|(_, n)| **n == name)
            .with_context(|| format!("the kernel has no {name}"))?;
        let end = self.erets[world(mode)];
        Ok((*begin.0, end))
    }

    /// The function at `address`, and whether it begins there.
    pub fn function(&self, address: u64) -> (&str, bool) {
        let in_image = self
            .functions
            .range(..=address)
            .next_back()
            .filter(|(_, name)| !name.is_empty());
        match in_image {
            Some((start, name)) => (name, *start == address),
            // Bit 55 selects the half of the address space.
            None if (address >> 55) & 1 == 0 => (USERSPACE, false),
            None => ("unknown", false),
        }
    }
}

/// A name as one would write it: Rust's without their encoding.
fn readable(name: &str) -> String {
    let (prefix, rest) = match name.strip_prefix(NVHE) {
        Some(rest) => (NVHE, rest),
        None => ("", name),
    };
    match rustc_demangle::try_demangle(rest) {
        Ok(demangled) => format!("{prefix}{demangled:#}"),
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let mut image = Image::with_functions(&[
            (0xffff_8000_8000_0100, "__guest_enter"),
            (0xffff_8000_8000_0200, "__guest_exit"),
            (0xffff_8000_8000_0300, ""),
        ]);
        image.erets = BTreeMap::from([("", 0xffff_8000_8000_01f0), (NVHE, 0)]);
        image
    }

    #[test]
    fn functions_have_ends() {
        let image = image();
        let of = |address| image.function(address);
        assert_eq!(of(0xffff_8000_8000_0100), ("__guest_enter", true));
        assert_eq!(of(0xffff_8000_8000_01fc), ("__guest_enter", false));
        assert_eq!(of(0xffff_8000_8000_0300), ("unknown", false));
        assert_eq!(of(0x40_1000), ("userspace", false));
    }

    #[test]
    fn the_window_is_that_of_the_mode() {
        let image = image();
        let expected = (0xffff_8000_8000_0200, 0xffff_8000_8000_01f0);
        assert_eq!(image.window(Mode::Vhe).unwrap(), expected);
        let error = image.window(Mode::Nvhe).unwrap_err().to_string();
        assert!(error.contains("__kvm_nvhe___guest_exit"), "{error}");
    }

    #[test]
    fn rust_names_are_readable() {
        assert_eq!(
            readable("__kvm_nvhe__RNvCs1234_7mycrate3foo"),
            "__kvm_nvhe_mycrate::foo"
        );
        assert_eq!(readable("__guest_exit"), "__guest_exit");
    }
}
