// SPDX-License-Identifier: GPL-2.0

//! Follows the calls of an object, and holds what they reach against the list.

use super::{
    allowed::{
        Entries,
        List,
        BUG,
        WARN, //
    },
    demangle::demangle,
    elf::{
        Object,
        Place, //
    },
    error::Error,
    graph::{
        Graph,
        Target,
        Trap, //
    },
    instruction,
    panics, //
};
use std::{
    collections::{
        BTreeMap,
        VecDeque, //
    },
    fmt::Write, //
};

/// The nodes that were reached, each with the one it was reached from.
type Reached = BTreeMap<usize, Option<usize>>;

/// An object, and what it is held against.
struct Check<'a> {
    file: &'a str,
    object: &'a Object<'a>,
    graph: Graph<'a>,
    list: &'a List,
    errors: Vec<Error>,
}

/// Checks `object`, whose name is `file`. Returns what was found to be in order, for people, or
/// everything that is not.
pub(crate) fn check(file: &str, object: &Object<'_>, list: &List) -> Result<String, Vec<Error>> {
    let mut check = Check {
        file,
        object,
        graph: Graph::new(file, object).map_err(|e| vec![e])?,
        list,
        errors: Vec::new(),
    };
    let entries = check.entries();
    let reached = check.follow(&entries);
    check.judge(&reached);
    if list.entries == Entries::All {
        check.judge_undefined();
    }
    match check.errors.is_empty() {
        true => Ok(check.summary(&reached)),
        false => Err(check.errors),
    }
}

impl Check<'_> {
    /// The nodes from which calls are followed.
    fn entries(&mut self) -> Vec<usize> {
        let nodes = self.graph.nodes.iter().enumerate();
        let named = match &self.list.entries {
            Entries::All => {
                let mut code: Vec<usize> = nodes
                    .filter(|(_, node)| node.is_code && !node.is_padding)
                    .map(|(number, _)| number)
                    .collect();
                // The way to a function from a name that C knows says more.
                let is_local = |number: usize| {
                    !self.graph.nodes[number]
                        .names
                        .iter()
                        .any(|n| n.is_global_function)
                };
                code.sort_by_key(|&number| is_local(number));
                return code;
            }
            Entries::Named(named) => named,
        };
        let mut entries = Vec::new();
        for (name, line) in named {
            let mut nodes = self.graph.nodes.iter();
            match nodes.position(|node| node.is_code && node.names.iter().any(|n| n.text == name)) {
                Some(number) => entries.push(number),
                None => self.errors.push(Error::new(
                    self.list.place(*line),
                    format_args!("{name} is no function of {}", self.file),
                    "take the line out, or give the function its new name",
                )),
            }
        }
        for symbol in self.graph.nodes.iter().flat_map(|node| &node.names) {
            let name = symbol.text;
            let is_of_c = symbol.is_global_function && demangle(name) == name;
            let is_entry = named.iter().any(|(entry, _)| entry == name);
            if is_of_c && !is_entry && !self.list.has_outside(name) {
                self.errors.push(Error::new(
                    self.file,
                    format_args!(
                        "{name} can be called from C, and {} does not name it",
                        self.list.file
                    ),
                    format_args!("add `entry {name}`, or `outside {name}: ` and why it may panic"),
                ));
            }
        }
        entries
    }

    /// Everything that is reached from `entries`, on the shortest way.
    fn follow(&self, entries: &[usize]) -> Reached {
        let mut reached = Reached::new();
        for &entry in entries {
            if reached.contains_key(&entry) || self.is_panic(entry) {
                continue;
            }
            reached.insert(entry, None);
            let mut queue = VecDeque::from([entry]);
            while let Some(number) = queue.pop_front() {
                for target in &self.graph.nodes[number].references {
                    let &Target::Node(next) = target else {
                        continue;
                    };
                    let ends_here = || self.is_panic(next) || self.is_allowed(next);
                    if !reached.contains_key(&next) && !ends_here() {
                        reached.insert(next, Some(number));
                        queue.push_back(next);
                    }
                }
            }
        }
        reached
    }

    /// Returns whether a node is a function that panics: what it calls is of no interest.
    fn is_panic(&self, number: usize) -> bool {
        panics::is_panic(&demangle(&self.graph.name(number)))
    }

    /// Returns whether the list has a reason not to look into a function.
    fn is_allowed(&self, number: usize) -> bool {
        let name = self.graph.nodes[number].names.first();
        name.is_some_and(|name| self.list.allows(name.text))
    }

    /// Complains about what must not be reached.
    fn judge(&mut self, reached: &Reached) {
        let mut calls: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &number in reached.keys() {
            for target in &self.graph.nodes[number].references {
                match *target {
                    Target::Node(callee) if self.is_panic(callee) => {
                        let name = self.graph.name(callee);
                        self.errors.push(self.panic(reached, number, &name));
                    }
                    Target::Node(_) => {}
                    Target::Undefined(symbol) => {
                        let name = self.object.symbols[symbol].name;
                        if panics::is_panic(&demangle(name)) {
                            self.errors.push(self.panic(reached, number, name));
                        } else if !self.list.allows(name) {
                            calls.entry(symbol).or_default().push(number);
                        }
                    }
                    Target::Trap(trap) => self.errors.extend(self.trap(reached, number, trap)),
                }
            }
        }
        for (symbol, callers) in calls {
            let name = self.object.symbols[symbol].name;
            let others = match callers.len() {
                1 => String::new(),
                2 => ", and so does another function".to_owned(),
                n => format!(", and so do {} other functions", n - 1),
            };
            let what = format!(
                "{} uses {}, which is not on the list{others}",
                self.readable(callers[0]),
                demangle(name)
            );
            let hint = self.hint_for(name);
            let error = self.error(reached, callers[0], &what, Some(name), &hint);
            self.errors.push(error);
        }
    }

    /// Complains about symbols that are nowhere defined, whatever refers to them.
    fn judge_undefined(&mut self) {
        for (number, symbol) in self.object.symbols.iter().enumerate() {
            let name = symbol.name;
            let is_undefined = symbol.place == Place::Undefined && !name.is_empty();
            if !is_undefined || self.list.allows(name) {
                continue;
            }
            let by_code = |node: &super::graph::Node<'_>| {
                node.is_code && node.references.contains(&Target::Undefined(number))
            };
            if self.graph.nodes.iter().any(by_code) {
                // That was said with the function.
                continue;
            }
            let section = self.object.sections.iter().find(|section| {
                section
                    .relocations
                    .iter()
                    .any(|relocation| relocation.symbol == number)
            });
            let section = section.map_or("nothing", |section| section.name);
            self.errors.push(Error::new(
                self.file,
                format_args!(
                    "{} is not on the list; {section} refers to it{}",
                    demangle(name),
                    mangled(name)
                ),
                self.hint_for(name),
            ));
        }
    }

    fn hint_for(&self, name: &str) -> String {
        format!(
            "do without it, or add `allow {}: ` and why it may be used to {}",
            demangle(name),
            self.list.file
        )
    }

    fn panic(&self, reached: &Reached, number: usize, name: &str) -> Error {
        let readable = demangle(name);
        let what = format!("{} can panic, in {readable}", self.readable(number));
        self.error(reached, number, &what, Some(name), panics::hint(&readable))
    }

    /// Complains about a trap, unless it is on the list.
    fn trap(&self, reached: &Reached, number: usize, trap: Trap) -> Option<Error> {
        let keyword = match trap {
            Trap::Bug => Some(BUG),
            Trap::Warn => Some(WARN),
            Trap::Compiler | Trap::Other(_) => None,
        };
        let (what, hint) = match (trap, keyword) {
            (_, Some(keyword)) => {
                if self.list.allows(keyword) {
                    return None;
                }
                let hint = format!(
                    "do without it, or add `allow {keyword}: ` and why it may be there to {}",
                    self.list.file
                );
                (format!("a {keyword}()"), hint)
            }
            (Trap::Other(instruction), _) => {
                let text = match instruction {
                    instruction::Trap::Brk(number) => format!("a BRK #{number:#x}"),
                    instruction::Trap::Hlt(number) => format!("an HLT #{number:#x}"),
                    instruction::Trap::Udf(number) => format!("a UDF #{number:#x}"),
                };
                (text, "do without the instruction".to_owned())
            }
            _ => (
                "a BRK #0x1: an abort, or a place that the compiler could not leave out".to_owned(),
                "have the type rule the case out".to_owned(),
            ),
        };
        let what = format!("{} has {what}", self.readable(number));
        Some(self.error(reached, number, &what, None, &hint))
    }

    fn readable(&self, number: usize) -> String {
        demangle(&self.graph.name(number))
    }

    /// An error with the way to it: from an entry to `number`, and to the symbol `last`.
    fn error(
        &self,
        reached: &Reached,
        number: usize,
        what: &str,
        last: Option<&str>,
        hint: &str,
    ) -> Error {
        let mut way = vec![self.graph.name(number)];
        let mut at = number;
        while let Some(&Some(before)) = reached.get(&at) {
            way.push(self.graph.name(before));
            at = before;
        }
        way.reverse();
        way.extend(last.map(str::to_owned));
        let mut text = what.to_owned();
        for (index, name) in way.iter().enumerate() {
            let arrow = if index == 0 { "from" } else { "  to" };
            // A String takes whatever is written to it.
            let _ = write!(text, "\n  {arrow} {}{}", demangle(name), mangled(name));
        }
        Error::new(self.file, text, hint)
    }

    fn summary(&self, reached: &Reached) -> String {
        let nodes = &self.graph.nodes;
        // Alternatives have no name, and are part of the functions they are for.
        let is_function = |number: &&usize| {
            let node = &nodes[**number];
            node.is_code && !node.names.is_empty()
        };
        let functions = reached.keys().filter(is_function);
        let mut text = format!(
            "{}: no way to a panic; functions looked at: {}\n",
            self.file,
            functions.count()
        );
        for (name, line) in self.list.used() {
            let _ = writeln!(text, "allowed: {name}: {}", line.reason);
        }
        for (name, line) in self.list.not_needed() {
            let place = self.list.place(line.number);
            let _ = writeln!(text, "not needed: {name}, {place}");
        }
        text
    }
}

/// The name in the object, where that is another one.
fn mangled(name: &str) -> String {
    match demangle(name) == name {
        true => String::new(),
        false => format!(" ({name})"),
    }
}
