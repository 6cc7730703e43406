// SPDX-License-Identifier: GPL-2.0

//! PTRACE_GETREGSET and PTRACE_SETREGSET for register sets of any number.

use std::io;

use nix::unistd::Pid;

/// Longer than any: ZA of the longest vectors, and its header.
const LONGEST: usize = 256 * 256 + 256;

fn call(request: libc::c_uint, thread: Pid, set: usize, bytes: &mut [u8]) -> io::Result<usize> {
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: Both requests read or write the bytes that the vector names, which live
    // as long as the call, and the length in it.
    let result = unsafe { libc::ptrace(request as _, thread.as_raw(), set, &raw mut vector) };
    match result {
        0 => Ok(vector.iov_len),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a register set of a stopped thread; `None` where the CPU lacks it.
pub fn read(thread: Pid, set: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; LONGEST];
    match call(libc::PTRACE_GETREGSET as _, thread, set, &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes it.
pub fn write(thread: Pid, set: usize, bytes: &[u8]) -> io::Result<()> {
    let mut bytes = bytes.to_vec();
    call(libc::PTRACE_SETREGSET as _, thread, set, &mut bytes).map(|_| ())
}
