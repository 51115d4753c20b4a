//! A span: while its batch is under way, and as it is handed over.

use super::Sampler;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// What a span is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// A batch of captured changes is made durable.
    Append,
    /// A batch of changes is committed to the target.
    Apply,
    /// A chunk of a copy is.
    Copy,
    /// All partitions pass a barrier together.
    Barrier,
}

impl Name {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Apply => "apply",
            Self::Copy => "copy",
            Self::Barrier => "barrier",
        }
    }
}

/// Names a trace: 16 random bytes, shown as 32 hex digits (W3C Trace Context).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TraceId(pub(super) [u8; 16]);

impl TraceId {
    /// `None`: the system has no randomness to give.
    pub(super) fn random() -> Option<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok().map(|()| Self(id))
    }

    /// The span of a trace that has one: its id is the random half of the trace's.
    pub(super) fn span(self) -> SpanId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.0[8..]);
        // An id of zeros is none.
        id[7] |= 1;
        SpanId(id)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Names a span in its trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SpanId([u8; 8]);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What an attribute says: a name of the configuration, a word of ours, or a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// A name.
    Name(String),
    /// A word.
    Word(&'static str),
    /// A count.
    Count(u64),
}

impl From<&'static str> for Said {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<u64> for Said {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<String> for Said {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) name: Name,
    pub(super) trace: TraceId,
    /// Unix nanoseconds.
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) said: Vec<(&'static str, Said)>,
    /// The code of what made it fail.
    pub(super) failed: Option<&'static str>,
}

/// A span under way; of what is not sampled, nothing. Dropped unended it is as if it had not begun.
#[derive(Debug)]
pub(crate) struct OpenSpan(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    span: Span,
    /// How long it takes is not told by the clock, which may be set meanwhile.
    since: Instant,
    sampler: Arc<Sampler>,
}

impl OpenSpan {
    /// Of what is not sampled.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    pub(super) fn begun(name: Name, trace: TraceId, sampler: Arc<Sampler>) -> Self {
        let began = sampler.now_ns();
        let span = Span { name, trace, began, ended: began, said: Vec::with_capacity(12), failed: None };
        Self(Some(Box::new(Begun { span, since: Instant::now(), sampler })))
    }

    /// Whether there is anything to say.
    pub(crate) fn is_sampled(&self) -> bool {
        self.0.is_some()
    }

    /// For the log: how whoever reads a line finds the span.
    pub(crate) fn trace_id(&self) -> Option<tracing::field::DisplayValue<TraceId>> {
        self.0.as_ref().map(|begun| tracing::field::display(begun.span.trace))
    }

    /// Says something of the batch; what was said under this name before is replaced.
    pub(crate) fn say(&mut self, name: &'static str, said: impl Into<Said>) {
        let Some(begun) = &mut self.0 else { return };
        let said = said.into();
        match begun.span.said.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = said,
            None => begun.span.said.push((name, said)),
        }
    }

    /// The batch failed for good.
    pub(crate) fn fail(&mut self, code: &'static str) {
        if let Some(begun) = &mut self.0 {
            begun.span.failed = Some(code);
        }
    }

    /// Ends it now and hands it over.
    pub(crate) fn end(self) {
        let Some(begun) = self.0 else { return };
        let Begun { mut span, since, sampler } = *begun;
        let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        span.ended = span.began.saturating_add(took);
        sampler.hand_over(span);
    }
}
