//! tinc 1.0: a mesh of tunnels whose daemons pass packets on for those that cannot meet.

use std::time::Instant;

use prunella_bench::LabError;

use super::{EVERYWHERE, Running, System, absent, daemon, home, lines, overlay, told, version, write, write_script};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Tinc;

impl System for Tinc {
    fn name(&self) -> &'static str {
        "tinc"
    }

    fn describe(&self) -> String {
        let version = version("tinc");
        format!("tinc {version}: its default cipher, PingInterval and PingTimeout 1 s (60 and 5 by default)")
    }

    fn missing(&self) -> Option<String> {
        absent("tincd", "tinc")
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let mut homes = Vec::new();
        for (number, host) in ground.hosts.iter().enumerate() {
            let dir = home(ground, self.name(), number)?;
            std::fs::create_dir_all(dir.join("hosts")).map_err(super::refused("make a directory"))?;
            let calls = lines(ground.neighbors(number), |(other, _)| format!("ConnectTo = h{other}"));
            let rest = "AddressFamily = ipv4\nInterface = tinc0\nPingInterval = 1\nPingTimeout = 1\nMaxTimeout = 1\n";
            write(&dir.join("tinc.conf"), &format!("Name = h{number}\n{rest}{calls}"))?;
            let up = format!("ip addr add {}/24 dev $INTERFACE\nip link set $INTERFACE up", overlay(number));
            write_script(&dir.join("tinc-up"), &up)?;
            told(host, "tincd", &["--config", &dir.to_string_lossy(), "--generate-keys=2048"])?;
            homes.push(dir);
        }
        // What the others are told: the key that was made, whose addresses a host has, and where it is if it can be called.
        for number in 0..homes.len() {
            for (other, home) in homes.iter().enumerate() {
                let public = std::fs::read_to_string(home.join(format!("hosts/h{other}")));
                let public = public.map_err(super::refused("read a key"))?;
                let key = public.find("-----BEGIN").map_or("", |at| &public[at..]);
                let place = ground.neighbors(number).find(|(neighbor, _)| *neighbor == other);
                let place = place.map(|(_, end)| format!("Address = {}\n", end.v4)).unwrap_or_default();
                let text = format!("{place}Subnet = {}/32\n{key}", overlay(other));
                // Keys stay readable for whoever comes next: the file of `other` in its own directory is the last one written.
                write(&homes[number].join(format!("hosts/h{other}")), &text)?;
            }
        }
        let began = Instant::now();
        let mut daemons = Vec::new();
        for (host, dir) in ground.hosts.iter().zip(&homes) {
            let (dir, pid) = (dir.to_string_lossy(), dir.join("pid"));
            let pid = format!("--pidfile={}", pid.display());
            daemons.push(daemon(host, "tincd", &["--config", &dir, "--no-detach", &pid])?);
        }
        Ok(Running::daemons(began, daemons, overlay(ground.hosts.len() - 1)))
    }
}
