// SPDX-License-Identifier: GPL-2.0

//! Calls that a signal may interrupt before they have done anything.

use kvm_ioctls::Error;
use nix::errno::Errno;

/// Makes the call until it is not interrupted. KVM_CREATE_VM, which registers for changes
/// of the process's memory, gives up where any signal is pending, and so where somebody
/// stops the process or traces it.
pub fn until_not_interrupted<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(error) if Errno::from_raw(error.errno()) == Errno::EINTR => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interruptions_are_repeated() {
        let answers = |errors: &'static [Errno]| {
            let mut left = errors.iter();
            let mut calls = 0;
            let result = until_not_interrupted(|| {
                calls += 1;
                match left.next() {
                    Some(errno) => Err(Error::new(*errno as i32)),
                    None => Ok(7),
                }
            });
            (result.map_err(|error| error.errno()), calls)
        };
        assert_eq!(answers(&[]), (Ok(7), 1));
        assert_eq!(answers(&[Errno::EINTR, Errno::EINTR]), (Ok(7), 3));
        let failure = (Err(Errno::ENOMEM as i32), 2);
        assert_eq!(answers(&[Errno::EINTR, Errno::ENOMEM]), failure);
    }
}
