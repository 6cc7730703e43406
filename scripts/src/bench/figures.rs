// SPDX-License-Identifier: GPL-2.0
//! What was measured: bench.json.

use super::mca::Estimate;
use super::sizes::Size;
use crate::host::{Cpu, Mode};
use crate::trace::{Counts, Exit, Function, Window, Windows};
use serde::{Deserialize, Serialize};

/// All that was measured in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// On which CPU.
    pub cpu: Cpu,
    /// The exits, mode by mode.
    pub figures: Vec<Figure>,
    /// What the code and its data take.
    pub sizes: Vec<Size>,
    /// What the estimates are worth.
    pub estimates_note: String,
    /// Cycles, as llvm-mca estimates them.
    pub estimates: Vec<Estimate>,
}

/// An exit in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// How KVM ran.
    pub mode: Mode,
    /// The exit.
    pub exit: Exit,
    /// With C.
    pub c: Side,
    /// With Rust.
    pub rust: Side,
}

/// What one of the two kernels does for an exit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How many windows were recorded.
    pub windows: u64,
    /// How many of them are the same as that with the median length.
    pub same: u64,
    /// What that window counts.
    pub counts: Counts,
    /// Its functions, those with the most instructions first.
    pub functions: Vec<NamedFunction>,
}

/// What a function contributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFunction {
    /// Its name.
    pub name: String,
    /// What it contributes.
    #[serde(flatten)]
    pub cost: Function,
}

impl Side {
    /// That of `window`.
    pub fn of(window: &Window) -> Self {
        let named = |(name, cost): (&String, &Function)| NamedFunction {
            name: name.clone(),
            cost: cost.clone(),
        };
        let mut functions: Vec<NamedFunction> = window.functions.iter().map(named).collect();
        functions.sort_by_key(|f| std::cmp::Reverse(f.cost.counts.instructions));
        Self {
            windows: window.all,
            same: window.same,
            counts: window.counts.clone(),
            functions,
        }
    }
}

impl Figure {
    /// Those of one mode.
    pub fn of_mode(mode: Mode, [c, rust]: &[Windows; 2]) -> Vec<Self> {
        let both = c
            .iter()
            .filter_map(|(exit, c)| Some((exit, c, rust.get(exit)?)));
        let figure = |(&exit, c, rust)| Self {
            mode,
            exit,
            c: Side::of(c),
            rust: Side::of(rust),
        };
        let mut figures: Vec<Self> = both.map(figure).collect();
        // In the order of the list, which is not that of the enum's values alone.
        figures.sort_by_key(|f| Exit::ALL.iter().position(|exit| *exit == f.exit));
        figures
    }

    /// Where it was measured, in words.
    pub fn place(&self) -> String {
        format!("{} in {}", self.exit.name(), self.mode.name())
    }

    /// The instructions of C and of Rust.
    pub fn instructions(&self) -> (u64, u64) {
        (self.c.counts.instructions, self.rust.counts.instructions)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bench::mca::Core;
    use std::collections::BTreeMap;

    /// One with so many instructions, and MSRs for a tenth of them.
    pub fn side(instructions: u64, vector_moves: u64) -> Side {
        let counts = Counts {
            instructions,
            msr: instructions / 10,
            vector_moves,
            ..Counts::default()
        };
        Side {
            windows: 4096,
            same: 4000,
            counts: counts.clone(),
            functions: vec![NamedFunction {
                name: "__guest_exit".to_owned(),
                cost: Function { calls: 1, counts },
            }],
        }
    }

    /// C and Rust with so many instructions.
    pub fn figure(mode: Mode, exit: Exit, c: u64, rust: u64) -> Figure {
        Figure {
            mode,
            exit,
            c: side(c, 32),
            rust: side(rust, 0),
        }
    }

    /// One with a little of everything.
    pub fn report() -> Report {
        Report {
            cpu: Cpu::Max,
            figures: vec![
                figure(Mode::Vhe, Exit::Hypercall, 1000, 800),
                figure(Mode::Vhe, Exit::Ipi, 20_000, 21_000),
                figure(Mode::Protected, Exit::Hypercall, 14_000, 2000),
            ],
            sizes: vec![Size {
                what: "struct kvm_vcpu".to_owned(),
                c: 10,
                rust: 10,
            }],
            estimates_note: "estimates".to_owned(),
            estimates: vec![Estimate {
                mode: Mode::Vhe,
                exit: Exit::Hypercall,
                core: Core::NeoverseV2,
                c: 500,
                rust: 400,
                left_out: [0, 1],
            }],
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = report();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!(json.contains(r#""name":"__guest_exit","calls":1,"instructions":1000,"msr":100"#));
        let without = json.replace("\"sizes\"", "\"others\"");
        assert!(serde_json::from_str::<Report>(&without).is_err());
    }

    #[test]
    fn functions_are_sorted_by_their_instructions() {
        let function = |instructions| Function {
            calls: 1,
            counts: Counts {
                instructions,
                ..Counts::default()
            },
        };
        let names = [("a", 1), ("b", 3), ("c", 2)];
        let functions = names.map(|(name, n)| (name.to_owned(), function(n)));
        let window = Window {
            same: 1,
            all: 2,
            counts: Counts::default(),
            functions: BTreeMap::from(functions),
            trace: Vec::new(),
            words: Vec::new(),
        };
        let side = Side::of(&window);
        let names: Vec<&str> = side.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
        assert_eq!((side.same, side.windows), (1, 2));
    }
}
