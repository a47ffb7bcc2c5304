//! How much memory is available.

use std::fs::read_to_string;

/// Bytes of memory still available on this machine, or within the control group's limit if that is less. `None` if
/// the system does not say.
pub fn available() -> Option<u64> {
    let machine = machine(&read_to_string("/proc/meminfo").ok()?)?;
    let number = |name: &str| group(&read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok()?);
    let group = number("max").map(|most| most.saturating_sub(number("current").unwrap_or(0)));
    Some(group.map_or(machine, |left| left.min(machine)))
}

/// Reads the line `MemAvailable:   12345 kB`.
fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Reads a number; `None` for `max`, which means no limit.
fn group(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let meminfo = "MemTotal:  100 kB\nMemAvailable:   12345 kB\nBuffers: 1 kB\n";
        assert_eq!(machine(meminfo), Some(12345 * 1024));
        assert_eq!(machine("MemTotal: 100 kB\n"), None);
        assert_eq!(machine("MemAvailable: much kB\n"), None);
        assert_eq!((group("4096\n"), group("max\n")), (Some(4096), None));
    }
}
