//! What an interface's driver can do for packet programs, as the kernel tells it (generic netlink, family `netdev`).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

/// Whether an interface can take frames that a program in another driver sends. `None` where the kernel does not tell, as
/// before Linux 6.3.
pub(super) fn takes_frames(interface: u32) -> Option<bool> {
    let socket = open().ok()?;
    let mut name = NETDEV.to_vec();
    name.push(0);
    let reply = ask(&socket, CONTROL_FAMILY, GET_FAMILY, FAMILY_NAME, &name).ok()?;
    let family = u16::from_ne_bytes(attribute(&reply, FAMILY_ID)?.get(..2)?.try_into().ok()?);
    let reply = ask(&socket, family, GET_DEVICE, INTERFACE_INDEX, &interface.to_ne_bytes()).ok()?;
    let features = u64::from_ne_bytes(attribute(&reply, XDP_FEATURES)?.get(..8)?.try_into().ok()?);
    Some(features & TAKES_FRAMES != 0)
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(GENERIC))?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// Sends a request with one attribute, and gives the attributes of the reply.
fn ask(socket: &OwnedFd, family: u16, command: u8, attribute: u16, value: &[u8]) -> io::Result<Vec<u8>> {
    let request = request(family, command, attribute, value);
    send(socket, &request, SendFlags::empty())?;
    let mut reply = vec![0; REPLY_BYTES_MAX];
    let (length, _) = recv(socket, &mut reply, RecvFlags::empty())?;
    reply.truncate(length);
    if length < HEADERS_BYTES || reply[4..6] == ERROR.to_ne_bytes() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(reply.split_off(HEADERS_BYTES))
}

/// A netlink header, a generic one, and one attribute; whole words all of them (netlink(7)).
fn request(family: u16, command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADERS_BYTES + 4];
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&family.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    (bytes[16], bytes[17]) = (command, 1);
    bytes[HEADERS_BYTES..HEADERS_BYTES + 2].copy_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
    bytes[HEADERS_BYTES + 2..HEADERS_BYTES + 4].copy_from_slice(&attribute.to_ne_bytes());
    bytes
}

/// The value of an attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let [low, high, kind_low, kind_high, ..] = *attributes else { return None };
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([kind_low, kind_high]) == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// The name of the family that tells of interfaces.
const NETDEV: &[u8] = b"netdev";
/// linux/genetlink.h.
const CONTROL_FAMILY: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// linux/netdev.h.
const GET_DEVICE: u8 = 1;
const INTERFACE_INDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_NDO_XMIT`.
const TAKES_FRAMES: u64 = 4;
/// linux/netlink.h.
const REQUEST: u16 = 1;
const ERROR: u16 = 2;
/// The netlink header and the generic one.
const HEADERS_BYTES: usize = 20;
/// More than the kernel says of a family or an interface.
const REPLY_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_behind_others_and_nothing_in_garbage() {
        let bytes = request(7, 3, 2, b"netdev\0");
        assert_eq!(bytes.len(), 32);
        assert_eq!(attribute(&bytes[HEADERS_BYTES..], 2), Some(&b"netdev\0"[..]));
        assert_eq!(attribute(&bytes[HEADERS_BYTES..], 3), None);
        let two = [&bytes[HEADERS_BYTES..], &[5, 0, 9, 0, 77, 0, 0, 0]].concat();
        assert_eq!(attribute(&two, 9), Some(&[77][..]));
        for garbage in [&[][..], &[1, 0, 2], &[0; 8], &[3, 0, 2, 0], &[200, 0, 2, 0, 1]] {
            assert_eq!(attribute(garbage, 2), None, "{garbage:?}");
        }
    }

    #[test]
    fn no_frames_are_taken_where_no_interface_is() {
        assert_ne!(takes_frames(u32::MAX), Some(true));
    }
}
