//! The same capture between other hosts, so that a report on it can be published.
//!
//! Addresses are replaced in the histories, before anything is judged or printed, and what was
//! found is found anew: no text can hold an address that nobody thought of. Ports stay.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::judging::judge;
use super::names::replace;
use super::{Analysis, facts};
use crate::addr::Addr;
use crate::history::archive::Archive;
use crate::history::{History, Role};
use crate::limits::MASKED_AHEAD_MAX;
use crate::owner::Owner;

/// What stands for which address.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    stand_ins: HashMap<Addr, Addr>,
    real: HashMap<Addr, Addr>,
    /// Addresses of the capture, which stand for none.
    taken: HashSet<Addr>,
    next_v4: u32,
    next_v6: u128,
    macs: HashMap<[u8; 6], u32>,
    programs: HashMap<Box<str>, usize>,
    pids: HashMap<u32, u32>,
    /// The number of the first connection whose hosts are not met yet.
    met: u64,
}

/// Addresses for documentation (RFC 5737).
const DOCUMENTATION_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 2, 0), Ipv4Addr::new(198, 51, 100, 0), Ipv4Addr::new(203, 0, 113, 0)];

/// Addresses that no host has (RFC 1112), for when those are used up.
const RESERVED_V4: u32 = 240 << 24;

/// Addresses for documentation (RFC 3849).
const DOCUMENTATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);

impl Mask {
    /// What stands for an address, from now on if nothing did before.
    pub fn addr(&mut self, addr: Addr) -> Addr {
        if let Some(known) = self.stand_ins.get(&addr) {
            return *known;
        }
        let other = loop {
            let next = if addr.ip().is_ipv4() { self.next_v4() } else { self.next_v6() };
            if !self.taken.contains(&next) {
                break next;
            }
        };
        self.stand_ins.insert(addr, other);
        self.real.insert(other, addr);
        other
    }

    /// Gives their stand-ins to the hosts of the connections that began since the last time, in the
    /// order of these: later on, those come first that are told of first.
    pub fn meet(&mut self, archive: &Archive) {
        let is_full = self.stand_ins.len() >= MASKED_AHEAD_MAX;
        let began = (self.met..archive.begun()).filter(|_| !is_full);
        let histories = began.filter_map(|id| archive.get(id));
        let hosts = |history: History| Role::BOTH.map(|role| history.addr(role).ip());
        let hosts: Vec<Addr> = histories.flat_map(hosts).take(MASKED_AHEAD_MAX).collect();
        self.met = archive.begun();
        self.taken.extend(&hosts);
        hosts.into_iter().for_each(|host| {
            self.addr(host);
        });
    }

    /// Puts what stands for a hardware address in its place; groups stay groups.
    pub fn mac(&mut self, mac: &mut [u8]) {
        let Ok(old) = <[u8; 6]>::try_from(&*mac) else { return };
        if old == [0; 6] || old == [0xff; 6] {
            return;
        }
        let next = self.macs.len() as u32 + 1;
        let [a, b, c, d] = self.macs.entry(old).or_insert(next).to_be_bytes();
        mac.copy_from_slice(&[2 | old[0] & 1, 0, a, b, c, d]);
    }

    /// Puts numbers in the place of a program's name and of a process; descriptors stay.
    pub fn owner(&mut self, owner: &mut Owner) {
        if let Some(program) = &mut owner.program {
            let next = self.programs.len() + 1;
            let number = self.programs.entry(core::mem::take(program)).or_insert(next);
            *program = format!("program-{number}").into();
        }
        if let Some(pid) = &mut owner.pid {
            let next = self.pids.len() as u32 + 1;
            *pid = *self.pids.entry(*pid).or_insert(next);
        }
    }

    /// The address that another stands for; itself if it stands for none.
    pub fn real(&self, addr: Addr) -> Addr {
        self.real.get(&addr).copied().unwrap_or(addr)
    }

    /// What stands for an address of the capture; for others, themselves.
    pub fn known(&self, addr: Addr) -> Addr {
        self.stand_ins.get(&addr).copied().unwrap_or(addr)
    }

    /// The text with every address replaced.
    pub fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        replace(text, |addr| Some(self.addr(addr.into()).to_string())).into()
    }

    fn next_v4(&mut self) -> Addr {
        const HOSTS: u32 = 254;
        let at = self.next_v4;
        self.next_v4 += 1;
        let folder = DOCUMENTATION_V4.get((at / HOSTS) as usize);
        let bits = match folder {
            Some(folder) => folder.to_bits() + at % HOSTS + 1,
            None => RESERVED_V4 + (at - HOSTS * DOCUMENTATION_V4.len() as u32) + 1,
        };
        IpAddr::from(Ipv4Addr::from_bits(bits)).into()
    }

    fn next_v6(&mut self) -> Addr {
        self.next_v6 += 1;
        IpAddr::from(Ipv6Addr::from_bits(DOCUMENTATION_V6.to_bits() + self.next_v6)).into()
    }
}

impl Analysis {
    /// The same with other addresses and processes, in the order of their first appearance, and
    /// without names of files, hosts and interfaces, and without what somebody wrote.
    pub fn masked(self) -> Analysis {
        self.masked_as(Mask::default())
    }

    /// The same, where some addresses have stand-ins already.
    pub fn masked_as(mut self, mut mask: Mask) -> Analysis {
        for history in self.archive.iter() {
            mask.taken.extend(Role::BOTH.map(|role| history.addr(role).ip()));
        }
        self.totals.tunnels.each_addr(|addr| {
            mask.taken.insert((*addr).into());
        });
        let mut archive = Archive::like(&self.archive);
        for mut history in self.archive.iter() {
            for role in Role::BOTH {
                mask.addr(history.addr(role).ip());
            }
            history.tuple = history.tuple.with_addrs(|addr| mask.known(addr));
            archive.push(&history);
        }
        self.totals.tunnels.each_addr(|addr| *addr = mask.addr((*addr).into()).ip());
        self.archive = archive;
        let facts = facts(&self.totals, &self.files);
        let judged = judge(&self.archive, &self.thresholds, &facts, self.threads);
        (self.findings, self.survey) = (judged.findings, judged.survey);
        self.notes.owners_mut().for_each(|owner| mask.owner(owner));
        self.mask = Some(mask);
        self.mask_files();
        self.notes.drop_comments();
        self.place_notes();
        self
    }

    fn mask_files(&mut self) {
        let mut labels = HashMap::new();
        for (at, file) in (1..).zip(&mut self.files) {
            let label = format!("capture-{at}.{}", file.format).into();
            labels.insert(core::mem::replace(&mut file.file, label), file.file.clone());
            file.interfaces.clear();
            file.filters.clear();
            file.comments.clear();
            file.names.clear();
        }
        for why in &mut self.left_out {
            *why = "a file is left out, as it is not a capture".to_string();
        }
        let label = |file: &str| labels.get(file).cloned().unwrap_or_else(|| "capture".into());
        self.cuts.iter_mut().for_each(|cut| cut.file = label(&cut.file));
        self.errors.iter_mut().for_each(|error| error.mask(label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_own_and_none_of_the_capture_stands_in() {
        let mut mask = Mask::default();
        mask.taken.insert("192.0.2.2".parse().unwrap());
        let mut seen = HashSet::new();
        for at in 0..2_000_u32 {
            let addr = Addr::from(IpAddr::from(Ipv4Addr::from_bits(10 << 24 | at)));
            let other = mask.addr(addr);
            assert!(seen.insert(other) && !mask.taken.contains(&other), "{other}");
            assert_eq!((mask.addr(addr), mask.real(other)), (other, addr));
        }
        for (at, other) in [(0, "192.0.2.1"), (1, "192.0.2.3"), (252, "192.0.2.254")] {
            let addr = Addr::from(IpAddr::from(Ipv4Addr::from_bits(10 << 24 | at)));
            assert_eq!(mask.known(addr).to_string(), other);
        }
        assert!(seen.contains(&"203.0.113.254".parse().unwrap()));
        assert!(seen.contains(&"240.0.0.1".parse().unwrap()));
        assert_eq!(mask.addr("fe80::1".parse().unwrap()).to_string(), "2001:db8::1");
        assert_eq!(mask.text("10.0.0.0:80 to fe80::1."), "192.0.2.1:80 to 2001:db8::1.");
    }
}
