//! Numbers with units, as people read them.

use time::OffsetDateTime;
use time::macros::format_description;

/// A round trip in microseconds; zero is one that is not known.
pub(in crate::cli) fn round_trip(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// A span of time in milliseconds, by its two largest units.
pub(in crate::cli) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.1} s", ms as f64 / 1e3),
        _ if minutes == 0 => format!("{seconds} s"),
        _ if hours == 0 => format!("{minutes} min {} s", seconds % 60),
        _ if days == 0 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A number of bytes.
pub(in crate::cli) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].iter();
    let mut unit = "B";
    while value >= 1024.0 {
        let Some(larger) = units.next() else { break };
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// A rate in thousandths, as percent.
pub(in crate::cli) fn percent(permille: u16) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// A moment in milliseconds since the Unix epoch, in UTC.
pub(in crate::cli) fn moment(unix_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let moment = i64::try_from(unix_ms / 1000).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    moment.and_then(|moment| moment.format(&format).ok()).unwrap_or_else(|| "out of range".to_owned())
}

/// As [`moment`], to the millisecond.
pub(super) fn moment_ms(unix_ms: u64) -> String {
    match moment(unix_ms).strip_suffix('Z') {
        Some(second) => format!("{second}.{:03}Z", unix_ms % 1000),
        None => moment(unix_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_keep_three_digits() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_234_567].map(round_trip);
        assert_eq!(shown, ["-", "7 µs", "999 µs", "1.00 ms", "12.3 ms", "1.23 s"]);
    }

    #[test]
    fn spans_show_two_units() {
        let shown = [250, 1_500, 59_999, 60_000, 3_600_000, 90_061_000].map(span);
        assert_eq!(shown, ["250 ms", "1.5 s", "59 s", "1 min 0 s", "1 h 0 min", "1 d 1 h"]);
    }

    #[test]
    fn bytes_are_binary() {
        assert_eq!([0, 1023, 1536, u64::MAX].map(bytes), ["0 B", "1023 B", "1.5 KiB", "16.0 EiB"]);
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(moment(1_700_000_000_999), "2023-11-14 22:13:20Z");
        assert_eq!(moment(u64::MAX), "out of range");
        assert_eq!(percent(25), "2.5 %");
    }
}
