//! What the operating system and the allocator know about this process. Where they do not tell, there is nothing.

use std::fs;

use tikv_jemalloc_ctl::{epoch, stats};

/// The kernel tells CPU times in hundredths of a second, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes, as the allocator counts them.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    /// In use by the program.
    pub allocated: usize,
    /// In pages that are in use.
    pub active: usize,
    /// In pages that the allocator holds.
    pub resident: usize,
}

pub fn allocated() -> Option<Allocated> {
    epoch::advance().ok()?; // figures are those of the last epoch
    Some(Allocated {
        allocated: stats::allocated::read().ok()?,
        active: stats::active::read().ok()?,
        resident: stats::resident::read().ok()?,
    })
}

/// Bytes of memory that the process has.
pub fn resident_bytes() -> Option<usize> {
    let pages: usize = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

/// Bytes of memory that the machine has.
pub fn total_bytes() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Seconds of CPU time of the process: in the program, and in the kernel.
pub fn cpu_seconds() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold anything, blanks too.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some((seconds()?, seconds()?))
}

/// The name, release and machine of the system.
pub fn os() -> String {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!("{} {} {}", text(uname.sysname()), text(uname.release()), text(uname.machine()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_answers_plausibly() {
        let resident = resident_bytes().unwrap();
        assert!(resident > 1 << 20 && resident < total_bytes().unwrap());
        let (user, system) = cpu_seconds().unwrap();
        assert!((0.0..1e6).contains(&user) && (0.0..1e6).contains(&system));
        assert!(os().starts_with("Linux "));
    }
}
