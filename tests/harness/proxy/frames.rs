//! Frames of the PostgreSQL protocol, version 3, and what a client's frame is about.
//!
//! ```text
//! typed frame   = kind u8 | length i32 be, itself included | body
//! first frame   = length i32 be, itself included | code i32 be | …      (client only: start-up, SSL request, cancel)
//! ```

use std::collections::HashSet;
use std::io::{self, Read};

/// The code of an SSL request, answered by a single byte.
const SSL_REQUEST: i32 = 80_877_103;

/// Reads whole frames from one side of a connection.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    from: R,
    typed: bool,
}

/// A whole frame, header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// `None` for a client's first frames.
    pub(super) kind: Option<u8>,
    /// All its bytes.
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// Behind kind and length.
    fn body(&self) -> &[u8] {
        let header = if self.kind.is_some() { 5 } else { 4 };
        &self.bytes[header.min(self.bytes.len())..]
    }

    /// The server says that a commit is done.
    pub(super) fn is_commit_done(&self) -> bool {
        self.kind == Some(b'C') && self.body().starts_with(b"COMMIT\0")
    }

    pub(super) fn is_copy_data(&self) -> bool {
        self.kind == Some(b'd')
    }
}

impl<R: Read> FrameReader<R> {
    /// Of the client: its first frames have no kind.
    pub(super) fn of_client(from: R) -> Self {
        Self { from, typed: false }
    }

    /// Of the server.
    pub(super) fn of_server(from: R) -> Self {
        Self { from, typed: true }
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> io::Result<Frame> {
        let mut bytes = vec![0; if self.typed { 5 } else { 4 }];
        self.from.read_exact(&mut bytes)?;
        let kind = self.typed.then(|| bytes[0]);
        let header = bytes.len();
        let length = i32::from_be_bytes(bytes[header - 4..].try_into().expect("four bytes"));
        let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        let body = body.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame shorter than its header"))?;
        bytes.resize(header + body, 0);
        self.from.read_exact(&mut bytes[header..])?;
        let frame = Frame { kind, bytes };
        if !self.typed {
            let code = frame.body().get(..4).map(|code| i32::from_be_bytes(code.try_into().expect("four bytes")));
            // Behind the refused SSL request comes the start-up frame, untyped as well.
            self.typed = code != Some(SSL_REQUEST);
        }
        Ok(frame)
    }
}

/// Whether a server has been asked for SSL by this frame, so that its next answer is one bare byte.
pub(super) fn asks_for_ssl(frame: &Frame) -> bool {
    frame.kind.is_none() && frame.body().starts_with(&SSL_REQUEST.to_be_bytes())
}

/// Knows which of a client's frames commit.
#[derive(Debug, Default)]
pub(super) struct CommitWatch {
    statements: HashSet<Vec<u8>>,
    portals: HashSet<Vec<u8>>,
}

impl CommitWatch {
    /// Takes note of `frame`; whether it makes the server commit.
    pub(super) fn commits(&mut self, frame: &Frame) -> bool {
        let mut parts = frame.body().split(|byte| *byte == 0);
        let first = parts.next().unwrap_or_default().to_vec();
        match frame.kind {
            Some(b'Q') => ends_in_commit(&first),
            Some(b'P') => {
                let is_commit = parts.next().is_some_and(ends_in_commit);
                note(&mut self.statements, first, is_commit);
                false
            }
            Some(b'B') => {
                let is_commit = parts.next().is_some_and(|statement| self.statements.contains(statement));
                note(&mut self.portals, first, is_commit);
                false
            }
            Some(b'E') => self.portals.contains(&first),
            _ => false,
        }
    }
}

fn note(names: &mut HashSet<Vec<u8>>, name: Vec<u8>, is_commit: bool) {
    if is_commit {
        names.insert(name);
    } else {
        names.remove(&name);
    }
}

/// Whether the last statement of a query text is COMMIT (or END).
fn ends_in_commit(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_uppercase();
    let last = text.split(';').map(str::trim).rfind(|statement| !statement.is_empty()).unwrap_or_default().to_owned();
    matches!(last.split_whitespace().next(), Some("COMMIT" | "END"))
}

#[cfg(test)]
mod tests {
    use super::{CommitWatch, Frame, FrameReader};

    fn frame(kind: u8, body: &[u8]) -> Frame {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        Frame { kind: Some(kind), bytes }
    }

    #[test]
    fn commits_are_seen_in_all_three_spellings() {
        let mut watch = CommitWatch::default();
        assert!(watch.commits(&frame(b'Q', b"COMMIT\0")));
        assert!(watch.commits(&frame(b'Q', b"update t set a = 1; commit;\0")));
        assert!(!watch.commits(&frame(b'Q', b"select 'COMMIT'\0")));
        assert!(!watch.commits(&frame(b'P', b"s1\0COMMIT\0\0\0")));
        assert!(!watch.commits(&frame(b'B', b"\0s1\0\0\0\0\0\0\0")));
        assert!(watch.commits(&frame(b'E', b"\0\0\0\0\0")));
        assert!(!watch.commits(&frame(b'B', b"\0s2\0\0\0\0\0\0\0")));
        assert!(!watch.commits(&frame(b'E', b"\0\0\0\0\0")), "the portal holds another statement now");
    }

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut stream = vec![0, 0, 0, 8, 0, 3, 0, 0];
        stream.extend_from_slice(&frame(b'Q', b"select 1\0").bytes);
        stream.extend_from_slice(&frame(b'X', b"").bytes);
        let mut reader = FrameReader::of_client(stream.as_slice());
        assert_eq!(reader.next().unwrap().kind, None);
        assert_eq!(reader.next().unwrap(), frame(b'Q', b"select 1\0"));
        assert_eq!(reader.next().unwrap().kind, Some(b'X'));
        assert!(reader.next().is_err());
    }
}
