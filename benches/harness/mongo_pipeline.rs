//! The pipeline of the MongoDB benches: landing streams of the collections of one database, as a user would write it.

use crate::run_dir;
use crate::site::Site;

/// Where a pipeline goes from and to.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// Of the MongoDB server.
    pub uri: &'a str,
    /// Its database.
    pub database: &'a str,
    /// Of the PostgreSQL database.
    pub url: &'a str,
}

/// A site in the fresh folder `name` for `collections`, with two connections and everything else as it is by default.
pub fn write(name: &str, ends: Ends<'_>, collections: &[String]) -> Site {
    let mut text = format!(
        "name: bench\ntarget: {{ url: \"${{DATABASE_URL}}\", schema: public, max_connections: 2 }}\nstate: {{ dir: ./state }}\n\
         sources:\n  app: {{ kind: mongodb, uri: \"${{MONGODB_URI}}\", database: {} }}\nstreams:\n",
        ends.database
    );
    for collection in collections {
        text.push_str(&format!("  {collection}: {{ source: app }}\n"));
    }
    Site::write(&run_dir::fresh(name), ends.url, &text).mongo(ends.uri)
}
