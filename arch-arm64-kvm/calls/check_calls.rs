// SPDX-License-Identifier: GPL-2.0

//! Proves of an object, from its machine code, what it can call, and that it cannot panic.
//!
//! ```text
//! check_calls OBJECT LIST include/config/auto.conf
//! ```
//!
//! There is nothing at EL2 that could report a panic, or survive it. A bounds check, an overflow
//! check or a call for formatting that the compiler could not leave out is therefore an error, as
//! is a call of anything that is not on the list. So are the traps that stand where the compiler
//! believes that control cannot come.
//!
//! The list says where calls are followed from, and which symbols of other objects may be used; see
//! `calls/allowed.rs`. What these do is not looked at: the list has a reason for each.
//!
//! What was found in order goes to the standard output. What was not is said with the function, the
//! symbol, and the way from one to the other, and the exit status is 1.

#![forbid(unsafe_code)]

use std::{
    env,
    fs,
    io::Write,
    process::ExitCode, //
};

mod allowed;
mod check;
mod demangle;
mod elf;
mod error;
mod graph;
mod instruction;
mod panics;
#[cfg(test)]
mod tests;

use allowed::{
    Config,
    List, //
};
use error::Error;

/// The three inputs, each a name for messages and a content; of the configuration, the content.
struct Inputs<'a> {
    object: (&'a str, &'a [u8]),
    list: (&'a str, &'a str),
    config: &'a str,
}

fn check(inputs: &Inputs<'_>) -> Result<String, Vec<Error>> {
    let config = Config::parse(inputs.config);
    let list = List::parse(inputs.list.0, inputs.list.1, &config).map_err(|e| vec![e])?;
    let object = elf::parse(inputs.object.0, inputs.object.1).map_err(|e| vec![e])?;
    check::check(inputs.object.0, &object, &list)
}

fn run(arguments: &[String]) -> Result<(), Vec<Error>> {
    let [object, list, config] = arguments else {
        return Err(vec![Error::new(
            "check_calls",
            "it takes three arguments",
            "check_calls OBJECT LIST include/config/auto.conf",
        )]);
    };
    let unreadable = |path: &String, e| vec![Error::new(path, e, "build it, or name another file")];
    let read = |path: &String| fs::read(path).map_err(|e| unreadable(path, e));
    let text = |path: &String| fs::read_to_string(path).map_err(|e| unreadable(path, e));
    let output = check(&Inputs {
        object: (object, &read(object)?),
        list: (list, &text(list)?),
        config: &text(config)?,
    })?;
    std::io::stdout()
        .write_all(output.as_bytes())
        .map_err(|e| vec![Error::new("the output", e, "make room for it")])
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in &errors {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}
