// SPDX-License-Identifier: GPL-2.0

//! What goes through the port: a letter, a length, and as many bytes.

use std::io::{Read, Write};

use anyhow::{bail, ensure, Context, Result};

/// The longest frame.
pub const LONGEST: usize = 32 << 10;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// QEMU waits for the guest.
    Ready,
    /// A part of QEMU's stream.
    Part(Vec<u8>),
    /// The stream is over.
    End,
    /// The guest goes on, and is in this round.
    Arrived(u64),
}

impl Frame {
    /// Writes it.
    pub fn write(&self, to: &mut impl Write) -> Result<()> {
        let round;
        let (letter, bytes): (u8, &[u8]) = match self {
            Self::Ready => (b'R', &[]),
            Self::Part(bytes) => (b'P', bytes),
            Self::End => (b'E', &[]),
            Self::Arrived(number) => {
                round = number.to_le_bytes();
                (b'A', &round)
            }
        };
        ensure!(bytes.len() <= LONGEST, "a frame of {} bytes", bytes.len());
        let mut frame = vec![letter];
        frame.extend((bytes.len() as u32).to_le_bytes());
        frame.extend(bytes);
        to.write_all(&frame).context("cannot write to the port")
    }

    /// Reads one.
    pub fn read(from: &mut impl Read) -> Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)
            .context("cannot read from the port")?;
        let [letter, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        ensure!(length <= LONGEST, "the port is out of step");
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)
            .context("cannot read from the port")?;
        Ok(match letter {
            b'R' => Self::Ready,
            b'P' => Self::Part(bytes),
            b'E' => Self::End,
            b'A' => {
                let round = bytes.try_into().ok().context("half a number")?;
                Self::Arrived(u64::from_le_bytes(round))
            }
            other => bail!("the port is out of step, at {other:#x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let frames = [
            Frame::Ready,
            Frame::Part(vec![1, 2, 3]),
            Frame::Part(Vec::new()),
            Frame::End,
            Frame::Arrived(u64::MAX - 7),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        for frame in &frames {
            assert_eq!(Frame::read(&mut rest).unwrap(), *frame);
        }
        assert!(Frame::read(&mut rest).is_err(), "there is no more");
        assert!(Frame::read(&mut [b'?'; 9].as_slice()).is_err());
    }
}
