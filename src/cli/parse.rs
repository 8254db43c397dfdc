//! Arguments from text, each with an error that shows what would have been right.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::api::configuration::is_node_name;
use crate::api::setup::Algorithm;

/// A length of time: `90s`, `15m`, `1h`, `7d`, or several of them in a row (`1h30m`). It is never zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 90s, 15m, 1h or 7d".to_owned();
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let mut after = after.chars();
        let unit = match after.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 24 * 3600,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(wrong)?;
        rest = after.as_str();
    }
    if total == 0 { Err(wrong()) } else { Ok(Duration::from_secs(total)) }
}

/// A short time: as [`duration`], or `500ms`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let ms = text.strip_suffix("ms").and_then(|ms| ms.parse().ok()).filter(|ms| *ms > 0).map(Duration::from_millis);
    ms.map_or_else(|| duration(text).map_err(|_| "write it as 500ms, 5s, 2m or 1h".to_owned()), Ok)
}

/// A number of seconds between two questions, `0.5` or `2`.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.2..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write it in seconds, from 0.2 to 3600".to_owned())
}

/// A share of something, `30%` or `0.5%`, in thousandths.
pub(super) fn share(text: &str) -> Result<u16, String> {
    let permille = text.strip_suffix('%').and_then(|percent| percent.parse::<f64>().ok()).map(|percent| percent * 10.0);
    match permille {
        Some(permille) if (0.0..=1000.0).contains(&permille) && (permille - permille.round()).abs() < 1e-6 => {
            Ok(permille.round() as u16)
        }
        _ => Err("write it as 30% or 0.5%: at most 100%, with at most one digit after the point".to_owned()),
    }
}

/// The number of an incident, with or without the sign that it is told with.
pub(super) fn incident(text: &str) -> Result<u64, String> {
    text.trim_start_matches('#').parse().map_err(|_| "not a number".to_owned())
}

/// A node's name.
pub(super) fn node_name(text: &str) -> Result<String, String> {
    if is_node_name(text) {
        return Ok(text.to_owned());
    }
    Err("a name is at most 63 letters, digits, `.`, `-` or `_`".to_owned())
}

/// A service's name.
pub(super) fn service_name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if plain && (1..=63).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err("a service's name is at most 63 of a-z, 0-9 and `-`".to_owned())
}

/// Of which algorithm certificates are.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == text);
    known.ok_or_else(|| "certificates are of `ed25519` or of `ml-dsa-65`".to_owned())
}

/// A SPIFFE trust domain (SPIFFE-ID specification, section 2.1).
pub(super) fn trust_domain(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if plain && (1..=255).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err("a trust domain is at most 255 of a-z, 0-9, `.`, `-` and `_`, such as mesh.example".to_owned())
}

/// Where a service listens: `tcp://HOST:PORT`.
pub(super) fn target(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':'));
    match address.map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(1..))) if !host.is_empty() && !host.contains(['/', ' ']) => Ok(text.to_owned()),
        _ => Err("write it as tcp://HOST:PORT, such as tcp://127.0.0.1:8080".to_owned()),
    }
}

/// Where to listen: `ADDRESS:PORT`, or a port of this host alone.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse()).map_err(|_| "write it as ADDRESS:PORT or PORT, such as 127.0.0.1:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_incident_may_be_given_as_it_is_told() {
        assert_eq!((incident("7"), incident("#7")), (Ok(7), Ok(7)));
        assert!(incident("seven").is_err() && incident("-1").is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "0s", "5", "h", "1x", "1h 2m", "-1s", "99999999999999999999s", "999999999999999999d", "1µ"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn short_times_may_be_milliseconds() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["0ms", "50", "ms", "1.5ms", "-5ms"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "0.1", "3601", "1s", "NaN", "inf", "-1"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_percent() {
        assert_eq!(share("100%"), Ok(1000));
        assert_eq!(share("0.5%"), Ok(5));
        assert_eq!(share("29.9%"), Ok(299));
        for wrong in ["50", "101%", "-1%", "0.05%", "%", "NaN%", "half"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets_name_host_and_port() {
        assert!(target("tcp://localhost:80").is_ok() && target("tcp://[::1]:80").is_ok());
        for wrong in ["localhost:80", "tcp://:80", "tcp://h", "tcp://h:0", "tcp://h/x:80", "tcp://h:99999"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bare_port_listens_on_this_host_only() {
        assert_eq!(listen("80"), Ok("127.0.0.1:80".parse().unwrap()));
        assert_eq!(listen("[::]:80"), Ok("[::]:80".parse().unwrap()));
        assert!(listen("localhost:80").is_err() && listen("70000").is_err());
    }
}
