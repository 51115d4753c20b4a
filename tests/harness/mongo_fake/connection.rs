//! One connection: reads commands, finds their rule, answers.

use super::answer;
use super::rule::{Act, Rule};
use super::wire::Request;
use super::{Seen, Stage};
use bson::{Document, RawDocumentBuf};
use std::io::{Result, Write};
use std::net::{Shutdown, TcpStream};
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
    drop(state);
    let connection = Connection { stage: Arc::clone(stage), client, number, port };
    std::thread::spawn(move || connection.serve());
}

struct Connection {
    stage: Arc<Stage>,
    client: TcpStream,
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
        let _ = self.client.set_nodelay(true);
        // Whatever breaks the connection ends it; the client sees that.
        while let Ok(Some(request)) = Request::read(&mut self.client) {
            if !matches!(self.take(&request), Ok(Next::Read)) {
                break;
            }
        }
        let _ = self.client.shutdown(Shutdown::Both);
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
        state.seen.push(Seen { connection: self.number, name, body: request.body.clone() });
        found
    }

    fn usual(&self, request: &Request) -> RawDocumentBuf {
        answer::usual(&self.stage, &request.body, (self.port, self.number))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<Next> {
        self.client.write_all(bytes)?;
        Ok(Next::Read)
    }
}
