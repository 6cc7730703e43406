// SPDX-License-Identifier: GPL-2.0
//! Whether two pieces of code do the same.

use super::code::Code;
use super::walk::{ways, Entry, Event, Way};
use crate::process;
use crate::trace::names::Names;
use anyhow::{bail, ensure, Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Where C and the vectors jump to.
const ENTRIES: [Entry; 4] = [
    Entry {
        symbol: "__guest_enter",
        vcpu: Some(0),
        has_result: true,
    },
    Entry {
        symbol: "__guest_exit",
        vcpu: Some(1),
        has_result: true,
    },
    // These return to hyp_panic(), which takes no argument.
    Entry {
        symbol: "__guest_exit_panic",
        vcpu: None,
        has_result: false,
    },
    Entry {
        symbol: "__guest_exit_restore_elr_and_panic",
        vcpu: None,
        has_result: false,
    },
];

/// Events that are shown before the one that differs.
const BEFORE: usize = 4;

/// What to call things.
pub struct Glossary {
    /// System registers.
    pub registers: Names,
    /// Capabilities, by their numbers.
    pub capabilities: Vec<String>,
}

impl Glossary {
    fn capability(&self, number: u16) -> String {
        let name = self.capabilities.get(usize::from(number));
        name.cloned().unwrap_or_else(|| format!("{number}"))
    }
}

/// Compares what `c` and `rust` do from each entry on, with each set of the
/// capabilities that either of them asks for. Returns the number of ways.
pub fn compare(glossary: &Glossary, c: &Code, rust: &Code) -> Result<usize> {
    let asked = asked_for(c)?;
    ensure!(
        asked == asked_for(rust)?,
        "C has alternatives for {:?}, Rust for {:?}",
        named(glossary, &asked),
        named(glossary, &asked_for(rust)?)
    );
    let mut places = Places::default();
    let mut count = 0;
    for set in 0..1u32 << asked.len() {
        let capabilities: BTreeSet<u16> = asked
            .iter()
            .enumerate()
            .filter(|(bit, _)| (set >> bit) & 1 == 1)
            .map(|(_, capability)| *capability)
            .collect();
        for entry in &ENTRIES {
            let symbol = entry.symbol;
            let of_c = ways(c, entry, &capabilities).context("C's object")?;
            let of_rust = ways(rust, entry, &capabilities).context("Rust's object")?;
            for (way, other) in of_c.iter().zip(&of_rust) {
                same(&glossary.registers, &mut places, way, other).with_context(|| {
                    format!(
                        "from {symbol} on, on CPUs with {:?}",
                        named(glossary, &capabilities)
                    )
                })?;
            }
            // Where ways part, there are tests, and these were the same.
            ensure!(
                of_c.len() == of_rust.len(),
                "there are other ways from {symbol} on"
            );
            count += of_c.len();
        }
    }
    places.check()?;
    Ok(count)
}

fn named(glossary: &Glossary, capabilities: &BTreeSet<u16>) -> Vec<String> {
    let names = capabilities.iter().map(|&c| glossary.capability(c));
    names.collect()
}

/// The capabilities for which there are alternatives to what is walked
/// through.
fn asked_for(code: &Code) -> Result<BTreeSet<u16>> {
    let start = ENTRIES[0].symbol;
    let start = code
        .symbols
        .get(start)
        .with_context(|| format!("there is no {start}"))?;
    let end = code
        .sizes
        .get(start)
        .filter(|size| **size > 0)
        .context("it is not known how long __guest_enter is")?;
    let range = *start..*start + end;
    Ok(code
        .alternatives
        .iter()
        .filter(|a| range.contains(&a.original.start))
        .map(|a| a.capability)
        .collect())
}

/// Fails if two ways are not the same.
fn same(names: &Names, places: &mut Places, c: &Way, rust: &Way) -> Result<()> {
    for event in 0..c.len().max(rust.len()) {
        let (of_c, of_rust) = match (c.get(event), rust.get(event)) {
            (Some(of_c), Some(of_rust)) => {
                if places.alike(names, (of_c, c), (of_rust, rust)) {
                    continue;
                }
                let (of_c, of_rust) = of_c.differing(of_rust);
                (Some(of_c), Some(of_rust))
            }
            (of_c, of_rust) => (of_c.cloned(), of_rust.cloned()),
        };
        let text = |event: Option<Event>, way: &Way| {
            event.map_or("nothing".to_owned(), |event| event.text(names, way))
        };
        let before: Vec<String> = c[event.saturating_sub(BEFORE)..event]
            .iter()
            .map(|event| event.text(names, c))
            .collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        bail!(
            "C does {}, Rust {}; before:\n{}",
            text(of_c, c),
            text(of_rust, rust),
            process::indented(&before)
        );
    }
    Ok(())
}

/// Places in structures, which can be elsewhere in the Rust kernel: an option
/// may add fields. By what they are distances from, in C and in Rust.
#[derive(Debug, Default)]
struct Places(BTreeMap<String, BTreeMap<u64, u64>>);

impl Places {
    /// Whether two events are the same but for a place, which is noted.
    fn alike(&mut self, names: &Names, c: (&Event, &Way), rust: (&Event, &Way)) -> bool {
        let mut moved = rust.0.clone();
        match (c.0, &mut moved) {
            (Event::Load { from: place }, Event::Load { from: other })
            | (Event::Store { to: place, .. }, Event::Store { to: other, .. }) => {
                // The base in words: the events that it comes from have other
                // numbers on other ways.
                let mut base = place.clone();
                base.offset = 0;
                let base = Event::Load { from: base }.text(names, c.1);
                let known = self.0.entry(base).or_default();
                let expected = *known.entry(place.offset).or_insert(other.offset);
                if expected == other.offset {
                    other.offset = place.offset;
                }
            }
            _ => {}
        }
        *c.0 == moved
    }

    /// Fails if a structure has the same fields in another order, or one that
    /// has moved to the front: options add fields, they take none away.
    fn check(&self) -> Result<()> {
        for (base, places) in &self.0 {
            let mut before = 0;
            for (&c, &rust) in places {
                // Offsets are small, and can be negative.
                let by = rust.wrapping_sub(c) as i64;
                ensure!(
                    by >= before,
                    "what C has at {c:#x} from {} on, Rust has at {rust:#x}, which no field that \
                     an option adds explains",
                    base.trim_start_matches("load ")
                );
                before = by;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::Alternative;
    use super::*;

    /// Code with all entries at its beginning.
    fn code(words: &[u32]) -> Code {
        let entries = ENTRIES.iter().map(|entry| (entry.symbol.to_owned(), 0));
        Code {
            text: words.iter().flat_map(|w| w.to_le_bytes()).collect(),
            symbols: entries.collect(),
            sizes: BTreeMap::from([(0, 4 * words.len() as u64)]),
            ..Code::default()
        }
    }

    fn compared(c: &Code, rust: &Code) -> Result<usize> {
        let glossary = Glossary {
            registers: Names::default(),
            capabilities: ["A".to_owned(), "B".to_owned()].into(),
        };
        compare(&glossary, c, rust)
    }

    fn difference(c: &Code, rust: &Code) -> String {
        format!("{:#}", compared(c, rust).unwrap_err())
    }

    const ISB: u32 = 0xd503_3fdf;
    const RET: u32 = 0xd65f_03c0;

    /// ldr x2, [x1, #by]
    fn load(by: u32) -> u32 {
        0xf940_0022 | ((by / 8) << 10)
    }

    #[test]
    fn what_one_of_them_leaves_out_is_noticed() {
        let (with, without) = (code(&[ISB, RET]), code(&[RET]));
        assert_eq!(compared(&with, &with).unwrap(), ENTRIES.len());
        assert!(difference(&with, &without).contains("C does ISB, Rust RET"));
        assert!(difference(&without, &with).contains("Rust ISB"));
    }

    #[test]
    fn fields_move_by_what_an_option_adds_and_do_not_change_places() {
        let c = code(&[load(8), load(24), load(16), RET]);
        let moved = |places: [u32; 3]| {
            let [a, b, c] = places.map(load);
            code(&[a, b, c, RET])
        };
        for good in [[8, 24, 16], [16, 32, 24], [8, 40, 16]] {
            compared(&c, &moved(good)).unwrap();
        }
        for bad in [[8, 16, 24], [16, 24, 24], [0, 16, 8], [16, 24, 16]] {
            assert!(difference(&c, &moved(bad)).contains("no field"), "{bad:?}");
        }
        // What is in one place cannot be in two.
        let twice = code(&[load(8), load(8), RET]);
        let text = difference(&twice, &code(&[load(8), load(16), RET]));
        assert!(
            text.contains("load X1 + 0x8, Rust load X1 + 0x10"),
            "{text}"
        );
    }

    #[test]
    fn alternatives_are_compared_for_the_same_capability() {
        let with = |capability| {
            let mut code = code(&[0xd503_201f, RET, ISB]);
            code.alternatives.push(Alternative {
                original: 0..4,
                replacement: 8,
                capability,
            });
            code
        };
        assert_eq!(compared(&with(1), &with(1)).unwrap(), 2 * ENTRIES.len());
        let text = difference(&with(1), &with(0));
        assert!(
            text.contains("C has alternatives for [\"B\"], Rust for [\"A\"]"),
            "{text}"
        );
        let mut other = with(1);
        other.text[8..12].copy_from_slice(&0xd503_3f9fu32.to_le_bytes());
        let text = difference(&with(1), &other);
        assert!(
            text.contains("on CPUs with [\"B\"]: C does ISB, Rust DSB SY"),
            "{text}"
        );
    }
}
