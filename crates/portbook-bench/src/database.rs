//! Allocations in a PostgreSQL database, against one plain insert a transaction in the same.

use std::time::Duration;

use portbook_postgres::testing::Server;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::durable::{CALLERS, PER_CALLER, allocate, crowd};
use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, median, service_at, timed};

const ROUNDS: usize = 9;
const PER_ROUND: usize = 100;

/// One caller against the floor, and many against it.
pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let server = Server::start();
    let place = server.place();
    portbook_postgres::init(&place.parse()?)?;
    let service = service_at(&place, folder.path(), HostCheck::Off)?;
    let floor = Floor::new(&server)?;
    floor.insert(1, PER_ROUND)?;
    allocate(&service, "bench/warm", 1, PER_ROUND)?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        let first = round * PER_ROUND + 1;
        let count = u32::try_from(PER_ROUND)?;
        times[0].push(timed(|| floor.insert(first, PER_ROUND))? / count);
        times[1].push(timed(|| allocate(&service, "bench/one", first, PER_ROUND))? / count);
        times[2].push(crowd(&service, round)? / u32::try_from(CALLERS * PER_CALLER)?);
    }
    let [floor, alone, together] = times.map(median);
    println!(
        "           a second: {:.0} inserts, {:.0} allocations of one caller, {:.0} of {CALLERS}",
        1.0 / floor,
        1.0 / alone,
        1.0 / together
    );
    Ok(vec![
        Benchmark {
            what: "one caller's allocations a second in PostgreSQL / plain inserts a second".into(),
            ratio: floor / alone,
            bound: Bound::AtLeast(0.6),
        },
        Benchmark {
            what: format!(
                "{CALLERS} callers' allocations a second in PostgreSQL / plain inserts a second"
            ),
            ratio: floor / together,
            bound: Bound::AtLeast(8.0),
        },
    ])
}

/// One plain insert a transaction, prepared, on one connection.
struct Floor {
    runtime: Runtime,
    client: Client,
    insert: Statement,
}

impl Floor {
    fn new(server: &Server) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut config = Config::new();
        config.host_path(server.folder());
        config.user("postgres").dbname("postgres");
        let (client, connection) = runtime.block_on(config.connect(NoTls))?;
        // It ends when the client goes.
        runtime.spawn(connection);
        let table = "CREATE TABLE floor (id bigserial PRIMARY KEY, model text, app integer, backend integer, frontend integer)";
        let insert = "INSERT INTO floor (model, app, backend, frontend) VALUES ($1, $2, $3, $4)";
        let insert = runtime.block_on(async {
            client.batch_execute(table).await?;
            client.prepare(insert).await
        })?;
        Ok(Self {
            runtime,
            client,
            insert,
        })
    }

    fn insert(&self, first: usize, count: usize) -> Result<(), Failure> {
        for number in first..first + count {
            let number = i32::try_from(number)?;
            let (backend, frontend) = (5001_i32, 8001_i32);
            let values: [&(dyn ToSql + Sync); 4] = [&"bench/one", &number, &backend, &frontend];
            let insert = self.client.execute(&self.insert, &values);
            self.runtime.block_on(insert)?;
        }
        Ok(())
    }
}
