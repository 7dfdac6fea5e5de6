//! Leases: an end, renewed or reclaimed, never by surprise.

use portbook_model::{AllocationRequest, Ask, Lease, Outcome, Refusal, Span, Timestamp};

use crate::kit::{Desk, app, at, pair_of};

fn end(desk: &mut Desk, number: u32) -> Option<Timestamp> {
    desk.space()
        .allocation(&app("m", number))
        .unwrap()
        .lease
        .map(|lease| lease.expires_at)
}

fn renew(desk: &mut Desk, number: u32, ttl: Option<u64>) -> Result<Outcome, Refusal> {
    desk.ask(Ask::Renew {
        app: app("m", number),
        ttl: ttl.map(Span::from_millis),
    })
}

#[test]
fn a_lease_ends_its_length_after_it_was_asked_for() {
    let mut desk = Desk::new();
    desk.wall = at(10);
    let lease = Lease {
        expires_at: at(110),
        ttl: Span::from_millis(100),
    };
    assert_eq!(desk.lease("m", 1, 100).allocation.lease, Some(lease));
    assert_eq!(desk.grant("m", 2).allocation.lease, None);
}

#[test]
fn an_ended_lease_holds_its_ports_until_it_is_reclaimed() {
    let mut desk = Desk::new();
    desk.lease("m", 1, 100);
    desk.lease("m", 2, 101);
    desk.pair("m", 3);
    desk.wall = at(100);
    assert_eq!(desk.pair("x", 1), (5007, 8007));
    let ports = desk.space().allocation(&app("m", 1)).unwrap().ports.clone();
    assert_eq!(
        desk.ask(Ask::Expire),
        Ok(Outcome::Expired(vec![(app("m", 1), ports)]))
    );
    assert_eq!(desk.ask(Ask::Expire), Ok(Outcome::Expired(Vec::new())));
    assert_eq!(desk.pair("x", 2), (5001, 8001));
    assert_eq!(desk.pair("m", 2), (5003, 8003));
}

#[test]
fn a_renewal_moves_the_end_by_the_leases_own_length_or_another() {
    let mut desk = Desk::new();
    desk.lease("m", 1, 100);
    desk.wall = at(50);
    renew(&mut desk, 1, None).unwrap();
    assert_eq!(end(&mut desk, 1), Some(at(150)));
    renew(&mut desk, 1, Some(1000)).unwrap();
    assert_eq!(end(&mut desk, 1), Some(at(1050)));
    // Who renews for less means it.
    renew(&mut desk, 1, Some(1)).unwrap();
    assert_eq!(end(&mut desk, 1), Some(at(51)));
    // Ended, but not reclaimed, it can be saved.
    desk.wall = at(60);
    renew(&mut desk, 1, Some(100)).unwrap();
    assert_eq!(desk.ask(Ask::Expire), Ok(Outcome::Expired(Vec::new())));
}

#[test]
fn what_has_no_lease_cannot_be_renewed() {
    let mut desk = Desk::new();
    assert_eq!(
        renew(&mut desk, 1, None).unwrap_err().to_string(),
        "m/app1 has no allocation to renew"
    );
    desk.pair("m", 1);
    assert_eq!(
        renew(&mut desk, 1, Some(5)).unwrap_err().to_string(),
        "m/app1 has its ports for good: there is no lease to renew"
    );
    desk.lease("m", 2, 10);
    assert_eq!(renew(&mut desk, 2, Some(0)), Err(Refusal::ZeroTtl));
    desk.release("m", 2);
    assert_eq!(
        renew(&mut desk, 2, None),
        Err(Refusal::NothingToRenew(app("m", 2)))
    );
}

#[test]
fn to_ask_again_never_shortens_a_lease() {
    let mut desk = Desk::new();
    desk.lease("m", 1, 100);
    assert!(!desk.lease("m", 1, 10).created);
    assert_eq!(end(&mut desk, 1), Some(at(100)));
    desk.lease("m", 1, 200);
    assert_eq!(end(&mut desk, 1), Some(at(200)));
    // Who asks without a length takes nothing away either, and makes nothing last for good.
    desk.pair("m", 1);
    assert_eq!(end(&mut desk, 1), Some(at(200)));
}

#[test]
fn what_is_for_good_stays_so() {
    let mut desk = Desk::new();
    desk.pair("m", 1);
    desk.lease("m", 1, 10);
    assert_eq!(end(&mut desk, 1), None);
    desk.wall = at(1_000_000);
    assert_eq!(desk.ask(Ask::Expire), Ok(Outcome::Expired(Vec::new())));
}

#[test]
fn a_lease_of_no_length_is_refused() {
    let mut desk = Desk::new();
    let mut request = AllocationRequest::plain(vec![app("m", 1)]);
    request.ttl = Some(Span::ZERO);
    assert_eq!(desk.request(request), Err(Refusal::ZeroTtl));
}

#[test]
fn a_clock_that_jumps_back_changes_no_lease() {
    let mut desk = Desk::new();
    desk.wall = at(1000);
    desk.lease("m", 1, 100);
    desk.wall = at(-500_000);
    assert_eq!(desk.ask(Ask::Expire), Ok(Outcome::Expired(Vec::new())));
    // To the book it is still 1000, so that nothing comes to be before what was there already.
    desk.lease("m", 2, 50);
    assert_eq!(end(&mut desk, 2), Some(at(1050)));
    assert_eq!(desk.grant("m", 3).allocation.created_at, at(1000));
    renew(&mut desk, 1, None).unwrap();
    assert_eq!(end(&mut desk, 1), Some(at(1100)));
    desk.wall = at(1099);
    assert!(matches!(desk.ask(Ask::Expire), Ok(Outcome::Expired(gone)) if gone.len() == 1));
}

#[test]
fn a_clock_at_the_end_of_time_overflows_nothing() {
    let mut desk = Desk::new();
    desk.wall = Timestamp::from_millis(i64::MAX);
    let grant = desk.lease("m", 1, u64::MAX);
    assert_eq!(pair_of(&grant.allocation), (5001, 8001));
    assert_eq!(end(&mut desk, 1), Some(Timestamp::from_millis(i64::MAX)));
}
