//! Rules: what happens at which command, in place of the usual answer or around it.

use super::event;
use bson::{Document, RawDocumentBuf};
use std::time::Duration;

/// The name under which rules find aggregates that open a change stream.
pub(super) const STREAM: &str = "$changeStream";

/// A rule. Made with [`Rule::on`], which command; narrowed with [`Rule::skip`], [`Rule::connection`], [`Rule::holding`]; happens once
/// unless [`Rule::times`] or [`Rule::always`] says otherwise.
#[derive(Clone, Debug)]
pub struct Rule {
    command: String,
    connection: Option<usize>,
    holding: Option<String>,
    skip: u32,
    times: u32,
    pub(super) pause: Duration,
    pub(super) act: Act,
}

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The usual answer.
    Usual,
    /// This answer.
    Reply(RawDocumentBuf),
    /// No answer; the connection is closed.
    Close,
    /// So many bytes of the usual answer, then the connection is closed.
    Cut(usize),
    /// So many bytes of the usual answer, then silence.
    Stall(usize),
    /// Bytes that are no message.
    Garble,
    /// The usual answer, changed.
    Change(fn(Document) -> Document),
}

impl Rule {
    /// At a command of this name; `$changeStream` for the aggregate that opens a stream, `*` for every command but `hello`.
    pub fn on(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            connection: None,
            holding: None,
            skip: 0,
            times: 1,
            pause: Duration::ZERO,
            act: Act::Usual,
        }
    }

    /// Lets the first `count` pass.
    #[must_use]
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Only on this connection, counted from 0.
    #[must_use]
    pub fn connection(mut self, number: usize) -> Self {
        self.connection = Some(number);
        self
    }

    /// Only when the command, printed, holds `text`.
    #[must_use]
    pub fn holding(mut self, text: &str) -> Self {
        self.holding = Some(text.to_owned());
        self
    }

    /// Happens so many times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// Happens every time.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// Waits before whatever follows.
    #[must_use]
    pub fn delay(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Answers with this, whole: `ok` is not added.
    #[must_use]
    pub fn reply(self, body: &Document) -> Self {
        self.reply_raw(RawDocumentBuf::try_from(body).expect("a document can be written"))
    }

    /// Answers with these bytes.
    #[must_use]
    pub fn reply_raw(mut self, body: RawDocumentBuf) -> Self {
        self.act = Act::Reply(body);
        self
    }

    /// Answers with an error, without a label.
    #[must_use]
    pub fn fail(self, code: i32) -> Self {
        self.fail_labelled(code, &[])
    }

    /// Answers with an error and its labels.
    #[must_use]
    pub fn fail_labelled(self, code: i32, labels: &[&str]) -> Self {
        self.reply(&event::failure(code, labels))
    }

    /// Changes the usual answer.
    #[must_use]
    pub fn change(mut self, how: fn(Document) -> Document) -> Self {
        self.act = Act::Change(how);
        self
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.act = Act::Close;
        self
    }

    /// Sends so many bytes of the usual answer and closes the connection. A header has 16.
    #[must_use]
    pub fn cut(mut self, bytes: usize) -> Self {
        self.act = Act::Cut(bytes);
        self
    }

    /// Sends so many bytes of the usual answer and then nothing, on an open connection. 0 never answers.
    #[must_use]
    pub fn stall(mut self, bytes: usize) -> Self {
        self.act = Act::Stall(bytes);
        self
    }

    /// Answers with bytes that are no message.
    #[must_use]
    pub fn garble(mut self) -> Self {
        self.act = Act::Garble;
        self
    }

    /// Whether it has happened as often as it should.
    pub(super) fn is_spent(&self) -> bool {
        self.times == 0
    }

    /// Takes the command, if it fits and it is this rule's turn.
    pub(super) fn takes(&mut self, connection: usize, name: &str, body: &Document) -> bool {
        let watching = matches!(name, "hello" | "isMaster" | "ismaster");
        let named = self.command == name
            || (self.command == "*" && !watching)
            || (self.command == STREAM && name == "aggregate" && opens_stream(body));
        let fits = named
            && !self.is_spent()
            && self.connection.is_none_or(|number| number == connection)
            && self.holding.as_ref().is_none_or(|text| body.to_string().contains(text));
        if !fits {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.times < u32::MAX {
            self.times -= 1;
        }
        true
    }
}

/// Whether this aggregate opens a change stream.
pub(super) fn opens_stream(body: &Document) -> bool {
    let first = body.get_array("pipeline").ok().and_then(|pipeline| pipeline.first()?.as_document().cloned());
    first.is_some_and(|stage| stage.contains_key(STREAM))
}
