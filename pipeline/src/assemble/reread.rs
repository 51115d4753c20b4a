//! Sources as they are read a second time, by their kind in the configuration.

use super::source_stream;
use crate::capture::Rereading;
use crate::config::{SourceKind, SourceSpec};
use crate::queue::Queue;
use crate::streams::Streams;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::files::directory::{DirectoryConfig, DirectoryReread};
use landfall_connectors::files::document::{DocumentConfig, DocumentReread};
use landfall_connectors::files::lines::{LinesConfig, LinesReread, LinesRetrace};
use landfall_connectors::mongodb::MongoReread;
use landfall_connectors::reread::Reread;
use landfall_connectors::retrace::Retrace;
use landfall_connectors::source::SourceStream;
use landfall_connectors::sqlite::{SqliteConfig, SqliteReread};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::StreamId;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A second reading of these streams of a source, in this order. Opens nothing yet.
pub(crate) fn reread(spec: &SourceSpec, streams: &[&StreamMapping]) -> Result<Box<dyn Reread>, Failure> {
    let streams = numbered(streams);
    let (symlinks, cadence) = (spec.symlinks, spec.cadence);
    Ok(match spec.kind.clone() {
        SourceKind::Document { dir: root, file } => {
            Box::new(DocumentReread::new(DocumentConfig { root, file, cadence, symlinks }, streams)?)
        }
        SourceKind::Directory { dir: root, pattern: glob } => {
            Box::new(DirectoryReread::new(DirectoryConfig { root, glob, cadence, symlinks }, streams)?)
        }
        SourceKind::Lines { dir, pattern, format } => {
            Box::new(LinesReread::new(LinesConfig { dir, pattern, symlinks, format, cadence }, streams))
        }
        SourceKind::Sqlite { dir: root, file, capture } => {
            Box::new(SqliteReread::new(SqliteConfig { root, file, cadence, symlinks, capture }, streams))
        }
        SourceKind::Mongo { config, .. } => Box::new(MongoReread::new(*config, streams, Handle::current())),
    })
}

/// The lines of these streams as capture has read them up to its positions; `None`: it is no source of lines. Opens nothing yet.
pub(crate) fn retrace(
    spec: &SourceSpec,
    streams: &[&StreamMapping],
    positions: &PositionTable,
) -> Option<Box<dyn Retrace>> {
    let SourceKind::Lines { dir, pattern, format } = spec.kind.clone() else { return None };
    let config = LinesConfig { dir, pattern, symlinks: spec.symlinks, format, cadence: spec.cadence };
    Some(Box::new(LinesRetrace::new(config, numbered(streams), positions.clone())))
}

fn numbered(streams: &[&StreamMapping]) -> Vec<SourceStream> {
    streams.iter().zip(0..).map(|(mapping, number)| source_stream(StreamId(number), mapping)).collect()
}

/// What makes second readings of a source's streams, those that come while the service runs among them.
pub(super) fn rereading(
    (spec, source): (SourceSpec, usize),
    queue: Arc<dyn Queue>,
    streams: Arc<Streams>,
) -> Rereading {
    let runtime = Handle::current();
    Box::new(move |stream| {
        let _context = runtime.enter();
        let found = streams.all().into_iter().find(|known| known.source == source && known.id == stream);
        let found = found.ok_or_else(|| {
            Failure::new(FailureClass::Transient, "stream_unknown", "a stream that is not there cannot be read again")
        })?;
        let mut reread = reread(&spec, &[&*found.mapping])?;
        reread.know_order(&queue.positions());
        Ok(reread)
    })
}
