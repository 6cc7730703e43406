// SPDX-License-Identifier: GPL-2.0

//! Calls at random, on vCPUs side by side, each held against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{anyhow, bail, ensure, Context, Result};
use clap::Args;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use sve_abi::call::{Call, Errno, Memory, Outcome};
use sve_abi::model::{self, Host};
use sve_abi::{id, random};

use super::lengths;
use super::vcpu::{has_sve, is_of_sve, Vcpu, Vm};

#[derive(Debug, Args)]
pub struct Options {
    /// Calls, on all vCPUs together
    #[arg(long, default_value_t = 50_000)]
    calls: u64,
    /// The same seed makes the same calls
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// vCPUs of a VM, each called by a thread of its own
    #[arg(long, default_value_t = 2)]
    vcpus: u64,
    /// On C, which leaves a register half written where memory ends within it
    #[arg(long)]
    as_c: bool,
}

/// Calls on a vCPU of a VM before there is another VM.
const CALLS_OF_A_VCPU: u64 = 5000;

/// Errors by ioctl that calls came to.
type Errors = BTreeMap<&'static str, BTreeSet<Errno>>;

fn ioctl(call: &Call) -> &'static str {
    match call {
        Call::Init { .. } => "KVM_ARM_VCPU_INIT",
        Call::Finalize { .. } | Call::FinalizeFromNowhere => "KVM_ARM_VCPU_FINALIZE",
        Call::Get { .. } | Call::OneRegFromNowhere { set: false } => "KVM_GET_ONE_REG",
        Call::Set { .. } | Call::OneRegFromNowhere { set: true } => "KVM_SET_ONE_REG",
        Call::List { .. } => "KVM_GET_REG_LIST",
        Call::Run => "KVM_RUN",
    }
}

/// Makes calls on one vCPU.
fn drive(
    mut vcpu: Vcpu,
    mut modelled: model::Vcpu,
    mut rng: ChaCha8Rng,
    host: &Host,
    sve: bool,
    as_c: bool,
) -> Result<Errors> {
    let mut errors = Errors::new();
    for number in 0..CALLS_OF_A_VCPU {
        let call = random::call(&mut rng, host, sve);
        let is = vcpu.call(&call)?;
        let must = modelled.call(&call);
        ensure!(
            is == must,
            "call {number}: {call:x?}\n  must come to {must:x?}\n  and came to  {is:x?}"
        );
        if let Outcome::Failed(errno) = is {
            errors.entry(ioctl(&call)).or_default().insert(errno);
            unchanged(&mut vcpu, &mut modelled, &call, errno, as_c)
                .with_context(|| format!("after call {number}: {call:x?}"))?;
        }
    }
    Ok(errors)
}

/// Makes sure that a register is what it was when it could not be set.
fn unchanged(
    vcpu: &mut Vcpu,
    modelled: &mut model::Vcpu,
    call: &Call,
    errno: Errno,
    as_c: bool,
) -> Result<()> {
    let Call::Set { id, .. } = *call else {
        return Ok(());
    };
    if errno != Errno::EFAULT || !is_of_sve(id) {
        return Ok(());
    }
    let to = Memory::Bytes(vec![0; id::size(id)]);
    let get = Call::Get { id, to };
    let is = vcpu.call(&get)?;
    if as_c {
        if let Outcome::Read(value) = is {
            let from = Memory::Bytes(value);
            modelled.call(&Call::Set { id, from });
        }
        return Ok(());
    }
    let must = modelled.call(&get);
    ensure!(is == must, "the register must be {must:x?} and is {is:x?}");
    Ok(())
}

/// Reads registers of a vCPU while another thread makes calls on it: whatever
/// they come to, it is something that the ABI has.
fn look_on(mut vcpu: Vcpu, mut rng: ChaCha8Rng, host: &Host, end: &AtomicBool) -> Result<()> {
    while !end.load(Ordering::Relaxed) {
        let call = random::call(&mut rng, host, true);
        // Others would change the vCPU.
        if let Call::Get { .. } | Call::List { .. } = call {
            vcpu.call(&call)?;
        }
    }
    Ok(())
}

/// Makes calls on the vCPUs of one VM side by side.
fn drive_vm(options: &Options, host: &Host, rng: &mut ChaCha8Rng) -> Result<Errors> {
    let sve = host.has_sve() && rng.random_ratio(3, 4);
    let vm = Vm::new(sve)?;
    // By this the VM's features are what they are.
    let _first = vm.initialised(0)?;
    let mut vcpus = Vec::new();
    for index in 1..=options.vcpus {
        vcpus.push(vm.vcpu(index)?);
    }
    let end = AtomicBool::new(false);
    let mut seeds = || ChaCha8Rng::seed_from_u64(rng.random());
    thread::scope(|scope| {
        let watched = match vcpus.first() {
            Some(vcpu) => vcpu.share()?,
            None => bail!("there must be a vCPU"),
        };
        let rng = seeds();
        let onlooker = scope.spawn(|| look_on(watched, rng, host, &end));
        let drivers: Vec<_> = vcpus
            .into_iter()
            .map(|vcpu| {
                let (modelled, rng) = (model::Vcpu::of_vm(*host, sve), seeds());
                scope.spawn(move || drive(vcpu, modelled, rng, host, sve, options.as_c))
            })
            .collect();
        let ended: Vec<_> = drivers.into_iter().map(ScopedJoinHandle::join).collect();
        end.store(true, Ordering::Relaxed);
        let mut errors = Errors::new();
        for (index, driver) in ended.into_iter().enumerate() {
            let of_vcpu = driver
                .map_err(|_| anyhow!("the thread panicked"))
                .and_then(|result| result)
                .with_context(|| format!("vCPU {}", index + 1))?;
            for (ioctl, of_ioctl) in of_vcpu {
                errors.entry(ioctl).or_default().extend(of_ioctl);
            }
        }
        onlooker
            .join()
            .map_err(|_| anyhow!("the thread panicked"))
            .and_then(|result| result)
            .context("a thread that only looks on")?;
        Ok(errors)
    })
}

pub fn run(options: &Options) -> Result<()> {
    let host = lengths::host()?;
    ensure!(
        host.has_sve() == has_sve()?,
        "KVM offers SVE where tasks have none, or the other way round"
    );
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut errors = Errors::new();
    let calls_of_a_vm = CALLS_OF_A_VCPU * options.vcpus;
    let vms = options.calls.div_ceil(calls_of_a_vm);
    for number in 0..vms {
        let of_vm = drive_vm(options, &host, &mut rng)
            .with_context(|| format!("seed {}, VM {number}", options.seed))?;
        for (ioctl, of_ioctl) in of_vm {
            errors.entry(ioctl).or_default().extend(of_ioctl);
        }
    }
    let names: BTreeMap<_, Vec<String>> = errors
        .iter()
        .map(|(ioctl, errors)| (*ioctl, errors.iter().map(|e| format!("{e:?}")).collect()))
        .collect();
    println!("result: {}", json!({ "errors": names }));
    println!(
        "{} calls on {vms} VMs, each as the model says; seed {}, lengths {:#06x}",
        vms * calls_of_a_vm,
        options.seed,
        host.lengths
    );
    Ok(())
}
