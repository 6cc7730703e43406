// SPDX-License-Identifier: GPL-2.0
//! What is wrong with Rust, given what C does: registers that it exchanges in
//! another way, and exits that take more instructions.

use super::allowed::{Allowed, Place};
use super::compare::{self, Difference, Stretch};
use super::exit::Exit;
use super::window::Window;
use super::Traces;
use crate::host::Mode;
use crate::plan::Verdict;
use crate::table;
use serde::{Deserialize, Serialize};

/// C and Rust at one exit.
pub struct Comparison<'a> {
    /// Where.
    pub place: Place,
    c: &'a Window,
    rust: &'a Window,
    /// The register traces side by side.
    pub stretches: Vec<Stretch<'a>>,
}

impl<'a> Comparison<'a> {
    /// Lays the windows side by side.
    pub fn new(place: Place, c: &'a Window, rust: &'a Window) -> Self {
        Self {
            place,
            c,
            rust,
            stretches: compare::compare(&c.trace, &rust.trace),
        }
    }

    /// The differences but for reads of addresses.
    fn differences(&self, allowed: &Allowed) -> Vec<Difference> {
        self.stretches
            .iter()
            .filter_map(|stretch| allowed.difference(stretch))
            .collect()
    }

    /// The stretches that differ and are not listed.
    fn unlisted(&self, allowed: &Allowed) -> Vec<Stretch<'a>> {
        let is_unlisted = |stretch: &&Stretch<'_>| {
            stretch.difference().is_some() && allowed.reason(self.place, stretch).is_none()
        };
        self.stretches.iter().filter(is_unlisted).copied().collect()
    }

    /// What is wrong, a line each.
    pub fn faults(&self, allowed: &Allowed) -> Vec<String> {
        let name = format!("{} in {}", self.place.exit.name(), self.place.mode.name());
        let unlisted = self.unlisted(allowed);
        let unlisted = unlisted.iter().filter_map(Stretch::difference);
        let stale = allowed.stale(self.place, &self.differences(allowed));
        let mut faults: Vec<String> = unlisted
            .map(|d| format!("{name}: a difference that is not listed: {d}"))
            .collect();
        faults.extend(
            stale
                .iter()
                .map(|d| format!("{name}: a listed difference that does not occur: {d}")),
        );
        let (c, rust) = (&self.c.counts, &self.rust.counts);
        for (what, c, rust) in [
            ("instructions", c.instructions, rust.instructions),
            ("ISBs", c.isb, rust.isb),
            ("DSBs", c.dsb, rust.dsb),
        ] {
            if rust > c {
                faults.push(format!(
                    "{name}: Rust takes {rust} {what}, more than C with {c}"
                ));
            }
        }
        faults
    }
}

impl Traces {
    /// The exits that were recorded.
    pub fn exits(&self) -> impl Iterator<Item = Exit> + '_ {
        self.c.keys().copied()
    }

    /// C and Rust at `exit`, which was recorded.
    pub fn at(&self, exit: Exit) -> Comparison<'_> {
        let place = Place {
            mode: self.mode,
            cpu: self.cpu,
            exit,
        };
        Comparison::new(place, &self.c[&exit], &self.rust[&exit])
    }

    /// Everything that is wrong, a line each.
    pub fn faults(&self, allowed: &Allowed) -> Vec<String> {
        self.exits()
            .flat_map(|exit| self.at(exit).faults(allowed))
            .collect()
    }

    /// What a test of these traces says, and what is printed if it fails.
    pub fn verdict(&self, allowed: &Allowed) -> (Verdict, String) {
        let faults = self.faults(allowed);
        let Some((first, rest)) = faults.split_first() else {
            return (Verdict::Passed, String::new());
        };
        let mut detail = String::new();
        for fault in rest {
            detail.push_str(&format!("    {fault}\n"));
        }
        for exit in self.exits() {
            let comparison = self.at(exit);
            let unlisted = comparison.unlisted(allowed);
            if !unlisted.is_empty() {
                detail.push_str(&format!("    {}:\n", exit.name()));
                detail.push_str(&compare::lines(&unlisted));
            }
        }
        let (mode, cpu) = (self.mode.name(), self.cpu.name());
        detail.push_str(&format!(
            "    hint: make trace MODE={mode} CPU={cpu} shows all of it\n"
        ));
        (Verdict::Failed(first.clone()), detail)
    }

    /// The outcome in one line.
    pub fn in_short(&self, allowed: &Allowed) -> String {
        let listed: usize = self
            .exits()
            .map(|e| self.at(e).differences(allowed).len())
            .sum();
        let mut text = match self.faults(allowed).len() {
            0 => format!("same registers in the same order, listed differences: {listed}"),
            faults => format!("FAILED, faults: {faults}"),
        };
        if let Some(exit) = self.exits().next() {
            let cost = self.cost(exit);
            let (c, rust) = (cost.c, cost.rust);
            text.push_str(&format!("; {} C/Rust {c}/{rust}", exit.name()));
        }
        text
    }

    /// The instructions of an exit that was recorded.
    fn cost(&self, exit: Exit) -> Cost {
        let of = |window: &Window| window.counts.instructions;
        Cost {
            exit,
            c: of(&self.c[&exit]),
            rust: of(&self.rust[&exit]),
        }
    }

    /// The instructions of the exits that were recorded.
    pub fn costs(&self) -> Costs {
        Costs {
            mode: self.mode,
            exits: self.exits().map(|exit| self.cost(exit)).collect(),
        }
    }
}

/// The instructions of an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Which.
    pub exit: Exit,
    /// With C.
    pub c: u64,
    /// With Rust.
    pub rust: u64,
}

/// The instructions of the exits in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// How KVM ran.
    pub mode: Mode,
    /// Those that were recorded.
    pub exits: Vec<Cost>,
}

impl Costs {
    /// Those of `exit`, if it was recorded.
    pub fn at(&self, exit: Exit) -> Option<&Cost> {
        self.exits.iter().find(|cost| cost.exit == exit)
    }
}

/// The instructions of each exit with C and with Rust, a row for each mode.
pub fn table(costs: &[Costs]) -> String {
    let mut head = vec!["instructions, C / Rust"];
    head.extend(Exit::TRACED.map(Exit::name));
    let row = |costs: &Costs| {
        let numbers = Exit::TRACED.iter().map(|exit| match costs.at(*exit) {
            Some(cost) => format!("{} / {}", cost.c, cost.rust),
            None => "-".to_owned(),
        });
        std::iter::once(costs.mode.name().to_owned())
            .chain(numbers)
            .collect()
    };
    let rows: Vec<Vec<String>> = costs.iter().map(row).collect();
    table::render(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::super::window::{Access, Counts};
    use super::*;
    use crate::host::Cpu;
    use std::collections::BTreeMap;

    const LIST: &str = r#"
        [[difference]]
        mode = ["vhe"]
        exit = ["hypercall"]
        function = "f"
        c = ["MRS B"]
        reason = "not needed"
    "#;

    fn window(instructions: u64, trace: &[&str]) -> Window {
        let access = |what: &&str| Access {
            what: (*what).to_owned(),
            function: "f".to_owned(),
        };
        Window {
            same: 1,
            all: 1,
            counts: Counts {
                instructions,
                ..Counts::default()
            },
            functions: BTreeMap::new(),
            trace: trace.iter().map(access).collect(),
            words: Vec::new(),
        }
    }

    fn traces(mode: Mode, c: Window, rust: Window) -> Traces {
        Traces {
            mode,
            cpu: Cpu::Max,
            c: BTreeMap::from([(Exit::Hypercall, c)]),
            rust: BTreeMap::from([(Exit::Hypercall, rust)]),
            before: None,
        }
    }

    fn verdict(traces: &Traces) -> (Verdict, String) {
        traces.verdict(&Allowed::parse(LIST).unwrap())
    }

    const C: [&str; 3] = ["MSR A", "MRS B", "ISB"];
    const RUST: [&str; 2] = ["MSR A", "ISB"];

    #[test]
    fn listed_differences_pass() {
        let good = traces(Mode::Vhe, window(9, &C), window(9, &RUST));
        assert_eq!(verdict(&good), (Verdict::Passed, String::new()));
        assert_eq!(
            good.in_short(&Allowed::parse(LIST).unwrap()),
            "same registers in the same order, listed differences: 1; hypercall C/Rust 9/9"
        );
    }

    #[test]
    fn what_is_not_listed_fails_and_is_all_that_is_shown() {
        let more = ["MSR A", "ISB", "MSR D"];
        let bad = traces(Mode::Vhe, window(9, &C), window(9, &more));
        let (verdict, detail) = verdict(&bad);
        let why = "hypercall in vhe: a difference that is not listed: f: only Rust: MSR D";
        assert_eq!(verdict, Verdict::Failed(why.to_owned()));
        assert!(detail.contains("> MSR D"), "{detail}");
        assert!(
            !detail.contains("MRS B") && !detail.contains("ISB"),
            "{detail}"
        );
        assert!(detail.ends_with("hint: make trace MODE=vhe CPU=max shows all of it\n"));
        let short = bad.in_short(&Allowed::parse(LIST).unwrap());
        assert_eq!(short, "FAILED, faults: 1; hypercall C/Rust 9/9");
    }

    #[test]
    fn what_is_listed_must_occur() {
        let (verdict, detail) = verdict(&traces(Mode::Vhe, window(9, &C), window(9, &C)));
        let why = "hypercall in vhe: a listed difference that does not occur: f: only C: MRS B";
        assert_eq!(verdict, Verdict::Failed(why.to_owned()));
        assert!(!detail.contains("MSR A"), "{detail}");
    }

    #[test]
    fn rust_may_not_take_more_instructions() {
        let of = |c, rust| {
            let same = ["ISB"];
            verdict(&traces(Mode::Nvhe, window(c, &same), window(rust, &same))).0
        };
        assert_eq!(of(10, 9), Verdict::Passed);
        assert_eq!(of(10, 10), Verdict::Passed);
        let why = "hypercall in nvhe: Rust takes 11 instructions, more than C with 10";
        assert_eq!(of(10, 11), Verdict::Failed(why.to_owned()));
    }

    #[test]
    fn all_faults_are_told() {
        let bad = traces(Mode::Vhe, window(8, &C), window(9, &C));
        let (_, detail) = verdict(&bad);
        assert!(detail.contains("Rust takes 9 instructions"), "{detail}");
    }

    #[test]
    fn the_table_has_a_row_for_each_mode() {
        let vhe = traces(Mode::Vhe, window(1558, &C), window(1506, &C));
        let nvhe = traces(Mode::Nvhe, window(2201, &C), window(2142, &C));
        let lines = [
            "instructions, C / Rust  hypercall    vgic-mmio  vmm-mmio  timer  first-fp",
            "vhe                     1558 / 1506  -          -         -      -",
            "nvhe                    2201 / 2142  -          -         -      -",
        ];
        assert_eq!(table(&[vhe.costs(), nvhe.costs()]), lines.join("\n") + "\n");
    }
}
