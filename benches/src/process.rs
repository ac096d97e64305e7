//! What the kernel tells about a running process: its CPU time and its memory. Linux only.

use std::fs;
use std::io;
use std::time::Duration;

/// Kernel clock ticks per second in `/proc`: `USER_HZ`, 100 on every Linux that we know.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads of a process, user and system, those that have ended included. In steps of 10 ms.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_cpu_time(&stat).ok_or_else(|| unreadable("stat"))
}

/// Resident memory in bytes.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_kibibytes(&status, "VmRSS:").ok_or_else(|| unreadable("status"))
}

/// Resident memory in bytes that is not backed by a file.
pub fn anonymous_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_kibibytes(&status, "RssAnon:").ok_or_else(|| unreadable("status"))
}

/// Most resident memory in bytes that the process ever had.
pub fn peak_resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_kibibytes(&status, "VmHWM:").ok_or_else(|| unreadable("status"))
}

/// Memory in bytes of a process and all its descendants, each page counted once: the sum of their proportional shares. The
/// kernel walks all their pages for it: about 5 ms per gigabyte.
pub fn tree_memory_bytes(pid: u32) -> io::Result<u64> {
    let mut bytes = proportional_bytes(pid)?;
    let mut unseen = children(pid)?;
    while let Some(child) = unseen.pop() {
        // A child may have ended since it was listed.
        bytes += proportional_bytes(child).unwrap_or(0);
        unseen.extend(children(child).unwrap_or_default());
    }
    Ok(bytes)
}

fn proportional_bytes(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    parse_kibibytes(&rollup, "Pss:").ok_or_else(|| unreadable("smaps_rollup"))
}

/// Processes that any thread of this one started and that it has not waited for.
fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended since it was listed.
        let listed = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        pids.extend(listed.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// How many threads of the machine ran or wanted to, on average over the last minute.
pub fn load_average() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
    first.ok_or_else(|| unreadable("loadavg"))
}

/// The process that listens on a TCP port of this machine, where this user may see it.
pub fn listener_of(port: u16) -> Option<u32> {
    let sockets: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .collect();
    let wanted: Vec<String> = sockets.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let pids =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| wanted.iter().any(|socket| target.as_os_str() == socket.as_str()))
    })
}

fn unreadable(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc tells {file} in an unknown form"))
}

/// Fields 14 and 15 (utime, stime) of proc_pid_stat(5). The name in parentheses may hold blanks and parentheses.
fn parse_cpu_time(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11); // field 3 comes first
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

fn parse_kibibytes(status: &str, field: &str) -> Option<u64> {
    let text = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = text.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Inodes of the sockets that listen on `port`, from the table in proc_net_tcp(5).
fn listening_sockets(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| -> Option<u64> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
        fields.get(9)?.parse().ok().filter(|_| listens)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system() {
        let stat = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 9 0 0 0 123 77 5 6 20 0 3 0 100 1 2";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_millis(2000)));
        assert_eq!(parse_cpu_time("4711 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(parse_kibibytes("Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t1\n", "VmRSS:"), Some(2 << 20));
        assert_eq!(parse_kibibytes("Name:\ta\n", "VmRSS:"), None);
    }

    #[test]
    fn only_sockets_that_listen_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0\n\
            1: 0100007F:18EB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0\n\
            2: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103 1 0\n";
        assert_eq!(listening_sockets(table, 6379), [101]);
    }

    #[test]
    fn memory_of_children_counts() {
        let alone = tree_memory_bytes(std::process::id()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let listed = children(std::process::id()).unwrap();
        let own = proportional_bytes(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(listed.contains(&child.id()), "{listed:?}");
        assert!(own.unwrap() > 0 && alone > 0);
        assert!(peak_resident_bytes(std::process::id()).unwrap() >= alone / 2);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
        cpu_time(std::process::id()).unwrap();
    }
}
