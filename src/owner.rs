//! Who holds a socket: a process, as a host's socket table or a capture's own notes name it.

use core::fmt;

use serde::Serialize;

/// One holder of a socket. Each part is there where the source tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Owner {
    /// The program's name.
    pub program: Option<Box<str>>,
    /// The process.
    pub pid: Option<u32>,
    /// Its descriptor of the socket.
    pub fd: Option<u32>,
}

/// `nginx (pid 812, fd 7)`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program.as_deref();
        match (program, self.pid, self.fd) {
            (Some(program), Some(pid), Some(fd)) => write!(f, "{program} (pid {pid}, fd {fd})"),
            (Some(program), Some(pid), None) => write!(f, "{program} (pid {pid})"),
            (Some(program), None, _) => f.write_str(program),
            (None, Some(pid), Some(fd)) => write!(f, "pid {pid} (fd {fd})"),
            (None, Some(pid), None) => write!(f, "pid {pid}"),
            (None, None, _) => f.write_str("a process without a name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_told_as_far_as_it_is_known() {
        let shown = |program: Option<&str>, pid, fd| {
            Owner { program: program.map(Into::into), pid, fd }.to_string()
        };
        assert_eq!(shown(Some("nginx"), Some(812), Some(7)), "nginx (pid 812, fd 7)");
        assert_eq!(shown(Some("nginx"), Some(812), None), "nginx (pid 812)");
        assert_eq!(shown(None, Some(812), None), "pid 812");
    }
}
