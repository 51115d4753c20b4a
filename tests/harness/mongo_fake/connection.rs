//! One connection: reads commands, finds their rule, answers.

use super::answer;
use super::line::Line;
use super::rule::{Act, Rule};
use super::wire::Request;
use super::{Seen, Stage};
use bson::{Document, RawDocumentBuf};
use std::io::{Result, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Takes a connection, unless the server is down.
pub(super) fn admit(stage: &Arc<Stage>, client: TcpStream, port: u16) {
    let mut state = stage.state();
    if state.refusing {
        return;
    }
    let number = state.connections;
    state.connections += 1;
    state.sockets.extend(client.try_clone());
    let Some(line) = Line::new(client, state.tls.as_ref()) else { return };
    drop(state);
    let connection = Connection { stage: Arc::clone(stage), line, number, port };
    std::thread::spawn(move || connection.serve());
}

struct Connection {
    stage: Arc<Stage>,
    line: Line,
    number: usize,
    port: u16,
}

/// How it goes on after an answer.
enum Next {
    Read,
    Close,
}

impl Connection {
    fn serve(mut self) {
        // Whatever breaks the connection ends it; the client sees that.
        while let Ok(Some(request)) = Request::read(&mut self.line) {
            if !matches!(self.take(&request), Ok(Next::Read)) {
                break;
            }
        }
        self.line.close();
    }

    fn take(&mut self, request: &Request) -> Result<Next> {
        let rule = self.rule_for(request);
        if let Some(rule) = &rule {
            std::thread::sleep(rule.pause);
        }
        if !request.wants_answer {
            return Ok(Next::Read);
        }
        match rule.map_or(Act::Usual, |rule| rule.act) {
            Act::Usual => self.send(&request.answer(&self.usual(request))),
            Act::Change(how) => {
                let usual = Document::try_from(&self.usual(request)).expect("an answer that is changed can be decoded");
                let changed = RawDocumentBuf::try_from(&how(usual)).expect("a document can be written");
                self.send(&request.answer(&changed))
            }
            Act::Reply(body) => self.send(&request.answer(&body)),
            Act::Close => Ok(Next::Close),
            Act::Cut(bytes) => {
                let whole = request.answer(&self.usual(request));
                self.send(&whole[..bytes.min(whole.len())])?;
                Ok(Next::Close)
            }
            Act::Stall(bytes) => {
                let whole = request.answer(&self.usual(request));
                self.send(&whole[..bytes.min(whole.len())])
            }
            Act::Garble => self.send(&[0xff; 64]),
        }
    }

    fn rule_for(&self, request: &Request) -> Option<Rule> {
        let name = request.name().to_owned();
        let mut state = self.stage.state();
        let found = state.rules.iter_mut().find_map(|rule| {
            let takes = rule.takes(self.number, &name, &request.body);
            takes.then(|| rule.clone())
        });
        let (body, compressed) = (request.body.clone(), request.compressed);
        state.seen.push(Seen { connection: self.number, name, body, compressed });
        found
    }

    fn usual(&self, request: &Request) -> RawDocumentBuf {
        answer::usual(&self.stage, &request.body, (self.port, self.number))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<Next> {
        self.line.write_all(bytes)?;
        self.line.flush()?;
        Ok(Next::Read)
    }
}
