// SPDX-License-Identifier: GPL-2.0

//! What tests switch on by name, one at a time, through a file in debugfs.
//!
//! Writing a name to the file switches that on, and `none` switches it off. Reading lists the
//! names, with a star at the one that is on.

#![forbid(unsafe_code)]

use core::marker::PhantomData;
use kernel::{
    debugfs::{
        Reader,
        Writer, //
    },
    fmt,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    uaccess::UserSliceReader, //
};

/// One of several things of which at most one is on.
pub(crate) trait Selectable: Copy + PartialEq + Send + Sync + 'static {
    /// Each with its name.
    const ALL: &'static [(Self, &'static str)];
}

/// Defines an enum whose variants have names that a [`Selector`] knows.
macro_rules! selectable {
    (
        $(#[$doc:meta])* $visibility:vis enum $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $crate::selector::Selectable for $name {
            const ALL: &'static [(Self, &'static str)] = &[$(($name::$variant, $text),)*];
        }
    };
}
pub(crate) use selectable;

/// Which `T` is on.
pub(crate) struct Selector<T> {
    /// Position in [`Selectable::ALL`], plus one; 0 for none.
    active: Atomic<usize>,
    _selected: PhantomData<T>,
}

impl<T: Selectable> Selector<T> {
    /// A selector with nothing on.
    pub(crate) const fn new() -> Self {
        Self {
            active: Atomic::new(0),
            _selected: PhantomData,
        }
    }

    /// Returns what is on.
    pub(crate) fn active(&self) -> Option<T> {
        let index = self.active.load(Relaxed).checked_sub(1)?;
        T::ALL.get(index).map(|(on, _)| *on)
    }
}

/// The contents of the file of a selector.
pub(crate) struct SelectorFile<T: Selectable>(pub(crate) &'static Selector<T>);

impl<T: Selectable> Writer for SelectorFile<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = self.0.active.load(Relaxed);
        for (index, (_, name)) in T::ALL.iter().enumerate() {
            let mark = if index + 1 == active { '*' } else { ' ' };
            writeln!(f, "{mark} {name}")?;
        }
        Ok(())
    }
}

impl<T: Selectable> Reader for SelectorFile<T> {
    fn read_from_slice(&self, reader: &mut UserSliceReader) -> Result {
        let mut buffer = [0u8; 64];
        let text = buffer.get_mut(..reader.len()).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        let name = core::str::from_utf8(text).map_err(|_| EINVAL)?.trim();
        let index = if name == "none" {
            0
        } else {
            1 + T::ALL.iter().position(|(_, n)| *n == name).ok_or(EINVAL)?
        };
        self.0.active.store(index, Relaxed);
        Ok(())
    }
}
