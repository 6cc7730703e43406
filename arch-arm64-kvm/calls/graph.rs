// SPDX-License-Identifier: GPL-2.0

//! Which function of an object refers to what.
//!
//! A node is a function, a variable, or bytes between them that have no symbol. It refers to what
//! its relocations name and where its branches go. That it takes the address of a function counts
//! as a call: what is done with the address is not looked at. Neither are addresses that come from
//! other objects.

use super::{
    elf::{
        Kind,
        Object,
        Place,
        Relocation,
        Section, //
    },
    error::Error,
    instruction, //
};
use std::collections::{
    BTreeMap,
    BTreeSet, //
};

/// A function, a variable, or bytes without a symbol.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// Its names; the first is the one to use. None for bytes without a symbol.
    pub(crate) names: Vec<Name<'a>>,
    /// It is code.
    pub(crate) is_code: bool,
    /// It only fills the space up to the next function.
    pub(crate) is_padding: bool,
    /// What it refers to.
    pub(crate) references: BTreeSet<Target>,
    place: (usize, u64),
    end: u64,
}

/// A name of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    /// The symbol.
    pub(crate) text: &'a str,
    /// It is that of a function that other objects see.
    pub(crate) is_global_function: bool,
}

/// What a node refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The node with this number.
    Node(usize),
    /// The symbol with this number, which another object defines.
    Undefined(usize),
    /// An exception.
    Trap(Trap),
}

/// Why an instruction raises an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trap {
    /// `BUG()`, which does not return.
    Bug,
    /// `WARN()`, which does where there is somebody to report to.
    Warn,
    /// An abort, or a place that the compiler believes cannot be reached.
    Compiler,
    /// Something else.
    Other(instruction::Trap),
}

/// A section and an offset in it.
type Location = (usize, u64);

/// Tables of the kernel with pairs of places in code: control that is at the first may go to the
/// second. Their names, and the sizes of their entries.
const TABLES: [(&str, u64); 3] = [(ALTERNATIVES, 12), ("__jump_table", 16), ("__ex_table", 12)];

/// Code that is replaced at boot, and by what (`struct alt_instr`).
const ALTERNATIVES: &str = ".altinstructions";
/// In the capability of an alternative: the second place is a function that does the replacing
/// (`ARM64_CB_BIT`).
const CALLBACK: u16 = 1 << 15;

/// Places of `BUG()` and `WARN()` (`struct bug_entry`).
const BUG_TABLE: &str = "__bug_table";
/// In the flags of such an entry: it is a `WARN()`.
const BUGFLAG_WARNING: u16 = 1 << 0;

const NOP: u32 = 0xd503_201f;
/// Without the register that it branches to.
const BR: u32 = 0xd61f_0000;

/// An entry of [`TABLES`].
struct Pair {
    from: Location,
    to: Relocation,
    /// The size of an alternative.
    size: u64,
}

/// The nodes of an object.
pub(crate) struct Graph<'a> {
    /// Them, by their place.
    pub(crate) nodes: Vec<Node<'a>>,
    object: &'a Object<'a>,
    file: &'a str,
}

/// Reads the little-endian number at `offset`.
fn u16_at(section: &Section<'_>, offset: u64) -> Option<u16> {
    let start = usize::try_from(offset).ok()?;
    let bytes = section.data.get(start..start.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// As [`u16_at`].
fn u32_at(section: &Section<'_>, offset: u64) -> Option<u32> {
    let start = usize::try_from(offset).ok()?;
    let bytes = section.data.get(start..start.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl<'a> Graph<'a> {
    /// Finds out what refers to what in `object`; `file` is its name for messages.
    pub(crate) fn new(file: &'a str, object: &'a Object<'a>) -> Result<Self, Error> {
        let mut graph = Self {
            nodes: Vec::new(),
            object,
            file,
        };
        let pairs = graph.pairs()?;
        for section in 0..object.sections.len() {
            graph.add_nodes(section, &pairs);
        }
        let warnings = graph.warnings();
        for number in 0..graph.nodes.len() {
            let references = graph.references(number, &warnings);
            graph.nodes[number].references = references;
        }
        for pair in &pairs {
            let target = graph.target(&pair.to);
            if let (Some(from), Some(target)) = (graph.node_at(pair.from), target) {
                graph.nodes[from].references.insert(target);
            }
        }
        for (number, node) in graph.nodes.iter_mut().enumerate() {
            node.references.remove(&Target::Node(number));
        }
        Ok(graph)
    }

    /// What to call a node in messages: its symbol, or where it is.
    pub(crate) fn name(&self, number: usize) -> String {
        let node = &self.nodes[number];
        match node.names.first() {
            Some(name) => name.text.to_owned(),
            None => {
                let (section, start) = node.place;
                let name = self.object.sections[section].name;
                let what = if node.is_code { "code" } else { "data" };
                format!("({what} at {name}+{start:#x})")
            }
        }
    }

    fn section(&self, number: usize) -> Option<&'a Section<'a>> {
        self.object.sections.get(number)
    }

    /// Where a relocation points to; `None` where another object defines that, or nobody.
    fn location(&self, relocation: &Relocation) -> Option<Location> {
        let symbol = self.object.symbols.get(relocation.symbol)?;
        let Place::Section(number) = symbol.place else {
            return None;
        };
        // A symbol stands for itself, whatever is added.
        let offset = match symbol.kind {
            Kind::Section => symbol.value.saturating_add_signed(relocation.addend),
            _ => symbol.value,
        };
        // The end of an array is still part of it. What is further out are distances of a jump
        // table, to places in the function that has the table.
        let last = self.section(number)?.size.checked_sub(1)?;
        Some((number, offset.min(last)))
    }

    fn target(&self, relocation: &Relocation) -> Option<Target> {
        let symbol = self.object.symbols.get(relocation.symbol)?;
        match symbol.place {
            Place::Undefined => {
                (!symbol.name.is_empty()).then_some(Target::Undefined(relocation.symbol))
            }
            _ => self.node_at(self.location(relocation)?).map(Target::Node),
        }
    }

    fn node_at(&self, location: Location) -> Option<usize> {
        let behind = self.nodes.partition_point(|node| node.place <= location);
        let number = behind.checked_sub(1)?;
        let node = &self.nodes[number];
        (node.place.0 == location.0 && location.1 < node.end).then_some(number)
    }

    /// The entries of [`TABLES`] that tell where control may go.
    fn pairs(&self) -> Result<Vec<Pair>, Error> {
        let mut pairs = Vec::new();
        for section in &self.object.sections {
            let Some((_, size)) = TABLES.iter().find(|(name, _)| *name == section.name) else {
                continue;
            };
            let unknown = |offset: u64| {
                Error::new(
                    self.file,
                    format_args!(
                        "entry at {:#x} of {} is not understood",
                        offset, section.name
                    ),
                    "bring the sizes in calls/graph.rs in line with the kernel's headers",
                )
            };
            if section.size % size != 0 {
                return Err(unknown(section.size - section.size % size));
            }
            let second = |offset: u64| {
                let relocations = &section.relocations;
                let at = relocations.partition_point(|r| r.offset < offset);
                relocations.get(at).filter(|r| r.offset == offset).copied()
            };
            let first = |r: &&Relocation| r.offset % size == 0;
            for relocation in section.relocations.iter().filter(first) {
                let offset = relocation.offset;
                let (Some(from), Some(to)) = (self.location(relocation), second(offset + 4)) else {
                    return Err(unknown(offset));
                };
                let mut pair = Pair { from, to, size: 0 };
                if section.name == ALTERNATIVES {
                    let capability = u16_at(section, offset + 8).ok_or_else(|| unknown(offset))?;
                    // The kernel calls it while it replaces, not the code that is replaced.
                    if capability & CALLBACK != 0 {
                        continue;
                    }
                    let sizes = u16_at(section, offset + 10).ok_or_else(|| unknown(offset))?;
                    pair.size = u64::from(sizes >> 8);
                }
                pairs.push(pair);
            }
        }
        Ok(pairs)
    }

    /// Cuts a section into nodes, at its symbols and alternatives.
    fn add_nodes(&mut self, number: usize, pairs: &[Pair]) {
        let section = &self.object.sections[number];
        // Where each part starts, its size, and its symbol.
        let mut parts: Vec<(u64, u64, Option<Name<'a>>)> = Vec::new();
        for symbol in &self.object.symbols {
            let is_here = symbol.place == Place::Section(number) && symbol.value < section.size;
            // Those that begin with $ only say whether code or data follows.
            let has_name = !symbol.name.is_empty() && !symbol.name.starts_with('$');
            if is_here && has_name && symbol.kind != Kind::Section {
                let name = Name {
                    text: symbol.name,
                    is_global_function: symbol.is_global && symbol.kind == Kind::Function,
                };
                parts.push((symbol.value, symbol.size, Some(name)));
            }
        }
        for pair in pairs.iter().filter(|pair| pair.size > 0) {
            match self.location(&pair.to) {
                Some((place, offset)) if place == number => parts.push((offset, pair.size, None)),
                _ => {}
            }
        }
        // Of symbols at one place, the global one is the name to use.
        parts.sort_by_key(|&(start, size, symbol)| {
            let global = symbol.is_some_and(|name| name.is_global_function);
            (start, !global, u64::MAX - size)
        });
        let starts: BTreeSet<u64> = parts.iter().map(|&(start, ..)| start).collect();
        let mut at = 0;
        for (start, size, symbol) in parts {
            if start < at {
                // A label in the code of another, or another name of it.
                if let (Some(node), Some(name)) = (self.nodes.last_mut(), symbol) {
                    node.names.push(name);
                }
                continue;
            }
            self.add_node(number, at, start, None);
            let next = starts.range(start + 1..).next().copied();
            let end = match size {
                0 => next.unwrap_or(section.size),
                _ => start.saturating_add(size).min(section.size),
            };
            self.add_node(number, start, end, symbol);
            at = end;
        }
        self.add_node(number, at, section.size, None);
    }

    fn add_node(&mut self, number: usize, start: u64, end: u64, symbol: Option<Name<'a>>) {
        if start >= end {
            return;
        }
        let section = &self.object.sections[number];
        let is_filler = |at: u64| matches!(u32_at(section, at), Some(0 | NOP));
        let mut words = (start..end).step_by(instruction::SIZE as usize);
        self.nodes.push(Node {
            names: symbol.into_iter().collect(),
            is_code: section.is_code,
            is_padding: symbol.is_none() && section.is_code && words.all(is_filler),
            references: BTreeSet::new(),
            place: (number, start),
            end,
        });
    }

    /// The places of `WARN()`; other entries of the table are `BUG()`.
    fn warnings(&self) -> BTreeSet<Location> {
        let mut warnings = BTreeSet::new();
        for section in &self.object.sections {
            if section.name != BUG_TABLE {
                continue;
            }
            let relocations: BTreeMap<u64, &Relocation> =
                section.relocations.iter().map(|r| (r.offset, r)).collect();
            for (&offset, relocation) in &relocations {
                let Some(location) = self.location(relocation) else {
                    continue;
                };
                if !self.section(location.0).is_some_and(|s| s.is_code) {
                    continue;
                }
                // With CONFIG_DEBUG_BUGVERBOSE, file and line are in front of the flags.
                let flags = match relocations.contains_key(&offset.saturating_add(4)) {
                    true => offset.saturating_add(10),
                    false => offset.saturating_add(4),
                };
                if u16_at(section, flags).is_some_and(|flags| flags & BUGFLAG_WARNING != 0) {
                    warnings.insert(location);
                }
            }
        }
        warnings
    }

    /// The instructions of a node with their offsets; data between them is left out.
    fn instructions(&self, node: &Node<'_>) -> Vec<(u64, u32)> {
        let (number, start) = node.place;
        let section = &self.object.sections[number];
        if !node.is_code {
            return Vec::new();
        }
        // Code follows `$x`, data `$d`. At one place, take it for code.
        let mut kinds: BTreeMap<u64, bool> = BTreeMap::new();
        for symbol in &self.object.symbols {
            if symbol.place != Place::Section(number) {
                continue;
            }
            match symbol.name.split('.').next() {
                Some("$x") => kinds.insert(symbol.value, true),
                Some("$d") => Some(*kinds.entry(symbol.value).or_insert(false)),
                _ => None,
            };
        }
        let is_code = |at: u64| kinds.range(..=at).next_back().is_none_or(|(_, &code)| code);
        let first = start.next_multiple_of(instruction::SIZE);
        (first..node.end)
            .step_by(instruction::SIZE as usize)
            .filter(|&at| is_code(at))
            .filter_map(|at| Some((at, u32_at(section, at)?)))
            .collect()
    }

    /// What the node's own bytes refer to.
    fn references(&self, number: usize, warnings: &BTreeSet<Location>) -> BTreeSet<Target> {
        let node = &self.nodes[number];
        let (section_number, start) = node.place;
        let section = &self.object.sections[section_number];
        let relocations = &section.relocations;
        let first = relocations.partition_point(|r| r.offset < start);
        let behind = relocations.partition_point(|r| r.offset < node.end);
        let relocations = &relocations[first..behind];
        let mut targets: BTreeSet<Target> =
            relocations.iter().filter_map(|r| self.target(r)).collect();
        let relocated: BTreeSet<u64> = relocations.iter().map(|r| r.offset).collect();

        let instructions = self.instructions(node);
        let mut jumped_to = BTreeSet::new();
        let mut jumps_by_register = false;
        for &(at, word) in instructions
            .iter()
            .filter(|(at, _)| !relocated.contains(at))
        {
            jumps_by_register |= word & !(0x1f << 5) == BR;
            let to = instruction::distance(word).and_then(|d| at.checked_add_signed(d));
            if let Some(to) = to {
                jumped_to.insert(to);
                targets.extend(self.node_at((section_number, to)).map(Target::Node));
            }
        }

        let mut behind_bug = None;
        for &(at, word) in &instructions {
            let Some(trap) = instruction::trap(word) else {
                continue;
            };
            let trap = match trap {
                instruction::BUG_TRAP if warnings.contains(&(section_number, at)) => Trap::Warn,
                instruction::BUG_TRAP => {
                    behind_bug = Some(at + instruction::SIZE);
                    Trap::Bug
                }
                // The compiler knows that BUG() does not return.
                instruction::COMPILER_TRAP
                    if behind_bug == Some(at) && !jumped_to.contains(&at) && !jumps_by_register =>
                {
                    continue
                }
                instruction::COMPILER_TRAP => Trap::Compiler,
                instruction::Trap::Udf(0) if node.names.is_empty() => continue,
                other => Trap::Other(other),
            };
            targets.insert(Target::Trap(trap));
        }
        targets
    }
}
