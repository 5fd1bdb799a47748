//! Packets whose TCP header does not stand behind one IP header: in tunnels, in fragments, quoted
//! by ICMP errors.
//!
//! [`decode`](super::decode) is for the many packets that are plain, and knows nothing of the one
//! before. What it leaves comes here.

use std::collections::VecDeque;

use super::fragments::Fragments;
use super::icmp::{self, IcmpError};
use super::ip::{self, IpPacket, protocol};
use super::link::{self, Inside};
use super::rest::Rest;
use super::skip::Skip;
use super::tunnel::{self, Path, Tunnels};
use super::{Decoded, Moment, glimpse, printed, segment_of};
use crate::capture::LinkType;
use crate::limits::{FRAGMENT_HEAD_BYTES, TUNNEL_DEPTH_MAX};

/// The number of a tunnel in which nothing came yet, which no tunnel has.
const TUNNEL_UNKNOWN: u32 = u32::MAX;

/// What is known of the packets before: fragments that wait, tunnels that have a number.
#[derive(Debug, Default)]
pub struct Opener {
    decode_tunnels: bool,
    fragments: Fragments,
    tunnels: Tunnels,
    /// What was found in the packet besides what was given.
    further: VecDeque<Found>,
}

/// What was found in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A segment.
    Segment(Decoded),
    /// An ICMP error and what it quotes: four-tuple, sequence number, and as sender the end that is
    /// told; and whether Wireshark takes a stream number for it. In a tunnel in which nothing came
    /// before, the four-tuple is nobody's.
    Error(IcmpError, Decoded, bool),
    /// A header of which no segment comes, for this reason, but for which Wireshark takes a stream
    /// number.
    Broken(Skip, Decoded),
}

impl Opener {
    /// An opener that opens tunnels, or does not.
    pub fn new(decode_tunnels: bool) -> Opener {
        Opener { decode_tunnels, ..Opener::default() }
    }

    /// The same, which notes the frames of fragments.
    pub fn noting_parts(mut self) -> Opener {
        self.fragments.notes_frames = true;
        self
    }

    /// The frames of all fragments that the packet which was opened last made whole, once.
    pub fn take_parts(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.fragments.frames)
    }

    /// The tunnels that were opened.
    pub fn into_tunnels(self) -> Tunnels {
        self.tunnels
    }

    /// Fragmented packets that had to go before their time, to make room.
    pub fn fragments_forced_out(&self) -> u64 {
        self.fragments.forced_out
    }

    /// Opens a packet that [`decode`](super::decode) left for this reason.
    #[cold]
    pub(crate) fn open(
        &mut self,
        why: Skip,
        link: LinkType,
        data: &[u8],
        orig_len: u32,
        at: Moment,
    ) -> Result<Found, Skip> {
        self.fragments.frames.clear();
        self.further.clear();
        match why {
            Skip::Fragment | Skip::NotTcp | Skip::Malformed | Skip::CutHeader => {}
            Skip::InTunnel if self.decode_tunnels => return self.printed(data, at),
            _ => return Err(why),
        }
        // A text's packet has nothing more in it.
        let inside = link::inside(link, Rest::new(data, orig_len)).map_err(|_| why)?;
        self.inside(inside, Path::default(), 0, at)
    }

    /// A text's packet in a tunnel.
    fn printed(&mut self, data: &[u8], at: Moment) -> Result<Found, Skip> {
        let (mut decoded, path) = printed::read_any(data, at)?;
        let tunnel = self.tunnels.number(&path.unwrap_or_default(), &decoded.tuple)?;
        decoded.tuple = decoded.tuple.in_tunnel(tunnel);
        Ok(Found::Segment(decoded))
    }

    /// What else was found in the packet that was opened last.
    pub fn further(&mut self) -> Option<Found> {
        self.further.pop_front()
    }

    /// Of several frames the first that shows something is given, and the others wait.
    fn inside(
        &mut self,
        inside: Inside<'_>,
        path: Path,
        depth: usize,
        at: Moment,
    ) -> Result<Found, Skip> {
        let frames = match inside {
            Inside::Packet(packet) => return self.ip(packet, path, depth, at),
            Inside::Frames(frames) => frames,
        };
        let mut first = Err(Skip::NotTcp);
        for packet in frames {
            match packet.and_then(|packet| self.ip(packet, path, depth, at)) {
                Ok(found) if first.is_ok() => self.further.push_back(found),
                found if first.is_err() => first = found,
                _ => {}
            }
        }
        first
    }

    fn ip(
        &mut self,
        packet: Rest<'_>,
        path: Path,
        depth: usize,
        at: Moment,
    ) -> Result<Found, Skip> {
        let ip = ip::read_any(packet)?;
        let Some(part) = ip.part else { return self.carried(&ip, path, depth, at) };
        let is_wanted = ip.version == 6
            || ip.protocol == protocol::TCP
            || (self.decode_tunnels && tunnel::is_carrier(ip.protocol));
        if !is_wanted {
            return Err(Skip::NotTcp);
        }
        let mut room = [0; FRAGMENT_HEAD_BYTES];
        let (protocol, payload) = match self.fragments.add(&ip, part, path, at, &mut room) {
            Ok(whole) => whole,
            // Wireshark puts nothing together that is cut, and reads what the first part shows.
            Err(why) if why == Skip::Malformed || ip.payload.is_cut() => {
                let is_header = ip.protocol == protocol::TCP && part.offset == 0;
                return if is_header { self.broken(why, &ip, &path, at) } else { Err(why) };
            }
            Err(why) => return Err(why),
        };
        let carried = ip::after_extensions::<true>(protocol, payload)?;
        let whole = IpPacket {
            protocol: carried.protocol,
            part: carried.part,
            payload: carried.payload,
            ..ip
        };
        match whole.part {
            None => self.carried(&whole, path, depth, at),
            // A fragment of a fragment is none that a host would make.
            Some(_) => Err(Skip::Malformed),
        }
    }

    fn carried(
        &mut self,
        ip: &IpPacket<'_>,
        mut path: Path,
        depth: usize,
        at: Moment,
    ) -> Result<Found, Skip> {
        match ip.protocol {
            protocol::TCP => {
                let mut decoded = match segment_of(ip, at) {
                    Ok(decoded) => decoded,
                    Err(why) => return self.broken(why, ip, &path, at),
                };
                let tunnel = self.tunnels.number(&path, &decoded.tuple)?;
                decoded.tuple = decoded.tuple.in_tunnel(tunnel);
                Ok(Found::Segment(decoded))
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let (error, quoted, is_numbered) = icmp::error(ip, at)?;
                Ok(Found::Error(error, self.in_known_tunnel(&path, quoted), is_numbered))
            }
            _ if !self.decode_tunnels => match tunnel::holds_segment(ip) {
                true => Err(Skip::InTunnel),
                false => Err(Skip::NotTcp),
            },
            _ if depth >= TUNNEL_DEPTH_MAX => Err(Skip::TooManyHeaders),
            _ => {
                let inside = tunnel::open(ip, &mut path)?;
                self.inside(inside, path, depth + 1, at)
            }
        }
    }

    /// A header of which no segment comes.
    fn broken(&self, why: Skip, ip: &IpPacket<'_>, path: &Path, at: Moment) -> Result<Found, Skip> {
        match glimpse::of(ip, at) {
            Ok((seen, true)) => Ok(Found::Broken(why, self.in_known_tunnel(path, seen))),
            _ => Err(why),
        }
    }

    /// What came in a tunnel, but is no reason to number that.
    fn in_known_tunnel(&self, path: &Path, mut seen: Decoded) -> Decoded {
        let tunnel = self.tunnels.known(path, &seen.tuple).unwrap_or(TUNNEL_UNKNOWN);
        seen.tuple = seen.tuple.in_tunnel(tunnel);
        seen
    }
}
