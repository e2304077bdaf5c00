//! A device that says what was written down, whatever it hears.
use devsnap_device::transport::DeviceStream;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Ends where its bytes end, and takes every write.
pub(crate) struct Tape {
    says: io::Cursor<Vec<u8>>,
}

impl Tape {
    pub(crate) fn of(says: Vec<u8>) -> Box<dyn DeviceStream> {
        Box::new(Tape { says: io::Cursor::new(says) })
    }
}

impl Read for Tape {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.says.read(into)
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DeviceStream for Tape {
    fn set_patience(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// `bytes` behind their length.
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("because inputs are short");
    [&len.to_be_bytes()[..], bytes].concat()
}
