//! A stream whose place in its source's log is lost goes on from now, and what changed in between is found by a comparison.
//!
//! The other way out of a lost place is to copy everything again, which writes every row anew. Here nothing is copied: the target remembers,
//! before the source hears of it, that each stream of that source is in doubt; the source opens its log now; and `verify --repair` captures again
//! exactly what differs. Until a comparison has shown a stream to be equal it is not ready, over restarts too. Each doubt has a name, and a
//! comparison settles the one that stood when it began: one that is raised meanwhile is looked for again (promise 6, promise 15).

use crate::assemble::Target;
use crate::control::Refused;
use crate::service::Service;
use landfall_connectors::checkpoints::Leftovers;
use landfall_connectors::mongodb::loses_the_place;
use landfall_connectors::source::{Decision, Ruling};
use landfall_schemas::stream::StreamName;

/// Code of a stream in doubt.
pub(crate) const NOT_COMPARED: &str = "not_compared";

/// Whether a stream halted with this code may go on without a copy.
pub(crate) fn may_go_on(code: &str) -> bool {
    loses_the_place(code)
}

/// Has the source of a halted stream go on from now. The caller has seen that `subject` is what it halted in.
pub(crate) async fn go_on(
    service: &Service,
    target: &Target,
    (stream, subject, actor): (&str, String, &str),
) -> Result<(), Refused> {
    let found =
        service.streams.find(stream).ok_or_else(|| Refused::new("unknown_stream", "no stream has this name"))?;
    if service.sources[found.source].leftovers == Leftovers::Compared || !may_go_on(&subject) {
        let detail = "in this state nothing was lost that a comparison would find: accept it without --compare";
        return Err(Refused::new("nothing_to_compare", detail));
    }
    let siblings: Vec<_> = service.streams.all().into_iter().filter(|known| known.source == found.source).collect();
    let names: Vec<StreamName> = siblings.iter().map(|known| known.mapping.name.clone()).collect();
    target.doubt(&names, &subject, actor).await.map_err(|failure| Refused::new(failure.code, failure.detail))?;
    siblings.iter().for_each(|known| known.progress.doubted());
    let decision = Decision { stream: found.id, subject, ruling: Ruling::Compare };
    service.sources[found.source].capture.decide(decision);
    Ok(())
}

/// Notes that a comparison that began while these doubts stood has shown their streams to be equal.
pub(crate) async fn settle(service: &Service, target: &Target, shown: Vec<(String, String)>) -> Result<(), Refused> {
    for (stream, doubt) in shown {
        let Some(found) = service.streams.find(&stream) else { continue };
        let stands = found.progress.view().resync.is_some_and(|name| name.to_string() == doubt);
        let source = &service.sources[found.source];
        if stands && source.leftovers == Leftovers::Kept {
            let noted = target.resynchronised(&found.mapping.name, source.queue.id()).await;
            noted.map_err(|failure| Refused::new(failure.code, failure.detail))?;
            found.progress.resynchronised();
            tracing::info!(stream, "compared after changes were lost: it is equal to its source");
        }
    }
    Ok(())
}
