// SPDX-License-Identifier: GPL-2.0

//! Text to the VMM's UART. Each byte is an exit, so there is no more of it than needed.

use core::fmt;
use core::ptr;

use crate::layout::UART;

/// The UART.
pub struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: The UART is mapped as a device, and its first register takes bytes to send.
            unsafe { ptr::write_volatile(UART as *mut u8, byte) };
        }
        Ok(())
    }
}

/// Sends a line.
#[macro_export]
macro_rules! say {
    ($($arguments:tt)*) => {{
        use core::fmt::Write as _;
        // It cannot fail.
        let _ = writeln!($crate::uart::Uart, $($arguments)*);
    }};
}
