// SPDX-License-Identifier: GPL-2.0
//! Which mutant is tried. This is put into the copy of the crate whose tests are
//! the judge.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::LazyLock;

/// The number of the mutant, which no other has.
static TRIED: LazyLock<Option<u32>> = LazyLock::new(|| {
    let number = std::env::var("KVM_RUST_MUTANT").ok()?;
    Some(number.parse().expect("KVM_RUST_MUTANT is a number"))
});

/// Where it is written which test comes to which mutants.
static REACHED: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = std::env::var_os("KVM_RUST_REACHED")?;
    Some(File::create(path).expect("KVM_RUST_REACHED is a file that can be written"))
});

thread_local! {
    static SEEN: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
}

/// Whether the code of this mutant is to run, and not what it takes the place of.
pub(crate) fn mutant(number: u32) -> bool {
    if let Some(mut file) = REACHED.as_ref() {
        if SEEN.with_borrow_mut(|seen| seen.insert(number)) {
            // libtest runs each test in a thread with the test's name.
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            let line = format!("{number} {test}\n");
            // In one piece, as other threads write, too.
            file.write_all(line.as_bytes()).expect("the file can be written");
        }
    }
    *TRIED == Some(number)
}
