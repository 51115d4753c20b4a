//! Making a base: the sources of some streams read once more, each record into the file of its stream.

use super::write::BaseFile;
use super::{directory, file, half_made, unusable};
use crate::assemble;
use crate::config::Pipeline;
use crate::verify::{Counted, Progress};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::reread::{NOT_JSON, Repeats, Reread, Said, Seen, Taker};
use landfall_connectors::retry::Pace;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::json::check_syntax;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Readings of a source that is being written to: a half-written file heals sooner.
const TRIES: u32 = 8;
/// Longest pause between two.
const LONGEST: Duration = Duration::from_secs(5);

/// Reads these streams into the base of a checkpoint; how many records it holds. Streams of lines are left out. Nothing stands there when it fails.
pub(crate) async fn take(
    pipeline: &Pipeline,
    streams: &[StreamMapping],
    (checkpoint, progress): (&str, &Progress),
) -> Result<u64, Failure> {
    super::remove(&pipeline.state_dir, checkpoint)?;
    let whole = directory(&pipeline.state_dir, checkpoint);
    let beside = half_made(&whole);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&beside).map_err(|error| unusable(&error))?;
    let mut records = 0;
    for spec in &pipeline.sources {
        let ours: Vec<StreamMapping> = streams.iter().filter(|stream| stream.source == spec.name).cloned().collect();
        if ours.is_empty() {
            continue;
        }
        let reread = assemble::reread(spec, &ours.iter().collect::<Vec<_>>())?;
        if reread.repeats() == Repeats::LastStands {
            continue;
        }
        let (into, progress) = (beside.clone(), progress.clone());
        // Connections are opened and closed off the runtime's threads.
        let read = tokio::task::spawn_blocking(move || read(reread, &ours, &into, &progress)).await;
        let panicked = |_| Failure::new(FailureClass::Fatal, "task_panicked", "reading a source for a base panicked");
        records += read.map_err(panicked)??;
    }
    let renamed = std::fs::rename(&beside, &whole).and_then(|()| {
        let parent = whole.parent().unwrap_or(Path::new("."));
        File::open(&whole)?.sync_all()?;
        File::open(parent)?.sync_all()
    });
    renamed.map_err(|error| unusable(&error))?;
    Ok(records)
}

fn read(
    mut reread: Box<dyn Reread>,
    streams: &[StreamMapping],
    into: &Path,
    progress: &Progress,
) -> Result<u64, Failure> {
    let mut taker = BaseTaker::create(streams, into, progress)?;
    let mut pace = Pace::new();
    for tried in 1.. {
        match whole(&mut *reread, &mut taker) {
            Ok(()) => break,
            Err(failure) if failure.class == FailureClass::Transient && tried < TRIES => {
                tracing::debug!(code = failure.code, "a source is read again: {}", failure.detail);
                std::thread::sleep(pace.next_wait().min(LONGEST));
                taker.restart()?;
            }
            Err(failure) => return Err(failure),
        }
    }
    reread.farewell();
    taker.finish()
}

/// One reading in which every stream was read whole.
fn whole(reread: &mut dyn Reread, taker: &mut BaseTaker) -> Result<(), Failure> {
    match reread.read(taker)?.into_iter().flatten().next() {
        None => Ok(()),
        Some(unread) => Err(unread),
    }
}

struct BaseTaker {
    files: Vec<OneStream>,
}

struct OneStream {
    file: BaseFile,
    counted: Arc<Counted>,
    /// Keys met, where a store can hold one twice: the first stands.
    met: Option<HashSet<KeyHash>>,
    /// A record that is no JSON is being written: its document is read again.
    looked_into: bool,
}

impl BaseTaker {
    fn create(streams: &[StreamMapping], into: &Path, progress: &Progress) -> Result<Self, Failure> {
        let one = |stream: &StreamMapping| {
            let json = stream.format == RecordFormat::Json;
            let file = BaseFile::create(&file(into, &stream.name))?;
            let counted = progress.of(stream.name.as_str());
            Ok(OneStream { file, counted, met: json.then(HashSet::new), looked_into: json })
        };
        Ok(Self { files: streams.iter().map(one).collect::<Result<_, Failure>>()? })
    }

    fn finish(self) -> Result<u64, Failure> {
        self.files.into_iter().map(|stream| stream.file.finish()).sum()
    }
}

impl Taker for BaseTaker {
    fn restart(&mut self) -> Result<(), Failure> {
        for stream in &mut self.files {
            stream.met.iter_mut().for_each(HashSet::clear);
            stream.file.restart()?;
        }
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        let stream = &mut self.files[seen.stream];
        let transient = |code, detail| Err(Failure::new(FailureClass::Transient, code, detail));
        let record = match seen.said {
            Said::Record(record) if stream.looked_into && check_syntax(record).is_err() => {
                return transient(NOT_JSON, "a record is not JSON");
            }
            Said::Record(record) => Ok(record),
            Said::Rejected(code) => Err(code),
            Said::Unreadable => return transient("unreadable", "a record cannot be read now"),
            Said::Deleted => return Ok(()),
        };
        if let Some(met) = &mut stream.met
            && !met.insert(KeyHash::of(seen.key))
        {
            return Ok(());
        }
        stream.counted.record();
        stream.file.add(seen.key, record)
    }
}
