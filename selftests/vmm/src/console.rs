// SPDX-License-Identifier: GPL-2.0

//! The guest's UART, an 8250 whose output goes to stdout.

use std::io::{self, Stdout, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{anyhow, ensure, Context, Result};
use kvm_bindings::{KVM_ARM_IRQ_TYPE_SHIFT, KVM_ARM_IRQ_TYPE_SPI};
use kvm_ioctls::VmFd;
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

use crate::layout::{UART, UART_SPI};

/// Number of the first SPI among all interrupts.
const FIRST_SPI: u32 = 32;

/// The UART's interrupt.
///
/// Not an irqfd: that is signalled with interrupts disabled, and where a GIC
/// has KVM kick all vCPUs for an SPI, as Linux 7.3 does on some, it then waits
/// for other CPUs, of which lockdep warns.
struct Interrupt(Arc<VmFd>);

impl Trigger for Interrupt {
    type E = kvm_ioctls::Error;

    /// Raises and lowers the line, which the device tree describes as an edge.
    fn trigger(&self) -> Result<(), Self::E> {
        let line = (KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT) | (FIRST_SPI + UART_SPI);
        self.0.set_irq_line(line, true)?;
        self.0.set_irq_line(line, false)
    }
}

/// Stdout, with a system call for each line rather than for each byte, which
/// is what the UART's flush would make of it.
struct Lines(Stdout);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Uart = Serial<Interrupt, NoEvents, Lines>;

/// The device, shared by all vCPUs.
pub struct Console(Mutex<Uart>);

impl Console {
    /// Creates the UART of a virtual machine.
    pub fn new(vm: Arc<VmFd>) -> Self {
        Self(Mutex::new(Serial::new(Interrupt(vm), Lines(io::stdout()))))
    }

    /// The guest reads from a device register.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<()> {
        let offset = register(address, data)?;
        data[0] = self.serial()?.read(offset);
        Ok(())
    }

    /// The guest writes to a device register.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<()> {
        let offset = register(address, data)?;
        let mut serial = self.serial()?;
        send(&mut serial, offset, data[0])
    }

    /// The guest writes to [`TEXT`](crate::layout::TEXT).
    pub fn write_text(&self, data: &[u8]) -> Result<()> {
        let mut serial = self.serial()?;
        let mut bytes = text(data)?;
        bytes.try_for_each(|byte| send(&mut serial, DATA, byte))
    }

    fn serial(&self) -> Result<MutexGuard<'_, Uart>> {
        self.0
            .lock()
            .map_err(|_| anyhow!("a vCPU thread panicked inside the UART"))
    }
}

/// Number of registers of an 8250.
const REGISTERS: u64 = 8;
/// The one that takes bytes to send.
const DATA: u8 = 0;

fn send(uart: &mut Uart, register: u8, byte: u8) -> Result<()> {
    uart.write(register, byte)
        .map_err(|error| anyhow!("cannot write the guest's console: {error}"))
}

/// The text in a write to [`TEXT`](crate::layout::TEXT).
fn text(data: &[u8]) -> Result<impl Iterator<Item = u8> + '_> {
    let size = size_of::<u64>();
    ensure!(
        data.len() == size,
        "the guest wrote {} bytes where text comes in {size}",
        data.len()
    );
    Ok(data.iter().copied().filter(|&byte| byte != 0))
}

/// The UART register at `address`. Its registers are bytes, one after the
/// other; anything else is a mistake of the guest or of the device tree.
fn register(address: u64, data: &[u8]) -> Result<u8> {
    address
        .checked_sub(UART)
        .filter(|offset| *offset < REGISTERS && data.len() == 1)
        .map(|offset| offset as u8)
        .with_context(|| {
            format!(
                "the guest accessed {} bytes at {address:#x}, where there is no device",
                data.len()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_bytes_of_the_uart_are_registers() {
        assert_eq!(register(UART, &[0]).unwrap(), 0);
        assert_eq!(register(UART + 7, &[0]).unwrap(), 7);
        assert!(register(UART + 8, &[0]).is_err());
        assert!(register(UART - 1, &[0]).is_err());
        assert!(register(UART, &[0; 4]).is_err());
        assert!(register(0, &[0]).is_err());
    }

    #[test]
    fn text_comes_in_eight_bytes() {
        let sent: Vec<u8> = text(b"text\n\0\0\0").unwrap().collect();
        assert_eq!(sent, b"text\n");
        assert_eq!(text(&[0; 8]).unwrap().count(), 0);
        assert!(text(b"text").is_err());
        assert!(text(&[]).is_err());
    }
}
