// SPDX-License-Identifier: GPL-2.0
//! `enum vcpu_sysreg`: which place a register has in `struct kvm_cpu_context`.
//!
//! Read from the kernel's own `asm/kvm_host.h` and `asm/vncr_mapping.h`, as
//! bindgen is not at hand here. So a register that a new view asks for is
//! there already, on the right side of the marks.

/// The names and their values, marks included.
///
/// `host` is the text of `asm/kvm_host.h`, `mapping` that of
/// `asm/vncr_mapping.h`.
///
/// # Panics
///
/// If the enum is not written as it is in Linux 7.3.
pub fn places(host: &str, mapping: &str) -> Vec<(String, u32)> {
    let (_, rest) = host
        .split_once("enum vcpu_sysreg {")
        .expect("asm/kvm_host.h has enum vcpu_sysreg");
    let (body, _) = rest.split_once("};").expect("the enum has an end");
    let mut places: Vec<(String, u32)> = Vec::new();
    let mut next = 0;
    let body = without_comments(body);
    for item in body.split(',').map(str::trim).filter(|i| !i.is_empty()) {
        let value_of = |places: &[(String, u32)], name: &str| {
            let place = places.iter().find(|(known, _)| known == name);
            place
                .unwrap_or_else(|| panic!("{item}: {name} is not known"))
                .1
        };
        if let Some(mark) = argument(item, "MARKER") {
            // A mark has the value of what follows it.
            places.push((mark.to_owned(), next));
        } else if let Some(name) = argument(item, "VNCR") {
            let start = value_of(&places, "__VNCR_START__");
            let value = start + offset(mapping, name) / 8;
            places.push((name.to_owned(), value));
            // What follows these counts on from the highest.
            next = next.max(value + 1);
        } else if let Some((name, value)) = item.split_once('=') {
            let (base, add) = value.split_once('+').expect("a sum");
            let add: u32 = add.trim().parse().expect("a number");
            let value = value_of(&places, base.trim()) + add;
            places.push((name.trim().to_owned(), value));
            next = value + 1;
        } else {
            let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(item.chars().all(identifier), "enum vcpu_sysreg: {item}");
            places.push((item.to_owned(), next));
            next += 1;
        }
    }
    places
}

/// The argument of a macro, if `item` is a call of it.
fn argument<'a>(item: &'a str, name: &str) -> Option<&'a str> {
    item.strip_prefix(name)?
        .strip_prefix('(')?
        .strip_suffix(')')
}

/// The offset of a register in the VNCR page, in bytes.
fn offset(mapping: &str, name: &str) -> u32 {
    let wanted = format!("VNCR_{name}");
    let value = mapping.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let found = words.next() == Some("#define") && words.next() == Some(&*wanted);
        words.next().filter(|_| found)
    });
    let value = value.unwrap_or_else(|| panic!("asm/vncr_mapping.h has no {wanted}"));
    let digits = value.strip_prefix("0x").expect("a hexadecimal number");
    u32::from_str_radix(digits, 16).expect("a hexadecimal number")
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        (_, rest) = comment.split_once("*/").expect("a comment has an end");
    }
    kept + rest
}
