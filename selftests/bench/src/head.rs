// SPDX-License-Identifier: GPL-2.0

//! What is above the table: the host that was measured.

use std::fs;

use serde::Serialize;

use crate::cpu::Cpu;

/// The host, and how it was measured.
#[derive(Debug, Serialize)]
pub struct Head {
    /// Release of the kernel.
    pub kernel: String,
    /// Which implementation of the world switch KVM says that it has, if it says so.
    pub world_switch: Option<String>,
    /// The CPU that the vCPUs ran on.
    pub cpu: Cpu,
    /// Ticks of the architected counter in a second.
    pub counter_hz: u64,
    /// How often each guest was run.
    pub rounds: u32,
}

impl Head {
    /// Asks the kernel.
    pub fn of_this_host(cpu: Cpu, counter_hz: u64, rounds: u32) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok().map(|t| t.trim().to_owned());
        let kernel = read("/proc/sys/kernel/osrelease");
        Self {
            kernel: kernel.unwrap_or_else(|| "unknown".to_owned()),
            world_switch: read("/sys/module/kvm/parameters/world_switch"),
            cpu,
            counter_hz,
            rounds,
        }
    }

    /// Lines above the table.
    pub fn lines(&self) -> String {
        let Self {
            kernel,
            cpu,
            counter_hz,
            rounds,
            ..
        } = self;
        let world_switch = self.world_switch.as_deref();
        let world_switch = world_switch.unwrap_or("not said by this kernel");
        let model = match (cpu.name, &cpu.midr) {
            (Some(name), Some(midr)) => format!(", {name} (MIDR_EL1 {midr})"),
            (None, Some(midr)) => format!(", MIDR_EL1 {midr}"),
            (_, None) => String::new(),
        };
        format!(
            "kernel        {kernel}\n\
             world switch  {world_switch}\n\
             CPU           {}{model}\n\
             counter       {counter_hz} Hz\n\
             rounds        {rounds}\n",
            cpu.number
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_say_is_not_guessed() {
        let cpu = Cpu {
            number: 3,
            midr: Some("0x413fd0c1".to_owned()),
            name: Some("Neoverse N1"),
        };
        let mut head = Head::of_this_host(cpu, 25_000_000, 5);
        head.kernel = "7.3.4".to_owned();
        head.world_switch = None;
        assert_eq!(
            head.lines(),
            "kernel        7.3.4\n\
             world switch  not said by this kernel\n\
             CPU           3, Neoverse N1 (MIDR_EL1 0x413fd0c1)\n\
             counter       25000000 Hz\n\
             rounds        5\n"
        );
        (head.cpu.name, head.cpu.midr) = (None, None);
        head.world_switch = Some("Rust".to_owned());
        assert!(head
            .lines()
            .contains("world switch  Rust\nCPU           3\n"));
    }
}
