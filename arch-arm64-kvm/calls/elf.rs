// SPDX-License-Identifier: GPL-2.0

//! Reads relocatable objects: ELF64, little-endian, for AArch64.
//!
//! Only sections that are part of the running kernel are kept; relocations of debug information and
//! the like say nothing about what is called.

use super::error::Error;

/// Section attributes (`sh_flags`).
const SHF_ALLOC: u64 = 1 << 1;
const SHF_EXECINSTR: u64 = 1 << 2;

/// Section types (`sh_type`).
const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;

/// Section numbers with a meaning (`st_shndx`).
const SHN_UNDEF: u16 = 0;
const SHN_LORESERVE: u16 = 0xff00;
const SHN_XINDEX: u16 = 0xffff;

const SECTION_HEADER_SIZE: u64 = 64;
const SYMBOL_SIZE: u64 = 24;
const RELOCATION_SIZE: u64 = 24;

/// An object.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// Sections by their number. Those that are not loaded are empty.
    pub(crate) sections: Vec<Section<'a>>,
    /// Symbols by their number.
    pub(crate) symbols: Vec<Symbol<'a>>,
}

/// A section.
#[derive(Debug, Default)]
pub(crate) struct Section<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// It has code in it.
    pub(crate) is_code: bool,
    /// Its size in memory.
    pub(crate) size: u64,
    /// Its content; empty for one that starts as zeros.
    pub(crate) data: &'a [u8],
    /// Its relocations, by their offset.
    pub(crate) relocations: Vec<Relocation>,
}

/// A place that the linker fills in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    /// Where it is in its section.
    pub(crate) offset: u64,
    /// Number of the symbol that it refers to.
    pub(crate) symbol: usize,
    /// What is added to the symbol's value.
    pub(crate) addend: i64,
}

/// A symbol.
#[derive(Debug)]
pub(crate) struct Symbol<'a> {
    /// Its name; that of a section symbol is empty.
    pub(crate) name: &'a str,
    /// Other objects see it.
    pub(crate) is_global: bool,
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it is defined.
    pub(crate) place: Place,
    /// Its offset in the section.
    pub(crate) value: u64,
    /// Its size; 0 if unknown.
    pub(crate) size: u64,
}

/// What a symbol is (`st_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function.
    Function,
    /// A section itself.
    Section,
    /// A variable, a label, or what the assembler was not told about.
    Other,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In another object.
    Undefined,
    /// In the section with this number.
    Section(usize),
    /// Nowhere: a constant, the name of a source file, or the like.
    None,
}

/// A file, for reading numbers from.
struct Reader<'a> {
    file: &'a str,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::new(self.file, what, "remove it and build it again")
    }

    fn slice(&self, offset: u64, size: u64) -> Result<&'a [u8], Error> {
        let range = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            self.bytes.get(start..end)
        };
        range().ok_or_else(|| {
            self.error(format_args!(
                "the file ends at {:#x}, before the {size:#x} bytes at {offset:#x}",
                self.bytes.len()
            ))
        })
    }

    fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(offset, N as u64)?);
        Ok(array)
    }

    fn u16(&self, offset: u64) -> Result<u16, Error> {
        self.array(offset).map(u16::from_le_bytes)
    }

    fn u32(&self, offset: u64) -> Result<u32, Error> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn u64(&self, offset: u64) -> Result<u64, Error> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The name at `offset` in the string table `table`.
    fn name(&self, table: &Header, offset: u32) -> Result<&'a str, Error> {
        let strings = self.slice(table.offset, table.size)?;
        let name = usize::try_from(offset)
            .ok()
            .and_then(|offset| strings.get(offset..))
            .and_then(|rest| rest.split(|&byte| byte == 0).next());
        name.and_then(|name| std::str::from_utf8(name).ok())
            .ok_or_else(|| self.error(format_args!("no name at {offset:#x} of the string table")))
    }

    /// The offsets of the entries of a table.
    fn entries(&self, table: &Header, size: u64) -> Result<impl Iterator<Item = u64>, Error> {
        // Its end cannot overflow once it is known to be in the file.
        self.slice(table.offset, table.size)?;
        let start = table.offset;
        Ok((0..table.size / size).map(move |i| start + i * size))
    }
}

/// What the file says of a section.
struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
}

impl Header {
    fn read(file: &Reader<'_>, at: u64) -> Result<Self, Error> {
        file.slice(at, SECTION_HEADER_SIZE)?;
        Ok(Self {
            name: file.u32(at)?,
            kind: file.u32(at + 4)?,
            flags: file.u64(at + 8)?,
            offset: file.u64(at + 24)?,
            size: file.u64(at + 32)?,
            link: file.u32(at + 40)?,
            info: file.u32(at + 44)?,
        })
    }

    fn is_loaded(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }
}

fn headers(file: &Reader<'_>) -> Result<Vec<Header>, Error> {
    let identity: [u8; 20] = file.array(0)?;
    let [0x7f, b'E', b'L', b'F', class, order, ..] = identity else {
        return Err(file.error("not an ELF file"));
    };
    let [.., kind, _, machine, _] = identity;
    // 64 bits, little-endian, relocatable, AArch64.
    if (class, order, kind, machine) != (2, 1, 1, 183) {
        return Err(file.error("not a relocatable little-endian AArch64 object"));
    }
    let start = file.u64(40)?;
    let count = file.u16(60)?;
    if u64::from(file.u16(58)?) != SECTION_HEADER_SIZE || count == 0 {
        return Err(file.error("no table of sections, or more of them than are understood"));
    }
    let table = Header {
        name: 0,
        kind: 0,
        flags: 0,
        offset: start,
        size: u64::from(count) * SECTION_HEADER_SIZE,
        link: 0,
        info: 0,
    };
    file.entries(&table, SECTION_HEADER_SIZE)?
        .map(|at| Header::read(file, at))
        .collect()
}

fn header<'h>(file: &Reader<'_>, headers: &'h [Header], number: u32) -> Result<&'h Header, Error> {
    usize::try_from(number)
        .ok()
        .and_then(|number| headers.get(number))
        .ok_or_else(|| file.error(format_args!("no section {number}")))
}

fn symbols<'a>(file: &Reader<'a>, headers: &[Header]) -> Result<Vec<Symbol<'a>>, Error> {
    let mut tables = headers.iter().filter(|header| header.kind == SHT_SYMTAB);
    let (Some(table), None) = (tables.next(), tables.next()) else {
        return Err(file.error("not one table of symbols"));
    };
    let strings = header(file, headers, table.link)?;
    let mut symbols = Vec::new();
    for at in file.entries(table, SYMBOL_SIZE)? {
        let [info, _] = file.array(at + 4)?;
        let place = match file.u16(at + 6)? {
            SHN_UNDEF => Place::Undefined,
            SHN_XINDEX => return Err(file.error("more sections than are understood")),
            SHN_LORESERVE.. => Place::None,
            section => {
                header(file, headers, section.into())?;
                Place::Section(section.into())
            }
        };
        symbols.push(Symbol {
            name: file.name(strings, file.u32(at)?)?,
            // Local symbols are 0.
            is_global: info >> 4 != 0,
            kind: match info & 0xf {
                2 => Kind::Function,
                3 => Kind::Section,
                _ => Kind::Other,
            },
            place,
            value: file.u64(at + 8)?,
            size: file.u64(at + 16)?,
        });
    }
    Ok(symbols)
}

/// Reads the object in `bytes`; `file` is its name for messages.
pub(crate) fn parse<'a>(file: &'a str, bytes: &'a [u8]) -> Result<Object<'a>, Error> {
    let file = Reader { file, bytes };
    let headers = headers(&file)?;
    let names = header(&file, &headers, file.u16(62)?.into())?;
    let symbols = symbols(&file, &headers)?;

    let mut sections = Vec::new();
    for header in &headers {
        let mut section = Section {
            name: file.name(names, header.name)?,
            ..Section::default()
        };
        if header.is_loaded() {
            section.is_code = header.flags & SHF_EXECINSTR != 0;
            section.size = header.size;
            if header.kind != SHT_NOBITS {
                section.data = file.slice(header.offset, header.size)?;
            }
        }
        sections.push(section);
    }
    for table in &headers {
        if !matches!(table.kind, SHT_REL | SHT_RELA) {
            continue;
        }
        if !header(&file, &headers, table.info)?.is_loaded() {
            continue;
        }
        if table.kind == SHT_REL {
            return Err(file.error("relocations without addends, which AArch64 does not have"));
        }
        let section = usize::try_from(table.info)
            .ok()
            .and_then(|number| sections.get_mut(number))
            .ok_or_else(|| file.error(format_args!("no section {}", table.info)))?;
        for at in file.entries(table, RELOCATION_SIZE)? {
            let info = file.u64(at + 8)?;
            // The type, in the lower half, says how the place is filled in; 0 is not at all.
            if info & 0xffff_ffff == 0 {
                continue;
            }
            let symbol = usize::try_from(info >> 32).ok();
            let relocation = Relocation {
                offset: file.u64(at)?,
                symbol: symbol
                    .filter(|&symbol| symbol < symbols.len())
                    .ok_or_else(|| file.error("a relocation against a symbol that is not there"))?,
                addend: i64::from_le_bytes(file.array(at + 16)?),
            };
            if relocation.offset >= section.size {
                return Err(file.error(format_args!(
                    "a relocation outside of its section {}",
                    section.name
                )));
            }
            section.relocations.push(relocation);
        }
        section.relocations.sort_by_key(|r| r.offset);
    }
    Ok(Object { sections, symbols })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused() {
        let message = |bytes: &[u8]| parse("a.o", bytes).unwrap_err().to_string();
        assert!(message(b"").starts_with("error: a.o: the file ends at 0x0, before"));
        assert!(message(&[b'x'; 64]).starts_with("error: a.o: not an ELF file\nhint: "));
        let mut x86 = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0";
        assert!(message(&x86).contains("not a relocatable little-endian AArch64 object"));
        x86[18] = 183;
        assert!(message(&x86).contains("the file ends at 0x14"));
    }
}
