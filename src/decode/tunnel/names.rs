//! The tunnels of a run: a number for each, and what people call it.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Ends, Layer, Path};
use crate::addr::Addr;
use crate::capture::text::NAMED;
use crate::decode::skip::Skip;
use crate::decode::tuple::FourTuple;
use crate::limits::{GTP_TUNNELS_MAX, TUNNEL_DEPTH_MAX, TUNNELS_MAX};

type Layers = [Option<Layer>; TUNNEL_DEPTH_MAX];

/// A tunnel, or several inside one another. Its text is theirs, from outside to inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    layers: Layers,
    /// The tunnel endpoint identifiers of the innermost GTP-U tunnel, for packets of the node with
    /// the lower address and of the other.
    teids: [Option<u32>; 2],
}

/// All tunnels that were met, numbered from 1.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    all: Vec<Tunnel>,
    numbers: HashMap<Layers, u32, RandomState>,
    /// GTP-U tunnels by what they carry: only that tells which two directions belong together.
    gtp: HashMap<(Layers, FourTuple), Vec<u32>, RandomState>,
}

impl Tunnels {
    /// The tunnel of that number.
    pub fn get(&self, number: u32) -> Option<&Tunnel> {
        self.all.get((number as usize).checked_sub(1)?)
    }

    /// Shows, and lets change, every address that a tunnel's text has.
    pub fn each_addr(&mut self, mut see: impl FnMut(&mut IpAddr)) {
        let layers = self.all.iter_mut().flat_map(|tunnel| tunnel.layers.iter_mut().flatten());
        for layer in layers {
            if let Layer::IpInIp(ends) | Layer::Ppp(ends) | Layer::Gtp(ends) = layer {
                let mut ips = ends.ips();
                ips.iter_mut().for_each(&mut see);
                ends.set(ips);
            }
        }
    }

    /// The number of the tunnel with that path, in which something with this four-tuple came.
    pub(in crate::decode) fn number(
        &mut self,
        path: &Path,
        tuple: &FourTuple,
    ) -> Result<u32, Skip> {
        if path.is_empty() {
            return Ok(0);
        }
        if let Some((teid, from_lower)) = path.teid {
            return self.gtp_number(path.layers, tuple, teid, usize::from(!from_lower));
        }
        if let Some(number) = self.numbers.get(&path.layers) {
            return Ok(*number);
        }
        let number = self.add(path.layers, [None; 2])?;
        self.numbers.insert(path.layers, number);
        Ok(number)
    }

    /// The number of the tunnel with that path, if something came in it before that had this
    /// four-tuple; of a GTP-U tunnel only one can be told.
    pub(in crate::decode) fn known(&self, path: &Path, tuple: &FourTuple) -> Option<u32> {
        if path.is_empty() {
            return Some(0);
        }
        match path.teid {
            Some(_) => self.gtp.get(&(path.layers, *tuple))?.first().copied(),
            None => self.numbers.get(&path.layers).copied(),
        }
    }

    fn gtp_number(
        &mut self,
        layers: Layers,
        tuple: &FourTuple,
        teid: u32,
        direction: usize,
    ) -> Result<u32, Skip> {
        let known = self.gtp.get(&(layers, *tuple)).map_or(&[][..], Vec::as_slice);
        let teid_of = |number: &u32| self.get(*number)?.teids.get(direction).copied().flatten();
        if let Some(number) = known.iter().find(|number| teid_of(number) == Some(teid)) {
            return Ok(*number);
        }
        if let Some(number) = known.iter().find(|number| teid_of(number).is_none()).copied() {
            let tunnel = self.all.get_mut((number as usize).saturating_sub(1));
            if let Some(place) = tunnel.and_then(|tunnel| tunnel.teids.get_mut(direction)) {
                *place = Some(teid);
            }
            return Ok(number);
        }
        if known.len() >= GTP_TUNNELS_MAX {
            return Err(Skip::TooManyTunnels);
        }
        let mut teids = [None; 2];
        if let Some(place) = teids.get_mut(direction) {
            *place = Some(teid);
        }
        let number = self.add(layers, teids)?;
        self.gtp.entry((layers, *tuple)).or_default().push(number);
        Ok(number)
    }

    fn add(&mut self, layers: Layers, teids: [Option<u32>; 2]) -> Result<u32, Skip> {
        if self.all.len() >= TUNNELS_MAX {
            return Err(Skip::TooManyTunnels);
        }
        self.all.push(Tunnel { layers, teids });
        Ok(self.all.len() as u32)
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.teids;
        for (at, layer) in self.layers.iter().flatten().enumerate() {
            if at > 0 {
                f.write_str(" / ")?;
            }
            match layer {
                Layer::GreKey(key) => write!(f, "gre key {key}")?,
                Layer::Eoip(id) => write!(f, "eoip {id}")?,
                Layer::IpInIp(ends) => write!(f, "ip-in-ip {ends}")?,
                Layer::Ppp(ends) => write!(f, "ppp {ends}")?,
                Layer::Vxlan(id) => write!(f, "vxlan {id}")?,
                Layer::Geneve(id) => write!(f, "geneve {id}")?,
                Layer::Gtp(ends) => {
                    write!(f, "gtp-u {ends}")?;
                    for teid in [low, high].into_iter().flatten() {
                        write!(f, " teid {teid:#x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Ends {
    /// The two ends as addresses.
    fn ips(&self) -> [IpAddr; 2] {
        self.addrs.map(|addr| match self.version {
            4 => IpAddr::V4(Ipv4Addr::from(addr as u32)),
            NAMED => IpAddr::V6(Ipv6Addr::from(addr)).to_canonical(),
            _ => IpAddr::V6(Ipv6Addr::from(addr)),
        })
    }

    /// Takes other addresses of the same version.
    fn set(&mut self, ips: [IpAddr; 2]) {
        self.addrs = ips.map(|ip| match ip {
            IpAddr::V4(ip) if self.version == NAMED => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V4(ip) => ip.to_bits().into(),
            IpAddr::V6(ip) => ip.to_bits(),
        });
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.ips().map(Addr::from);
        write!(f, "{low} <-> {high}")
    }
}
