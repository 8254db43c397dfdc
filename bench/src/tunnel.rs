//! The least that a program between two hosts must do: packets of a TUN device become datagrams and datagrams packets, one by
//! one. Nothing is encrypted, and nothing joined; what it takes is what the machine's system calls and wake-ups take.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use clap::Args;
use tun_rs::DeviceBuilder;

/// What a program at an end or between two is told.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The neighbors: one at an end, two in between
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// The address of the device, at an end
    #[arg(long)]
    address: Option<Ipv4Addr>,
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Carries packets for ever.
pub(crate) fn carry(arguments: &Arguments) -> Outcome {
    let socket = UdpSocket::bind(arguments.listen)?;
    match (arguments.address, arguments.to[..].first(), arguments.to.get(1)) {
        (Some(address), Some(to), None) => between(address, socket, *to),
        (None, Some(one), Some(other)) => pass_on(&socket, [*one, *other]),
        _ => Err("an end has an address and a neighbor, and what is in between two neighbors".into()),
    }
}

fn between(address: Ipv4Addr, socket: UdpSocket, to: SocketAddr) -> Outcome {
    let device = DeviceBuilder::new().name("floor0").mtu(MTU).ipv4(address, PREFIX, None).build_sync()?;
    let (device, socket) = (Arc::new(device), Arc::new(socket));
    let (packets, datagrams) = (device.clone(), socket.clone());
    std::thread::spawn(move || {
        let mut buffer = [0; LONGEST];
        while let Ok(length) = packets.recv(&mut buffer) {
            // Who is not there yet refuses.
            let _ = datagrams.send_to(&buffer[..length], to);
        }
    });
    let mut buffer = [0; LONGEST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => drop(device.send(&buffer[..length])),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn pass_on(socket: &UdpSocket, [one, other]: [SocketAddr; 2]) -> Outcome {
    let mut buffer = [0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => drop(socket.send_to(&buffer[..length], if from == one { other } else { one })),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
}

const MTU: u16 = 1400;
const PREFIX: u8 = 24;
const LONGEST: usize = 2048;
