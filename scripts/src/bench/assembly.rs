// SPDX-License-Identifier: GPL-2.0
//! Words of instructions as the text that an assembler takes, by llvm-mc.

use crate::process;
use anyhow::{ensure, Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{fs, iter};

/// NOP, whose text is known.
const NOP: u32 = 0xd503_201f;
const NOP_TEXT: &str = "nop";

/// Texts by words. A word that is no instruction has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<u32, Option<String>>);

impl Texts {
    /// Has llvm-mc disassemble `words`; `workplace` is for a file that it reads.
    pub fn of(words: impl Iterator<Item = u32>, workplace: &Path) -> Result<Self> {
        let words: BTreeSet<u32> = words.filter(|&word| word != NOP).collect();
        let input = workplace.join("words.txt");
        fs::write(&input, bytes(&words))
            .with_context(|| format!("cannot write {}", input.display()))?;
        let mut command = Command::new("llvm-mc");
        command
            .args(["-disassemble", "-triple=aarch64", "-mattr=+all"])
            .arg(&input);
        Self::parse(&words, &process::output(&mut command)?)
    }

    /// Takes the texts of `words` from what llvm-mc wrote. It leaves out what is no
    /// instruction; each word is followed by a NOP, so that this is seen.
    fn parse(words: &BTreeSet<u32>, output: &str) -> Result<Self> {
        let text = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = output
            .lines()
            .map(text)
            .filter(|line| line != ".text")
            .peekable();
        let mut texts = BTreeMap::from([(NOP, Some(NOP_TEXT.to_owned()))]);
        for &word in words {
            let text = lines.next_if(|line| line != NOP_TEXT);
            let next = lines.next();
            ensure!(
                next.as_deref() == Some(NOP_TEXT),
                "llvm-mc wrote {next:?} after {word:#x}, where there is a NOP"
            );
            texts.insert(word, text);
        }
        ensure!(
            lines.next().is_none(),
            "llvm-mc wrote more than it was given"
        );
        Ok(Self(texts))
    }

    /// The text of `word`.
    fn text(&self, word: u32) -> Option<&str> {
        self.0.get(&word)?.as_deref()
    }

    /// A program of `words`, and how many of them it lacks.
    pub fn program(&self, words: &[u32]) -> (String, u64) {
        let mut program = String::new();
        let mut lacking = 0;
        for text in words.iter().map(|&word| self.text(word)) {
            match text {
                Some(text) => program.extend([text, "\n"]),
                None => lacking += 1,
            }
        }
        (program, lacking)
    }
}

/// What llvm-mc reads: bytes of words, each followed by those of a NOP.
fn bytes(words: &BTreeSet<u32>) -> String {
    let words = words.iter().flat_map(|&word| iter::once(word).chain([NOP]));
    let line = |word: u32| {
        let [a, b, c, d] = word.to_le_bytes();
        format!("{a:#04x} {b:#04x} {c:#04x} {d:#04x}\n")
    };
    words.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_mc_gets_bytes_in_the_order_of_memory() {
        let text = bytes(&BTreeSet::from([0xd53c_5200]));
        assert_eq!(text, "0x00 0x52 0x3c 0xd5\n0x1f 0x20 0x03 0xd5\n");
    }

    /// As llvm-mc 19 writes it, of three words of which the last is nothing.
    const OUTPUT: &str = "\t.text\n\tstp\tq0, q1, [x0, #32]\n\tnop\n\
                          \tmrs\tx0, ESR_EL2\n\tnop\n\tnop\n";

    #[test]
    fn words_have_their_texts() {
        let words = BTreeSet::from([0xad01_0400, 0xd53c_5200, 0xffff_ffff]);
        let texts = Texts::parse(&words, OUTPUT).unwrap();
        let program = [0xd53c_5200, NOP, 0xffff_ffff, 0xad01_0400, 0xd53c_5200];
        assert_eq!(
            texts.program(&program),
            (
                "mrs x0, ESR_EL2\nnop\nstp q0, q1, [x0, #32]\nmrs x0, ESR_EL2\n".to_owned(),
                1
            )
        );
    }

    #[test]
    fn output_of_other_words_is_refused() {
        let words = BTreeSet::from([0xad01_0400, 0xd53c_5200]);
        assert!(Texts::parse(&words, OUTPUT).is_err());
        assert!(Texts::parse(&words, "\t.text\n\tnop\n").is_err());
        assert!(Texts::parse(&words, "\tisb\n\tisb\n\tnop\n").is_err());
    }

    #[test]
    fn llvm_mc_says_what_words_are() {
        let folder = tempfile::tempdir().unwrap();
        // mrs x0, esr_el2; no instruction; isb
        let words = [0xd53c_5200, 0xffff_ffff, 0xd503_3fdf];
        let texts = Texts::of(words.into_iter(), folder.path()).unwrap();
        let expected = "mrs x0, ESR_EL2\nisb\n".to_owned();
        assert_eq!(texts.program(&words), (expected, 1));
    }
}
