// SPDX-License-Identifier: GPL-2.0
//! Folders that are made once, whole or not at all.

use crate::context::Context;
use crate::lock::Lock;
use crate::progress::Step;
use crate::{disk, files};
use anyhow::Result;
use std::path::Path;

/// Makes the folder `place`, which is called `title` in messages and takes so many MiB, unless
/// it is there. `make` gets a folder that is not there yet, and a log, and says what came of it.
pub fn folder(
    ctx: &Context,
    (place, title, mib): (&Path, &str, u64),
    make: impl FnOnce(&Path, &Path, &Step) -> Result<String>,
) -> Result<()> {
    if place.exists() {
        return Ok(());
    }
    let _lock = Lock::take(&ctx.ui, &files::beside(place, "lock"), title)?;
    // By another run, while this one waited.
    if place.exists() {
        return Ok(());
    }
    disk::need(&ctx.cache, mib, title)?;
    let step = ctx.ui.step(title);
    let partial = files::beside(place, "partial");
    files::remove_all(&partial)?;
    let outcome = make(&partial, &ctx.log(title), &step)?;
    files::name_whole_folder(&partial, place)?;
    step.end(&outcome);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::fs;

    #[test]
    fn what_is_there_is_whole_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::of_test(dir.path(), dir.path());
        let place = dir.path().join("system");
        let make = |content: &str, whole: bool| {
            folder(&ctx, (&place, "a system", 1), |partial, _, _| {
                // What is left of an earlier run is not in it.
                fs::create_dir(partial)?;
                fs::write(partial.join("file"), content)?;
                if !whole {
                    bail!("interrupted");
                }
                Ok("made".to_owned())
            })
        };
        assert!(make("half", false).is_err());
        assert!(!place.exists());
        make("whole", true).unwrap();
        make("another", true).unwrap();
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "whole");
    }
}
