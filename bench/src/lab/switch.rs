//! A switch with a will of its own: it drops, loses and slows down what passes, and no host's link goes down by that.

use std::sync::Mutex;

use super::{End, Host, Lab};
use crate::waiting::LabError;

/// A bridge in a namespace of its own, with a port for each host. What is wrong with it happens outside of the hosts, so
/// that nothing in them, be it in the kernel or not, can pass by it.
#[derive(Debug)]
pub struct Switch {
    /// The hosts' ends, in the order of the ports.
    pub ends: Vec<End>,
    bridge: Host,
    faults: Mutex<Vec<Fault>>,
}

/// What happens to frames that come in at a port.
#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    cut: bool,
    loss_permille: u16,
}

impl Switch {
    pub(super) fn install(lab: &Lab, hosts: &[&Host], segment: u8) -> Result<Self, LabError> {
        let bridge = lab.host(&format!("switch{segment}"))?;
        let on_bridge = |words: &str| bridge.run_well(&words.split(' ').collect::<Vec<_>>()).map(drop);
        on_bridge("ip link add br0 type bridge stp_state 0 mcast_snooping 0")?;
        on_bridge("ip link set br0 up")?;
        let mut ends = Vec::new();
        for (port, host) in hosts.iter().enumerate() {
            let number = u8::try_from(port + 1).expect("BUG: a switch has fewer than 256 ports");
            let end = End::new(host, segment, number);
            let (name, home) = (format!("p{port}"), bridge.namespace());
            let far = ["peer", "name", &end.device, "netns", host.namespace()];
            lab.run(&[&["link", "add", &name, "netns", home, "type", "veth"][..], &far].concat())?;
            on_bridge(&format!("ip link set {name} master br0"))?;
            on_bridge(&format!("ip link set {name} up"))?;
            end.configure()?;
            ends.push(end);
        }
        on_bridge("nft add table bridge lab")?;
        bridge.run_well(&["nft", "add chain bridge lab forward { type filter hook forward priority 0; }"])?;
        let faults = Mutex::new(vec![Fault::default(); ends.len()]);
        let switch = Self { ends, bridge, faults };
        switch.ends[1..].iter().try_for_each(|end| switch.ends[0].await_reach(end.v4.into()))?;
        Ok(switch)
    }

    /// From now on drops everything that comes in at each port. No host is told.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `nft` said.
    pub fn cut(&self) -> Result<(), LabError> {
        self.change(|faults| faults.iter_mut().for_each(|fault| fault.cut = true))
    }

    /// Drops what comes in at this port, and nothing else: a cable that works one way.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `nft` said.
    pub fn cut_from(&self, port: usize) -> Result<(), LabError> {
        self.change(|faults| faults[port].cut = true)
    }

    /// Loses so many of a thousand frames at random, both ways.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `nft` said.
    pub fn lose(&self, permille: u16) -> Result<(), LabError> {
        self.change(|faults| faults.iter_mut().for_each(|fault| fault.loss_permille = permille))
    }

    /// Drops and loses nothing any more.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `nft` said.
    pub fn mend(&self) -> Result<(), LabError> {
        self.change(|faults| faults.fill(Fault::default()))
    }

    /// Passes no more than so many bits a second to each host, behind a queue of `queue_ms` at that speed.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `tc` said.
    pub fn throttle(&self, mbit: u32, queue_ms: u32) -> Result<(), LabError> {
        for port in 0..self.ends.len() {
            let (device, rate, latency) = (format!("p{port}"), format!("{mbit}mbit"), format!("{queue_ms}ms"));
            let place = ["tc", "qdisc", "replace", "dev", &device, "root", "tbf"];
            // As much at once as a segmented packet may have, or nothing would pass.
            self.bridge.run_well(&[&place[..], &["rate", &rate, "burst", "128kb", "latency", &latency]].concat())?;
        }
        Ok(())
    }

    /// Puts all that is wrong in force at once.
    fn change(&self, change: impl FnOnce(&mut Vec<Fault>)) -> Result<(), LabError> {
        let mut faults = self.faults.lock().expect("BUG: nobody panics with the lock");
        change(&mut faults);
        let mut rules = "flush chain bridge lab forward".to_owned();
        for (port, fault) in faults.iter().enumerate() {
            if fault.cut {
                rules += &format!("; add rule bridge lab forward iifname p{port} drop");
            } else if fault.loss_permille > 0 {
                let loss = fault.loss_permille;
                rules += &format!("; add rule bridge lab forward iifname p{port} numgen random mod 1000 < {loss} drop");
            }
        }
        self.bridge.run_well(&["nft", &rules]).map(drop)
    }
}
