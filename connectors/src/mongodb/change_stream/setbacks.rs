//! What becomes of a stream that cannot be opened or read: tried again, opened otherwise, or halted.
//!
//! | trouble | then |
//! |---|---|
//! | passing | closed, and opened anew from the same place after a wait that grows; longer for an overloaded source and refused access |
//! | the token is not found | opened once by time; it must begin with the event seen last, else halt |
//! | the token is that of an invalidation | opened behind it |
//! | an option is not known | tried out once what is |
//! | the source's time lies before what was captured, or its log is without the last event | on a primary halt (`token_ahead`); a secondary is waited for (`source_behind`) |
//! | another replica set or database | halt (`source_changed`) |
//! | log lost, event too large, … | halt |

use super::opening::{Standing, Witness};
use super::position::{Fingerprint, Position};
use super::tail::Refused;
use super::{MongoSource, QUIET_SAVE, State};
use crate::failure::{Failure, FailureClass};
use crate::mongodb::classify::Trouble;
use crate::source::Ruling;
use std::time::{Duration, Instant};

/// The least wait for a source that says it is overloaded.
const OVERLOADED_WAIT: Duration = Duration::from_secs(5);
/// The least wait where a person has to do something first.
const MENDED_WAIT: Duration = Duration::from_secs(10);

/// Whether a new start leads out of the state with this code, and so a comparison in place of a new copy may too.
pub fn loses_the_place(code: &str) -> bool {
    new_start(code).is_some()
}

/// Halts out of which a new start leads: the place is lost, or cannot be passed. With each, who tells the choices.
const NEW_START: [(&str, Choices); 11] = [
    ("history_lost", Choices::ToBeTold),
    ("token_ahead", Choices::ToBeTold),
    ("token_not_matched", Choices::ToBeTold),
    ("source_changed", Choices::ToBeTold),
    ("stream_invalidated", Choices::ToBeTold),
    ("event_too_large", Choices::ToBeTold),
    ("images_missing", Choices::ToBeTold),
    ("malformed_event", Choices::Told),
    ("position_too_large", Choices::Told),
    ("position_unreadable", Choices::Told),
    ("source_error", Choices::ToBeTold),
];

/// Whether a failure tells on its own what an operator may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choices {
    Told,
    ToBeTold,
}

/// The choices of a halt out of which a new start leads.
fn new_start(code: &str) -> Option<Choices> {
    NEW_START.iter().find(|(known, _)| *known == code).map(|(_, choices)| *choices)
}

/// What the choices are, behind a lost place.
const CHOICES: &str = "Nothing is captured meanwhile and nothing in the target was touched. Accept, and capture takes a new start now and every \
     collection of this source is copied again over the rows there are; accept with --compare, and nothing is copied: what changed \
     in between is found and written by `landfall verify --repair`; or bring back the source that has the missing changes and start \
     the service again";

/// Why the stream is not open.
pub(super) enum Setback {
    /// The server, or the way to it, refused.
    Refused(Refused),
    /// Goes away by itself.
    Passing(Failure),
    /// Needs an operator.
    Final(Failure),
    /// The cursor was closed without an error.
    Ended,
}

impl Setback {
    pub(super) fn of(failure: Failure) -> Self {
        if failure.class == FailureClass::Transient { Self::Passing(failure) } else { Self::Final(failure) }
    }

    pub(super) fn ended() -> Self {
        Self::Ended
    }
}

impl From<Refused> for Setback {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl MongoSource {
    /// Closes the stream and decides what comes next.
    pub(super) fn set_back(&mut self, setback: Setback) {
        if matches!(self.state, State::Open(_)) {
            self.reopened += 1;
        }
        self.fragments.clear();
        match setback {
            Setback::Ended => self.ended(),
            Setback::Passing(failure) => self.wait_for(failure, Duration::ZERO),
            Setback::Final(failure) => self.halt(failure),
            Setback::Refused(refused) => self.refused(refused),
        }
    }

    /// An invalidation ends a stream, and another one begins behind it. Servers close cursors otherwise too; the wait keeps one that
    /// does it at once from being asked at full speed.
    fn ended(&mut self) {
        if self.progress.position.as_ref().is_some_and(|position| position.invalidated) {
            self.state = State::due();
        } else {
            let failure = Failure::new(
                FailureClass::Transient,
                "source_interrupted",
                "the source closed the change stream; opening it anew",
            );
            self.wait_for(failure, Duration::ZERO);
        }
    }

    fn refused(&mut self, refused: Refused) {
        let Refused { trouble, failure } = refused;
        let server = &mut self.server;
        match (trouble, &mut self.progress.position) {
            (Trouble::TokenNotMatched, Some(position)) if position.token().is_some() && !server.by_time => {
                tracing::warn!("the source does not find the place of the last change; looking for it by its time");
                server.by_time = true;
                self.state = State::due();
            }
            (Trouble::Invalidated, Some(position)) if !position.invalidated && !server.by_time => {
                position.invalidated = true;
                self.state = State::due();
            }
            (Trouble::OptionRefused, _) if !server.probed => {
                self.state = State::due();
                if let Err(setback) = self.probe() {
                    match setback {
                        Setback::Refused(again) if again.trouble == Trouble::OptionRefused => self.halt(again.failure),
                        Setback::Refused(again) => self.wait_or_halt(again),
                        other => self.set_back(other),
                    }
                }
            }
            _ => self.wait_or_halt(Refused { trouble, failure }),
        }
    }

    fn wait_or_halt(&mut self, refused: Refused) {
        if refused.trouble.class() != FailureClass::Transient {
            return self.halt(refused.failure);
        }
        let least = match refused.trouble {
            Trouble::Overloaded => OVERLOADED_WAIT,
            Trouble::AccessDenied | Trouble::Other => MENDED_WAIT,
            _ => Duration::ZERO,
        };
        self.wait_for(refused.failure, least);
    }

    fn wait_for(&mut self, failure: Failure, least: Duration) {
        let wait = self.pace.next_wait().max(least);
        tracing::warn!(code = failure.code, wait_ms = wait.as_millis() as u64, "{}", failure.detail);
        self.state = State::Closed { due: Instant::now() + wait, why: Some(failure), lost: self.contact.is_lost() };
    }

    /// Stops reading until an operator decides.
    pub(super) fn halt(&mut self, mut failure: Failure) {
        if new_start(failure.code) == Some(Choices::ToBeTold) {
            failure.detail = format!("{}. {CHOICES}", failure.detail);
        }
        tracing::error!(code = failure.code, "{}", failure.detail);
        self.fragments.clear();
        self.state = State::Halted(failure);
    }

    /// An operator's word on a halt: whether it was about the present one.
    pub(super) fn decided(&mut self, subject: &str, ruling: Ruling) -> bool {
        match &self.state {
            State::Halted(failure) if failure.code == subject => {
                if ruling != Ruling::Refuse {
                    if new_start(failure.code).is_some() {
                        self.start_anew(ruling);
                    }
                    self.server.probed = false;
                    self.state = State::due();
                    self.wake.ring();
                }
                true
            }
            _ => false,
        }
    }

    /// Forgets the place: the stream opens from now. What was in between is copied, or (`Compare`) found by whoever compares.
    fn start_anew(&mut self, ruling: Ruling) {
        self.progress.position = None;
        self.server.by_time = false;
        // The new place is worth a sync of its own: the lost one would halt the next start again.
        self.progress.saved = Instant::now().checked_sub(QUIET_SAVE).unwrap_or(self.progress.saved);
        if ruling == Ruling::Accept {
            self.progress.to_begin = self.taking.streams().iter().map(|stream| stream.id).collect();
        }
    }
}

/// Whether the source that answers is the one whose place is kept, and has come as far.
pub(super) fn check(position: &Position, standing: &Standing, now: &Fingerprint) -> Result<(), Setback> {
    let kept = &position.fingerprint;
    if kept.database != now.database {
        return Err(changed(&format!("database {} was captured, and it is {} now", kept.database, now.database)));
    }
    if kept.set != now.set {
        let name = |set: &Option<String>| set.clone().unwrap_or_else(|| "(none)".to_owned());
        return Err(changed(&format!(
            "replica set {} was captured, and it is {} now",
            name(&kept.set),
            name(&now.set)
        )));
    }
    match standing.operation_time {
        Some(time) if time < position.seen && standing.primary => {
            Err(went_back("its time is before what was captured"))
        }
        Some(time) if time < position.seen && !standing.router => Err(behind()),
        _ => Ok(()),
    }
}

/// What to make of the look for the last event that was captured.
pub(super) fn testify(witness: Witness) -> Result<(), Setback> {
    match witness {
        Witness::Found | Witness::Unknown => Ok(()),
        Witness::Missing => Err(went_back("the last change that was captured is not in its log, and later ones are")),
        Witness::NotYet => Err(behind()),
    }
}

fn went_back(sign: &str) -> Setback {
    let detail = format!(
        "the source went back: {sign}. It was restored, or lost changes in a crash, and the rows of those changes may be in the \
         target"
    );
    Setback::Final(Failure::new(FailureClass::Halt, "token_ahead", detail))
}

fn behind() -> Setback {
    Setback::Passing(Failure::new(
        FailureClass::Transient,
        "source_behind",
        "the source that answers does not show the last change that was captured yet; waiting for it to catch up",
    ))
}

fn changed(what: &str) -> Setback {
    Setback::Final(Failure::new(FailureClass::Halt, "source_changed", format!("this is another source: {what}")))
}

/// The event seen last is not in the log at its time.
pub(super) fn not_matched() -> Failure {
    Trouble::TokenNotMatched.failure("looking for the last change by its time", None)
}

/// A server without a clock of its operations.
pub(super) fn without_time() -> Setback {
    let detail = "the source tells no operationTime, which change streams are resumed by: MongoDB 4.4 and later do";
    Setback::Final(Failure::new(FailureClass::Halt, "source_version", detail))
}
