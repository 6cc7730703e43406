// SPDX-License-Identifier: GPL-2.0

//! The device tree that tells the guest what it runs on.

use anyhow::{Context, Result};
use vm_fdt::FdtWriter;

use crate::layout::{
    GIC_DISTRIBUTOR, GIC_DISTRIBUTOR_SIZE, GIC_MAINTENANCE_PPI, GIC_REDISTRIBUTOR,
    GIC_REDISTRIBUTOR_SIZE, RAM, UART, UART_SIZE, UART_SPI,
};
use crate::memory::Placement;

const GIC_PHANDLE: u32 = 1;

// Cells of an interrupt specifier of arm,gic-v3.
const SPI: u32 = 0;
const PPI: u32 = 1;
const EDGE_RISING: u32 = 1;
const LEVEL_HIGH: u32 = 4;

/// The architected timers' PPIs in the order of the binding: secure physical,
/// non-secure physical, virtual, hypervisor, and its virtual one.
const TIMER_PPIS: [u32; 5] = [13, 14, 11, 10, 12];

/// Input clock of a PC's 8250. Nothing here depends on it: no real line has to
/// be driven, but the guest's driver wants to compute a divisor.
const UART_CLOCK: u32 = 1_843_200;

/// Everything in the device tree that differs from one guest to the next.
pub struct Guest<'a> {
    /// Kernel command line.
    pub cmdline: &'a str,
    /// Affinity fields of each vCPU's MPIDR_EL1.
    pub affinities: &'a [u64],
    /// Size of RAM in bytes.
    pub memory: u64,
    /// Where the initramfs is.
    pub placement: &'a Placement,
    /// Whether it has EL2.
    pub el2: bool,
}

/// Makes the flattened device tree.
pub fn build(guest: &Guest<'_>) -> Result<Vec<u8>> {
    write(guest).context("cannot make the device tree")
}

fn write(guest: &Guest<'_>) -> vm_fdt::FdtWriterResult<Vec<u8>> {
    let mut fdt = FdtWriter::new()?;
    let root = fdt.begin_node("")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_u32("interrupt-parent", GIC_PHANDLE)?;
    fdt.property_string("compatible", "linux,dummy-virt")?;
    fdt.property_string("model", "linux,dummy-virt")?;

    let uart = format!("serial@{UART:x}");

    let node = fdt.begin_node("chosen")?;
    fdt.property_string("bootargs", guest.cmdline)?;
    fdt.property_string("stdout-path", &format!("/{uart}"))?;
    if guest.placement.initrd_size > 0 {
        fdt.property_u64("linux,initrd-start", guest.placement.initrd)?;
        fdt.property_u64(
            "linux,initrd-end",
            guest.placement.initrd + guest.placement.initrd_size,
        )?;
    }
    fdt.end_node(node)?;

    let node = fdt.begin_node(&format!("memory@{RAM:x}"))?;
    fdt.property_string("device_type", "memory")?;
    fdt.property_array_u64("reg", &[RAM, guest.memory])?;
    fdt.end_node(node)?;

    let cpus = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 0)?;
    for affinity in guest.affinities {
        let node = fdt.begin_node(&format!("cpu@{affinity:x}"))?;
        fdt.property_string("device_type", "cpu")?;
        fdt.property_string("compatible", "arm,armv8")?;
        fdt.property_string("enable-method", "psci")?;
        fdt.property_u64("reg", *affinity)?;
        fdt.end_node(node)?;
    }
    fdt.end_node(cpus)?;

    let node = fdt.begin_node("psci")?;
    fdt.property_string_list(
        "compatible",
        vec!["arm,psci-1.0".into(), "arm,psci-0.2".into()],
    )?;
    // To a guest with EL2, HVC is a call of its own.
    fdt.property_string("method", if guest.el2 { "smc" } else { "hvc" })?;
    fdt.end_node(node)?;

    let node = fdt.begin_node(&format!("interrupt-controller@{GIC_DISTRIBUTOR:x}"))?;
    fdt.property_string("compatible", "arm,gic-v3")?;
    fdt.property_null("interrupt-controller")?;
    fdt.property_u32("#interrupt-cells", 3)?;
    fdt.property_phandle(GIC_PHANDLE)?;
    if guest.el2 {
        fdt.property_array_u32("interrupts", &[PPI, GIC_MAINTENANCE_PPI, LEVEL_HIGH])?;
    }
    fdt.property_array_u64(
        "reg",
        &[
            GIC_DISTRIBUTOR,
            GIC_DISTRIBUTOR_SIZE,
            GIC_REDISTRIBUTOR,
            GIC_REDISTRIBUTOR_SIZE * guest.affinities.len() as u64,
        ],
    )?;
    fdt.end_node(node)?;

    let node = fdt.begin_node("timer")?;
    fdt.property_string("compatible", "arm,armv8-timer")?;
    fdt.property_null("always-on")?;
    let timers = TIMER_PPIS.len() - usize::from(!guest.el2);
    let interrupts: Vec<u32> = TIMER_PPIS[..timers]
        .iter()
        .flat_map(|ppi| [PPI, *ppi, LEVEL_HIGH])
        .collect();
    fdt.property_array_u32("interrupts", &interrupts)?;
    fdt.end_node(node)?;

    let node = fdt.begin_node(&uart)?;
    fdt.property_string("compatible", "ns16550a")?;
    fdt.property_array_u64("reg", &[UART, UART_SIZE])?;
    fdt.property_array_u32("interrupts", &[SPI, UART_SPI, EDGE_RISING])?;
    fdt.property_u32("clock-frequency", UART_CLOCK)?;
    fdt.end_node(node)?;

    fdt.end_node(root)?;
    fdt.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_the_command_line_is_an_error() {
        let placement = Placement {
            initrd: RAM,
            initrd_size: 1,
            fdt: RAM,
        };
        let mut guest = Guest {
            cmdline: "quiet",
            affinities: &[0, 1],
            memory: 64 << 20,
            placement: &placement,
            el2: false,
        };
        let blob = build(&guest).unwrap();
        assert_eq!(blob[..4], [0xd0, 0x0d, 0xfe, 0xed]);
        guest.cmdline = "qui\0et";
        assert!(build(&guest).is_err());
    }
}
