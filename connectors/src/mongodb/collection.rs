//! What a collection is, as the database's catalogue says it.

use super::classify::classify;
use crate::failure::{Failure, FailureClass};
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Database;

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Documents of its own.
    Plain,
    /// A query over another collection: it has no change stream of its own.
    View,
    /// Measurements in buckets: the server gives no changes of them.
    TimeSeries,
}

/// A collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectionFacts {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Locale of its default collation, where it has one that is not the plain order of bytes.
    pub collation: Option<String>,
    /// `changeStreamPreAndPostImages` is on.
    pub images: bool,
}

impl CollectionFacts {
    fn of(entry: &Document) -> Option<Self> {
        let options = entry.get_document("options").cloned().unwrap_or_default();
        let collation = options.get_document("collation").ok().and_then(|found| found.get_str("locale").ok());
        let images = options.get_document("changeStreamPreAndPostImages").ok();
        Some(Self {
            name: entry.get_str("name").ok()?.to_owned(),
            kind: match entry.get_str("type") {
                Ok("view") => Kind::View,
                Ok("timeseries") => Kind::TimeSeries,
                _ if options.contains_key("timeseries") => Kind::TimeSeries,
                _ => Kind::Plain,
            },
            collation: collation.filter(|locale| *locale != "simple").map(str::to_owned),
            images: images.and_then(|found| found.get_bool("enabled").ok()).unwrap_or(false),
        })
    }

    /// Refuses what cannot be copied and followed.
    pub fn copyable(&self) -> Result<(), Failure> {
        let what = match self.kind {
            Kind::Plain => return Ok(()),
            Kind::View => "is a view, which has no changes of its own: select the collections it reads",
            Kind::TimeSeries => {
                "is a time-series collection, of which the server gives no changes: it cannot be followed"
            }
        };
        Err(Failure::new(FailureClass::Halt, "collection_kind", format!("the collection {} {what}", self.name)))
    }
}

/// The collections and views of a database: all, or the one by a name.
pub async fn collections(database: &Database, name: Option<&str>) -> Result<Vec<CollectionFacts>, Failure> {
    let mut command = doc! { "listCollections": 1, "cursor": {} };
    if let Some(name) = name {
        command.insert("filter", doc! { "name": name });
    }
    let failed = |error| classify(&error, "reading the list of collections");
    let cursor = database.run_cursor_command(command).await.map_err(failed)?;
    let entries: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
    Ok(entries.iter().filter_map(CollectionFacts::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_catalogue_says_what_the_collection_is() {
        let plain = CollectionFacts::of(&doc! {"name": "a", "type": "collection", "options": {}}).unwrap();
        assert_eq!((plain.kind, plain.collation, plain.images), (Kind::Plain, None, false));
        let rich = doc! {"name": "b", "type": "collection", "options": {
        "collation": {"locale": "de", "strength": 2}, "changeStreamPreAndPostImages": {"enabled": true}}};
        let rich = CollectionFacts::of(&rich).unwrap();
        assert_eq!((rich.collation.as_deref(), rich.images), (Some("de"), true));
        assert!(rich.copyable().is_ok());
        let simple = doc! {"name": "c", "type": "collection", "options": {"collation": {"locale": "simple"}}};
        assert_eq!(CollectionFacts::of(&simple).unwrap().collation, None);
        for kind in ["view", "timeseries"] {
            let refused = CollectionFacts::of(&doc! {"name": "v", "type": kind}).unwrap().copyable().unwrap_err();
            assert_eq!((refused.class, refused.code), (FailureClass::Halt, "collection_kind"));
        }
    }
}
