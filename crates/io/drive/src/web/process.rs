//! What this process takes of its host, from `/proc`.

use super::status::Figure;

/// Units of processor time in `/proc/self/stat` a second, the same on every Linux (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Processor time, memory and descriptors; nothing where `/proc` is not to be had.
pub(super) fn process_figures() -> Vec<Figure> {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let descriptors = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let mut figures = Vec::new();
    if let Some(milliseconds) = processor_milliseconds(&stat) {
        let help = "Processor time that the whole program has taken.";
        figures.push(Figure::total("process_processor_milliseconds", help, milliseconds));
    }
    if let Some(bytes) = resident_bytes(&status) {
        figures.push(Figure::now("process_resident_bytes", "Memory that the whole program occupies.", bytes));
    }
    if let Ok(count) = descriptors {
        figures.push(Figure::now("process_descriptors", "Open files and sockets of the whole program.", count));
    }
    figures
}

/// The 14th and 15th word, counted from the end of the name, in which anything may stand.
fn processor_milliseconds(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((user + system) * (1_000 / TICKS_PER_SECOND))
}

fn resident_bytes(status: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_and_memory_are_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(processor_milliseconds(stat), Some(3_000));
        assert_eq!(processor_milliseconds("7 (a) S"), None);
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t  1024 kB\n"), Some(1_048_576));
        assert_eq!(resident_bytes("VmRSS: much"), None);
    }

    #[test]
    fn this_process_takes_memory_and_has_files() {
        let figures = process_figures();
        assert_eq!(figures.len(), 3);
        assert!(figures[1].value > 100_000 && figures[2].value >= 3);
    }
}
