// SPDX-License-Identifier: GPL-2.0
//! Guests that go from a host to another, between C and Rust.

mod migration;
mod relay;

use crate::context::Context;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{self, Plan};
use crate::prepare::{Built, Spec};
use crate::progress::Step;
use anyhow::Result;

/// A guest's way.
#[derive(Debug, Clone, Copy)]
pub enum Move {
    /// By its registers and its memory, from C to Rust and back, on hosts one
    /// after the other.
    Relay(Mode),
    /// By QEMU, so many times to and fro, on hosts side by side.
    Migration(Mode, u32),
}

impl Move {
    /// Name of the test.
    pub fn name(self) -> String {
        match self {
            Self::Relay(mode) => format!("b33:relay@{}", mode.name()),
            Self::Migration(mode, _) => format!("b33:migration@{}", mode.name()),
        }
    }

    /// Has the guest go its way.
    pub fn run(self, ctx: &Context, built: &Built, step: &Step) -> Result<()> {
        match self {
            Self::Relay(mode) => relay::run(ctx, built, mode, step),
            Self::Migration(mode, count) => migration::run(ctx, built, mode, count, step),
        }
    }
}

/// A host that does one thing.
fn spec(variant: Variant, mode: Mode, step: plan::Step) -> Spec {
    Spec {
        variant,
        mode,
        cpu: Cpu::Max,
        vector_lengths: VectorLengths::All,
        lpa2: true,
        parameters: String::new(),
        plan: Plan::of(vec![step]),
    }
}
