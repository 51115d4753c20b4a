//! The content of an open file, plain or gzip, read by offset.
//!
//! Files are read, never mapped (promise 10). Memory is bounded: a gzip stream is skipped through in pieces. Fails with the
//! system's error; an incomplete gzip stream is `UnexpectedEof`.

use crate::files::root::FileStat;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Piece in which a gzip stream is skipped through.
const SKIP_BYTES: usize = 64 << 10;

/// An open file and how its bytes are stored.
#[derive(Debug)]
pub(super) struct Body {
    file: Arc<File>,
    gzip: Option<Gzip>,
}

/// A gzip stream, its place, and whether there is one yet.
struct Gzip {
    stream: Box<MultiGzDecoder<BufReader<Cursor>>>,
    at: u64,
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Reads a shared file from a place of its own.
struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Gzip {
    fn start(file: &Arc<File>) -> Self {
        let cursor = Cursor { file: Arc::clone(file), at: 0 };
        Self { stream: Box::new(MultiGzDecoder::new(BufReader::new(cursor))), at: 0 }
    }
}

impl Body {
    /// Wraps an open file.
    pub(super) fn new(file: File, compressed: bool) -> Self {
        let file = Arc::new(file);
        let gzip = compressed.then(|| Gzip::start(&file));
        Self { file, gzip }
    }

    /// As it stands now.
    pub(super) fn stat(&self) -> io::Result<FileStat> {
        FileStat::of(&*self.file).map_err(io::Error::from)
    }

    /// Reads at `at` (of the content, not of the stored bytes) until `buf` is full or the content ends; returns the bytes
    /// read. Going back in a gzip stream reads it anew from its start.
    pub(super) fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        if let Some(gzip) = &mut self.gzip {
            if at < gzip.at {
                *gzip = Gzip::start(&self.file);
            }
            if !skip(gzip, at)? {
                return Ok(0);
            }
        }
        while filled < buf.len() {
            let read = match &mut self.gzip {
                Some(gzip) => {
                    let read = gzip.stream.read(&mut buf[filled..]);
                    gzip.at += *read.as_ref().unwrap_or(&0) as u64;
                    read
                }
                None => self.file.read_at(&mut buf[filled..], at + filled as u64),
            };
            match read {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Length of the content; a gzip stream is read to its end for it.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        match &mut self.gzip {
            Some(gzip) => skip(gzip, u64::MAX).map(|_| gzip.at),
            None => Ok(self.stat()?.size),
        }
    }

    /// Reads a short stretch, for comparing it; shorter than asked at the end of the content.
    pub(super) fn stretch(&mut self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.read_at(at, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Moves forward to `at`; `false` if the content ends before.
fn skip(gzip: &mut Gzip, at: u64) -> io::Result<bool> {
    let mut scratch = vec![0; if at > gzip.at { SKIP_BYTES } else { 0 }];
    while gzip.at < at {
        let most = usize::try_from(at - gzip.at).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
        match gzip.stream.read(&mut scratch[..most]) {
            Ok(0) => return Ok(false),
            Ok(read) => gzip.at += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Open bodies by generation, the most recently used ones: bounds descriptors however many files there are.
#[derive(Debug, Default)]
pub(super) struct OpenBodies {
    open: std::collections::HashMap<Arc<str>, (Body, u64)>,
    uses: u64,
}

impl OpenBodies {
    /// Most files held open: those written last, so that a rotated or deleted one is read to its end.
    pub(super) const MAX: usize = 64;

    /// The body of a generation, if it is held.
    pub(super) fn get(&mut self, slot: &Arc<str>) -> Option<&mut Body> {
        self.uses += 1;
        let (body, used) = self.open.get_mut(slot)?;
        *used = self.uses;
        Some(body)
    }

    /// Looks at a held body without counting it as a use.
    pub(super) fn peek(&self, slot: &Arc<str>) -> Option<&Body> {
        self.open.get(slot).map(|(body, _)| body)
    }

    /// Holds a body, letting go of the one used longest ago.
    pub(super) fn hold(&mut self, slot: &Arc<str>, body: Body) {
        if self.open.len() >= Self::MAX && !self.open.contains_key(slot) {
            let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(slot, _)| Arc::clone(slot));
            if let Some(oldest) = oldest {
                self.open.remove(&oldest);
            }
        }
        self.uses += 1;
        self.open.insert(Arc::clone(slot), (body, self.uses));
    }

    /// How many are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Lets go of a body.
    pub(super) fn release(&mut self, slot: &Arc<str>) {
        self.open.remove(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_gzip_body_reads_back_and_forth_like_a_plain_one() {
        let dir = std::env::temp_dir().join(format!("landfall-body-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).unwrap();
        std::fs::write(dir.join("a.gz"), gz.finish().unwrap()).unwrap();
        let mut body = Body::new(File::open(dir.join("a.gz")).unwrap(), true);
        for at in [0usize, 700_000, 10, 799_990, 400_000] {
            let read = body.stretch(at as u64, 100).unwrap();
            assert_eq!(read, &text[at..(at + 100).min(text.len())]);
        }
        assert_eq!(body.stretch(800_000, 10).unwrap(), b"");
        assert_eq!(body.stretch(900_000, 10).unwrap(), b"");
    }

    #[test]
    fn only_so_many_bodies_are_held() {
        let mut held = OpenBodies::default();
        let slot = |n: usize| -> Arc<str> { n.to_string().into() };
        for n in 0..OpenBodies::MAX + 5 {
            held.hold(&slot(n), Body::new(File::open("/dev/null").unwrap(), false));
            held.get(&slot(0));
        }
        assert_eq!(held.open.len(), OpenBodies::MAX);
        assert!(held.peek(&slot(0)).is_some(), "the one in use stays");
        assert!(held.peek(&slot(1)).is_none());
    }
}
