//! The directory read a second time: listed anew, each file read whole.
//!
//! A file that vanishes after the listing is gone; one that does not stand still, or is no JSON yet, is said to be unreadable under the key
//! that its name gives. Where no key is known, or the listing is not complete, nothing is known of absent keys and the stream is not read.

use super::catalog::{Content, Reader, Unsteady, name_key};
use super::{DirectoryConfig, unsupported};
use crate::failure::{Failure, FailureClass};
use crate::files::root::Root;
use crate::reread::{Nameless, Part, Repeats, Reread, Said, Seen, Taker};
use crate::source::SourceStream;
use landfall_schemas::key::RecordKey;
use std::path::Path;
use std::time::Duration;

/// Looks at a file that changes under them before it is called unreadable.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// A directory to be read a second time.
#[derive(Debug)]
pub struct DirectoryReread {
    config: DirectoryConfig,
    stream: SourceStream,
    reader: Reader,
}

impl DirectoryReread {
    /// For its one stream; opens nothing yet.
    pub fn new(config: DirectoryConfig, streams: Vec<SourceStream>) -> Result<Self, Failure> {
        let Ok([stream]) = <[SourceStream; 1]>::try_from(streams) else {
            return Err(unsupported("a directory is one stream"));
        };
        Ok(Self { config, stream, reader: Reader::default() })
    }

    fn failure(&self, path: &Path, code: &'static str, what: &str) -> Failure {
        let path = self.config.root.join(path);
        Failure::new(FailureClass::Transient, code, format!("{}: {what}", path.display()))
    }

    /// One file. The answer is why absence is not proven because of it.
    fn file(
        &mut self,
        (root, path): (&Root, &Path),
        nameless: &mut Nameless,
        taker: &mut dyn Taker,
    ) -> Result<Option<Failure>, Failure> {
        let spec = &self.stream.key;
        let mut looks = 0;
        let read = loop {
            match self.reader.read(root, path, spec, None) {
                Err(Unsteady::Moved) if looks < ATTEMPTS => {
                    looks += 1;
                    std::thread::sleep(PAUSE);
                }
                read => break read,
            }
        };
        let seen = |key, said| Seen { stream: 0, key, said, chain: 0, part: Part::Sure };
        let mut scratch = RecordKey::default();
        let (key, why) = match &read {
            Err(Unsteady::Gone) => return Ok(None),
            Err(Unsteady::Moved) => (name_key(spec, path, &mut scratch), "it changes while it is read"),
            Ok((entry, range)) => match &entry.content {
                Content::Waiting { key, what, .. } => (key.clone(), what.as_str()),
                Content::Record { key: Some(key), reject: None, .. } => {
                    let raw = self.reader.bytes(range.clone());
                    taker.take(&seen(key, Said::Record(raw)))?;
                    return Ok(None);
                }
                Content::Record { key, reject, hash, .. } => {
                    if key.is_none() {
                        nameless.name(*hash, &mut scratch);
                    }
                    let key = key.as_deref().unwrap_or(scratch.as_bytes());
                    let code = reject.unwrap_or(landfall_schemas::rejection::RejectCode::Malformed);
                    taker.take(&seen(key, Said::Rejected(code)))?;
                    return Ok(None);
                }
            },
        };
        match key {
            Some(key) => taker.take(&seen(&key, Said::Unreadable)).map(|()| None),
            None => Ok(Some(self.failure(path, "unreadable", why))),
        }
    }
}

impl Reread for DirectoryReread {
    fn repeats(&self) -> Repeats {
        Repeats::FirstStands
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        let nowhere = Path::new("");
        let root = Root::open(&self.config.root, self.config.symlinks)
            .map_err(|error| self.failure(nowhere, error.code(), &error.to_string()))?;
        let glob = self.config.glob.clone();
        let listed = root.list(glob.depth(), &mut |path| glob.matches(path));
        let listing = listed.map_err(|error| self.failure(nowhere, error.code(), &error.errno.to_string()))?;
        let mut unread = listing.unreadable.first().map(|error| {
            self.failure(&error.path, "unreadable", "it cannot be listed, so nothing absent is known to be gone")
        });
        for skipped in listing.skipped.iter().filter(|skipped| glob.matches(&skipped.path)) {
            let mut key = RecordKey::default();
            if let Some(key) = name_key(&self.stream.key, &skipped.path, &mut key) {
                taker.take(&Seen { stream: 0, key: &key, said: Said::Unreadable, chain: 0, part: Part::Sure })?;
            } else {
                unread = Some(self.failure(&skipped.path, skipped.reason.name(), "it is not read"));
            }
        }
        let mut nameless = Nameless::default();
        for file in &listing.files {
            let unknown = self.file((&root, &file.path), &mut nameless, taker)?;
            unread = unread.or(unknown);
        }
        Ok(vec![unread])
    }
}
