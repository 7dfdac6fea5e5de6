//! One connection, driven by the thread that uses it.
//!
//! The connection has a small runtime of its own and moves only while somebody waits for it: no thread
//! stands by, an answer costs no hand-over, and whoever calls need not be asynchronous.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::address::Address;
use crate::error::Failure;
use crate::tls;

/// How long any one answer may take. Whoever waits for the turn says by itself how long.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before a server that may be on its way back is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The values of a statement's parameters.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(crate) struct Connection {
    client: Client,
    /// What each statement became when it was first used here.
    prepared: RefCell<HashMap<&'static str, Statement>>,
    /// Dropped last: the connection lives in it.
    runtime: Runtime,
}

impl Connection {
    /// Connects, and tries again until `deadline` while the server may be on its way back.
    pub(crate) fn open(address: &Address, deadline: Instant) -> Result<Self, Failure> {
        let tls = tls::connector(&address.trust).map_err(Failure::Hopeless)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Hopeless(error.to_string()))?;
        let connect = async {
            loop {
                let failure = match address.config.connect(tls.clone()).await {
                    Ok(connected) => return Ok(connected),
                    Err(error) => Failure::from(error),
                };
                if !failure.may_pass() || Instant::now() + PAUSE >= deadline {
                    return Err(failure);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let (client, connection) = runtime.block_on(connect)?;
        // How it ends is told by whatever is asked of the client next.
        runtime.spawn(async {
            let _ = connection.await;
        });
        Ok(Self {
            client,
            prepared: RefCell::default(),
            runtime,
        })
    }

    /// Whether the connection is known to have ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits for the database.
    fn wait<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(async {
            match tokio::time::timeout(patience, work).await {
                Ok(done) => Ok(done?),
                Err(_) => Err(Failure::Late(patience)),
            }
        })
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Carries out statements without values, one after the other.
    pub(crate) fn execute_all(&self, sql: &str) -> Result<(), Failure> {
        self.wait(PATIENCE, self.client.batch_execute(sql))
    }

    /// Opens a transaction and reads in it, in one round trip: no answer is waited for before the next
    /// question is sent.
    pub(crate) fn begin_and_query(
        &self,
        patience: Duration,
        begin: &str,
        sql: &'static str,
    ) -> Result<Vec<Row>, Failure> {
        self.wait(patience.saturating_add(PATIENCE), async {
            let statement = self.statement(sql).await?;
            let (_, rows) = futures_util::future::try_join(
                self.client.batch_execute(begin),
                self.client.query(&statement, &[]),
            )
            .await?;
            Ok(rows)
        })
    }

    pub(crate) fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        self.wait(PATIENCE, async {
            let statement = self.statement(sql).await?;
            self.client.query(&statement, values).await
        })
    }

    /// Asks the same of several values, in one round trip.
    pub(crate) fn query_each(
        &self,
        sql: &'static str,
        each: &[Vec<&(dyn ToSql + Sync)>],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.wait(PATIENCE, async {
            let statement = self.statement(sql).await?;
            let asked = each
                .iter()
                .map(|values| self.client.query(&statement, values));
            try_join_all(asked).await
        })
    }

    /// Says how many rows the statement touched.
    pub(crate) fn execute(&self, sql: &'static str, values: Values<'_>) -> Result<u64, Failure> {
        self.wait(PATIENCE, async {
            let statement = self.statement(sql).await?;
            self.client.execute(&statement, values).await
        })
    }
}
