//! Allocations in an etcd cluster of three members, against one plain put a transaction in the same.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use portbook_etcd::testing::Cluster;
use ureq::Agent;

use crate::durable::{CALLERS, PER_CALLER, allocate, crowd};
use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, median, service_at, timed};

const ROUNDS: usize = 9;
const PER_ROUND: usize = 100;

/// One caller against the floor, and many against it.
pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::start(3);
    let place = cluster.place();
    portbook_etcd::init(&place.parse()?)?;
    let service = service_at(&place, folder.path(), HostCheck::Off)?;
    let floor = Floor {
        agent: Agent::new_with_defaults(),
        // The member that portbook asks, too.
        url: format!("http://{}/v3/kv/put", cluster.host(0)),
    };
    floor.put(1, PER_ROUND)?;
    allocate(&service, "bench/warm", 1, PER_ROUND)?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        let first = round * PER_ROUND + 1;
        let count = u32::try_from(PER_ROUND)?;
        times[0].push(timed(|| floor.put(first, PER_ROUND))? / count);
        times[1].push(timed(|| allocate(&service, "bench/one", first, PER_ROUND))? / count);
        times[2].push(crowd(&service, round)? / u32::try_from(CALLERS * PER_CALLER)?);
    }
    let [floor, alone, together] = times.map(median);
    println!(
        "           a second: {:.0} puts, {:.0} allocations of one caller, {:.0} of {CALLERS}",
        1.0 / floor,
        1.0 / alone,
        1.0 / together
    );
    Ok(vec![
        Benchmark {
            what: "one caller's allocations a second in etcd / plain puts a second".into(),
            ratio: floor / alone,
            bound: Bound::AtLeast(0.6),
        },
        Benchmark {
            what: format!("{CALLERS} callers' allocations a second in etcd / plain puts a second"),
            ratio: floor / together,
            bound: Bound::AtLeast(8.0),
        },
    ])
}

/// One plain put a transaction, by the gateway that portbook speaks to.
struct Floor {
    agent: Agent,
    url: String,
}

impl Floor {
    fn put(&self, first: usize, count: usize) -> Result<(), Failure> {
        for number in first..first + count {
            let key = BASE64.encode(format!("floor/{number:010}"));
            let value = BASE64.encode(format!(
                r#"{{"model":"bench/one","app_num":{number},"backend":5001,"frontend":8001}}"#
            ));
            let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
            let answer = self.agent.post(&self.url).send(body)?;
            answer.into_body().read_to_vec()?;
        }
        Ok(())
    }
}
