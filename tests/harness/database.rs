//! A connection for the test's own statements, blocking, values as text. Reconnects on demand, never retries a statement.

use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A test statement that takes longer has hung.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(60);

/// How to reach a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Port on loopback.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Database.
    pub database: String,
}

impl Login {
    /// As a connection URL.
    pub fn url(&self) -> String {
        format!("postgres://{}:{}@127.0.0.1:{}/{}", self.user, self.password, self.port, self.database)
    }

    /// The same through another port: a proxy.
    #[must_use]
    pub fn through(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// The same as another role.
    #[must_use]
    pub fn as_role(&self, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned(), ..self.clone() }
    }

    /// What libpq programs read.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", self.database.clone()),
        ]
    }
}

/// A connection.
pub struct Database {
    runtime: Runtime,
    client: Client,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Connects.
    pub fn connect(login: &Login) -> Result<Self, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of one thread can be built");
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&login.url(), NoTls).await?;
            // The connection is driven whenever a statement blocks on the runtime; its end shows in the statement.
            tokio::runtime::Handle::current().spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs statements and returns the rows of them all; an SQL error is returned.
    pub fn try_rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(STATEMENT_PATIENCE, self.client.simple_query(sql)).await });
        let messages =
            answer.unwrap_or_else(|_| panic!("a statement took longer than {STATEMENT_PATIENCE:?}: {sql}"))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// Runs statements and returns the rows of them all.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error:?} in: {sql}"))
    }

    /// Runs statements.
    pub fn run(&mut self, sql: &str) {
        let _ = self.rows(sql);
    }

    /// The first value of the first row; `None` for no row and for NULL.
    pub fn value(&mut self, sql: &str) -> Option<String> {
        self.rows(sql).into_iter().next().and_then(|row| row.into_iter().next().flatten())
    }

    /// The first value as a number; 0 for no row.
    pub fn count(&mut self, sql: &str) -> i64 {
        self.value(sql).map_or(0, |text| text.parse().unwrap_or_else(|_| panic!("not a number: {sql}")))
    }
}
