// SPDX-License-Identifier: GPL-2.0
//! What is in a picture of the page.

use super::browser::View;
use anyhow::{ensure, Context as _, Result};
use png::{ColorType, Decoder, Transformations};
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// So many colours has text alone, by the smoothing of its edges.
const LEAST_COLOURS: usize = 40;

/// What was found in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Picture {
    width: u32,
    height: u32,
    /// Different colours.
    colours: usize,
    /// How light its first corner is, which is paper, of 255.
    paper: u8,
}

impl Picture {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let mut decoder = Decoder::new(BufReader::new(file));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let size = reader
            .output_buffer_size()
            .context("it does not fit into memory")?;
        let mut bytes = vec![0; size];
        let info = reader.next_frame(&mut bytes)?;
        let samples = match info.color_type {
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            other => anyhow::bail!("its colours are {other:?}"),
        };
        bytes.truncate(info.buffer_size());
        let colours: HashSet<&[u8]> = bytes.chunks_exact(samples).map(|c| &c[..3]).collect();
        let corner = bytes.get(..3).context("it has no pixels")?;
        let sum: u32 = corner.iter().map(|&part| u32::from(part)).sum();
        Ok(Self {
            width: info.width,
            height: info.height,
            colours: colours.len(),
            paper: u8::try_from(sum / 3)?,
        })
    }

    fn check(self, view: View) -> Result<()> {
        ensure!(
            (self.width, self.height) == (view.width, view.height),
            "it has {} by {} pixels, and the window {} by {}",
            self.width,
            self.height,
            view.width,
            view.height
        );
        ensure!(
            self.colours >= LEAST_COLOURS,
            "it is blank, or almost: it has {} colours",
            self.colours
        );
        ensure!(
            (self.paper < 128) == view.dark,
            "its paper has a lightness of {}, and {} was asked for",
            self.paper,
            if view.dark { "dark" } else { "light" }
        );
        Ok(())
    }
}

/// Fails unless the picture at `path` is one of a page in `view`.
pub fn check(path: &Path, view: View) -> Result<()> {
    Picture::read(path)
        .and_then(|picture| picture.check(view))
        .with_context(|| format!("the picture {} is not right", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a picture with a pixel of each of `colours`, in a row.
    fn write(path: &Path, colours: &[[u8; 3]]) {
        let width = u32::try_from(colours.len()).unwrap();
        let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, 1);
        encoder.set_color(ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&colours.concat()).unwrap();
    }

    #[test]
    fn a_picture_must_be_one_of_the_page() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let view = |width, dark| View {
            width,
            height: 1,
            dark,
        };
        let mut colours: Vec<[u8; 3]> = (0..100).map(|n| [n, 0, 255]).collect();
        colours[0] = [250; 3];
        write(&path, &colours);
        check(&path, view(100, false)).unwrap();
        let fails = |view| format!("{:#}", check(&path, view).unwrap_err());
        assert!(fails(view(100, true)).contains("dark was asked for"));
        assert!(fails(view(99, false)).contains("99 by 1"));
        write(&path, &[[0; 3]; 100]);
        assert!(fails(view(100, true)).contains("it has 1 colours"));
        std::fs::write(&path, "no picture").unwrap();
        assert!(fails(view(100, true)).contains("is not right"));
    }
}
