//! Bytes in and out of a connection: bodies, drips, and silence.

use super::connection::{Connection, Next};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

impl Connection<'_> {
    pub(super) fn trickle(&mut self, bytes: &[u8], piece: usize, pause: Duration) -> io::Result<()> {
        for chunk in bytes.chunks(piece.max(1)) {
            self.stream.write_all(chunk)?;
            std::thread::sleep(pause);
            if self.shared.stopping() {
                break;
            }
        }
        Ok(())
    }

    /// Reads so many bytes of a body.
    pub(super) fn read_body(&mut self, length: u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        if left > 0 && !self.buffer.is_empty() {
            let count = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.shared.pace(count);
            take(&self.buffer[..count]);
            self.buffer.drain(..count);
            left -= count as u64;
        }
        let mut chunk = vec![0; 256 << 10];
        while left > 0 {
            let count = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.stream.read(&mut chunk[..count])?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.shared.pace(read);
            take(&chunk[..read]);
            left -= read as u64;
        }
        Ok(())
    }

    /// Reads on for a moment: closing with bytes unread would be a reset, and the answer lost.
    pub(super) fn drain(&mut self) {
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(300)));
        let mut sink = vec![0; 64 << 10];
        while matches!(self.stream.read(&mut sink), Ok(read) if read > 0) {}
    }

    /// Does nothing until the other side gives up.
    pub(super) fn hold(&self) -> Next {
        let tick = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let over = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        while !self.shared.stopping() {
            let mut fds = [PollFd::new(&self.stream, PollFlags::RDHUP)];
            let polled = rustix::event::poll(&mut fds, Some(&tick));
            if polled.is_err() || fds[0].revents().intersects(over) {
                break;
            }
        }
        Next::Reset
    }
}
