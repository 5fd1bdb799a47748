//! Files beside the captures: settings, names, baselines, socket tables. Each is read whole, so
//! each has a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file that may have so many.
pub fn bytes(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    bytes_of(File::open(path)?, max)
}

/// The same of what is open already.
pub fn bytes_of(file: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => {
            let what = format!("it has more than the {max} bytes that are read of such a file");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
        }
        false => Ok(bytes),
    }
}

/// The text of a file that may have so many bytes.
pub fn text(path: &Path, max: u64) -> io::Result<String> {
    let text = String::from_utf8(bytes(path, max)?);
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn no_more_is_read_than_a_file_may_have() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"1234").unwrap();
        assert_eq!(text(file.path(), 4).unwrap(), "1234");
        let error = bytes(file.path(), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("more than the 3 bytes"), "{error}");
        file.write_all(b"\xff").unwrap();
        assert_eq!(text(file.path(), 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
