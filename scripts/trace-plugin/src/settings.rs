// SPDX-License-Identifier: GPL-2.0
//! The plugin's arguments, as `name=value`.

use std::ops::Range;
use std::path::PathBuf;

/// What is to be recorded, and where to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file that the recording is written to.
    pub output: PathBuf,
    /// Virtual addresses of the host kernel's image.
    pub image: Range<u64>,
    /// Address of the instruction that begins a window.
    pub begin: u64,
    /// Address of the instruction that ends a window, and is part of it.
    pub end: u64,
}

impl Settings {
    /// Reads the arguments. All of them are needed.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut settings = Self::default();
        for argument in arguments {
            let (name, value) = argument
                .split_once('=')
                .ok_or_else(|| format!("{argument}: expected name=value"))?;
            let number = || {
                u64::from_str_radix(value.trim_start_matches("0x"), 16)
                    .map_err(|_| format!("{argument}: expected a hexadecimal number"))
            };
            match name {
                "output" => settings.output = value.into(),
                "image-start" => settings.image.start = number()?,
                "image-end" => settings.image.end = number()?,
                "begin" => settings.begin = number()?,
                "end" => settings.end = number()?,
                _ => return Err(format!("{argument}: there is no such argument")),
            }
        }
        let inside = |address| settings.image.contains(&address);
        if settings.output.as_os_str().is_empty() {
            Err("output=FILE is missing".to_owned())
        } else if settings.image.start == 0 || !inside(settings.begin) || !inside(settings.end) {
            Err(
                "begin and end must be between image-start, which is not 0, and image-end"
                    .to_owned(),
            )
        } else {
            Ok(settings)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arguments_are_needed_and_no_others_taken() {
        let all = [
            "output=/o",
            "image-start=0x1000",
            "image-end=2000",
            "begin=1800",
            "end=0x1900",
        ];
        let settings = Settings::parse(all).unwrap();
        assert_eq!(settings.image, 0x1000..0x2000);
        assert_eq!((settings.begin, settings.end), (0x1800, 0x1900));
        for missing in 0..all.len() {
            let rest = all.iter().enumerate().filter(|(i, _)| *i != missing);
            assert!(Settings::parse(rest.map(|(_, a)| *a)).is_err(), "{missing}");
        }
        for wrong in ["begin", "begin=x", "start=1"] {
            let error = Settings::parse(all.into_iter().chain([wrong])).unwrap_err();
            assert!(error.starts_with(wrong), "{error}");
        }
    }
}
