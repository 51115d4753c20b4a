//! Reading: open, pull, hand out.
//!
//! Owns the order of things: a stream is opened before a copy is begun, the barriers of the copies come before any change, a position
//! comes with (never before) the changes it covers, and not in the middle of a split event.

use super::handing_out::HandingOut;
use super::opening::{self, Begin, Standing};
use super::position::{Fingerprint, Position};
use super::setbacks::{self, Setback};
use super::tail::{Pulled, Tail};
use super::{MongoSource, QUIET_SAVE, State};
use crate::failure::{Failure, FailureClass};
use crate::mongodb::client::connect_watched;
use crate::mongodb::collection::{Kind, collections};
use landfall_schemas::event::ChangeBatch;
use mongodb::Client;
use std::time::Instant;

impl MongoSource {
    /// Opens the stream where capture stands, or takes a start.
    pub(super) fn open(&mut self) {
        let runtime = self.runtime.clone();
        match runtime.block_on(Box::pin(self.try_open())) {
            Ok(tail) => {
                tracing::info!(database = self.config.database, "following the changes of the source");
                self.log.reopened();
                self.state = State::Open(Box::new(tail));
            }
            Err(setback) => self.set_back(setback),
        }
    }

    async fn try_open(&mut self) -> Result<Tail, Setback> {
        let client = self.client().await?;
        let standing = opening::standing(&client).await?;
        let fingerprint = self.fingerprint(&standing);
        if let Some(position) = &self.progress.position {
            setbacks::check(position, &standing, &fingerprint)?;
            if position.witnessed && position.fingerprint.options == fingerprint.options {
                let (abilities, time) = (self.server.abilities, position.cluster_time);
                setbacks::testify(opening::witness(&client, &self.config, abilities, time).await?)?;
            }
        }
        let begin = match &self.progress.position {
            None => Begin::Now,
            Some(position) => match position.token() {
                Some(token) if !self.server.by_time && position.invalidated => Begin::BehindInvalidation(token),
                Some(token) if !self.server.by_time => Begin::Behind(token),
                _ => Begin::At(position.cluster_time),
            },
        };
        let (cursor, reply) = opening::open(&client, &self.config, self.server.abilities, begin).await?;
        let mut proof = None;
        match &mut self.progress.position {
            None => {
                // The time was asked before the stream was opened, so that nothing falls between.
                let at = standing.operation_time.or(reply.operation_time).ok_or_else(setbacks::without_time)?;
                let token = reply.token().filter(|_| reply.is_empty());
                self.progress.position = Some(Position::start(token, at, fingerprint));
                self.progress.moved = true;
            }
            Some(position) => {
                // A token of another kind of stream need not be found. One of this kind must be, unless the log is another one.
                let same = position.fingerprint.options == fingerprint.options;
                proof = (self.server.by_time && same && position.witnessed).then_some(position.cluster_time);
                position.fingerprint = fingerprint;
            }
        }
        self.discover(&client).await?;
        let mut tail = Tail::new(cursor, proof);
        tail.reply = Some(reply).filter(|reply| !reply.is_empty());
        Ok(tail)
    }

    /// Makes streams of the collections that are there and that a pattern wants. The stream is open already: what is made from here on
    /// is in it.
    async fn discover(&mut self, client: &Client) -> Result<(), Setback> {
        if !self.taking.grows() {
            return Ok(());
        }
        let there = collections(&client.database(&self.config.database), None).await.map_err(Setback::of)?;
        let plain: Vec<&str> =
            there.iter().filter(|found| found.kind == Kind::Plain).map(|found| found.name.as_str()).collect();
        let met = self.taking.meet(&plain).map_err(Setback::of)?;
        self.progress.to_begin.extend(met);
        Ok(())
    }

    async fn client(&mut self) -> Result<Client, Setback> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = connect_watched(&self.config, self.contact.clone()).await.map_err(Setback::of)?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn fingerprint(&self, standing: &Standing) -> Fingerprint {
        Fingerprint {
            database: self.config.database.clone(),
            set: standing.set.clone(),
            options: self.server.abilities.spell(self.config.capture),
        }
    }

    /// Finds out what the server can do, since it refused something.
    pub(super) fn probe(&mut self) -> Result<(), Setback> {
        let Some(client) = self.client.clone() else { return Ok(()) };
        let abilities = self.runtime.block_on(Box::pin(opening::probe(&client, &self.config)))?;
        tracing::info!(options = abilities.spell(self.config.capture), "what the source's change streams can do");
        self.server.abilities = abilities;
        self.server.probed = true;
        Ok(())
    }

    /// Waits for a reply, at most as long as the source awaits a change, and keeps it. A stream that is not open stays as it is.
    pub(super) fn pull(&mut self) {
        self.measure();
        let State::Open(tail) = &mut self.state else { return };
        match self.runtime.block_on(tail.pull()) {
            Ok(Pulled::Reply(reply)) => {
                self.pace.succeeded();
                self.server.heard = Some(Instant::now());
                self.server.quiet = reply.is_empty();
                self.server.time = reply.operation_time.or(self.server.time);
                if let (Some(position), Some(time)) = (&mut self.progress.position, reply.operation_time) {
                    position.seen = position.seen.max(time);
                }
                tail.reply = Some(reply);
            }
            Ok(Pulled::Ended) => self.set_back(Setback::ended()),
            Err(refused) => self.set_back(refused.into()),
        }
    }

    /// Hands out what the last reply holds, as far as the batch has room.
    pub(super) fn hand_out(&mut self, batch: &mut ChangeBatch) {
        self.taking.begin_batch();
        let taken = self.begin_copies(batch).and_then(|()| self.take_events(batch));
        let outcome = match taken {
            // A new stream could not be registered now: what came before it is handed out, and its event is read again.
            Err(failure) if failure.class == FailureClass::Transient => self.save(batch).map(|()| Some(failure)),
            Err(failure) => Err(failure),
            Ok(()) => self.save(batch).map(|()| None),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(passing)) => self.set_back(Setback::of(passing)),
            Err(failure) => self.halt(failure),
        }
    }

    /// The barriers of streams whose copy is to be begun; each is marked in the same batch.
    fn begin_copies(&mut self, batch: &mut ChangeBatch) -> Result<(), Failure> {
        let Some(at) = self.progress.position.as_ref().map(|position| position.cluster_time) else { return Ok(()) };
        self.progress.abandoned.drain(..).for_each(|mark| batch.reached(mark));
        while !batch.is_full()
            && let Some(stream) = self.progress.to_begin.pop()
        {
            self.taking.begin(stream, at, batch);
        }
        Ok(())
    }

    fn take_events(&mut self, batch: &mut ChangeBatch) -> Result<(), Failure> {
        let (State::Open(tail), Some(position)) = (&mut self.state, &mut self.progress.position) else { return Ok(()) };
        let Tail { reply: Some(reply), proof, .. } = &mut **tail else { return Ok(()) };
        if !self.progress.to_begin.is_empty() {
            return Ok(());
        }
        let mut hands = HandingOut { taking: &mut self.taking, fragments: &mut self.fragments, position, proof };
        let moved = hands.take(reply, batch);
        self.progress.moved |= *moved.as_ref().unwrap_or(&true);
        self.server.by_time &= !self.progress.moved;
        moved?;
        self.cover();
        Ok(())
    }

    /// Lets a reply go that is handed out, and moves to its end.
    pub(super) fn cover(&mut self) {
        let (State::Open(tail), Some(position)) = (&mut self.state, &mut self.progress.position) else { return };
        let Tail { reply, proof, .. } = &mut **tail;
        let Some(spent) = reply.take_if(|reply| reply.is_spent()) else { return };
        let mut hands = HandingOut { taking: &mut self.taking, fragments: &mut self.fragments, position, proof };
        if hands.cover(&spent) {
            self.progress.moved = true;
            self.server.by_time = false;
        }
    }

    /// Adds the position, where it is worth a sync.
    fn save(&mut self, batch: &mut ChangeBatch) -> Result<(), Failure> {
        let Some(position) = &self.progress.position else { return Ok(()) };
        let quiet_long = self.progress.saved.elapsed() >= QUIET_SAVE;
        if batch.is_empty() && !(self.progress.moved && quiet_long) {
            return Ok(());
        }
        batch.reached(position.update()?);
        self.progress.moved = false;
        self.progress.saved = Instant::now();
        Ok(())
    }

    fn measure(&mut self) {
        let (Some(client), Some(position)) = (&self.client, &self.progress.position) else { return };
        if self.log.is_due() && position.fingerprint.set.is_some() {
            let captured = if self.server.quiet { position.seen } else { position.cluster_time };
            self.runtime.block_on(Box::pin(self.log.measure(client, captured, position.seen)));
        }
    }
}
