//! The rest of a packet: the bytes that the capture kept, and how many there were on the wire.
//!
//! Every layer takes its header off the front and hands the rest on. A header that is not there
//! has two reasons, and they are counted apart: the capture cut it away, or the packet itself was
//! too short for it.

use super::skip::Skip;

/// The bytes not yet looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest<'a> {
    /// What the capture kept.
    pub data: &'a [u8],
    /// How many bytes there were on the wire.
    pub len: u32,
}

impl<'a> Rest<'a> {
    /// A whole packet. Some writers note an original length below what they wrote; then the bytes
    /// that are there count.
    #[inline(always)]
    pub fn new(data: &'a [u8], orig_len: u32) -> Rest<'a> {
        let kept = u32::try_from(data.len()).unwrap_or(u32::MAX);
        Rest { data, len: orig_len.max(kept) }
    }

    /// Whether the capture kept less than there was.
    pub fn is_cut(&self) -> bool {
        self.data.len() < self.len as usize
    }

    /// Why `wanted` bytes are not there.
    #[inline(always)]
    pub fn lacks(&self, wanted: usize) -> Skip {
        if wanted > self.len as usize { Skip::Malformed } else { Skip::CutHeader }
    }

    /// The first `N` bytes, which stay.
    #[inline(always)]
    pub fn peek<const N: usize>(&self) -> Result<&'a [u8; N], Skip> {
        self.data.first_chunk::<N>().ok_or_else(|| self.lacks(N))
    }

    /// Takes the first `N` bytes.
    #[inline(always)]
    pub fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Skip> {
        let chunk = self.peek::<N>()?;
        self.drop_front(N)?;
        Ok(chunk)
    }

    /// Drops the first `count` bytes.
    #[inline(always)]
    pub fn drop_front(&mut self, count: usize) -> Result<(), Skip> {
        match (self.data.get(count..), u32::try_from(count)) {
            (Some(data), Ok(gone)) => {
                self.data = data;
                self.len = self.len.saturating_sub(gone);
                Ok(())
            }
            _ => Err(self.lacks(count)),
        }
    }

    /// The same bytes under a length that a header gives. What lies beyond is padding and goes; a
    /// greater length than there was on the wire is wrong, and the wire's counts.
    #[inline(always)]
    pub fn with_len(self, len: u32) -> Rest<'a> {
        let len = len.min(self.len);
        Rest { data: self.data.get(..len as usize).unwrap_or(self.data), len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_capture_cut_is_told_from_what_never_was() {
        let mut cut = Rest::new(&[1, 2, 3], 10);
        assert_eq!(cut.take::<4>(), Err(Skip::CutHeader));
        assert_eq!(cut.take::<11>(), Err(Skip::Malformed));
        assert_eq!((cut.take::<2>(), cut.data, cut.len), (Ok(&[1, 2]), &[3][..], 8));
    }

    #[test]
    fn an_original_length_below_the_bytes_is_corrected() {
        assert_eq!(Rest::new(&[0; 60], 0).len, 60);
    }

    #[test]
    fn a_shorter_length_trims_and_a_longer_one_is_not_believed() {
        let rest = Rest::new(&[0; 60], 60);
        assert_eq!((rest.with_len(40).data.len(), rest.with_len(40).len), (40, 40));
        assert_eq!((rest.with_len(90).data.len(), rest.with_len(90).len), (60, 60));
        // What the capture cut counts.
        assert_eq!(Rest::new(&[0; 60], 80).with_len(90).len, 80);
    }
}
