// SPDX-License-Identifier: GPL-2.0

//! Reads `arch/arm64/tools/sysreg`.
//!
//! The grammar is that of `arch/arm64/tools/gen-sysreg.awk`: blocks that describe all 64 bits of a
//! register from the top down, each bit once.

use super::{
    error::{
        lines,
        Error,
        Place, //
    },
    header::Encoding,
};
use std::collections::HashMap;

/// A named value of a field.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// Its name in the description.
    pub(crate) name: String,
    /// As it is written there, in binary.
    pub(crate) literal: String,
    /// Where it is described.
    pub(crate) place: Place,
}

/// A field of a register.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name in the description, behind that of its `Prefix` block if it is in one.
    pub(crate) name: String,
    /// Its highest bit.
    pub(crate) msb: u32,
    /// Its lowest bit.
    pub(crate) lsb: u32,
    /// True for a `SignedEnum`.
    pub(crate) signed: bool,
    /// What its values are called.
    pub(crate) values: Vec<Value>,
    /// Where it is described.
    pub(crate) place: Place,
}

/// The fields of a register.
#[derive(Debug)]
pub(crate) enum Fields {
    /// Described with the register.
    Own(Vec<Field>),
    /// Those of a `SysregFields` block of this name.
    Shared(String, Place),
    /// Those of the register of this name.
    Mapping(String, Place),
}

/// A `Sysreg` block.
#[derive(Debug)]
pub(crate) struct Sysreg {
    pub(crate) encoding: Encoding,
    pub(crate) fields: Fields,
}

/// All of the file.
#[derive(Debug)]
pub(crate) struct Description {
    /// The file, as the command line names it.
    pub(crate) file: String,
    /// `Sysreg` blocks by name.
    pub(crate) registers: HashMap<String, Sysreg>,
    /// `SysregFields` blocks by name.
    pub(crate) shared: HashMap<String, Vec<Field>>,
}

/// Which block a line is in, from the outside in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Sysreg,
    SysregFields,
    Prefix,
    Enum,
}

impl Block {
    /// The word that ends the block.
    fn end(self) -> &'static str {
        match self {
            Block::Sysreg => "EndSysreg",
            Block::SysregFields => "EndSysregFields",
            Block::Prefix => "EndPrefix",
            Block::Enum => "EndEnum",
        }
    }
}

/// The register, or the shared layout, that is being read.
struct Parser {
    description: Description,
    blocks: Vec<Block>,
    /// Where the outermost of `blocks` begins.
    begin: Option<Place>,
    name: String,
    encoding: Option<Encoding>,
    fields: Vec<Field>,
    others: Option<Fields>,
    prefixes: Vec<String>,
    /// How many bits, from 0 up, are not described yet.
    undescribed: u32,
}

/// Reads the file.
pub(crate) fn parse(file: &str, text: &str) -> Result<Description, Error> {
    let mut parser = Parser {
        description: Description {
            file: file.to_owned(),
            registers: HashMap::new(),
            shared: HashMap::new(),
        },
        blocks: Vec::new(),
        begin: None,
        name: String::new(),
        encoding: None,
        fields: Vec::new(),
        others: None,
        prefixes: Vec::new(),
        undescribed: 64,
    };
    for (place, words) in lines(file, text) {
        parser.line(&place, &words)?;
    }
    match (parser.blocks.last(), parser.begin) {
        (Some(block), Some(begin)) => {
            Err(begin.error(format_args!("{} has no {}", parser.name, block.end())))
        }
        _ => Ok(parser.description),
    }
}

impl Parser {
    fn line(&mut self, place: &Place, words: &[&str]) -> Result<(), Error> {
        match (self.blocks.last(), words[0]) {
            (None, "Sysreg") => {
                expect(place, words, 7)?;
                let encoding = Encoding::parse(place, &words[2..])?;
                if self.description.registers.contains_key(words[1]) {
                    return Err(place.error(format_args!("{} is described twice", words[1])));
                }
                self.begin(place, Block::Sysreg, words[1], Some(encoding));
            }
            (None, "SysregFields") => {
                expect(place, words, 2)?;
                if self.description.shared.contains_key(words[1]) {
                    return Err(place.error(format_args!("{} is described twice", words[1])));
                }
                self.begin(place, Block::SysregFields, words[1], None);
            }
            (Some(block), word) if word == block.end() => {
                let block = *block;
                expect(place, words, 1)?;
                self.end(place, block)?;
            }
            (Some(Block::Enum), word) if word.starts_with("0b") => {
                expect(place, words, 2)?;
                self.value(place, word, words[1])?;
            }
            (Some(Block::Sysreg), word @ ("Fields" | "Mapping")) => {
                expect(place, words, 2)?;
                if self.undescribed != 64 {
                    return Err(place.error(format_args!("{} has fields already", self.name)));
                }
                let name = words[1].to_owned();
                self.others = Some(match word {
                    "Fields" => Fields::Shared(name, place.clone()),
                    _ => Fields::Mapping(name, place.clone()),
                });
                self.undescribed = 0;
            }
            (Some(Block::Sysreg | Block::SysregFields), "Prefix") => {
                expect(place, words, 2)?;
                if self.undescribed != 64 {
                    return Err(place.error(format_args!(
                        "{} has fields before its Prefix blocks",
                        self.name
                    )));
                }
                if self.prefixes.iter().any(|p| p == words[1]) {
                    return Err(
                        place.error(format_args!("{} has prefix {} twice", self.name, words[1]))
                    );
                }
                self.prefixes.push(words[1].to_owned());
                self.blocks.push(Block::Prefix);
            }
            (Some(Block::Sysreg | Block::SysregFields | Block::Prefix), word) => {
                self.bits(place, word, words)?;
            }
            (_, word) => return Err(unexpected(place, word)),
        }
        Ok(())
    }

    fn begin(&mut self, place: &Place, block: Block, name: &str, encoding: Option<Encoding>) {
        self.blocks.push(block);
        self.begin = Some(place.clone());
        self.name = name.to_owned();
        self.encoding = encoding;
        self.undescribed = 64;
    }

    fn end(&mut self, place: &Place, block: Block) -> Result<(), Error> {
        self.blocks.pop();
        if block == Block::Enum {
            return Ok(());
        }
        if self.undescribed != 0 {
            return Err(place.error(format_args!(
                "{} does not say what bits {}:0 are",
                self.name,
                self.undescribed - 1
            )));
        }
        if block == Block::Prefix {
            self.undescribed = 64;
            return Ok(());
        }
        self.prefixes.clear();
        let fields = std::mem::take(&mut self.fields);
        match self.encoding.take() {
            Some(encoding) => {
                let fields = self.others.take().unwrap_or(Fields::Own(fields));
                let register = Sysreg { encoding, fields };
                self.description
                    .registers
                    .insert(self.name.clone(), register);
            }
            None => {
                self.description.shared.insert(self.name.clone(), fields);
            }
        }
        Ok(())
    }

    /// A line that says what some of the bits are.
    fn bits(&mut self, place: &Place, word: &str, words: &[&str]) -> Result<(), Error> {
        let (named, is_enum) = match word {
            "Res0" | "Res1" | "Unkn" | "Raz" => (false, false),
            "Field" => (true, false),
            "Enum" | "SignedEnum" | "UnsignedEnum" => (true, true),
            _ => return Err(unexpected(place, word)),
        };
        expect(place, words, if named { 3 } else { 2 })?;
        let name = if named { words[2] } else { word };
        let (msb, lsb) = self.range(place, name, words[1])?;
        if named {
            let name = match (self.blocks.last(), self.prefixes.last()) {
                (Some(Block::Prefix), Some(prefix)) => format!("{prefix}_{name}"),
                _ => name.to_owned(),
            };
            self.fields.push(Field {
                name,
                msb,
                lsb,
                signed: word == "SignedEnum",
                values: Vec::new(),
                place: place.clone(),
            });
        }
        if is_enum {
            self.blocks.push(Block::Enum);
        }
        Ok(())
    }

    /// Reads `<msb>[:<lsb>]`, which has to go on where the line before ended.
    fn range(&mut self, place: &Place, name: &str, text: &str) -> Result<(u32, u32), Error> {
        let (msb, lsb) = text.split_once(':').unwrap_or((text, text));
        let (Ok(msb), Ok(lsb)) = (msb.parse::<u32>(), lsb.parse::<u32>()) else {
            return Err(place.error(format_args!(
                "{}.{name}: {text} is not a range of bits",
                self.name
            )));
        };
        let wrong = |what: String| Err(place.error(format_args!("{}.{name} {what}", self.name)));
        if msb > 63 {
            return wrong(format!("is at bit {msb}, beyond the 64 of a register"));
        }
        if msb < lsb {
            return wrong(format!("is at bits {text}, the lower one first"));
        }
        if msb + 1 > self.undescribed {
            return wrong(format!("overlaps what is before it, at bit {msb}"));
        }
        if msb + 1 < self.undescribed {
            let top = self.undescribed - 1;
            return wrong(format!("leaves open what bits {top}:{} are", msb + 1));
        }
        self.undescribed = lsb;
        Ok((msb, lsb))
    }

    /// A line in an `Enum` block.
    fn value(&mut self, place: &Place, literal: &str, name: &str) -> Result<(), Error> {
        let (Some(field), Ok(value)) = (
            self.fields.last_mut(),
            u64::from_str_radix(&literal[2..], 2),
        ) else {
            return Err(place.error(format_args!("{literal} is not a number")));
        };
        let width = field.msb - field.lsb + 1;
        if width < 64 && value >> width != 0 {
            return Err(place.error(format_args!(
                "{}.{}: {literal} does not fit into bits {}:{}",
                self.name, field.name, field.msb, field.lsb
            )));
        }
        if field.values.iter().any(|v| v.literal == literal) {
            return Err(place.error(format_args!(
                "{}.{}: {literal} has two names",
                self.name, field.name
            )));
        }
        field.values.push(Value {
            name: name.to_owned(),
            literal: literal.to_owned(),
            place: place.clone(),
        });
        Ok(())
    }
}

fn unexpected(place: &Place, word: &str) -> Error {
    place.error(format_args!("{word} is not expected here"))
}

/// Checks how many words a line has.
fn expect(place: &Place, words: &[&str], count: usize) -> Result<(), Error> {
    if words.len() == count {
        return Ok(());
    }
    Err(place.error(format_args!(
        "{} words where a line of {} has {count}",
        words.len(),
        words[0]
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse("f", text).unwrap_err().to_string()
    }

    /// A register whose bits are described by `bits`.
    fn register(bits: &str) -> String {
        format!("Sysreg X 3 0 1 2 4\n{bits}\nEndSysreg\n")
    }

    #[test]
    fn every_bit_is_described_once() {
        assert_eq!(
            error(&register("Res0 63:8\nField 8:0 A")),
            "f:3: X.A overlaps what is before it, at bit 8"
        );
        assert_eq!(
            error(&register("Res0 63:8\nField 5:0 A")),
            "f:3: X.A leaves open what bits 7:6 are"
        );
        assert_eq!(
            error(&register("Res0 63:8\nField 7:3 A")),
            "f:4: X does not say what bits 2:0 are"
        );
        assert_eq!(
            error(&register("Field 64:0 A")),
            "f:2: X.A is at bit 64, beyond the 64 of a register"
        );
        assert_eq!(
            error(&register("Field 0:63 A")),
            "f:2: X.A is at bits 0:63, the lower one first"
        );
        assert_eq!(
            error(&register("Field 63:x A")),
            "f:2: X.A: 63:x is not a range of bits"
        );
    }

    #[test]
    fn values_fit_their_field_and_differ() {
        let bits = |values: &str| register(&format!("Res0 63:2\nEnum 1:0 A\n{values}\nEndEnum"));
        assert_eq!(
            error(&bits("0b100 TOO_WIDE")),
            "f:4: X.A: 0b100 does not fit into bits 1:0"
        );
        assert_eq!(
            error(&bits("0b00 A\n0b00 B")),
            "f:5: X.A: 0b00 has two names"
        );
        assert_eq!(error(&bits("0b2 A")), "f:4: 0b2 is not a number");
    }

    #[test]
    fn blocks_are_closed_and_nest_as_they_may() {
        assert_eq!(
            error("Sysreg X 3 0 1 2 4\nRes0 63:0\n"),
            "f:1: X has no EndSysreg"
        );
        assert_eq!(error("Field 63:0 A\n"), "f:1: Field is not expected here");
        assert_eq!(
            error(&register("Enum 63:0 A\nField 3 B\nEndEnum")),
            "f:3: Field is not expected here"
        );
        assert_eq!(
            error(&register("Nonsense 63:0 A")),
            "f:2: Nonsense is not expected here"
        );
        assert_eq!(
            error(&register("Res0 63:0\nFields F")),
            "f:3: X has fields already"
        );
        assert_eq!(
            error("Sysreg X 3 0 1 2\n"),
            "f:1: 6 words where a line of Sysreg has 7"
        );
    }

    #[test]
    fn nothing_is_described_twice() {
        let twice = register("Res0 63:0").repeat(2);
        assert_eq!(error(&twice), "f:4: X is described twice");
        let shared = "SysregFields F\nRes0 63:0\nEndSysregFields\n".repeat(2);
        assert_eq!(error(&shared), "f:4: F is described twice");
        let prefix = "Prefix P\nRes0 63:0\nEndPrefix\n".repeat(2);
        assert_eq!(error(&register(&prefix)), "f:5: X has prefix P twice");
    }

    #[test]
    fn a_prefix_block_describes_all_bits_of_its_own() {
        let text = register("Prefix P\nRes0 63:1\nField 0 A\nEndPrefix\nRes0 63:1\nField 0 A");
        let description = parse("f", &text).unwrap();
        let Fields::Own(fields) = &description.registers["X"].fields else {
            panic!("the fields are described with the register");
        };
        let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["P_A", "A"]);
        assert_eq!(
            error(&register("Res0 63:0\nPrefix P\nRes0 63:0\nEndPrefix")),
            "f:3: X has fields before its Prefix blocks"
        );
    }

    #[test]
    fn fields_do_not_leak_into_the_next_register() {
        let text = "Sysreg X 3 0 1 2 4\nField 63:0 A\nEndSysreg\n\
                    Sysreg Y 3 0 1 2 5\nRes0 63:0\nEndSysreg\n";
        let description = parse("f", text).unwrap();
        assert!(matches!(&description.registers["Y"].fields, Fields::Own(f) if f.is_empty()));
        assert!(matches!(&description.registers["X"].fields, Fields::Own(f) if f.len() == 1));
    }
}
