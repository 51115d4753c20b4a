//! MongoDB with users and TLS: the least role is enough, what is refused is said in plain words, and no secret is said at all.

use bson::doc;
use landfall_tests::certificates::Certificates;
use landfall_tests::config::Config;
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_server::{Flavour, MongoServer, MongoSettings};
use landfall_tests::site::Site;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const DATABASE: &str = "app";
const ROOT: &str = "root-canary-3b1f";
pub(crate) const READER: &str = "reader-canary-9c44";

/// A server that asks who one is, with an administrator and a user that may read one database.
pub(crate) struct Guarded {
    server: MongoServer,
    tls: String,
    /// A handle drops its database when it goes: these stay to the end.
    handles: Vec<MongoDatabase>,
}

impl Guarded {
    pub(crate) fn start(name: &str, settings: MongoSettings, tls: String) -> Option<Self> {
        let server = MongoServer::start_own(name, settings.flavour(Flavour::Rust).word("--auth"))?;
        let mut this = Self { server, tls, handles: Vec::new() };
        // The first user may be made by anybody on this machine.
        let make = |user: &str, password: &str, roles: bson::Bson| {
            doc! { "createUser": user, "pwd": password, "roles": roles }
        };
        let nobody = MongoDatabase::new(&this.uri(None), "admin");
        nobody.run(make("root", ROOT, bson::bson!(["root"])));
        let admin = MongoDatabase::new(&this.uri(Some(("root", ROOT))), "admin");
        admin.run(make("reader", READER, bson::bson!([{ "role": "read", "db": DATABASE }])));
        let data = MongoDatabase::new(&this.uri(Some(("root", ROOT))), DATABASE);
        let users = (0..20).map(|n| doc! { "_id": n }).collect::<Vec<_>>();
        data.run(doc! { "insert": "users", "documents": users });
        this.handles = vec![data, nobody, admin];
        Some(this)
    }

    pub(crate) fn uri(&self, user: Option<(&str, &str)>) -> String {
        self.uri_over(&self.tls, user)
    }

    fn uri_over(&self, tls: &str, user: Option<(&str, &str)>) -> String {
        let login = user.map_or_else(String::new, |(user, password)| format!("{user}:{password}@"));
        let options = "directConnection=true&serverMonitoringMode=poll&serverSelectionTimeoutMS=4000";
        let source = if user.is_some() { "&authSource=admin" } else { "" };
        format!("mongodb://{login}127.0.0.1:{}/?{options}{source}{tls}", self.server.port())
    }

    /// The database, as the administrator sees it.
    pub(crate) fn data(&self) -> &MongoDatabase {
        &self.handles[0]
    }

    fn site(&self, name: &str, user: Option<(&str, &str)>) -> Site {
        let config = Config::new(name).mongo("app", DATABASE).stream("users", "app", json!({}));
        let mut site = Site::new(config).mongo(&self.uri(Some(("root", ROOT))));
        site.reach_mongo(&self.uri(user));
        site.apply_schema_with_audit();
        site
    }
}

#[test]
fn a_user_that_may_read_the_database_is_enough() {
    let Some(guarded) = Guarded::start("least-role", MongoSettings::default(), String::new()) else { return };
    let site = guarded.site("mongo_least_role", Some(("reader", READER)));
    let check = site.finish(&["check", "-o", "json"]).expect(0);
    assert!(!check.output().contains(READER), "a password in the output of check");
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    guarded.data().run(doc! { "insert": "users", "documents": [{ "_id": "live" }] });
    guarded.data().run(doc! { "delete": "users", "deletes": [{ "q": { "_id": 3 }, "limit": 1 }] });
    site.expect_soon_equal("after live changes");
    let status = site.status().unwrap();
    assert!(status.json()["sources"][0]["log"]["headroom_seconds"].is_null(), "this role may not look at the oplog");
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.output().contains(READER), "a password in the log");
    site.expect_witness("after the service ended");
}

#[test]
fn a_wrong_password_is_waited_for_and_never_repeated() {
    let Some(guarded) = Guarded::start("wrong-password", MongoSettings::default(), String::new()) else { return };
    let site = guarded.site("mongo_wrong_password", Some(("reader", "wrong-canary-77")));
    let check = site.finish(&["check"]);
    assert_ne!(check.code, Some(0), "{}", check.output());
    assert!(!check.output().contains("wrong-canary-77"), "a password in the output of check");
    let service = site.run_and_listen();
    let state = site.expect_stream("users", "refused", |stream| stream.code() == "source_access_denied");
    assert_eq!(state.state(), "waiting", "{}", state.text());
    service.terminate();
    let finished = service.finish(Duration::from_secs(40)).expect(0);
    assert!(!finished.output().contains("wrong-canary-77"), "a password in the log");
}

#[test]
fn tls_is_spoken_with_the_right_authority_and_refused_with_another() {
    let certificates = Certificates::new("mongo-tls-certificates");
    let (authority, other) = (certificates.authority("mongo-authority"), certificates.authority("another-authority"));
    let (certificate, key) = certificates.server("mongo-server", "mongo-authority", "IP:127.0.0.1,DNS:localhost");
    let path = |path: &Path| path.display().to_string();
    let settings = MongoSettings::default()
        .word("--tls-cert-file")
        .word(&path(&certificate))
        .word("--tls-key-file")
        .word(&path(&key));
    let tls = |authority: &Path| format!("&tls=true&tlsCAFile={}", path(authority));
    let Some(guarded) = Guarded::start("tls", settings, tls(&authority)) else { return };
    let mut site = guarded.site("mongo_tls", Some(("reader", READER)));
    site.catch_up();
    site.expect_equal("over TLS");
    site.reach_mongo(&guarded.uri_over(&tls(&other), Some(("reader", READER))));
    let check = site.finish(&["check"]);
    assert_ne!(check.code, Some(0), "{}", check.output());
    assert!(!check.output().contains(READER), "a password in the output of check");
    let service = site.run_and_listen();
    site.expect_stream("users", "waiting", |stream| stream.state() == "waiting" && !stream.code().is_empty());
    service.terminate();
    let _ = service.finish(Duration::from_secs(40)).expect(0);
}
