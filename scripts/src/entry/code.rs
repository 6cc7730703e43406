// SPDX-License-Identifier: GPL-2.0
//! Machine code of an object that has not been linked: its words, what the
//! linker is to put into them, and what the kernel puts in their place.

use anyhow::{ensure, Context as _, Result};
use object::{
    Object as _, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, SectionIndex,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The section of text of an object.
#[derive(Debug, Default)]
pub struct Code {
    /// Its bytes.
    pub text: Vec<u8>,
    /// Symbols in it.
    pub symbols: BTreeMap<String, u64>,
    /// By address, how much of it is a symbol's.
    pub sizes: BTreeMap<u64, u64>,
    /// By address, which symbol the linker is to put into an instruction, and
    /// what is to be added.
    pub links: BTreeMap<u64, (String, i64)>,
    /// What can be put in the place of other instructions.
    pub alternatives: Vec<Alternative>,
    /// By address of an instruction, where to go on after an exception of it.
    pub fixups: BTreeMap<u64, u64>,
}

/// `struct alt_instr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// What is replaced.
    pub original: Range<u64>,
    /// Where what comes in its place is.
    pub replacement: u64,
    /// The number of the capability that it takes.
    pub capability: u16,
}

/// Size of a `struct alt_instr`: two distances of 32 bits, the capability, and
/// two lengths.
const ALTERNATIVE: usize = 12;
/// Set in the number of a capability where code makes the replacement.
const CALLBACK: u16 = 1 << 15;
/// Size of an entry of `__kvm_ex_table`: two distances of 32 bits.
const FIXUP: usize = 8;

impl Code {
    /// That of the object at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        object::File::parse(&*bytes)
            .map_err(anyhow::Error::from)
            .and_then(|file| Self::of(&file))
            .with_context(|| format!("cannot make use of {}", path.display()))
    }

    fn of(file: &object::File<'_>) -> Result<Self> {
        let section = |name: &str| file.section_by_name(name);
        let text = section(".text").context("it has no .text")?;
        let index = text.index();
        let mut code = Self {
            text: text.data()?.to_owned(),
            ..Self::default()
        };
        for symbol in file.symbols() {
            if symbol.section_index() == Some(index) {
                let (name, address) = (symbol.name()?.to_owned(), symbol.address());
                let size = code.sizes.entry(address).or_default();
                *size = symbol.size().max(*size);
                code.symbols.insert(name, address);
            }
        }
        for (address, relocation) in text.relocations() {
            let RelocationTarget::Symbol(target) = relocation.target() else {
                continue;
            };
            // One without a name is a section: of no use in these instructions.
            let name = file.symbol_by_index(target)?.name()?.to_owned();
            code.links.insert(address, (name, relocation.addend()));
        }
        if let Some(list) = section(".altinstructions") {
            let places = places(file, &list, index)?;
            let data = list.data()?;
            for (number, entry) in data.chunks_exact(ALTERNATIVE).enumerate() {
                let at = |field: u64| {
                    let place = (number * ALTERNATIVE) as u64 + field;
                    places.get(&place).copied()
                };
                let capability = u16::from_le_bytes([entry[8], entry[9]]);
                let (Some(original), false) = (at(0), capability & CALLBACK != 0) else {
                    continue;
                };
                ensure!(entry[10] == entry[11], "an alternative has another length");
                code.alternatives.push(Alternative {
                    original: original..original + u64::from(entry[10]),
                    replacement: at(4).context("an alternative is nowhere")?,
                    capability,
                });
            }
        }
        if let Some(list) = section("__kvm_ex_table") {
            let places = places(file, &list, index)?;
            for place in (0..list.size()).step_by(FIXUP) {
                if let (Some(from), Some(to)) = (places.get(&place), places.get(&(place + 4))) {
                    code.fixups.insert(*from, *to);
                }
            }
        }
        Ok(code)
    }

    /// The word at `address`.
    pub fn word(&self, address: u64) -> Option<u32> {
        let start = usize::try_from(address).ok()?;
        let bytes = self.text.get(start..start.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Where the word is that the kernel has at `address` with these
    /// `capabilities`, and the alternative that it comes from.
    pub fn patched(
        &self,
        address: u64,
        capabilities: &BTreeSet<u16>,
    ) -> (u64, Option<&Alternative>) {
        // Of several, the last is applied last.
        let alternative = self.alternatives.iter().rev().find(|alternative| {
            alternative.original.contains(&address)
                && capabilities.contains(&alternative.capability)
        });
        match alternative {
            Some(a) => (a.replacement + (address - a.original.start), alternative),
            None => (address, None),
        }
    }
}

impl Alternative {
    /// Where a branch leads that is `from` this address in the replacement: the
    /// kernel keeps where it leads to, unless that is in the replacement.
    pub fn target(&self, from: u64, distance: i64) -> u64 {
        let target = from.wrapping_add_signed(distance);
        let length = self.original.end - self.original.start;
        // The end counts, see branch_insn_requires_update() of the kernel.
        if (self.replacement..=self.replacement + length).contains(&target) {
            target - self.replacement + self.original.start
        } else {
            target
        }
    }
}

/// The addresses in section `text` that the fields of `list` are the distances
/// to, by the place of the field.
fn places<'a>(
    file: &object::File<'a>,
    list: &object::Section<'a, '_>,
    text: SectionIndex,
) -> Result<BTreeMap<u64, u64>> {
    let address = |relocation: &Relocation| -> Result<Option<u64>> {
        let RelocationTarget::Symbol(target) = relocation.target() else {
            return Ok(None);
        };
        let symbol = file.symbol_by_index(target)?;
        let address = symbol.address().wrapping_add_signed(relocation.addend());
        Ok((symbol.section_index() == Some(text)).then_some(address))
    };
    let mut places = BTreeMap::new();
    for (place, relocation) in list.relocations() {
        if let Some(address) = address(&relocation)? {
            places.insert(place, address);
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_for_cpus_that_have_the_capability() {
        let code = Code {
            alternatives: vec![Alternative {
                original: 8..16,
                replacement: 100,
                capability: 5,
            }],
            ..Code::default()
        };
        let with = |capabilities: &[u16], address| {
            let capabilities = capabilities.iter().copied().collect();
            code.patched(address, &capabilities).0
        };
        assert_eq!(with(&[5], 12), 104);
        assert_eq!(with(&[4], 12), 12);
        assert_eq!(with(&[5], 16), 16);
    }

    #[test]
    fn branches_of_a_replacement_lead_where_they_did() {
        let alternative = Alternative {
            original: 8..16,
            replacement: 100,
            capability: 5,
        };
        assert_eq!(alternative.target(100, 4), 12, "in it");
        assert_eq!(alternative.target(100, 8), 16, "behind it");
        assert_eq!(alternative.target(100, -80), 20, "elsewhere");
    }
}
