//! The Date header of a 200 to REGISTER (RFC 3261 section 10.3, step 8): phones without a clock set theirs from it.

use crate::Time;

const DAY: u64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 21 Nov 2026 09:30:00 GMT`
pub(super) fn sip_date(now: Time) -> String {
    let seconds = now.as_secs();
    let (days, clock) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    // The epoch was a Thursday; both indices are below the length of their table.
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[month as usize];
    let (hours, minutes, seconds) = (clock / 3_600, clock / 60 % 60, clock % 60);
    format!("{weekday}, {day:02} {month} {year} {hours:02}:{minutes:02}:{seconds:02} GMT")
}

/// Year, month (0 is January) and day of the month of a day since the UNIX epoch, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097; // 400 years
    const EPOCH: u64 = 719_468; // days from 0000-03-01 to 1970-01-01
    let days = days + EPOCH;
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (1_795_253_400, "Sat, 21 Nov 2026 09:30:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(sip_date(Time::from_secs(seconds)), text);
        }
    }
}
