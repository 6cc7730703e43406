// SPDX-License-Identifier: GPL-2.0

//! What each call must come to, by the behaviour.

use anyhow::{bail, ensure, Context, Result};
use sve_abi::call::{Call, Errno, Memory, Outcome, SVE};
use sve_abi::id;
use sve_abi::model::Host;

use super::vcpu::{has_sve, is_of_sve, Vcpu, Vm};
use super::{faults, lengths, skip_without_sve};

type Test = fn(&Host, bool) -> Result<()>;

const TESTS: [(&str, Test); 11] = [
    ("b31_without_sve_there_is_no_set", b31_without_sve),
    ("b31_the_set_is_the_hosts_at_first", b31_default),
    ("b31_sets_that_can_be_had_and_others", b31_sets),
    ("b31_the_set_is_final_after_finalisation", b31_final),
    ("b31_bad_addresses_change_nothing", b31_addresses),
    ("b32_nothing_works_before_finalisation", b32_before),
    ("b32_finalisation_is_once_and_for_sve_alone", b32_once),
    ("b32_without_memory_it_can_be_tried_again", b32_no_memory),
    ("b33_registers_at_every_length", b33_registers),
    ("b33_what_is_no_register", b33_no_register),
    ("b34_what_is_listed_can_be_read_and_nothing_else", b34_list),
];

pub fn run(as_c: bool) -> Result<()> {
    let host = lengths::host()?;
    ensure!(
        host.has_sve() == has_sve()?,
        "KVM offers SVE where tasks have none, or the other way round"
    );
    let mut failed = 0;
    for (name, test) in TESTS {
        // Without SVE, one thing is left to test.
        if !host.has_sve() && name != TESTS[0].0 {
            continue;
        }
        match test(&host, as_c) {
            Ok(()) => println!("{name}: passed"),
            Err(error) => {
                println!("{name}: FAILED: {error:#}");
                failed += 1;
            }
        }
    }
    ensure!(failed == 0, "{failed} tests failed");
    skip_without_sve(&host)
}

fn fails(errno: Errno) -> Outcome {
    Outcome::Failed(errno)
}

fn get(id: u64) -> Call {
    let to = Memory::Bytes(vec![0xaa; id::size(id)]);
    Call::Get { id, to }
}

fn set(id: u64, value: &[u8]) -> Call {
    let from = Memory::ReadOnly(value.to_vec());
    Call::Set { id, from }
}

const FINALIZE: Call = Call::Finalize { feature: SVE };

fn with_sve() -> Result<(Vm, Vcpu)> {
    let vm = Vm::new(true)?;
    let vcpu = vm.initialised(1)?;
    Ok((vm, vcpu))
}

/// A vCPU whose longest vector is `longest` quadwords.
fn finalized(host: &Host, longest: u32) -> Result<(Vm, Vcpu)> {
    let (vm, mut vcpu) = with_sve()?;
    vcpu.set(id::VECTOR_LENGTHS, &host.set_up_to(longest))?;
    vcpu.expect(&FINALIZE, &Outcome::Done)?;
    Ok((vm, vcpu))
}

fn b31_without_sve(host: &Host, _: bool) -> Result<()> {
    let vm = Vm::new(false)?;
    let mut vcpu = vm.initialised(1)?;
    let value = host.set_up_to(16);
    vcpu.expect(&get(id::VECTOR_LENGTHS), &fails(Errno::ENOENT))?;
    vcpu.expect(&set(id::VECTOR_LENGTHS, &value), &fails(Errno::ENOENT))?;
    vcpu.expect(&get(id::z(0, 0)), &fails(Errno::ENOENT))?;
    vcpu.expect(&set(id::p(0, 0), &[0; 32]), &fails(Errno::ENOENT))?;
    // It needs no finalisation, and cannot have it.
    vcpu.expect(&FINALIZE, &fails(Errno::EINVAL))?;
    vcpu.expect(&Call::Run, &fails(Errno::EINTR))?;
    vcpu.set(id::v(7), &[7; 16])?;
    ensure!(vcpu.get(id::v(7))? == [7; 16], "V7 is another");
    // Before it is initialised, a vCPU has nothing.
    let mut vcpu = vm.vcpu(2)?;
    for call in [
        get(id::VECTOR_LENGTHS),
        FINALIZE,
        Call::List { room: true },
        Call::Run,
    ] {
        vcpu.expect(&call, &fails(Errno::ENOEXEC))?;
    }
    Ok(())
}

fn b31_default(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = with_sve()?;
    let best = host.set_up_to(host.longest);
    ensure!(
        vcpu.get(id::VECTOR_LENGTHS)? == best,
        "it is not the host's"
    );
    vcpu.set(id::VECTOR_LENGTHS, &host.set_up_to(1))?;
    vcpu.expect(&Call::Init { sve: true }, &Outcome::Done)?;
    ensure!(
        vcpu.get(id::VECTOR_LENGTHS)? == best,
        "KVM_ARM_VCPU_INIT does not bring it back"
    );
    Ok(())
}

fn b31_sets(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = with_sve()?;
    let vls = id::VECTOR_LENGTHS;
    for longest in host.quadwords() {
        let right = host.set_up_to(longest);
        vcpu.set(vls, &right)?;
        ensure!(
            vcpu.get(vls)? == right,
            "{longest} quadwords are not what was set"
        );
        // Each length that is left out, or that the host does not have.
        for quadwords in 1..longest {
            let mut wrong = right;
            wrong[(quadwords as usize - 1) / 8] ^= 1 << ((quadwords - 1) % 8);
            vcpu.expect(&set(vls, &wrong), &fails(Errno::EINVAL))?;
        }
        ensure!(vcpu.get(vls)? == right, "a set that was refused is there");
    }
    vcpu.expect(&set(vls, &[0; 64]), &fails(Errno::EINVAL))?;
    // Each length that is too long: of the host, of the architecture, and of the ABI.
    for quadwords in host.longest as usize + 1..=512 {
        let mut wrong = host.set_up_to(host.longest);
        wrong[(quadwords - 1) / 8] |= 1 << ((quadwords - 1) % 8);
        vcpu.expect(&set(vls, &wrong), &fails(Errno::EINVAL))?;
    }
    Ok(())
}

fn b31_final(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = finalized(host, 1)?;
    let value = host.set_up_to(1);
    vcpu.expect(&set(id::VECTOR_LENGTHS, &value), &fails(Errno::EPERM))?;
    ensure!(vcpu.get(id::VECTOR_LENGTHS)? == value, "the set is another");
    Ok(())
}

fn b31_addresses(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = with_sve()?;
    let id = id::VECTOR_LENGTHS;
    let before = vcpu.get(id)?;
    let other = host.set_up_to(1);
    for memory in [
        Memory::Bytes(other[..63].to_vec()),
        Memory::Bytes(Vec::new()),
        Memory::Nowhere(0),
        Memory::Nowhere(0xffff_8000_0000_0000),
        Memory::Nowhere(u64::MAX),
    ] {
        let call = Call::Set {
            id,
            from: memory.clone(),
        };
        vcpu.expect(&call, &fails(Errno::EFAULT))?;
        let call = Call::Get { id, to: memory };
        vcpu.expect(&call, &fails(Errno::EFAULT))?;
        ensure!(vcpu.get(id)? == before, "it changed");
    }
    let to = Memory::ReadOnly(vec![0; 64]);
    vcpu.expect(&Call::Get { id, to }, &fails(Errno::EFAULT))
}

fn b32_before(_: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = with_sve()?;
    let registers = [id::z(0, 0), id::z(31, 0), id::p(15, 0), id::ffr(0)];
    let gets = registers.map(get);
    let sets = registers.map(|id| set(id, &vec![0; id::size(id)]));
    let others = [
        Call::Run,
        Call::List { room: true },
        Call::List { room: false },
    ];
    let all: Vec<Call> = gets.into_iter().chain(sets).chain(others).collect();
    for call in &all {
        vcpu.expect(call, &fails(Errno::EPERM))?;
    }
    vcpu.expect(&FINALIZE, &Outcome::Done)?;
    for call in &all {
        let outcome = vcpu.call(call)?;
        let right = match call {
            Call::Run => outcome == fails(Errno::EINTR),
            Call::List { room: false } => outcome == fails(Errno::E2BIG),
            _ => !matches!(outcome, Outcome::Failed(_)),
        };
        ensure!(right, "after it, {call:x?} comes to {outcome:x?}");
    }
    Ok(())
}

fn b32_once(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = with_sve()?;
    for feature in [-1, 0, 1, 2, 3, 5, 6, 7, 8, i32::MAX] {
        vcpu.expect(&Call::Finalize { feature }, &fails(Errno::EINVAL))?;
    }
    vcpu.expect(&Call::FinalizeFromNowhere, &fails(Errno::EFAULT))?;
    vcpu.expect(&FINALIZE, &Outcome::Done)?;
    vcpu.expect(&FINALIZE, &fails(Errno::EPERM))?;
    // A reset keeps the length, and leaves zeroes.
    let (_vm, mut vcpu) = finalized(host, 1)?;
    vcpu.set(id::z(3, 0), &[3; 256])?;
    vcpu.expect(&Call::Init { sve: true }, &Outcome::Done)?;
    ensure!(
        vcpu.get(id::VECTOR_LENGTHS)? == host.set_up_to(1),
        "the length changed"
    );
    ensure!(
        vcpu.get(id::z(3, 0))? == [0; 256],
        "a reset leaves Z3 as it is"
    );
    vcpu.expect(&FINALIZE, &fails(Errno::EPERM))
}

fn b32_no_memory(host: &Host, _: bool) -> Result<()> {
    faults::set_up()?;
    // From the slab, whose allocations are the ones that fail.
    let vm = Vm::new(true)?;
    for longest in host.quadwords().filter(|&n| n <= 8) {
        let mut vcpu = vm.initialised(longest.into())?;
        vcpu.set(id::VECTOR_LENGTHS, &host.set_up_to(longest))?;
        try_until_there_is_memory(&mut vcpu)
            .with_context(|| format!("for vectors of {longest} quadwords"))?;
    }
    Ok(())
}

fn try_until_there_is_memory(vcpu: &mut Vcpu) -> Result<()> {
    // More than there are allocations, under pKVM one for each page as well.
    for number in 1..64 {
        let (failed, outcome) = faults::with_failure(number, || vcpu.call(&FINALIZE))?;
        let outcome = outcome?;
        if !failed {
            ensure!(
                outcome == Outcome::Done,
                "it comes to {outcome:?} with memory"
            );
            ensure!(number > 1, "nothing was allocated");
            return vcpu.expect(&get(id::z(0, 0)), &Outcome::Read(vec![0; 256]));
        }
        ensure!(
            outcome == fails(Errno::ENOMEM),
            "it comes to {outcome:?} where allocation {number} fails"
        );
        vcpu.expect(&get(id::z(0, 0)), &fails(Errno::EPERM))?;
    }
    bail!("it never succeeds")
}

/// A value that no other register has at no other length.
fn value(id: u64, longest: u32) -> Vec<u8> {
    let number = (id & 0xffff) as u32 / 32;
    (0..id::size(id) as u32)
        .map(|byte| (1 + byte + 3 * number + 89 * longest) as u8)
        .collect()
}

fn b33_registers(host: &Host, as_c: bool) -> Result<()> {
    let vm = Vm::new(true)?;
    for longest in host.quadwords() {
        let mut vcpu = vm.initialised(longest.into())?;
        vcpu.set(id::VECTOR_LENGTHS, &host.set_up_to(longest))?;
        vcpu.expect(&FINALIZE, &Outcome::Done)?;
        for id in id::all().skip(1) {
            vcpu.set(id, &value(id, longest))?;
        }
        for id in id::all().skip(1) {
            let length = longest as usize * if id::size(id) == 256 { 16 } else { 2 };
            let mut must = value(id, longest);
            // What was written behind it is not there.
            must[length..].fill(0);
            let is = vcpu.get(id)?;
            ensure!(is == must, "{id:#x} at {longest} quadwords is {is:x?}");
            // All that is needed is enough for a set; a get needs room for a slice.
            let from = Memory::Bytes(must[..length].to_vec());
            vcpu.expect(&Call::Set { id, from }, &Outcome::Done)?;
            let from = Memory::Bytes(vec![0xff; length - 1]);
            vcpu.expect(&Call::Set { id, from }, &fails(Errno::EFAULT))?;
            let to = Memory::Bytes(vec![0; id::size(id) - 1]);
            vcpu.expect(&Call::Get { id, to }, &fails(Errno::EFAULT))?;
            if !as_c {
                let is = vcpu.get(id)?;
                ensure!(is == must, "{id:#x} was half written, it is {is:x?}");
            }
        }
    }
    Ok(())
}

fn b33_no_register(host: &Host, _: bool) -> Result<()> {
    let (_vm, mut vcpu) = finalized(host, host.longest)?;
    let mut refuse = |id: u64, errno| -> Result<()> {
        vcpu.expect(&get(id), &fails(errno))?;
        vcpu.expect(&set(id, &vec![0; id::size(id)]), &fails(errno))
    };
    for slice in 1..32 {
        for n in [0, 1, 15] {
            refuse(id::z(n, slice), Errno::ENOENT)?;
            refuse(id::z(16 + n, slice), Errno::ENOENT)?;
            refuse(id::p(n, slice), Errno::ENOENT)?;
        }
        refuse(id::ffr(slice), Errno::ENOENT)?;
    }
    // V registers are parts of others here.
    for n in 0..32 {
        refuse(id::v(n), Errno::EINVAL)?;
    }
    // Another size, between the registers, behind them, another architecture,
    // and bits that no id has.
    for id in [
        id::z(0, 0) ^ (1 << id::SIZE_SHIFT),
        id::p(0, 0) ^ (1 << id::SIZE_SHIFT),
        id::VECTOR_LENGTHS ^ (1 << id::SIZE_SHIFT),
        id::VECTOR_LENGTHS - 1,
        id::ffr(31) + 1,
        id::p(0, 0) - 1,
        id::z(0, 0) ^ (1 << 60),
        id::z(0, 0) | (1 << 32),
        id::z(0, 0) | (1 << 28),
    ] {
        refuse(id, Errno::EINVAL)?;
    }
    vcpu.expect(
        &Call::OneRegFromNowhere { set: true },
        &fails(Errno::EFAULT),
    )?;
    vcpu.expect(
        &Call::OneRegFromNowhere { set: false },
        &fails(Errno::EFAULT),
    )
}

fn b34_list(host: &Host, _: bool) -> Result<()> {
    for longest in [None, Some(1), Some(host.longest)] {
        let vm = Vm::new(longest.is_some())?;
        let mut vcpu = vm.initialised(1)?;
        if let Some(longest) = longest {
            vcpu.set(id::VECTOR_LENGTHS, &host.set_up_to(longest))?;
            vcpu.expect(&FINALIZE, &Outcome::Done)?;
        }
        let list = vcpu.list().context("KVM_GET_REG_LIST")?;
        for &id in &list {
            vcpu.get(id).context("it is listed")?;
        }
        let of_sve: Vec<u64> = list.iter().copied().filter(|&id| is_of_sve(id)).collect();
        let must: Vec<u64> = id::all().filter(|_| longest.is_some()).collect();
        ensure!(of_sve == must, "of SVE, these are listed: {of_sve:x?}");
        // Whatever else has such an id.
        let sizes = [4, 5, 6, 8].map(|size| id::ARM64 | (size << id::SIZE_SHIFT) | id::SVE);
        let all_of_sve = sizes
            .into_iter()
            .flat_map(|base| (0..0x1000).map(move |n| base | n));
        let v = (0..32).map(id::v);
        for id in all_of_sve.chain(v).chain([id::FPSR, id::FPCR]) {
            let outcome = vcpu.call(&get(id))?;
            let is_read = matches!(outcome, Outcome::Read(_));
            ensure!(
                is_read == list.contains(&id),
                "{id:#x} comes to {outcome:x?}, and is {}listed",
                if is_read { "not " } else { "" }
            );
        }
    }
    Ok(())
}
