//! Making a base: the sources of some streams read once more, each record into the file of its stream; of lines those that stand.

use super::last_lines::LastLines;
use super::write::BaseFile;
use super::{directory, file, half_made, unusable};
use crate::assemble;
use crate::config::Pipeline;
use crate::verify::{Counted, Progress};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::reread::{NOT_JSON, Reread, Said, Seen, Taker};
use landfall_connectors::retrace::Retrace;
use landfall_connectors::retry::Pace;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::json::check_syntax;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::position::PositionTable;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Readings of a source that is being written to: a half-written file heals sooner.
const TRIES: u32 = 8;
/// Longest pause between two.
const LONGEST: Duration = Duration::from_secs(5);

/// Where the captures of sources stand, by name: asked after the cut was made.
pub(crate) type Positions = BTreeMap<String, PositionTable>;

/// Reads these streams into the base of a checkpoint; the files of lines that are gone, and so no part of it. Nothing stands there when it fails.
pub(crate) async fn take(
    pipeline: &Pipeline,
    (streams, positions): (&[StreamMapping], &Positions),
    (checkpoint, progress): (&str, &Progress),
) -> Result<Vec<PathBuf>, Failure> {
    super::remove(&pipeline.state_dir, checkpoint)?;
    let whole = directory(&pipeline.state_dir, checkpoint);
    let beside = half_made(&whole);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&beside).map_err(|error| unusable(&error))?;
    let mut gone = Vec::new();
    for spec in &pipeline.sources {
        let ours: Vec<StreamMapping> = streams.iter().filter(|stream| stream.source == spec.name).cloned().collect();
        if ours.is_empty() {
            continue;
        }
        let list: Vec<&StreamMapping> = ours.iter().collect();
        let known = positions.get(spec.name.as_str()).cloned().unwrap_or_default();
        let (into, progress) = (beside.clone(), progress.clone());
        // Connections are opened and closed off the runtime's threads.
        let read = match assemble::retrace(spec, &list, &known) {
            Some(retrace) => tokio::task::spawn_blocking(move || lines(retrace, &ours, &into, &progress)).await,
            None => {
                let reread = assemble::reread(spec, &list)?;
                tokio::task::spawn_blocking(move || read(reread, &ours, &into, &progress)).await
            }
        };
        let panicked = |_| Failure::new(FailureClass::Fatal, "task_panicked", "reading a source for a base panicked");
        gone.extend(read.map_err(panicked)??);
    }
    let renamed = std::fs::rename(&beside, &whole).and_then(|()| {
        let parent = whole.parent().unwrap_or(Path::new("."));
        File::open(&whole)?.sync_all()?;
        File::open(parent)?.sync_all()
    });
    renamed.map_err(|error| unusable(&error))?;
    Ok(gone)
}

fn read(
    mut reread: Box<dyn Reread>,
    streams: &[StreamMapping],
    into: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, Failure> {
    let mut taker = BaseTaker::create(streams, into, progress)?;
    patiently(|again| {
        if again {
            taker.restart()?;
        }
        whole(&mut *reread, &mut taker)
    })?;
    reread.farewell();
    taker.finish()?;
    Ok(Vec::new())
}

/// Reads until one reading was whole; `read` hears whether there was another before.
fn patiently<O>(mut read: impl FnMut(bool) -> Result<O, Failure>) -> Result<O, Failure> {
    let (mut pace, mut tried) = (Pace::new(), 0);
    loop {
        tried += 1;
        match read(tried > 1) {
            Err(failure) if failure.class == FailureClass::Transient && tried < TRIES => {
                tracing::debug!(code = failure.code, "a source is read again: {}", failure.detail);
                std::thread::sleep(pace.next_wait().min(LONGEST));
            }
            read => return read,
        }
    }
}

/// The lines that stand in a source; its files that are gone.
fn lines(
    mut retrace: Box<dyn Retrace>,
    streams: &[StreamMapping],
    into: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, Failure> {
    let counted: Vec<_> = streams.iter().map(|stream| progress.of(stream.name.as_str())).collect();
    let create = |stream: &StreamMapping| LastLines::create(into.join(format!("{}.lines", stream.name)));
    let mut all = streams.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    let gone = patiently(|again| {
        if again {
            all.iter_mut().try_for_each(LastLines::restart)?;
        }
        retrace.read(&mut |line| {
            counted[line.stream].record();
            all[line.stream].add(line.key, line.said, &line.moment)
        })
    })?;
    for (lines, stream) in all.into_iter().zip(streams) {
        let mut base = BaseFile::create(&file(into, &stream.name))?;
        lines.finish(&mut base)?;
        base.finish()?;
    }
    Ok(gone)
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

    fn finish(self) -> Result<(), Failure> {
        self.files.into_iter().try_for_each(|stream| stream.file.finish().map(drop))
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
