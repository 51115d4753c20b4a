//! Who answers: the hosts that the URI names, and the members that they advertise.
//!
//! A driver follows the *advertised* names of a set. Behind a tunnel or in a container they often lead nowhere, while the host of the
//! URI answers: the commonest fault of a set-up, and one that an ordinary client shows as "no server found". So every host of the
//! URI is asked alone, and each advertised name is tried. Nothing is changed; each step has its own limit.

use super::client;
use super::config::MongoConfig;
use crate::failure::Failure;
use bson::{Document, doc};
use mongodb::Client;
use mongodb::options::{ClientOptions, ServerAddress};
use std::time::Duration;

/// How long one host may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// How long one advertised name may take to accept a connection.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
/// Most hosts asked: a set has at most 50 members.
const MOST_HOSTS: usize = 50;

/// What a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerKind {
    /// A member of a replica set.
    ReplicaSet,
    /// A router of a sharded cluster.
    Router,
    /// Neither: it has no change streams.
    Standalone,
}

/// A host and whether it answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// `name:port`.
    pub address: String,
    /// It accepted a connection.
    pub answers: bool,
}

/// Who answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The hosts of the URI.
    pub seeds: Vec<Host>,
    /// The members that they advertise; empty for routers and with `directConnection=true`, where they do not matter.
    pub members: Vec<Host>,
    /// What answered first; `None`: nothing did.
    pub kind: Option<ServerKind>,
    /// Name of the set.
    pub set: Option<String>,
    /// The URI names a set by another name than this.
    pub other_set: Option<String>,
    /// The connection to the host that answered is encrypted.
    pub encrypted: bool,
}

/// Asks every host of the URI.
pub async fn reach(config: &MongoConfig) -> Result<Reach, Failure> {
    let options = client::options(config).await?;
    let direct = options.direct_connection == Some(true);
    let mut reach = Reach {
        seeds: Vec::new(),
        members: Vec::new(),
        kind: None,
        set: None,
        other_set: None,
        encrypted: matches!(options.tls, Some(mongodb::options::Tls::Enabled(_))),
    };
    let mut advertised = Vec::new();
    for host in options.hosts.iter().take(MOST_HOSTS) {
        let hello = hello(&options, host).await;
        reach.seeds.push(Host { address: host.to_string(), answers: hello.is_some() });
        let Some(hello) = hello else { continue };
        if reach.kind.is_none() {
            reach.kind = Some(kind_of(&hello));
            reach.set = hello.get_str("setName").ok().map(str::to_owned);
            reach.other_set = options.repl_set_name.clone().filter(|named| reach.set.as_ref() != Some(named));
        }
        for member in members_of(&hello) {
            if !advertised.contains(&member) {
                advertised.push(member);
            }
        }
    }
    if !direct {
        for address in advertised.into_iter().take(MOST_HOSTS) {
            let answers = probe(&address).await;
            reach.members.push(Host { address, answers });
        }
    }
    Ok(reach)
}

/// What one host says of itself, whatever its part.
async fn hello(options: &ClientOptions, host: &ServerAddress) -> Option<Document> {
    let mut options = options.clone();
    options.hosts = vec![host.clone()];
    options.direct_connection = Some(true);
    options.load_balanced = None;
    options.repl_set_name = None;
    // `hello` needs no user, and a wrong password is told apart later.
    options.credential = None;
    options.server_selection_timeout = Some(HELLO_LIMIT);
    options.connect_timeout = Some(HELLO_LIMIT);
    let client = Client::with_options(options).ok()?;
    let answer = client.database("admin").run_command(doc! { "hello": 1 }).await.ok();
    client.shutdown().await;
    answer
}

async fn probe(address: &str) -> bool {
    let connecting = tokio::net::TcpStream::connect(address);
    tokio::time::timeout(PROBE_LIMIT, connecting).await.is_ok_and(|connected| connected.is_ok())
}

fn kind_of(hello: &Document) -> ServerKind {
    if hello.get_str("msg").is_ok_and(|said| said == "isdbgrid") {
        ServerKind::Router
    } else if hello.contains_key("setName") || hello.get_bool("isreplicaset").unwrap_or(false) {
        ServerKind::ReplicaSet
    } else {
        ServerKind::Standalone
    }
}

fn members_of(hello: &Document) -> Vec<String> {
    let named = |list| hello.get_array(list).into_iter().flatten().filter_map(|host| host.as_str().map(str::to_owned));
    ["hosts", "passives"].into_iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_what_it_is() {
        assert_eq!(kind_of(&doc! {"msg": "isdbgrid"}), ServerKind::Router);
        assert_eq!(kind_of(&doc! {"setName": "rs"}), ServerKind::ReplicaSet);
        assert_eq!(kind_of(&doc! {"isreplicaset": true}), ServerKind::ReplicaSet, "not initiated yet");
        assert_eq!(kind_of(&doc! {"isWritablePrimary": true}), ServerKind::Standalone);
        let hello = doc! {"hosts": ["a:1", "b:2"], "passives": ["c:3"], "arbiters": ["d:4"]};
        assert_eq!(members_of(&hello), ["a:1", "b:2", "c:3"]);
    }
}
