// SPDX-License-Identifier: GPL-2.0

//! Text to the VMM. Each write is an exit, so it is of eight bytes, which the UART does not take.

use core::fmt;
use core::ptr;

use crate::layout::TEXT;

/// Text that is sent as it gets long enough, and at the end.
#[derive(Default)]
pub struct Text {
    bytes: [u8; 8],
    used: usize,
}

impl Text {
    fn send(&mut self) {
        // SAFETY: It is mapped as a device, and the register takes eight bytes.
        unsafe { ptr::write_volatile(TEXT as *mut u64, u64::from_le_bytes(self.bytes)) };
        self.bytes = [0; 8];
        self.used = 0;
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.bytes[self.used] = byte;
            self.used += 1;
            if self.used == self.bytes.len() {
                self.send();
            }
        }
        Ok(())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if self.used > 0 {
            self.send();
        }
    }
}

/// Sends a line.
#[macro_export]
macro_rules! say {
    ($($arguments:tt)*) => {{
        use core::fmt::Write as _;
        // It cannot fail.
        let _ = writeln!($crate::text::Text::default(), $($arguments)*);
    }};
}
