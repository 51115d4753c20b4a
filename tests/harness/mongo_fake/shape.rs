//! What a server says it is: the answers to `hello`.

use super::event::EPOCH;
use bson::oid::ObjectId;
use bson::{DateTime, Document, Timestamp, doc};

/// The set's name.
pub(super) const SET_NAME: &str = "rs0";
/// What 7.0 speaks.
const WIRE_VERSION: i32 = 21;

/// What a server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    role: Role,
    /// Hosts of the set; its own address when empty.
    hosts: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Primary,
    Secondary,
    Arbiter,
    Standalone,
    Mongos,
}

impl Shape {
    /// The primary of a replica set.
    pub fn primary() -> Self {
        Self { role: Role::Primary, hosts: Vec::new() }
    }

    /// A secondary.
    pub fn secondary() -> Self {
        Self { role: Role::Secondary, hosts: Vec::new() }
    }

    /// A member that holds no data.
    pub fn arbiter() -> Self {
        Self { role: Role::Arbiter, hosts: Vec::new() }
    }

    /// No replica set: opening a stream gives a 40573.
    pub fn standalone() -> Self {
        Self { role: Role::Standalone, hosts: Vec::new() }
    }

    /// A router of a sharded cluster.
    pub fn mongos() -> Self {
        Self { role: Role::Mongos, hosts: Vec::new() }
    }

    /// The members that it advertises, each `host:port`, which may not be there.
    #[must_use]
    pub fn hosts(mut self, hosts: &[&str]) -> Self {
        self.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    /// Whether change streams exist here.
    pub(super) fn has_streams(&self) -> bool {
        self.role != Role::Standalone
    }

    /// The answer to `hello` and `isMaster`.
    pub(super) fn hello(&self, port: u16, connection: usize) -> Document {
        let writable = matches!(self.role, Role::Primary | Role::Standalone | Role::Mongos);
        let mut said = doc! {
            "helloOk": true,
            "isWritablePrimary": writable,
            "ismaster": writable,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": DateTime::now(),
            "logicalSessionTimeoutMinutes": 30,
            "connectionId": i32::try_from(connection).unwrap_or(i32::MAX),
            "minWireVersion": 0,
            "maxWireVersion": WIRE_VERSION,
            "readOnly": false,
        };
        match self.role {
            Role::Standalone => {}
            Role::Mongos => drop(said.insert("msg", "isdbgrid")),
            Role::Primary | Role::Secondary | Role::Arbiter => said.extend(self.member(port)),
        }
        said.insert("ok", 1.0);
        said
    }

    fn member(&self, port: u16) -> Document {
        let me = format!("127.0.0.1:{port}");
        let hosts = if self.hosts.is_empty() { vec![me.clone()] } else { self.hosts.clone() };
        let mut said = doc! {
            "setName": SET_NAME,
            "setVersion": 1,
            "me": &me,
            "hosts": &hosts,
            "secondary": self.role == Role::Secondary,
            "lastWrite": {
                "opTime": { "ts": Timestamp { time: EPOCH, increment: 1 }, "t": 1_i64 },
                "lastWriteDate": DateTime::now(),
            },
        };
        match self.role {
            Role::Primary => {
                said.insert("primary", &me);
                said.insert("electionId", ObjectId::from_bytes([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]));
            }
            Role::Arbiter => drop(said.insert("arbiterOnly", true)),
            _ => {}
        }
        said
    }
}
