//! A database of MongoDB: every collection that holds documents of its own.

use super::{SampleError, Sampled, Seen};
use crate::infer::StreamKey;
use crate::infer::candidate::Candidates;
use crate::infer::profile::{Profile, Scratch};
use crate::infer::propose;
use crate::infer::yaml::text;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::mongodb::{MongoConfig, MongoSample, SecretUri, client};
use std::path::Path;

/// Documents of a collection that are looked at, all of fewer.
const MOST_DOCUMENTS: u64 = 20_000;

pub(super) async fn look(uri: &SecretUri) -> Result<Sampled, SampleError> {
    let store = Path::new("the MongoDB URI");
    if let Some(why) = client::fault_of(uri) {
        return Err(SampleError::unusable(store, why));
    }
    let Some(database) = client::database_of(uri) else {
        let what = "it names no database; write it behind the hosts: mongodb://host:27017/shop";
        return Err(SampleError::unusable(store, what));
    };
    let sample =
        MongoSample::open(&MongoConfig::new(uri.clone(), &database, "init")).await.map_err(SampleError::Failed)?;
    let looked = collections(&sample).await;
    sample.close().await;
    let streams = looked.map_err(SampleError::Failed)?;
    let fields = format!("kind: mongodb, uri: \"${{MONGODB_URI}}\", database: {}", text(&database));
    let notes = vec!["put the URI of the MongoDB into the variable MONGODB_URI".to_owned()];
    Ok(Sampled { name: database, fields, streams, notes })
}

async fn collections(sample: &MongoSample) -> Result<Vec<Seen>, Failure> {
    let names = sample.collections().await?;
    if names.is_empty() {
        return Err(Failure::new(FailureClass::Halt, "no_collections", "the database holds no collections"));
    }
    let mut streams = Vec::new();
    for name in names {
        let (mut profile, mut scratch) = (Profile::new(Candidates::bson()), Scratch::default());
        let count =
            sample.look(&name, MOST_DOCUMENTS, &mut |document| profile.add_bson(document, &mut scratch)).await?;
        if profile.objects == 0 {
            continue;
        }
        let ty = profile.field("_id").and_then(propose::key_type);
        let key = StreamKey::Of { from: None, ty, column: "id".to_owned() };
        let key = if ty.is_some() { key } else { StreamKey::Omitted };
        let all = count <= MOST_DOCUMENTS;
        streams.push(Seen {
            select: Some(name.clone()),
            name,
            key,
            key_field: Some("_id".to_owned()),
            profile,
            nulls_are_null: false,
            all,
            odd: 0,
        });
    }
    Ok(streams)
}
