// SPDX-License-Identifier: GPL-2.0
//! Values of registers, by where they come from.

/// A part of a sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// What a register has at the beginning; 31 is SP.
    Register(u8),
    /// The vCPU, which a register has at the beginning.
    Vcpu,
    /// The page of a symbol.
    Page(String),
    /// The address of a symbol.
    Symbol(String),
    /// What an event has read, by its number.
    Read(usize),
    /// A value with only some of its bits.
    And(Value, u64),
    /// All bits of two values.
    Or(Value, Value),
}

/// The value of a register: a sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// What is not known, sorted.
    pub terms: Vec<Term>,
    /// What is.
    pub offset: u64,
}

impl Value {
    /// A number.
    pub fn number(offset: u64) -> Self {
        Self {
            terms: Vec::new(),
            offset,
        }
    }

    /// A single term.
    pub fn term(term: Term) -> Self {
        Self {
            terms: vec![term],
            offset: 0,
        }
    }

    /// The sum of two.
    pub fn plus(&self, other: &Self) -> Self {
        let mut terms = [&self.terms[..], &other.terms[..]].concat();
        terms.sort();
        Self {
            terms,
            offset: self.offset.wrapping_add(other.offset),
        }
    }

    /// The sum with a number.
    pub fn plus_number(&self, number: i64) -> Self {
        self.plus(&Self::number(number as u64))
    }

    /// All bits of two. With 0 it is the other, which is how registers are
    /// moved.
    pub fn or(&self, other: &Self) -> Self {
        let zero = Self::default();
        match (self == &zero, other == &zero) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => Self::term(Term::Or(self.clone(), other.clone())),
        }
    }

    /// Only some of its bits.
    pub fn and(&self, mask: u64) -> Self {
        Self::term(Term::And(self.clone(), mask))
    }

    /// In words. `read` says what an event has read.
    pub fn text(&self, read: &dyn Fn(usize) -> String) -> String {
        let mut parts: Vec<String> = self.terms.iter().map(|term| term.text(read)).collect();
        if self.offset != 0 || parts.is_empty() {
            parts.push(format!("{:#x}", self.offset));
        }
        parts.join(" + ")
    }
}

impl Term {
    fn text(&self, read: &dyn Fn(usize) -> String) -> String {
        match self {
            Self::Register(31) => "SP".to_owned(),
            Self::Register(number) => format!("X{number}"),
            Self::Vcpu => "vcpu".to_owned(),
            Self::Page(name) => format!("page of {name}"),
            Self::Symbol(name) => name.clone(),
            Self::Read(event) => read(*event),
            Self::And(value, mask) => format!("({} & {mask:#x})", value.text(read)),
            Self::Or(a, b) => format!("({} | {})", a.text(read), b.text(read)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_their_order() {
        let symbol = Value::term(Term::Symbol("x".to_owned()));
        let read = Value::term(Term::Read(3));
        let sum = symbol.plus_number(8).plus(&read).plus_number(-16);
        assert_eq!(sum, read.plus_number(-8).plus(&symbol));
        assert_ne!(sum, symbol.plus(&read));
        assert_eq!(read.plus_number(4).text(&|n| format!("#{n}")), "#3 + 0x4");
        assert_eq!(Value::default().text(&|_| String::new()), "0x0");
    }

    #[test]
    fn zero_is_nothing_in_an_or() {
        let read = Value::term(Term::Read(0));
        assert_eq!(read.or(&Value::default()), read);
        assert_eq!(Value::default().or(&read), read);
        let both = read.or(&Value::number(1)).text(&|_| "r".to_owned());
        assert_eq!(both, "(r | 0x1)");
        assert_eq!(read.and(6).text(&|_| "r".to_owned()), "(r & 0x6)");
    }
}
