// SPDX-License-Identifier: GPL-2.0

//! Reads the list of the registers that are wanted.
//!
//! One register a line, comments after `#`. A second name is that of the register of EL1 or EL0
//! whose name reaches the first when `HCR_EL2.E2H` is 1. It is needed where the two are not called
//! the same but for the exception level.

use super::error::{
    lines,
    Error,
    Place, //
};

/// A register that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: String,
    /// The register whose name reaches it when `HCR_EL2.E2H` is 1, if the list says so.
    pub(crate) e2h: Option<String>,
    /// Where it is listed.
    pub(crate) place: Place,
}

/// Reads the list.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Wanted>, Error> {
    let mut list: Vec<Wanted> = Vec::new();
    for (place, words) in lines(file, text) {
        let (name, e2h) = match words[..] {
            [name] => (name, None),
            [name, e2h] => (name, Some(e2h.to_owned())),
            _ => return Err(place.error("more than two names")),
        };
        if let Some(before) = list.iter().find(|w| w.name == name) {
            return Err(place.error(format_args!("{name} is in {} already", before.place)));
        }
        list.push(Wanted {
            name: name.to_owned(),
            e2h,
            place,
        });
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_pairs_are_read() {
        let list = parse("l", "# comment\n\nA_EL1\nB_EL2 A_EL1\n").unwrap();
        assert_eq!(list[0].name, "A_EL1");
        assert_eq!(list[0].e2h, None);
        assert_eq!(list[1].e2h.as_deref(), Some("A_EL1"));
        assert_eq!(list[1].place.line, 4);
    }

    #[test]
    fn a_register_is_listed_once() {
        assert_eq!(
            parse("l", "A\nB\nA\n").unwrap_err().to_string(),
            "l:3: A is in l:1 already"
        );
        assert_eq!(
            parse("l", "A B C\n").unwrap_err().to_string(),
            "l:1: more than two names"
        );
    }
}
