//! Two hosts, joined directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{Host, Lab};
use crate::waiting::{LabError, until};

/// A pair of virtual Ethernet devices: as fast as the machine.
#[derive(Clone, Debug)]
pub struct Cable {
    /// Where it ends.
    pub ends: [End; 2],
}

impl Cable {
    pub(super) fn lay(lab: &Lab, a: &Host, b: &Host, segment: u8) -> Result<Self, LabError> {
        let ends = [End::new(a, segment, 1), End::new(b, segment, 2)];
        let [first, second] = &ends;
        let far = ["peer", "name", &second.device, "netns", b.namespace()];
        let near = ["link", "add", &first.device, "netns", a.namespace(), "type", "veth"];
        lab.run(&[&near[..], &far].concat())?;
        ends.iter().try_for_each(End::configure)?;
        let cable = Self { ends };
        cable.settle()?;
        Ok(cable)
    }

    fn settle(&self) -> Result<(), LabError> {
        self.ends[0].await_reach(self.ends[1].v4.into())
    }

    /// How many bytes a packet may have, at both ends.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn set_mtu(&self, bytes: u16) -> Result<(), LabError> {
        self.ends.iter().try_for_each(|end| end.set_mtu(bytes))
    }
}

/// A host's end of a cable or switch: a device, and its addresses.
#[derive(Clone, Debug)]
pub struct End {
    /// Whose it is.
    pub host: Host,
    /// The device's name on the host.
    pub device: String,
    /// In a subnet of 24 bits.
    pub v4: Ipv4Addr,
    /// In a subnet of 64 bits.
    pub v6: Ipv6Addr,
}

impl End {
    pub(super) fn new(host: &Host, segment: u8, number: u8) -> Self {
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, segment.into(), 0, 0, 0, number.into());
        Self { host: host.clone(), device: host.next_device(), v4: Ipv4Addr::new(10, 77, segment, number), v6 }
    }

    /// The subnet that it is in, as `ip route` takes it.
    pub fn subnet(&self) -> String {
        let [a, b, c, _] = self.v4.octets();
        format!("{a}.{b}.{c}.0/24")
    }

    pub(super) fn configure(&self) -> Result<(), LabError> {
        self.address("add")?;
        self.host.run_well(&["ip", "link", "set", &self.device, "up"]).map(drop)
    }

    fn address(&self, verb: &str) -> Result<(), LabError> {
        for address in [format!("{}/24", self.v4), format!("{}/64", self.v6)] {
            self.host.run_well(&["ip", "addr", verb, &address, "dev", &self.device])?;
        }
        Ok(())
    }

    /// Gives it other addresses of the same subnet in place of those that it has: the last part of both becomes `number`.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn move_to(&mut self, number: u8) -> Result<(), LabError> {
        let [a, b, c, _] = self.v4.octets();
        let mut moved = self.clone();
        moved.v4 = Ipv4Addr::new(a, b, c, number);
        let mut segments = self.v6.segments();
        segments[7] = number.into();
        moved.v6 = Ipv6Addr::from(segments);
        self.address("del")?;
        moved.address("add")?;
        *self = moved;
        Ok(())
    }

    /// How many bytes a packet may have that leaves here.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn set_mtu(&self, bytes: u16) -> Result<(), LabError> {
        self.host.run_well(&["ip", "link", "set", &self.device, "mtu", &bytes.to_string()]).map(drop)
    }

    /// Waits until the other end answers.
    pub(super) fn await_reach(&self, far: IpAddr) -> Result<(), LabError> {
        let far = far.to_string();
        until(&format!("a way from {} to {far}", self.host.name()), REACH_PATIENCE, || {
            let told = self.host.run(&["ping", "-c", "1", "-W", "0.2", &far], REACH_PATIENCE);
            told.map_err(|error| error.to_string()).and_then(|told| if told.ok { Ok(()) } else { Err(told.stdout) })
        })
    }
}

const REACH_PATIENCE: Duration = Duration::from_secs(10);
