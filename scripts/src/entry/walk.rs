// SPDX-License-Identifier: GPL-2.0
//! All that code can do: each way through it, with what it reads and writes.
//!
//! Registers have values by where these come from, so that it does not matter
//! in which of them something is, nor how an address is put together.

use super::code::Code;
use super::insn::{Insn, Memory, R31};
use super::value::{Term, Value};
use crate::trace::insn::System;
use crate::trace::names::Names;
use anyhow::{bail, ensure, Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// A way may be so long. There are no loops.
const MOST: usize = 2000;
/// X18 to X30, and SP: what a function keeps, or what the platform may use.
const KEPT: RangeInclusive<u8> = 18..=R31;
/// The hint that is NOP.
const NOP: u8 = 0;

/// Something that can be seen outside of the general-purpose registers, or
/// that decides about what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An instruction of the system group, with what it writes, if it does.
    System(System, Option<Value>),
    /// A hint.
    Hint(u8),
    /// SB.
    SpeculationBarrier,
    /// A load of 64 bits.
    Load { from: Value },
    /// A store of 64 bits.
    Store { to: Value, value: Value },
    /// A value, or a bit of it, is zero, or it is not.
    Test {
        value: Value,
        bit: Option<u8>,
        zero: bool,
    },
    /// An exception is taken here from EL2.
    Exception,
    /// ERET, with all registers.
    Eret(Registers),
    /// RET, with the registers that a function keeps, and X0 if it has a result.
    Ret(Registers),
    /// A branch to a function, with the registers that a function keeps.
    Leave(String, Registers),
}

/// Values of registers, by their numbers.
pub type Registers = BTreeMap<u8, Value>;

/// What happens on one way, in its order.
pub type Way = Vec<Event>;

impl Event {
    /// What it is in words, as one of those of `way`.
    pub fn text(&self, names: &Names, way: &[Self]) -> String {
        let value = |value: &Value| {
            value.text(&|event| match &way[event] {
                Self::System(System::Mrs(encoding), _) => {
                    let text = names.text(System::Mrs(*encoding));
                    text.trim_start_matches("MRS ").to_owned()
                }
                read => format!("[{}]", read.text(names, way).trim_start_matches("load ")),
            })
        };
        let registers = |registers: &Registers| {
            let texts: Vec<String> = registers
                .iter()
                .map(|(number, v)| match *number {
                    R31 => format!("SP = {}", value(v)),
                    number => format!("X{number} = {}", value(v)),
                })
                .collect();
            texts.join(", ")
        };
        match self {
            Self::System(system, None) => names.text(*system),
            Self::System(system, Some(v)) => format!("{} = {}", names.text(*system), value(v)),
            Self::Hint(number) => format!("HINT #{number}"),
            Self::SpeculationBarrier => "SB".to_owned(),
            Self::Load { from } => format!("load {}", value(from)),
            Self::Store { to, value: v } => format!("store {} = {}", value(to), value(v)),
            Self::Test {
                value: v,
                bit,
                zero,
            } => {
                let bit = bit.map_or(String::new(), |bit| format!("bit {bit} of "));
                let not = if *zero { "" } else { "not " };
                format!("if {bit}{} is {not}0", value(v))
            }
            Self::Exception => "exception".to_owned(),
            Self::Eret(r) => format!("ERET with {}", registers(r)),
            Self::Ret(r) => format!("RET with {}", registers(r)),
            Self::Leave(name, r) => format!("B {name} with {}", registers(r)),
        }
    }

    /// The registers that leave with it.
    fn registers(&mut self) -> Option<&mut Registers> {
        match self {
            Self::Eret(r) | Self::Ret(r) | Self::Leave(_, r) => Some(r),
            _ => None,
        }
    }

    /// Two events with only those registers that are not the same.
    pub fn differing(&self, other: &Self) -> (Self, Self) {
        let (mut a, mut b) = (self.clone(), other.clone());
        if let (Some(of_a), Some(of_b)) = (a.registers(), b.registers()) {
            let all = of_a.clone();
            of_a.retain(|number, value| of_b.get(number) != Some(value));
            of_b.retain(|number, value| all.get(number) != Some(value));
        }
        (a, b)
    }
}

/// A point on a way.
#[derive(Clone)]
struct State {
    address: u64,
    /// X0 to X30, and SP.
    registers: Vec<Value>,
    way: Way,
}

impl State {
    /// The value of a register; `r31` is that of register 31.
    fn get(&self, register: u8, r31: &Value) -> Value {
        match register {
            R31 => r31.clone(),
            _ => self.registers[usize::from(register)].clone(),
        }
    }

    fn address_in(&self, register: u8) -> Value {
        self.get(register, &self.registers[usize::from(R31)])
    }

    fn value_in(&self, register: u8) -> Value {
        self.get(register, &Value::default())
    }

    fn set(&mut self, register: u8, value: Value) {
        if register != R31 {
            self.registers[usize::from(register)] = value;
        }
    }

    /// Notes that something is read, and returns what.
    fn read(&mut self, event: Event) -> Value {
        self.way.push(event);
        Value::term(Term::Read(self.way.len() - 1))
    }

    /// Registers with these numbers.
    fn some(&self, numbers: impl Iterator<Item = u8>) -> Registers {
        numbers
            .map(|number| (number, self.address_in(number)))
            .collect()
    }
}

/// Where code begins that others jump to.
#[derive(Debug)]
pub struct Entry {
    /// The symbol there.
    pub symbol: &'static str,
    /// The register that the vCPU is in.
    pub vcpu: Option<u8>,
    /// Whether somebody wants X0 when it returns.
    pub has_result: bool,
}

/// Returns all ways from `entry` on, on CPUs with these `capabilities`.
pub fn ways(code: &Code, entry: &Entry, capabilities: &BTreeSet<u16>) -> Result<Vec<Way>> {
    let symbol = entry.symbol;
    let start = code
        .symbols
        .get(symbol)
        .with_context(|| format!("it has no {symbol}"))?;
    let registers = (0..=R31).map(|number| {
        Value::term(match entry.vcpu {
            Some(vcpu) if vcpu == number => Term::Vcpu,
            _ => Term::Register(number),
        })
    });
    let mut walk = Walk {
        code,
        capabilities,
        has_result: entry.has_result,
        ways: Vec::new(),
        open: vec![State {
            address: *start,
            registers: registers.collect(),
            way: Way::new(),
        }],
    };
    while let Some(mut state) = walk.open.pop() {
        for steps in 0.. {
            ensure!(steps < MOST, "a way from {symbol} on has no end");
            let address = state.address;
            let goes_on = walk
                .step(&mut state)
                .with_context(|| format!("at {address:#x}, on a way from {symbol} on"))?;
            if !goes_on {
                break;
            }
        }
        walk.ways.push(state.way);
    }
    Ok(walk.ways)
}

struct Walk<'a> {
    code: &'a Code,
    capabilities: &'a BTreeSet<u16>,
    has_result: bool,
    /// Those that have come to their ends.
    ways: Vec<Way>,
    /// Points from which there are others.
    open: Vec<State>,
}

impl Walk<'_> {
    /// The instruction at `address` as the kernel has it, where that comes from,
    /// and what leads from there to the target of a branch.
    fn fetch(&self, address: u64) -> Result<(Insn, u64)> {
        let (place, _) = self.code.patched(address, self.capabilities);
        let word = self.code.word(place).context("there is no code")?;
        let insn = Insn::of(word).with_context(|| {
            format!("{word:#010x} is unknown: teach scripts/src/entry/insn.rs what it does")
        })?;
        Ok((insn, place))
    }

    /// Where a branch from `address` leads to.
    fn target(&self, address: u64, distance: i64) -> u64 {
        match self.code.patched(address, self.capabilities) {
            (place, Some(alternative)) => alternative.target(place, distance),
            (place, None) => place.wrapping_add_signed(distance),
        }
    }

    /// Executes an instruction. False at the end of a way.
    fn step(&mut self, state: &mut State) -> Result<bool> {
        let address = state.address;
        if let Some(fixup) = self.code.fixups.get(&address) {
            let mut taken = state.clone();
            taken.way.push(Event::Exception);
            taken.address = *fixup;
            self.open.push(taken);
        }
        let (insn, place) = self.fetch(address)?;
        let link = self.code.links.get(&place);
        state.address += 4;
        match insn {
            Insn::Hint(NOP) => {}
            Insn::Hint(number) => state.way.push(Event::Hint(number)),
            Insn::SpeculationBarrier => state.way.push(Event::SpeculationBarrier),
            Insn::System(system @ System::Mrs(_), rt) => {
                let value = state.read(Event::System(system, None));
                state.set(rt, value);
            }
            Insn::System(system @ (System::Msr(_) | System::Sys(_)), rt) => {
                let value = state.value_in(rt);
                state.way.push(Event::System(system, Some(value)));
            }
            Insn::System(system, _) => state.way.push(Event::System(system, None)),
            Insn::Adrp { rd } => {
                let (name, 0) = link.context("ADRP of nothing")? else {
                    bail!("ADRP of something near a symbol");
                };
                state.set(rd, Value::term(Term::Page(name.clone())));
            }
            Insn::AddImmediate { rd, rn, value } => {
                let base = state.address_in(rn);
                let sum = match link {
                    None => base.plus_number(value as i64),
                    Some((name, 0)) if base == Value::term(Term::Page(name.clone())) => {
                        Value::term(Term::Symbol(name.clone()))
                    }
                    Some((name, _)) => bail!("ADD of {name} to something else than its page"),
                };
                ensure!(rd != R31, "SP is changed");
                state.set(rd, sum);
            }
            Insn::Add { rd, rn, rm } => {
                let sum = state.value_in(rn).plus(&state.value_in(rm));
                state.set(rd, sum);
            }
            Insn::Or { rd, rn, rm } => {
                let value = state.value_in(rn).or(&state.value_in(rm));
                state.set(rd, value);
            }
            Insn::OrImmediate { rd, rn, value } => {
                ensure!(rd != R31, "SP is changed");
                let value = state.value_in(rn).or(&Value::number(value));
                state.set(rd, value);
            }
            Insn::And { rd, rn, value } => {
                ensure!(rd != R31, "SP is changed");
                let value = state.value_in(rn).and(value);
                state.set(rd, value);
            }
            Insn::Move { rd, value } => state.set(rd, Value::number(value)),
            Insn::Memory(memory) => access(state, &memory),
            Insn::Branch { distance } => match link {
                Some((name, _)) => {
                    state.way.push(Event::Leave(name.clone(), state.some(KEPT)));
                    return Ok(false);
                }
                None => state.address = self.target(address, distance),
            },
            Insn::BranchIf {
                rt,
                bit,
                zero,
                distance,
            } => {
                let value = state.value_in(rt);
                let mut other = state.clone();
                other.address = self.target(address, distance);
                let test = |zero| Event::Test {
                    value: value.clone(),
                    bit,
                    zero,
                };
                state.way.push(test(!zero));
                other.way.push(test(zero));
                // Always in the same order, whichever of them branches.
                if zero {
                    std::mem::swap(state, &mut other);
                }
                self.open.push(other);
            }
            Insn::Ret => {
                let result = self.has_result.then_some(0);
                let values = state.some(KEPT.chain(result));
                state.way.push(Event::Ret(values));
                return Ok(false);
            }
            Insn::Eret => {
                state.way.push(Event::Eret(state.some(0..=R31)));
                self.barriers_behind(state)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the barriers behind an ERET, where nothing but speculation gets.
    fn barriers_behind(&self, state: &mut State) -> Result<()> {
        loop {
            match self.fetch(state.address)?.0 {
                Insn::Hint(NOP) => {}
                Insn::SpeculationBarrier => state.way.push(Event::SpeculationBarrier),
                Insn::System(system @ (System::Isb | System::Dsb(_)), _) => {
                    state.way.push(Event::System(system, None));
                }
                _ => return Ok(()),
            }
            state.address += 4;
        }
    }
}

/// Loads or stores.
fn access(state: &mut State, memory: &Memory) {
    let base = state.address_in(memory.base);
    for (place, &register) in (0..).step_by(8).zip(&memory.registers) {
        let address = base.plus_number(memory.offset + place);
        if memory.load {
            let value = state.read(Event::Load { from: address });
            state.set(register, value);
        } else {
            let value = state.value_in(register);
            state.way.push(Event::Store { to: address, value });
        }
    }
    if memory.after != 0 {
        // SP counts as well here.
        let base = base.plus_number(memory.after);
        state.registers[usize::from(memory.base)] = base;
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::Alternative;
    use super::*;

    const ENTRY: Entry = Entry {
        symbol: "f",
        vcpu: Some(1),
        has_result: true,
    };

    const RET: u32 = 0xd65f_03c0;

    fn code(words: &[u32]) -> Code {
        Code {
            text: words.iter().flat_map(|w| w.to_le_bytes()).collect(),
            symbols: BTreeMap::from([("f".to_owned(), 0)]),
            ..Code::default()
        }
    }

    /// The ways in words, without their ends.
    fn texts(code: &Code, capabilities: &[u16]) -> Vec<Vec<String>> {
        let capabilities = capabilities.iter().copied().collect();
        let names = Names::default();
        let text = |way: &Way| {
            let events = way[..way.len() - 1].iter();
            events.map(|e| e.text(&names, way)).collect()
        };
        let ways = ways(code, &ENTRY, &capabilities).unwrap();
        ways.iter().map(text).collect()
    }

    #[test]
    fn it_does_not_matter_which_register_is_used() {
        // add x3, x1, #8; mrs x2, S3_0_C4_C1_0; str x2, [x3, #16]
        let one = code(&[0x9100_2023, 0xd538_4102, 0xf900_0862, RET]);
        // mrs x4, S3_0_C4_C1_0; str x4, [x1, #24]
        let other = code(&[0xd538_4104, 0xf900_0c24, RET]);
        let expected = ["MRS S3_0_C4_C1_0", "store vcpu + 0x18 = S3_0_C4_C1_0"];
        assert_eq!(texts(&one, &[]), [expected]);
        assert_eq!(texts(&other, &[]), [expected]);
        // Nor what else is in them when it returns, but for these: mov x0, x1.
        let ends = |code: &Code| {
            let way = ways(code, &ENTRY, &BTreeSet::new()).unwrap().remove(0);
            way.last().unwrap().clone()
        };
        assert_eq!(ends(&one), ends(&other));
        let moved = code(&[0xaa01_03e0, RET]);
        let (a, b) = ends(&moved).differing(&ends(&other));
        assert_eq!(a.text(&Names::default(), &[]), "RET with X0 = vcpu");
        assert_eq!(b.text(&Names::default(), &[]), "RET with X0 = X0");
    }

    #[test]
    fn both_sides_of_a_branch_are_walked() {
        let expected = [vec!["if X2 is 0"], vec!["if X2 is not 0", "ISB"]];
        // cbz x2, 1f; isb; 1: ret
        let words = [0xb400_0042, 0xd503_3fdf, RET];
        assert_eq!(texts(&code(&words), &[]), expected);
        // cbnz x2, 1f; ret; 1: isb; ret
        let words = [0xb500_0042, RET, 0xd503_3fdf, RET];
        assert_eq!(texts(&code(&words), &[]), expected);
    }

    #[test]
    fn alternatives_and_exceptions_are_taken() {
        // nop; ret; isb
        let mut code = code(&[0xd503_201f, RET, 0xd503_3fdf]);
        code.alternatives.push(Alternative {
            original: 0..4,
            replacement: 8,
            capability: 3,
        });
        assert_eq!(texts(&code, &[]), [[""; 0]]);
        assert_eq!(texts(&code, &[3]), [["ISB"]]);
        code.fixups.insert(4, 4 + 4);
        // Behind the text there is nothing.
        code.text.extend(RET.to_le_bytes());
        assert_eq!(texts(&code, &[]), [vec![], vec!["exception", "ISB"]]);
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        // blr x0; and a loop.
        for (words, expected) in [
            (&[0xd63f_0000][..], "0xd63f0000 is unknown"),
            (&[0x1400_0000], "has no end"),
            (&[0xd503_201f], "there is no code"),
        ] {
            let error = ways(&code(words), &ENTRY, &BTreeSet::new()).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
