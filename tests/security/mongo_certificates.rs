//! MongoDB by certificate: a client that shows the right one is let in, one that shows none or another one is told so.
//!
//! Rests on the scripted server, which speaks TLS and asks for a certificate as MongoDB does (`MONGODB-X509`).

use bson::doc;
use landfall_tests::certificates::Certificates;
use landfall_tests::config::Config;
use landfall_tests::mongo_fake::{MongoFake, Shape, Tls, event};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

struct Certified {
    certificates: Certificates,
    fake: MongoFake,
    authority: std::path::PathBuf,
}

impl Certified {
    fn start(name: &str) -> Self {
        let certificates = Certificates::new(name);
        let authority = certificates.authority("authority");
        let (certificate, key) = certificates.server("server", "authority", "IP:127.0.0.1");
        let fake = MongoFake::start_tls(Shape::primary(), Tls::new((&certificate, &key), &authority));
        fake.collection("users", (0..5).map(|n| event::raw(&doc! { "_id": n })).collect());
        Self { certificates, fake, authority }
    }

    fn site(&self, name: &str, certificate: Option<&Path>) -> Site {
        let shown = certificate.map_or_else(String::new, |file| {
            format!("&authMechanism=MONGODB-X509&authSource=$external&tlsCertificateKeyFile={}", file.display())
        });
        let uri = format!("{}&tls=true&tlsCAFile={}{shown}", self.fake.uri(), self.authority.display());
        let config = Config::new(name).mongo("app", "app").stream("users", "app", json!({}));
        let site = Site::new(config).mongo(&uri);
        site.apply_schema();
        site
    }
}

#[test]
fn a_client_with_the_right_certificate_logs_in_by_it_and_copies() {
    let certified = Certified::start("x509-good");
    let client = certified.certificates.client("client", "authority");
    let site = certified.site("x509_good", Some(&client));
    let service = site.run_and_listen();
    wait_until(SOON, "the rows are there", || site.database().count("select count(*) from public.users") == 5);
    let logins = certified.fake.seen_named("authenticate");
    assert!(
        !logins.is_empty() && logins.iter().all(|login| login.body.get_str("mechanism").ok() == Some("MONGODB-X509"))
    );
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn without_a_certificate_or_with_one_of_another_authority_nothing_is_read_and_the_stream_says_why_it_waits() {
    let certified = Certified::start("x509-bad");
    let _ = certified.certificates.authority("stranger");
    let stranger = certified.certificates.client("foreign", "stranger");
    for (name, certificate) in [("x509_none", None), ("x509_foreign", Some(stranger.as_path()))] {
        let site = certified.site(name, certificate);
        let service = site.run_and_listen();
        let waiting = site.expect_stream("users", "waiting", |stream| stream.code() == "source_unreachable");
        assert_eq!(waiting.state(), "waiting", "{}", waiting.text());
        assert_eq!(site.database().count("select count(*) from public.users"), 0);
        service.terminate();
        let finished = service.finish(Duration::from_secs(30)).expect(0);
        assert!(!finished.output().contains("BEGIN"), "no key in the output");
    }
    assert!(certified.fake.seen().is_empty(), "nothing was said before the line was trusted");
}
