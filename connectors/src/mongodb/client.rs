//! From the configuration to a client.
//!
//! Owns what every client of ours has: a name, time limits, majority reads (what is read can never be rolled back), and TLS
//! checked against the operator's own authorities where they are given. Opens no connection: the first operation does.
//! `mongodb+srv` is the exception, whose hosts are asked of DNS here.
//!
//! Fails with `source_uri` (halt) for a URI that cannot be used, in words of our own: the driver's would repeat parts of it. DNS
//! that does not answer is `source_unreachable` (transient).

use super::config::{MongoConfig, ReadFrom, SecretUri};
use crate::contact::Contact;
use crate::failure::{Failure, FailureClass};
use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::{ClientOptions, ConnectionString, ReadConcern, Tls, TlsOptions};
use std::time::Duration;

/// How long an operation looks for a member to run on: longer than an election on a calm network, short enough that status
/// says "unreachable" while the operator is still looking.
const SERVER_SELECTION_LIMIT: Duration = Duration::from_secs(15);
/// How long opening one connection may take, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a member that does not tell of its state by itself, or that is away.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// What is said of a source without a member to read from.
const NO_MEMBER: &str = "no member of the replica set that changes can be read from answers; waiting for one";
/// Longest the server is given to hear that its cursors are not needed any more.
const FAREWELL: Duration = Duration::from_secs(2);

/// Options of the URI that errors name: their values are never shown, and other words may be a piece of a password.
const NAMED_OPTIONS: [&str; 34] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "uuidrepresentation",
    "w",
];

/// A client for `config` that tells `contact` whether a member is there that changes can be read from.
pub(crate) async fn connect_watched(config: &MongoConfig, contact: Contact) -> Result<Client, Failure> {
    let mut options = options(config).await?;
    let read_from = config.read_from.map(ReadFrom::criteria).or_else(|| options.selection_criteria.clone());
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        if let SdamEvent::TopologyDescriptionChanged(changed) = event {
            match changed.new_description.has_readable_server(read_from.clone()) {
                true => contact.regain(),
                false => contact.lose("source_unreachable", NO_MEMBER),
            }
        }
    }));
    client(options)
}

/// A client for `config`.
pub async fn connect(config: &MongoConfig) -> Result<Client, Failure> {
    client(options(config).await?)
}

fn client(options: ClientOptions) -> Result<Client, Failure> {
    Client::with_options(options).map_err(|_| unusable("its TLS settings or credentials cannot be used together"))
}

/// Closes the connections of `client`, and those of its clones. A driver whose client just falls may panic in a task of its own.
pub(crate) async fn farewell(client: Client) {
    let all = client.clone().shutdown();
    if tokio::time::timeout(FAREWELL, async { all.await }).await.is_err() {
        client.shutdown().immediate(true).await;
    }
}

/// What a client for `config` is made of.
pub(crate) async fn options(config: &MongoConfig) -> Result<ClientOptions, Failure> {
    let uri = config.uri.expose();
    let read = ConnectionString::parse(uri).map_err(|_| unusable(&remedy(uri)))?;
    let mut options = ClientOptions::parse(read).await.map_err(|error| match *error.kind {
        ErrorKind::DnsResolve { .. } | ErrorKind::Io(_) => Failure::new(
            FailureClass::Transient,
            "source_unreachable",
            "DNS does not tell the hosts behind the mongodb+srv address of the source; waiting for it",
        ),
        _ => unusable(&remedy(uri)),
    })?;
    options.app_name = Some(format!("landfall/{}", config.pipeline));
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION_LIMIT);
    options.connect_timeout.get_or_insert(CONNECT_LIMIT);
    options.read_concern = Some(ReadConcern::majority());
    trust(config, &mut options)?;
    Ok(options)
}

/// What is wrong with a URI, and what to write instead; without any part of it that may be secret. Asks nobody.
pub fn fault_of(uri: &SecretUri) -> Option<String> {
    ConnectionString::parse(uri.expose()).err().map(|_| remedy(uri.expose()))
}

/// The database that a URI names, if it names one.
pub fn database_of(uri: &SecretUri) -> Option<String> {
    ConnectionString::parse(uri.expose()).ok()?.default_database
}

/// Checks the server against the operator's authorities.
fn trust(config: &MongoConfig, options: &mut ClientOptions) -> Result<(), Failure> {
    let Some(file) = &config.ca_file else { return Ok(()) };
    let tls = match options.tls.take() {
        Some(Tls::Disabled) => return Err(unusable("it says tls=false, and tls.ca_file is given: leave one out")),
        Some(Tls::Enabled(mut tls)) => {
            tls.ca_file_path = Some(file.clone());
            tls
        }
        None => TlsOptions::builder().ca_file_path(file.clone()).build(),
    };
    options.tls = Some(Tls::Enabled(tls));
    Ok(())
}

fn unusable(why: &str) -> Failure {
    Failure::new(FailureClass::Halt, "source_uri", format!("the URI of the MongoDB source cannot be used: {why}"))
}

/// What to write instead of a URI that the driver refused, without any part of it that may be secret.
fn remedy(uri: &str) -> String {
    let whole = "write mongodb://USER:PASSWORD@HOST:27017/?replicaSet=NAME, or mongodb+srv://USER:PASSWORD@HOST/";
    let (rest, srv) = match (uri.strip_prefix("mongodb://"), uri.strip_prefix("mongodb+srv://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return whole.to_owned(),
    };
    let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
    let account = rest.rsplit_once('@').map_or("", |(account, _)| account);
    if account.contains(['@', '/', '?', '#', '[', ']']) || account.matches(':').count() > 1 || !is_escaped(account) {
        return "write special characters of the user and the password as %XX (@ is %40, : is %3A, / is %2F, % is %25)"
            .to_owned();
    }
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts).split(['/', '?']).next().unwrap_or_default();
    if srv && (hosts.contains([',', ':']) || hosts.split('.').count() < 3) {
        return "mongodb+srv:// names one host of at least three parts and no port; list hosts under mongodb://"
            .to_owned();
    }
    if ConnectionString::parse(base).is_ok() {
        let refused = |pair: &&str| ConnectionString::parse(format!("{}/?{pair}", base.trim_end_matches('/'))).is_err();
        let name = options.split('&').find(refused).and_then(|pair| pair.split('=').next()).unwrap_or_default();
        return match NAMED_OPTIONS.contains(&name.to_ascii_lowercase().as_str()) {
            true => format!("its option {name} has a value that is not accepted, or does not go with the others"),
            false => "it has an option that is not known, or options that do not go together".to_owned(),
        };
    }
    whole.to_owned()
}

/// Every `%` begins a `%XX`.
fn is_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(uri: &str) -> Failure {
        let config = MongoConfig::new(SecretUri::new(uri.to_owned()), "app", "p");
        let failure = connect(&config).await.expect_err(uri);
        assert_eq!((failure.class, failure.code), (FailureClass::Halt, "source_uri"), "{uri}");
        failure
    }

    #[tokio::test]
    async fn a_uri_that_cannot_be_used_is_refused_with_what_to_write() {
        for (uri, word) in [
            ("postgres://h/d", "mongodb://USER"),
            ("mongodb://u:p@ss@h/", "%40"),
            ("mongodb://u:p/ss@h/", "%2F"),
            ("mongodb://u:100%@h/", "%25"),
            ("mongodb+srv://h.example.org:27017/", "no port"),
            ("mongodb://h/?directConnection=perhaps", "directConnection"),
            ("mongodb://h/?maxPoolSize=many", "maxPoolSize"),
            ("mongodb://", "mongodb://USER"),
            ("mongodb://h/?readPreference=secondary&maxStalenessSeconds=often", "maxStalenessSeconds"),
        ] {
            let failure = refused(uri).await;
            assert!(failure.detail.contains(word), "{uri}: {failure}");
        }
    }

    #[tokio::test]
    async fn no_error_and_no_debug_output_repeats_a_secret() {
        for uri in [
            "mongodb://u:canary@x@h/",
            "mongodb://u:27?canary=1@h/",
            "mongodb://u:p@h/?canary=1&tls=maybe",
            "mongodb://u:p@h:canary/",
            "http://canary@h/",
        ] {
            let failure = refused(uri).await;
            assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure}");
        }
        let config = MongoConfig::new(SecretUri::new("mongodb://u:canary@h".into()), "app", "p");
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[tokio::test]
    async fn every_compressor_of_the_manual_is_understood() {
        let uri = SecretUri::new("mongodb://h/?compressors=zstd,zlib,snappy&replicaSet=rs".into());
        connect(&MongoConfig::new(uri, "app", "p")).await.expect("a client");
    }

    #[tokio::test]
    async fn own_authorities_and_no_tls_do_not_go_together() {
        let uri = SecretUri::new("mongodb://h/?tls=false".into());
        let config = MongoConfig { ca_file: Some("/ca.pem".into()), ..MongoConfig::new(uri, "app", "p") };
        assert!(connect(&config).await.expect_err("refused").detail.contains("tls=false"));
    }
}
