// SPDX-License-Identifier: GPL-2.0

//! Brings the three inputs together.

use super::{
    description::{
        Description,
        Field,
        Fields, //
    },
    error::{
        Error,
        Place, //
    },
    header::{
        Encoding,
        Header, //
    },
    list::Wanted,
};

/// A name that VHE adds for a register that its own name does not reach any more.
#[derive(Debug)]
pub(crate) struct Alias {
    /// The name, which ends in `_EL12` or `_EL02`.
    pub(crate) name: String,
    /// Its encoding.
    pub(crate) encoding: Encoding,
    /// The register that the name without that ending reaches instead.
    pub(crate) redirected_to: Encoding,
}

/// A register, as it is to come out.
#[derive(Debug)]
pub(crate) struct Register {
    /// Its name.
    pub(crate) name: String,
    /// Its encoding.
    pub(crate) encoding: Encoding,
    /// Its fields; none where no input describes them.
    pub(crate) fields: Vec<Field>,
    /// For a register of EL1 or EL0: the name that reaches it when `HCR_EL2.E2H` is 1.
    pub(crate) alias: Option<Alias>,
    /// For a register of EL2: the register whose name reaches it when `HCR_EL2.E2H` is 1.
    pub(crate) e2h: Option<String>,
}

/// The largest op0, op1, CRn, CRm and op2.
const LARGEST: [u8; 5] = [3, 7, 15, 15, 7];

struct Inputs<'a> {
    description: &'a Description,
    header: &'a Header,
    list: &'a [Wanted],
}

/// Finds everything that is to be known of the registers of `list`, in the order of their names.
pub(crate) fn resolve(
    description: &Description,
    header: &Header,
    list: &[Wanted],
) -> Result<Vec<Register>, Error> {
    let inputs = Inputs {
        description,
        header,
        list,
    };
    let mut registers = list
        .iter()
        .map(|wanted| inputs.register(wanted))
        .collect::<Result<Vec<_>, _>>()?;
    registers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(registers)
}

impl Inputs<'_> {
    fn register(&self, wanted: &Wanted) -> Result<Register, Error> {
        let name = &wanted.name;
        for (ending, level) in [("_EL12", "_EL1"), ("_EL02", "_EL0")] {
            if let Some(stem) = name.strip_suffix(ending) {
                return Err(wanted.place.error(format_args!(
                    "{name} is another name of {stem}{level}: list that"
                )));
            }
        }
        let Some(encoding) = self.encoding(name)? else {
            return Err(wanted.place.error(format_args!(
                "{name} is neither in {} nor in {}",
                self.description.file, self.header.file
            )));
        };
        Ok(Register {
            name: name.clone(),
            encoding,
            fields: self.fields(name, &mut Vec::new())?,
            alias: self.alias(wanted)?,
            e2h: self.e2h(wanted)?,
        })
    }

    /// The encoding of `name`, checked, if an input has it.
    fn encoding(&self, name: &str) -> Result<Option<Encoding>, Error> {
        let described = self.description.registers.get(name).map(|r| &r.encoding);
        let defined = self.header.encodings.get(name);
        if let (Some(described), Some(defined)) = (described, defined) {
            if described.numbers != defined.numbers {
                return Err(defined.place.error(format_args!(
                    "{name} is {defined} here and {described} in {}",
                    described.place
                )));
            }
        }
        let Some(encoding) = described.or(defined) else {
            return Ok(None);
        };
        for (index, part) in ["op0", "op1", "CRn", "CRm", "op2"].iter().enumerate() {
            let smallest = if index == 0 { 2 } else { 0 };
            let (number, largest) = (encoding.numbers[index], LARGEST[index]);
            if !(smallest..=largest).contains(&number) {
                return Err(encoding.place.error(format_args!(
                    "{name}: {part} is {number}, MRS and MSR take {smallest} to {largest}"
                )));
            }
        }
        Ok(Some(encoding.clone()))
    }

    /// The fields of `name`; `seen` are the registers on whose behalf they are asked for.
    fn fields(&self, name: &str, seen: &mut Vec<String>) -> Result<Vec<Field>, Error> {
        let Some(register) = self.description.registers.get(name) else {
            return Ok(Vec::new());
        };
        let missing = |other: &str, place: &Place| {
            Err(place.error(format_args!(
                "{name} has the fields of {other}, which is not described"
            )))
        };
        match &register.fields {
            Fields::Own(fields) => Ok(fields.clone()),
            Fields::Shared(other, place) => match self.description.shared.get(other) {
                Some(fields) => Ok(fields.clone()),
                None => missing(other, place),
            },
            Fields::Mapping(other, place) => {
                if seen.contains(other) {
                    return Err(place.error(format_args!("{name} and {other} map in a circle")));
                }
                // What a register maps onto may have no described fields, but it has to exist.
                if self.encoding(other)?.is_none() {
                    return missing(other, place);
                }
                seen.push(name.to_owned());
                self.fields(other, seen)
            }
        }
    }

    /// The name that VHE adds for the register.
    ///
    /// VHE adds one for each register whose own name it redirects, and for no other.
    fn alias(&self, wanted: &Wanted) -> Result<Option<Alias>, Error> {
        let name = &wanted.name;
        let Some((alias, encoding)) = self.added_name(name)? else {
            return Ok(None);
        };
        let own = self.encoding(name)?;
        let mut expected = own.clone().unwrap_or_else(|| encoding.clone());
        expected.numbers[1] = 5;
        if expected.numbers != encoding.numbers {
            return Err(encoding.place.error(format_args!(
                "{alias} is {encoding}, but {name} with op1 5 is {expected}"
            )));
        }
        let listed = self
            .list
            .iter()
            .find(|w| w.e2h.as_ref() == Some(name))
            .map(|w| w.name.clone());
        let same_name = name.strip_suffix("_EL1").map(|stem| format!("{stem}_EL2"));
        let redirected_to = match listed.or(same_name) {
            Some(other) => self.encoding(&other)?,
            None => None,
        };
        match redirected_to {
            Some(redirected_to) => Ok(Some(Alias {
                name: alias,
                encoding,
                redirected_to,
            })),
            None => Err(wanted.place.error(format_args!(
                "{name} reaches a register of EL2 when HCR_EL2.E2H is 1: list that as \
                 `<register of EL2> {name}`"
            ))),
        }
    }

    /// The register of EL1 or EL0 whose name reaches the wanted register of EL2.
    fn e2h(&self, wanted: &Wanted) -> Result<Option<String>, Error> {
        let other = match (&wanted.e2h, wanted.name.strip_suffix("_EL2")) {
            (Some(other), _) => {
                if self.added_name(other)?.is_none() {
                    return Err(wanted.place.error(format_args!(
                        "{other} has no name for when HCR_EL2.E2H is 1, so it does not reach {}",
                        wanted.name
                    )));
                }
                other.clone()
            }
            (None, Some(stem)) => {
                let other = format!("{stem}_EL1");
                let exists = self.encoding(&other)?.is_some();
                if !exists || self.added_name(&other)?.is_none() {
                    return Ok(None);
                }
                other
            }
            (None, None) => return Ok(None),
        };
        if !self.list.iter().any(|w| w.name == other) {
            return Err(wanted.place.error(format_args!(
                "{} needs {other}, which is not listed",
                wanted.name
            )));
        }
        Ok(Some(other))
    }

    /// The `_EL12` or `_EL02` name of a register, if an input has one.
    fn added_name(&self, name: &str) -> Result<Option<(String, Encoding)>, Error> {
        for (level, ending) in [("_EL1", "_EL12"), ("_EL0", "_EL02")] {
            if let Some(stem) = name.strip_suffix(level) {
                let added = format!("{stem}{ending}");
                return Ok(self.encoding(&added)?.map(|encoding| (added, encoding)));
            }
        }
        Ok(None)
    }
}
