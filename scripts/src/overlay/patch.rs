// SPDX-License-Identifier: GPL-2.0
//! Patches as git format-patch writes them, applied to text in memory with no
//! fuzz: every line of context must be there, though it may have moved.

use anyhow::{bail, Context, Result};

/// Content and permissions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// What one patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// Path of the file in the tree.
    pub path: String,
    creates: Option<u32>,
    deletes: Option<u32>,
    mode: Option<(u32, u32)>,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Hunk {
    old_start: usize,
    new_start: usize,
    /// The lines before and after, each with its end of line.
    old: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
}

/// Parses the text of a patch file.
pub fn parse(text: &[u8]) -> Result<Vec<FilePatch>> {
    let lines: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
    let mut patches = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = String::from_utf8_lossy(lines[at]);
        let Some(names) = line.trim_end().strip_prefix("diff --git ") else {
            at += 1;
            continue;
        };
        let path =
            path_of(names).with_context(|| format!("line {}: cannot read {names}", at + 1))?;
        let (patch, next) = parse_file(path, &lines, at + 1)?;
        patches.push(patch);
        at = next;
    }
    if patches.is_empty() {
        bail!("it changes no file");
    }
    Ok(patches)
}

/// The path in `a/PATH b/PATH`.
fn path_of(names: &str) -> Option<String> {
    // Both halves are equal, so the space in the middle is the separator.
    let middle = names.len() / 2;
    let (a, b) = (names.get(..middle)?, names.get(middle + 1..)?);
    let path = a.strip_prefix("a/")?;
    (b.strip_prefix("b/")? == path && is_inside(path)).then(|| path.to_owned())
}

/// True for a path that stays in the tree.
pub fn is_inside(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn parse_file(path: String, lines: &[&[u8]], mut at: usize) -> Result<(FilePatch, usize)> {
    let mut patch = FilePatch {
        path,
        creates: None,
        deletes: None,
        mode: None,
        hunks: Vec::new(),
    };
    let mut old_mode = None;
    while at < lines.len() {
        let line = String::from_utf8_lossy(lines[at]);
        let line = line.trim_end();
        let place = || format!("{}, line {} of the patch", patch.path, at + 1);
        if line.starts_with("diff --git ") {
            break;
        } else if let Some(mode) = line.strip_prefix("new file mode ") {
            patch.creates = Some(permissions(mode).with_context(place)?);
        } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
            patch.deletes = Some(permissions(mode).with_context(place)?);
        } else if let Some(mode) = line.strip_prefix("old mode ") {
            old_mode = Some(permissions(mode).with_context(place)?);
        } else if let Some(mode) = line.strip_prefix("new mode ") {
            let new = permissions(mode).with_context(place)?;
            patch.mode = Some((old_mode.with_context(place)?, new));
        } else if line.starts_with("rename ") || line.starts_with("copy ") {
            bail!(
                "{}: renames are not supported; make the patch with --no-renames",
                place()
            );
        } else if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            bail!("{}: binary patches are not supported", place());
        } else if line.starts_with("@@ ") {
            let (hunk, next) = parse_hunk(lines, at).with_context(place)?;
            let new_file = patch.creates.is_some() || patch.deletes.is_some();
            if !new_file && !hunk.has_context() {
                bail!("{}: a hunk without context could land anywhere", place());
            }
            patch.hunks.push(hunk);
            at = next;
            continue;
        } else if !patch.hunks.is_empty() {
            // The mail signature, or the next mail.
            break;
        }
        at += 1;
    }
    Ok((patch, at))
}

fn permissions(mode: &str) -> Result<u32> {
    match mode {
        "100644" => Ok(0o644),
        "100755" => Ok(0o755),
        other => bail!("file mode {other} is not supported"),
    }
}

/// Start and length in `-12,3` or `+12`.
fn range(text: &str, sign: char) -> Option<(usize, usize)> {
    let text = text.strip_prefix(sign)?;
    match text.split_once(',') {
        Some((start, length)) => Some((start.parse().ok()?, length.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

fn parse_hunk(lines: &[&[u8]], mut at: usize) -> Result<(Hunk, usize)> {
    let header = String::from_utf8_lossy(lines[at]).into_owned();
    let mut words = header.split(' ');
    let ranges = (|| {
        words.next()?;
        Some((range(words.next()?, '-')?, range(words.next()?, '+')?))
    })();
    let ((old_start, mut old_left), (new_start, mut new_left)) =
        ranges.with_context(|| format!("cannot read the hunk header {}", header.trim_end()))?;
    let mut hunk = Hunk {
        old_start,
        new_start,
        ..Hunk::default()
    };
    at += 1;
    let (mut in_old, mut in_new) = (false, false);
    loop {
        let line = lines.get(at).copied().unwrap_or_default();
        if line.starts_with(b"\\") {
            // "\ No newline at end of file" is about the line before.
            if in_old {
                hunk.old.last_mut().map(Vec::pop);
            }
            if in_new {
                hunk.new.last_mut().map(Vec::pop);
            }
            at += 1;
            continue;
        }
        if old_left == 0 && new_left == 0 {
            return Ok((hunk, at));
        }
        // Some mailers strip the space of an empty context line.
        let (kind, rest) = match line {
            b"\n" => (b' ', line),
            [kind, rest @ ..] => (*kind, rest),
            [] => bail!("the patch ends inside a hunk"),
        };
        (in_old, in_new) = match kind {
            b' ' => (true, true),
            b'-' => (true, false),
            b'+' => (false, true),
            _ => bail!("line {} is not part of a hunk", at + 1),
        };
        let too_long = || "a hunk is longer than its header says";
        if in_old {
            old_left = old_left.checked_sub(1).with_context(too_long)?;
            hunk.old.push(rest.to_vec());
        }
        if in_new {
            new_left = new_left.checked_sub(1).with_context(too_long)?;
            hunk.new.push(rest.to_vec());
        }
        at += 1;
    }
}

impl Hunk {
    fn has_context(&self) -> bool {
        self.old.iter().any(|line| self.new.contains(line))
    }

    /// The lines that only one side has.
    fn changed(&self) -> impl Iterator<Item = &Vec<u8>> {
        let gone = self.old.iter().filter(|line| !self.new.contains(line));
        let added = self.new.iter().filter(|line| !self.old.contains(line));
        gone.chain(added)
    }
}

impl FilePatch {
    /// How many pieces there are that can be applied on their own: its hunks, or
    /// one where that cannot be.
    pub fn pieces(&self) -> usize {
        let whole = self.creates.is_some() || self.deletes.is_some() || self.mode.is_some();
        match self.hunks.len() {
            count if count > 0 && !whole => count,
            _ => 1,
        }
    }

    /// True where piece `number` adds or takes away a line that has `text` in it.
    pub fn changes(&self, number: usize, text: &str) -> bool {
        let only = self.only(number);
        let mut lines = only.hunks.iter().flat_map(Hunk::changed);
        lines.any(|line| String::from_utf8_lossy(line).contains(text))
    }

    /// Piece `number`.
    pub fn only(&self, number: usize) -> Self {
        let mut only = self.clone();
        if self.pieces() > 1 {
            only.hunks = vec![self.hunks[number].clone()];
        }
        only
    }

    /// The patch that undoes this one.
    pub fn reversed(&self) -> Self {
        Self {
            path: self.path.clone(),
            creates: self.deletes,
            deletes: self.creates,
            mode: self.mode.map(|(old, new)| (new, old)),
            hunks: self
                .hunks
                .iter()
                .map(|h| Hunk {
                    old_start: h.new_start,
                    new_start: h.old_start,
                    old: h.new.clone(),
                    new: h.old.clone(),
                })
                .collect(),
        }
    }

    /// What the file becomes. The error names the hunk that does not match.
    pub fn apply(&self, file: Option<&File>) -> Result<Option<File>> {
        let (bytes, mode): (&[u8], u32) = match (file, self.creates) {
            (Some(_), Some(_)) => bail!("the file exists already"),
            (None, None) => bail!("the file does not exist"),
            (None, Some(mode)) => (&[], mode),
            (Some(f), None) => (&f.bytes, f.mode),
        };
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
        let mut result: Vec<&[u8]> = Vec::with_capacity(lines.len());
        let mut done = 0;
        let mut shift: isize = 0;
        for (number, hunk) in self.hunks.iter().enumerate() {
            // A hunk that only adds says after which line, others where they begin.
            let start = if hunk.old.is_empty() {
                hunk.old_start
            } else {
                hunk.old_start.saturating_sub(1)
            };
            let wanted = start.saturating_add_signed(shift);
            let found = find(&lines, &hunk.old, done, wanted).with_context(|| {
                format!(
                    "hunk {} of {} (line {}) does not match",
                    number + 1,
                    self.hunks.len(),
                    hunk.old_start
                )
            })?;
            shift += found as isize - wanted as isize;
            result.extend(&lines[done..found]);
            result.extend(hunk.new.iter().map(Vec::as_slice));
            done = found + hunk.old.len();
        }
        result.extend(&lines[done..]);
        if self.deletes.is_some() {
            if !result.is_empty() {
                bail!("the file that the patch deletes has more content than the patch knows");
            }
            return Ok(None);
        }
        let mode = match self.mode {
            Some((_, new)) => new,
            None => mode,
        };
        Ok(Some(File {
            bytes: result.concat(),
            mode,
        }))
    }
}

/// The place nearest to `wanted`, not before `from`, where `lines` has `block`.
fn find(lines: &[&[u8]], block: &[Vec<u8>], from: usize, wanted: usize) -> Option<usize> {
    let last = lines.len().checked_sub(block.len())?;
    let fits = |at: usize| {
        lines[at..at + block.len()]
            .iter()
            .zip(block)
            .all(|(a, b)| a == b)
    };
    (from..=last)
        .filter(|&at| fits(at))
        .min_by_key(|&at| at.abs_diff(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "From 0 Mon Sep 17\nSubject: [PATCH] x\n\n---\n a | 2 +-\n\n\
        diff --git a/dir/a b/dir/a\nindex 1..2 100644\n--- a/dir/a\n+++ b/dir/a\n\
        @@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n@@ -5,2 +5,3 @@ three\n five\n+extra\n six\n-- \n2.47.3\n";

    fn file(text: &str) -> File {
        File {
            bytes: text.into(),
            mode: 0o644,
        }
    }

    fn text(file: Option<File>) -> String {
        String::from_utf8(file.unwrap().bytes).unwrap()
    }

    #[test]
    fn applies_at_an_offset_and_reverses() {
        let patch = &parse(PATCH.as_bytes()).unwrap()[0];
        assert_eq!(patch.path, "dir/a");
        let before = "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\n";
        let after = "zero\none\nTWO\nthree\nfour\nfive\nextra\nsix\nseven\n";
        let result = patch.apply(Some(&file(before))).unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&result.bytes), after);
        assert_eq!(text(patch.reversed().apply(Some(&result)).unwrap()), before);
    }

    #[test]
    fn pieces_apply_in_any_order() {
        let patch = &parse(PATCH.as_bytes()).unwrap()[0];
        assert_eq!(patch.pieces(), 2);
        assert!(patch.changes(0, "TWO") && patch.changes(0, "two"));
        assert!(!patch.changes(0, "one") && !patch.changes(0, "extra"));
        assert!(patch.changes(1, "extra"));
        let mut made = file("one\ntwo\nthree\nfour\nfive\nsix\n");
        for number in [1, 0] {
            made = patch.only(number).apply(Some(&made)).unwrap().unwrap();
        }
        assert_eq!(
            text(Some(made)),
            "one\nTWO\nthree\nfour\nfive\nextra\nsix\n"
        );
    }

    #[test]
    fn fuzz_is_refused_with_the_hunk() {
        let patch = &parse(PATCH.as_bytes()).unwrap()[0];
        // patch(1) would accept this: only the last line of context differs.
        let error = patch
            .apply(Some(&file("one\ntwo\nthree\nfour\nfive\nSIX\n")))
            .unwrap_err();
        assert_eq!(error.to_string(), "hunk 2 of 2 (line 5) does not match");
        assert!(patch.apply(None).is_err());
    }

    #[test]
    fn creates_deletes_and_files_without_last_newline() {
        let text_of =
            "diff --git a/n b/n\nnew file mode 100755\nindex 0..1\n--- /dev/null\n+++ b/n\n\
                       @@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n";
        let patch = &parse(text_of.as_bytes()).unwrap()[0];
        let made = patch.apply(None).unwrap().unwrap();
        assert_eq!(
            (made.bytes.as_slice(), made.mode),
            (b"a\nb".as_slice(), 0o755)
        );
        assert!(patch.apply(Some(&made)).is_err());
        assert_eq!(patch.reversed().apply(Some(&made)).unwrap(), None);
        assert!(patch.reversed().apply(Some(&file("a\nb\nc\n"))).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for (bad, why) in [
            ("nothing\n", "changes no file"),
            ("diff --git a/x b/y\nrename from x\n", "cannot read"),
            (
                "diff --git a/../x b/../x\n@@ -1 +1 @@\n-a\n+b\n",
                "cannot read",
            ),
            ("diff --git a/x b/x\nGIT binary patch\n", "binary"),
            ("diff --git a/x b/x\nnew file mode 120000\n", "120000"),
            (
                "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n",
                "without context",
            ),
            (
                "diff --git a/x b/x\n@@ -1,3 +1,3 @@\n a\n-b\n",
                "ends inside",
            ),
        ] {
            let error = format!("{:#}", parse(bad.as_bytes()).unwrap_err());
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
