//! The two sides of one source's streams, read side by side: what is on disk already is not read again.

use super::comparison::{Comparison, Reading};
use super::fingerprint::Places;
use super::progress::Progress;
use super::run_state::{RunState, SidePart};
use super::sample::Sample;
use super::source_side::{ReadSource, SourceSide};
use super::target_side;
use crate::supervise::beside::beside;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::reread::Repeats;
use landfall_schemas::mapping::StreamMapping;

/// What could not be read: of one stream, or (`None`) of the whole source.
pub(super) type Lost = Vec<(Option<String>, Failure)>;

/// A stream's name, and whom its sides belong to.
type Named = (String, String);

impl Comparison<'_> {
    /// Reads the sides that are not on disk yet.
    pub(super) async fn read_sides(
        &self,
        mut reread: Reading,
        (repeats, places): (Repeats, Places),
        state: &mut RunState,
    ) -> Result<(Reading, Lost), Failure> {
        let names: Vec<Named> = self.streams().map(|stream| (stream.name.to_string(), self.identity(stream))).collect();
        let known = names.iter().filter(|(name, identity)| state.stream(name, identity).source.is_some()).count();
        let lacking = known < names.len();
        if lacking && known > 0 {
            // They are read together: what is written over must not be remembered.
            names.iter().for_each(|(name, identity)| state.stream(name, identity).source = None);
            state.save()?;
        }
        let files: Vec<_> = names.iter().map(|(name, _)| state.spill(name, "source")).collect();
        let (streams, started_ms) = (self.streams().cloned().collect::<Vec<_>>(), self.clock.now_ms());
        let (sample, progress) = (self.sample, self.progress.clone());
        let reading = move || {
            if !lacking {
                return Ok((reread, None));
            }
            let by_reference: Vec<&StreamMapping> = streams.iter().map(AsRef::as_ref).collect();
            let read = read_source(&mut reread, &by_reference, (repeats, &files), (sample, &progress));
            Ok((reread, Some(read)))
        };
        let mut lost = Lost::new();
        let targets = self.read_targets(&names, places, (state, &mut lost));
        let (read, done) = beside("second reading", reading, targets).await;
        done?;
        let (reread, read) = read?;
        match read {
            None => names.iter().for_each(|(name, _)| self.progress.of(name).source_is_read()),
            Some(Err(failure)) => lost.push((None, failure)),
            Some(Ok(read)) => self.keep_source(&names, (read, started_ms), (state, &mut lost))?,
        }
        Ok((reread, lost))
    }

    async fn read_targets(
        &self,
        names: &[Named],
        places: Places,
        (state, lost): (&mut RunState, &mut Lost),
    ) -> Result<(), Failure> {
        for (stream, (name, identity)) in self.streams().zip(names) {
            if state.stream(name, identity).target.is_some() {
                self.progress.of(name).target_is_read();
                continue;
            }
            let counted = self.progress.of(name);
            let (file, started_ms) = (state.spill(name, "target"), self.clock.now_ms());
            let how = (self.sample, &*counted);
            match target_side::read(self.target, stream, (places, &file), how).await {
                Ok(read) => {
                    state.stream(name, identity).target = Some(SidePart {
                        started_ms,
                        ended_ms: self.clock.now_ms(),
                        events: read.applied.events,
                        generations: read.applied.generations,
                        perhaps: 0,
                        spilled: read.spilled,
                    });
                    state.save()?;
                    counted.target_is_read();
                    fail::fail_point!("verify::after_target");
                }
                Err(failure) => lost.push((Some(name.clone()), failure)),
            }
        }
        Ok(())
    }

    fn keep_source(
        &self,
        names: &[Named],
        (read, started_ms): (ReadStreams, u64),
        (state, lost): (&mut RunState, &mut Lost),
    ) -> Result<(), Failure> {
        let ended_ms = self.clock.now_ms();
        for ((name, identity), (read, unread)) in names.iter().zip(read) {
            if let Some(failure) = unread {
                lost.push((Some(name.clone()), failure));
                continue;
            }
            let (spilled, (events, perhaps)) = (read.spilled, read.seen);
            let part = SidePart { started_ms, ended_ms, spilled, events, perhaps, generations: 0 };
            state.stream(name, identity).source = Some(part);
            self.progress.of(name).source_is_read();
        }
        state.save()?;
        fail::fail_point!("verify::after_source");
        Ok(())
    }
}

type ReadStreams = Vec<(ReadSource, Option<Failure>)>;

fn read_source(
    reread: &mut Reading,
    streams: &[&StreamMapping],
    (repeats, files): (Repeats, &[std::path::PathBuf]),
    how: (Sample, &Progress),
) -> Result<ReadStreams, Failure> {
    let mut side = SourceSide::create(streams, repeats, files, how)?;
    let unread = reread.read(&mut side)?;
    let read = side.finish()?;
    if read.len() != unread.len() {
        return Err(Failure::new(
            FailureClass::Fatal,
            "reread_broken",
            "a source spoke of other streams than were asked",
        ));
    }
    Ok(read.into_iter().zip(unread).collect())
}
