// SPDX-License-Identifier: GPL-2.0

//! What the first process has to do, and what it can learn about the system.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use guest_init::report::Error;
use nix::errno::Errno;
use nix::mount::{mount, MsFlags};
use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::sys::reboot::{reboot, RebootMode};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

/// Mounts the kernel's file systems where they are expected.
pub fn mount_all() -> Result<(), Error> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        match fs::create_dir(target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(format!("cannot create {target}: {error}"));
            }
            _ => {}
        }
        match mount(
            Some(kind),
            target,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        ) {
            // CONFIG_DEVTMPFS_MOUNT and the like may have been there before.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(format!("cannot mount {target}: {error}")),
        }
    }
    Ok(())
}

/// Lets only warnings and what is worse reach the console: the kernel writes
/// there whenever it likes, in the middle of a report too.
pub fn quieten_kernel() {
    const SYSLOG_ACTION_CONSOLE_LEVEL: libc::c_int = 8;
    const KERN_WARNING: libc::c_int = 4;
    // SAFETY: This action takes a number and no buffer. Where it fails, the
    // console is merely more talkative.
    unsafe {
        libc::klogctl(
            SYSLOG_ACTION_CONSOLE_LEVEL,
            std::ptr::null_mut(),
            KERN_WARNING + 1,
        )
    };
}

/// Stops the deadline server that each CPU has for its ordinary tasks, if the kernel
/// lets userspace do so.
///
/// It goes by the clock, and a vCPU may be off its CPU for seconds on an emulated host.
/// If that happens in the handler of the server's timer, which has the timer started
/// anew, the new time is over before the handler looks, and the kernel warns
/// (hrtimer_forward() in dl_server_timer()). It guards ordinary tasks against real-time
/// ones, of which there are none here.
pub fn stop_deadline_servers() -> Result<(), Error> {
    let debugfs = "/sys/kernel/debug";
    let kind = Some("debugfs");
    match mount(kind, debugfs, kind, MsFlags::empty(), None::<&str>) {
        Ok(()) | Err(Errno::EBUSY) => {}
        // A kernel without it.
        Err(Errno::ENODEV | Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(format!("cannot mount {debugfs}: {error}")),
    }
    let servers = format!("{debugfs}/sched/fair_server");
    let fail = |what: &str, error: io::Error| format!("cannot {what}: {error}");
    let cpus = match fs::read_dir(&servers) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| fail(&format!("read {servers}"), error))?,
    };
    for cpu in cpus {
        let cpu = cpu.map_err(|error| fail(&format!("read {servers}"), error))?;
        let runtime = cpu.path().join("runtime");
        fs::write(&runtime, "0")
            .map_err(|error| fail(&format!("write to {}", runtime.display()), error))?;
    }
    Ok(())
}

/// Has RCU wait longer than its 21 seconds before it warns of a stall, which is no news on
/// a vCPU that waits for its CPU for seconds. A guest that hangs still tells where, before
/// those who wait for it give up.
pub fn allow_slow_cpus() -> Result<(), Error> {
    let path = "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout";
    match fs::write(path, "120") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot write to {path}: {error}"))
        }
        _ => Ok(()),
    }
}

/// The CPUs that are online.
pub fn cpus() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(Pid::from_raw(0))
        .map_err(|error| format!("cannot list the CPUs: {error}"))?;
    Ok((0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .collect())
}

/// Runs the calling thread on `cpu` only.
pub fn pin(cpu: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|error| format!("cannot run on CPU {cpu}: {error}"))
}

/// The shortest slice that the scheduler gives, in nanoseconds
/// (__setparam_fair() of kernel/sched/fair.c).
const SHORTEST_SLICE: u64 = 100_000;

/// Lets the calling thread take the CPU from others when it wakes up: it asks for shorter
/// slices than they have.
///
/// Not with real-time priority: a thread that accesses devices is ready to run again
/// whenever the vCPU of a busy host is, and would leave nothing to the others, with RCU's
/// thread among them. This way it has its share and no more.
pub fn take_precedence() -> Result<(), Error> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: SHORTEST_SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: The structure lives over the call, which only reads it.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &attributes, 0) } {
        0 => Ok(()),
        _ => Err(format!(
            "cannot ask for short slices: {}",
            io::Error::last_os_error()
        )),
    }
}

/// Time since the kernel's start, by the clock of its messages.
///
/// CLOCK_BOOTTIME is seconds late on an emulated host: it counts ticks until
/// the counter takes over, and loses those that the slow early boot misses.
pub fn uptime() -> Result<Duration, Error> {
    let path = "/dev/kmsg";
    let fail = |what: &str, error: io::Error| format!("cannot {what} {path}: {error}");
    let mut log = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| fail("open", error))?;
    log.seek(SeekFrom::End(0))
        .map_err(|error| fail("seek in", error))?;
    // Of level debug, so that it does not reach the console.
    log.write_all(b"<7>guest-init: userspace is up\n")
        .map_err(|error| fail("write to", error))?;
    let mut record = [0; 1024];
    let length = log.read(&mut record).map_err(|error| fail("read", error))?;
    let record = String::from_utf8_lossy(&record[..length]);
    timestamp(&record).ok_or_else(|| format!("{path}: no time in {record:?}"))
}

/// The time in a record of the kernel's log: "level,number,microseconds,...".
fn timestamp(record: &str) -> Option<Duration> {
    let microseconds = record.split(',').nth(2)?.parse().ok()?;
    Some(Duration::from_micros(microseconds))
}

/// Release of the running kernel.
pub fn kernel_release() -> Result<String, Error> {
    uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .map_err(|error| format!("cannot tell the kernel's release: {error}"))
}

/// What the kernel calls the CPU's state: "aarch64", or in AArch32 "armv7l".
pub fn machine() -> Result<String, Error> {
    uname()
        .map(|names| names.machine().to_string_lossy().into_owned())
        .map_err(|error| format!("cannot tell the machine: {error}"))
}

/// Whether the kernel offers memory tagging.
pub fn has_mte() -> bool {
    const HWCAP2_MTE: libc::c_ulong = 1 << 18;
    is_offered(libc::AT_HWCAP2, HWCAP2_MTE)
}

/// Whether the kernel offers address authentication.
pub fn has_pauth() -> bool {
    const HWCAP_PACA: libc::c_ulong = 1 << 30;
    is_offered(libc::AT_HWCAP, HWCAP_PACA)
}

/// Whether `flag`, which is one of arm64, is set in `entry`.
fn is_offered(entry: libc::c_ulong, flag: libc::c_ulong) -> bool {
    // SAFETY: getauxval only reads what the kernel gave to this process.
    let flags = unsafe { libc::getauxval(entry) };
    cfg!(target_arch = "aarch64") && flags & flag != 0
}

/// How a guest ends.
pub enum End {
    /// As it should.
    PowerOff,
    /// With an error.
    Reset,
}

/// Ends the guest.
pub fn end(end: End) -> ! {
    let mode = match end {
        End::PowerOff => RebootMode::RB_POWER_OFF,
        End::Reset => RebootMode::RB_AUTOBOOT,
    };
    let result: nix::Result<Infallible> = reboot(mode);
    eprintln!("guest-init: cannot end the guest: {result:?}");
    // The end of the first process would be a panic of the kernel; here only
    // the VMM's time-out is left.
    loop {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_a_log_record() {
        let record = "15,339,1848123,-;guest-init: userspace is up\n";
        assert_eq!(timestamp(record), Some(Duration::from_micros(1_848_123)));
        assert_eq!(timestamp(""), None);
        assert_eq!(timestamp("15,339,x,-;"), None);
    }

    /// One that may take all of a CPU's time does so where device accesses are slow: such
    /// a guest came to a standstill.
    #[test]
    fn a_thread_with_precedence_has_no_more_than_its_share() {
        let policy = thread::spawn(|| {
            take_precedence().unwrap();
            // SAFETY: The call only tells the policy of the calling thread.
            unsafe { libc::sched_getscheduler(0) }
        });
        assert_eq!(policy.join().unwrap(), libc::SCHED_OTHER);
    }
}
