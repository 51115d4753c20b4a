//! What a running service answers on its control socket.
//!
//! Owns nothing of its own: it finds the stream that is meant and hands on. What is ordered is stored in the target before it is done.

use crate::assemble::{Decision, Target};
use crate::config::Pipeline;
use crate::control::protocol::CheckpointVerb;
use crate::control::server::{Decide, GoOn, SetControl};
use crate::control::{ControlHandler, Refused};
use crate::doubt;
use crate::log_dial::{LogDial, LogLevel};
use crate::overview::Overview;
use crate::redress::{Done, Order, redress};
use crate::replay;
use crate::replay::cut::{self, CutReport};
use crate::replay::into::{self, IntoVerb};
use crate::service::Service;
use crate::status::{StatusReport, StreamCondition};
use landfall_connectors::checkpoints::Word;
use landfall_connectors::control::Change;
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::StreamName;
use std::sync::Arc;

/// Answers the control socket.
pub(crate) struct Handler {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) overview: Arc<Overview>,
    pub(crate) service: Arc<Service>,
    pub(crate) target: Arc<Target>,
    pub(crate) log: LogDial,
}

impl Handler {
    /// Whether a stream is held or halted by this name now.
    fn stands(&self, stream: &str, subject: &str) -> Result<(), Refused> {
        let report = self.overview.report();
        let Some(stream) = report.streams.iter().find(|known| known.name == stream) else {
            return Err(Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"));
        };
        let stands = match &stream.condition {
            StreamCondition::Held { revision, .. } => revision == subject,
            StreamCondition::Halted(trouble) => trouble.code == subject,
            _ => false,
        };
        let detail = "nothing by this name is held or halted in the stream now; `landfall status` shows what is";
        if stands { Ok(()) } else { Err(Refused::new("nothing_held", detail)) }
    }
}

impl ControlHandler for Handler {
    fn pipeline(&self) -> &str {
        &self.pipeline.name
    }

    async fn status(&self) -> StatusReport {
        self.overview.report()
    }

    async fn go_on(&self, order: GoOn) -> Result<(), Refused> {
        self.stands(&order.stream, &order.subject)?;
        doubt::go_on(&self.service, &self.target, (&order.stream, order.subject, &order.actor)).await
    }

    async fn redress(&self, order: Order, after: i64) -> Result<Done, Refused> {
        let unknown = || Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them");
        let found = self.service.streams.find(&order.stream).ok_or_else(unknown)?;
        let target = Arc::clone(&self.target);
        let done = found.desk.ask(move |rest| redress(target, rest, order, after)).await;
        self.service.letterbox.look_again();
        done.map_err(|failure| Refused::new(failure.code, failure.detail))
    }

    async fn replay(&self, order: replay::Order) -> Result<replay::Standing, Refused> {
        replay::turn(&self.service, &self.target, order).await
    }

    async fn beside(&self, what: IntoVerb) -> Result<Vec<String>, Refused> {
        let to = (&*self.pipeline, &*self.target);
        match what {
            IntoVerb::Examine { schema } => return into::examine(&self.service, to.0, &schema),
            IntoVerb::Follow { schema, checkpoint, ours } => {
                into::follow(&self.service, to, (&schema, checkpoint, ours)).await?;
            }
            IntoVerb::Swap { schema, uncompared, actor } => {
                let to = (&self.pipeline, &self.target);
                Box::pin(into::swap(&self.service, to, (schema, uncompared, actor))).await?;
            }
            IntoVerb::Drop { schema, actor } => into::end(&self.service, to, (&schema, &actor)).await?,
        }
        Ok(Vec::new())
    }

    async fn log_level(&self, level: LogLevel, actor: String) -> Result<(), Refused> {
        if !self.log.turn(level) {
            let detail = "the log of this process was not set up by landfall";
            return Err(Refused::new("log_is_fixed", detail));
        }
        tracing::warn!(code = "log_level", %actor, "the log is at {level:?} from here on");
        Ok(())
    }

    async fn checkpoint(&self, what: CheckpointVerb) -> Result<Vec<CutReport>, Refused> {
        cut::attend(&self.target, &self.service.held(), what).await
    }

    async fn positions(&self, source: String) -> Result<PositionTable, Refused> {
        let held = self.service.held();
        let found = held.iter().find(|held| held.source == source);
        found.map(|held| held.queue.positions()).ok_or_else(|| {
            Refused::new("unknown_source", "no source has this name; `landfall status` lists the streams of all")
        })
    }

    async fn shown(&self, streams: Vec<(String, String)>) -> Result<(), Refused> {
        doubt::settle(&self.service, &self.target, streams).await
    }

    async fn decide(&self, decide: Decide) -> Result<(), Refused> {
        self.stands(&decide.stream, &decide.subject)?;
        let unusable = |_| Refused::new("unknown_stream", "no stream has this name");
        let name = StreamName::new(&decide.stream).map_err(unusable)?;
        let word = if decide.accept { Decision::Accept } else { Decision::Refuse };
        self.target
            .decide(&name, &decide.subject, word, &decide.actor)
            .await
            .map_err(|failure| Refused::new(failure.code, &failure.detail))?;
        let Decide { stream, subject, accept, actor } = decide;
        self.service.decide(&stream, Word { subject, accept, actor });
        Ok(())
    }

    async fn repair(&self, stream: String) -> Result<u64, Refused> {
        let found = self.service.streams.find(&stream);
        let found = found
            .ok_or_else(|| Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"))?;
        let keys = crate::verify::keys_to_repair(&self.pipeline.state_dir, &stream);
        let keys = keys.map_err(|failure| Refused::new(failure.code, failure.detail))?;
        let count = keys.len() as u64;
        self.service.sources[found.source].capture.doubt(found.id, keys);
        Ok(count)
    }

    async fn mark(&self, streams: Vec<String>) -> Result<Vec<(String, u64)>, Refused> {
        crate::mark::mark(&self.service, streams).await
    }

    async fn control(&self, wanted: SetControl) -> Result<(), Refused> {
        let known = |name: &String| self.service.streams.find(name);
        let streams: Option<Vec<_>> = wanted.streams.iter().map(known).collect();
        let Some(streams) = streams else {
            return Err(Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"));
        };
        let names: Vec<_> = streams.iter().map(|stream| stream.mapping.name.clone()).collect();
        let (change, said) = (Change::from(wanted.change), (wanted.actor.as_str(), wanted.reason.as_str()));
        self.target
            .control(&names, change, said)
            .await
            .map_err(|failure| Refused::new(failure.code, &failure.detail))?;
        for stream in streams {
            // Not read yet: what is read is what was just stored.
            if let Some(control) = stream.brake.control() {
                stream.brake.set(control.after(change, said));
            }
        }
        Ok(())
    }
}
