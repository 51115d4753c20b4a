//! A MongoDB source: who answers, what our user may do, whether its changes can be followed, what its collections are.
//!
//! Turns facts into findings; the facts are the connector's. Codes are stable: runbooks name them.

use super::finding::{Finding, Level};
use crate::config::{Pipeline, Template};
use landfall_connectors::failure::Failure;
use landfall_connectors::mongodb::collection::{CollectionFacts, Kind};
use landfall_connectors::mongodb::facts::{self, LogFacts, MongoFacts, Seen, ShardKey, StreamFacts};
use landfall_connectors::mongodb::reach::{Host, Reach, ServerKind};
use landfall_connectors::mongodb::rights::Rights;
use landfall_connectors::mongodb::{Capture, MongoConfig};
use landfall_schemas::mapping::{Select, StreamMapping};
use landfall_schemas::stream::SourceName;
use std::time::Duration;

/// First version whose errors say by label whether a stream can be resumed.
const OLDEST: (u32, u32) = (4, 4);
/// First version with post-images.
const IMAGES: (u32, u32) = (6, 0);
/// A log shorter than a night and a morning is lost while nobody looks.
const SHORT_LOG: Duration = Duration::from_secs(24 * 3_600);

pub(super) async fn look(pipeline: &Pipeline, source: &SourceName, config: &MongoConfig) -> Vec<Finding> {
    let streams: Vec<_> = pipeline.streams_of(source).collect();
    let name = source.as_str();
    let wanted = |collection: &str| {
        streams.iter().any(|stream| collection_of(stream) == Some(collection))
            || pipeline.template_of(source, collection).is_some()
    };
    match facts::look(config, &wanted).await {
        Err(failure) => vec![failed(name, &failure)],
        Ok(Seen::Unusable(reach, failure)) => unusable(name, config, &reach, failure.as_ref()),
        Ok(Seen::Whole(facts)) => {
            let mut findings = whole(name, config, &facts, &streams);
            if !facts.list_refused {
                let templates = pipeline.templates.iter().filter(|template| template.common.source == *source);
                findings.extend(templates.flat_map(|template| matching((pipeline, template), config, &facts)));
            }
            findings
        }
    }
}

/// The collections that fall to a pattern now: how many, and what is the matter with some.
fn matching((pipeline, template): (&Pipeline, &Template), config: &MongoConfig, facts: &MongoFacts) -> Vec<Finding> {
    let name = template.common.name.as_str();
    let ours = |found: &&CollectionFacts| {
        let falls_to = pipeline.template_of(&template.common.source, &found.name);
        found.kind == Kind::Plain && falls_to.is_some_and(|other| other.common.name == template.common.name)
    };
    let (mut fit, mut findings) = (0_usize, Vec::new());
    for found in facts.collections.iter().filter(ours) {
        match template.stream(&found.name) {
            Err(why) => {
                let message = format!("collection {} matches the pattern and is left out: {why}", found.name);
                findings.push(Finding::warn(name, "collection_left_out", message).suggest("an entry of its own"));
            }
            Ok(stream) => {
                fit += 1;
                let all_well = |finding: &Finding| finding.level == Level::Pass;
                findings.extend(collection(&stream, config, facts).into_iter().filter(|finding| !all_well(finding)));
            }
        }
    }
    let message = format!("collections that match {} now: {fit}", template.pattern.as_str());
    findings.insert(0, Finding::pass(name, "pattern_matches", message));
    findings
}

fn collection_of<'a>(stream: &&'a StreamMapping) -> Option<&'a str> {
    match &stream.select {
        Select::Collection(name) => Some(name),
        Select::Whole | Select::Pointer(_) => None,
    }
}

fn failed(name: &str, failure: &Failure) -> Finding {
    let suggestion = match failure.code {
        "source_unreachable" => "is the server running, and does the URI name its hosts and ports?",
        "source_access_denied" => "the user, its password, and authSource in the URI (often authSource=admin)",
        "source_uri" => "mend the uri of the source",
        _ => "mend it, then check again; nothing was changed",
    };
    Finding::fail(name, failure.code, failure.detail.clone()).suggest(suggestion)
}

fn unusable(name: &str, config: &MongoConfig, reach: &Reach, failure: Option<&Failure>) -> Vec<Finding> {
    let mut findings = hosts(name, reach);
    if reach.kind == Some(ServerKind::Standalone) {
        let message = format!("the server of database {} is standalone: it has no change streams", config.database);
        findings.push(Finding::fail(name, "not_a_replica_set", message).suggest(
            "start it with --replSet rs0, then rs.initiate() once: a set of one member is enough, data stays as it is",
        ));
    }
    findings.extend(failure.map(|failure| failed(name, failure)));
    findings
}

fn whole(name: &str, config: &MongoConfig, facts: &MongoFacts, streams: &[&StreamMapping]) -> Vec<Finding> {
    let mut findings = hosts(name, &facts.reach);
    findings.push(server(name, config, facts));
    findings.push(encryption(name, facts.reach.encrypted));
    findings.push(opened(name, &facts.stream));
    findings.push(user(name, &facts.rights));
    findings.extend(rights(name, config, facts, streams));
    findings.push(log(name, facts));
    if !facts.list_refused {
        findings.extend(streams.iter().flat_map(|stream| collection(stream, config, facts)));
    }
    findings
}

fn hosts(name: &str, reach: &Reach) -> Vec<Finding> {
    let lost =
        |hosts: &[Host]| hosts.iter().filter(|host| !host.answers).map(|host| host.address.clone()).collect::<Vec<_>>();
    let (seeds, members) = (lost(&reach.seeds), lost(&reach.members));
    let mut findings = Vec::new();
    if seeds.len() == reach.seeds.len() {
        let message = format!("no host of the URI answers: {}", seeds.join(", "));
        let advice = "is the server running, and are host, port, firewall and TLS (tls=true) right?";
        findings.push(Finding::fail(name, "source_unreachable", message).suggest(advice));
        return findings;
    }
    if !seeds.is_empty() {
        let message = format!("hosts of the URI that do not answer: {}", seeds.join(", "));
        findings.push(Finding::warn(name, "source_host_silent", message).suggest("mend or leave them out"));
    }
    if !members.is_empty() {
        let message =
            format!("the URI's host answers, but members that the set advertises do not: {}", members.join(", "));
        let advice = "let this machine resolve and reach those names; directConnection=true in the URI for a tunnel or a \
                      container of one member (then there is no failover)";
        let finding = match members.len() == reach.members.len() {
            true => Finding::fail(name, "source_members_unreachable", message),
            false => Finding::warn(name, "source_members_unreachable", message),
        };
        findings.push(finding.suggest(advice));
    }
    if let (Some(other), Some(set)) = (&reach.other_set, &reach.set) {
        let message = format!("the URI says replicaSet={other}, and the set is called {set}");
        findings.push(Finding::fail(name, "source_set_name", message).suggest(format!("replicaSet={set}")));
    }
    findings
}

fn server(name: &str, config: &MongoConfig, facts: &MongoFacts) -> Finding {
    let what = match (&facts.reach.set, facts.reach.kind) {
        (_, Some(ServerKind::Router)) => "sharded cluster".to_owned(),
        (Some(set), _) => format!("replica set {set}"),
        (None, _) => "replica set that is not initiated".to_owned(),
    };
    let message = format!("MongoDB {}, {what}, database {}", facts.version, config.database);
    let version = version_of(&facts.version);
    if version.is_some_and(|version| version < OLDEST) {
        return Finding::fail(name, "source_too_old", message).suggest("a server of version 4.4 or later");
    }
    if config.capture == Capture::Images && version.is_some_and(|version| version < IMAGES) {
        return Finding::fail(name, "source_too_old", message + ": no post-images")
            .suggest("capture: lookup, or a server of version 6.0 or later");
    }
    Finding::pass(name, "source_reachable", message)
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn encryption(name: &str, encrypted: bool) -> Finding {
    match encrypted {
        true => Finding::pass(name, "source_encryption", "the connection is encrypted"),
        false => {
            Finding::pass(name, "source_encryption", "the connection is clear text (tls=true in the URI encrypts it)")
        }
    }
}

fn opened(name: &str, stream: &StreamFacts) -> Finding {
    match &stream.opens {
        Err(failure) => failed(name, failure),
        Ok(()) if !stream.split => {
            let message =
                "the change stream opens, but the server cannot split changes over 16 MB: one would halt the source";
            Finding::warn(name, "stream_without_split", message)
                .suggest("MongoDB 6.0.9 or 7.0; else keep documents below 8 MB")
        }
        Ok(()) if !stream.expanded => {
            let message = "the change stream opens, without details of created and renamed collections";
            Finding::warn(name, "stream_not_expanded", message).suggest("MongoDB 6.0 or later")
        }
        Ok(()) => Finding::pass(name, "stream_opens", "the change stream of the database opens"),
    }
}

fn user(name: &str, rights: &Rights) -> Finding {
    match &rights.user {
        Some(user) => Finding::pass(name, "source_user", format!("logged in as {user}")),
        None => Finding::warn(
            name,
            "source_without_user",
            "nobody is logged in: the server asks for no user, or only of others",
        )
        .suggest("a user of landfall's own with role read on the database"),
    }
}

fn rights(name: &str, config: &MongoConfig, facts: &MongoFacts, streams: &[&StreamMapping]) -> Vec<Finding> {
    let database = config.database.as_str();
    let mut missing = Vec::new();
    for (action, collection) in [("changeStream", ""), ("find", ""), ("listCollections", "")] {
        if !facts.rights.allow(action, database, collection) {
            // Copies need `find` on their collections only; the stream needs it on all of the database.
            missing.push(format!("{action} on {database}"));
        }
    }
    if facts.list_refused && missing.is_empty() {
        missing.push(format!("listCollections on {database}"));
    }
    for collection in streams.iter().filter_map(|stream| collection_of(stream)) {
        if !facts.rights.allow("find", database, collection) {
            missing.push(format!("find on {database}.{collection}"));
        }
    }
    if missing.is_empty() {
        return vec![Finding::pass(name, "source_rights", "find, changeStream and listCollections are allowed")];
    }
    let message = format!("our user lacks: {}", missing.join(", "));
    let who = facts.rights.user.as_deref().and_then(|user| user.split('@').next()).unwrap_or("USER").to_owned();
    let advice = format!("db.grantRolesToUser(\"{who}\", [{{ role: \"read\", db: \"{database}\" }}])");
    vec![Finding::fail(name, "source_rights_missing", message).suggest(advice)]
}

fn log(name: &str, facts: &MongoFacts) -> Finding {
    match facts.log {
        LogFacts::Reaches(window) => {
            let hours = window.as_secs_f64() / 3_600.0;
            let message = format!("the source's log reaches back {hours:.1} h");
            if window < SHORT_LOG {
                return Finding::warn(name, "log_short", message + ": capture may stand still for no longer")
                    .suggest("a larger oplog: replSetResizeOplog with minRetentionHours (a new set grows into it)");
            }
            Finding::pass(name, "log_window", message)
        }
        LogFacts::Denied => Finding::warn(
            name,
            "log_unreadable",
            "our user may not read local.oplog.rs: how far the log reaches is not known",
        )
        .suggest("optional: a role with find on { db: \"local\", collection: \"oplog.rs\" }, for headroom in status"),
        LogFacts::Unknown => Finding::pass(name, "log_unknown", "how far the source's log reaches is not known here"),
    }
}

fn collection(stream: &StreamMapping, config: &MongoConfig, facts: &MongoFacts) -> Vec<Finding> {
    let name = stream.name.as_str();
    let Some(wanted) = collection_of(&stream) else { return Vec::new() };
    let Some(found) = facts.collections.iter().find(|found| found.name == wanted) else {
        let message = format!("the database has no collection {wanted} yet");
        return vec![
            Finding::warn(name, "collection_missing", message)
                .suggest("it is followed once it is there; is `select` right?"),
        ];
    };
    if let Err(failure) = found.copyable() {
        return vec![Finding::fail(name, failure.code, failure.detail).suggest("select a plain collection")];
    }
    let mut findings = Vec::new();
    findings.extend(images(name, config, found));
    findings.extend(collation(name, found));
    findings.extend(shard_key(name, wanted, facts));
    if findings.is_empty() {
        findings.push(Finding::pass(
            name,
            "collection_usable",
            format!("collection {wanted} can be copied and followed"),
        ));
    }
    findings
}

fn images(name: &str, config: &MongoConfig, found: &CollectionFacts) -> Option<Finding> {
    match (config.capture, found.images) {
        (Capture::Images, false) => {
            let message = format!("capture: images, and collection {} keeps none", found.name);
            let advice = format!(
                "db.runCommand({{ collMod: \"{}\", changeStreamPreAndPostImages: {{ enabled: true }} }})",
                found.name
            );
            Some(Finding::fail(name, "images_missing", message).suggest(advice))
        }
        _ => None,
    }
}

fn collation(name: &str, found: &CollectionFacts) -> Option<Finding> {
    let locale = found.collation.as_ref()?;
    let message = format!("collection {} has the collation {locale}: it is copied by one reader, slowly", found.name);
    Some(Finding::warn(name, "collection_collation", message).suggest("nothing to mend: plan more time for its copy"))
}

fn shard_key(name: &str, wanted: &str, facts: &MongoFacts) -> Option<Finding> {
    let Some(sharded) = &facts.sharded else {
        let message =
            format!("whether collection {wanted} is sharded by _id is not known: config.collections cannot be read");
        return Some(
            Finding::warn(name, "shard_key_unknown", message).suggest("its _id must be unique in the whole cluster"),
        );
    };
    let key = sharded.iter().find(|key| key.collection == wanted).filter(|key| !by_id(key))?;
    let message = format!(
        "collection {wanted} is sharded by ({}): two shards may hold one _id, and rows would overwrite each other",
        key.fields.join(", ")
    );
    let advice = "go on only if the product makes _id unique itself (ObjectIds are)";
    Some(Finding::warn(name, "shard_key_not_id", message).suggest(advice))
}

fn by_id(key: &ShardKey) -> bool {
    key.fields == ["_id"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str, answers: bool) -> Host {
        Host { address: address.to_owned(), answers }
    }

    fn reach(seeds: Vec<Host>, members: Vec<Host>) -> Reach {
        let kind = Some(ServerKind::ReplicaSet);
        Reach { seeds, members, kind, set: Some("rs".into()), other_set: None, encrypted: false }
    }

    #[test]
    fn a_seed_that_answers_with_members_that_do_not_is_told_with_its_cure() {
        let findings = hosts("app", &reach(vec![host("localhost:1", true)], vec![host("mongo-0:1", false)]));
        assert_eq!(
            (findings.len(), findings[0].code, findings[0].level),
            (1, "source_members_unreachable", Level::Fail)
        );
        assert!(findings[0].message.contains("mongo-0:1"));
        assert!(findings[0].suggestion.as_ref().is_some_and(|advice| advice.contains("directConnection=true")));
        let some = hosts("app", &reach(vec![host("a:1", true)], vec![host("a:1", true), host("b:1", false)]));
        assert_eq!(some[0].level, Level::Warn, "a set works without one of its members");
        assert!(hosts("app", &reach(vec![host("a:1", true)], vec![host("a:1", true)])).is_empty());
        assert_eq!(hosts("app", &reach(vec![host("a:1", false)], vec![]))[0].code, "source_unreachable");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_of("8.2.11"), Some((8, 2)));
        assert!(version_of("10.0.1") > Some(OLDEST) && version_of("4.2.25") < Some(OLDEST));
        assert_eq!(version_of("unknown"), None);
    }

    #[test]
    fn a_key_of_more_than_the_id_is_warned_of() {
        let key = |fields: &[&str]| ShardKey {
            collection: "c".into(),
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        };
        assert!(by_id(&key(&["_id"])));
        assert!(!by_id(&key(&["tenant", "_id"])) && !by_id(&key(&["_id", "tenant"])));
    }
}
