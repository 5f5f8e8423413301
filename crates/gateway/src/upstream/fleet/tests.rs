use super::*;

fn fleet() -> (Arc<Fleet>, HealthPolicy) {
    (Arc::new(Fleet::default()), HealthPolicy::default())
}

fn admit(fleet: &Arc<Fleet>, member: &Arc<Member>, policy: HealthPolicy) -> Result<Ticket, Admission> {
    Ticket::admit(fleet, member, policy, fleet.now())
}

fn member(fleet: &Fleet, key: &str, model: &str) -> Arc<Member> {
    let account = fleet.account("openai", "https://api.openai.com", Some(&key.into()));
    fleet.member(account, "openai", &model.into())
}

#[tokio::test(start_paused = true)]
async fn without_credit_all_models_of_the_key_rest_and_no_others() {
    let (fleet, policy) = fleet();
    let (one, two, other) = (member(&fleet, "a", "m"), member(&fleet, "a", "n"), member(&fleet, "b", "m"));
    assert!(one.shares_account(&two) && !one.shares_account(&other));
    admit(&fleet, &one, policy).unwrap().failed(Fault::Billing, None);
    for (member, expected) in [(&one, false), (&two, false), (&other, true)] {
        assert_eq!(admit(&fleet, member, policy).is_ok(), expected);
    }
    // A single model's trouble is its own.
    admit(&fleet, &other, policy).unwrap().failed(Fault::RateLimit, None);
    assert!(admit(&fleet, &other, policy).is_err());
    assert!(admit(&fleet, &member(&fleet, "b", "n"), policy).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_the_account_is_given_back() {
    let (fleet, policy) = fleet();
    let one = member(&fleet, "a", "m");
    admit(&fleet, &one, policy).unwrap().failed(Fault::Auth, Some(Duration::from_secs(5)));
    // Longer than asked: a key does not mend itself.
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(admit(&fleet, &one, policy).is_err());
    tokio::time::advance(Duration::from_secs(90)).await;
    let probe = admit(&fleet, &one, policy).unwrap();
    assert!(admit(&fleet, &one, policy).is_err(), "one at a time");
    assert_eq!(one.in_flight(), 1, "who is refused holds nothing");
    drop(probe);
    let mut probe = admit(&fleet, &one, policy).unwrap();
    // The model fails, but the key is good.
    probe.failed(Fault::Provider, None);
    drop(probe);
    assert!(admit(&fleet, &one, policy).is_ok());
    assert_eq!(one.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_were_kept_waiting_count_and_hasty_ones_do_not() {
    let (fleet, policy) = fleet();
    let one = member(&fleet, "a", "m");
    for (wait, expected) in [(Duration::from_secs(2), true), (PATIENCE, false)] {
        for _ in 0..policy.failures {
            let ticket = admit(&fleet, &one, policy).unwrap();
            tokio::time::advance(wait).await;
            drop(ticket);
        }
        assert_eq!(admit(&fleet, &one, policy).is_ok(), expected, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_a_queue() {
    let (fleet, policy) = fleet();
    let (one, two) = (member(&fleet, "a", "m"), member(&fleet, "a", "n"));
    one.limit(Some(1), Some(2));
    two.limit(None, Some(2));
    let queue = Queue { places: 1, time: Duration::from_secs(1) };
    let first = admit(&fleet, &one, policy).unwrap();
    let full = |refused| matches!(refused, Err(Admission::No { cause: Fault::Full, .. }));
    assert!(full(admit(&fleet, &one, policy).map(drop)), "its own limit");
    let second = admit(&fleet, &two, policy).unwrap();
    assert!(full(admit(&fleet, &two, policy).map(drop)), "the account's");
    // One waits, there is no place for another, and who waits gets what becomes free.
    let waiting = Ticket::queue(&fleet, &one, policy, queue, false);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut waiting).await.is_err());
    assert!(Ticket::queue(&fleet, &two, policy, queue, false).await.is_err());
    drop(second);
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut waiting).await.is_err(), "not his room");
    drop(first);
    assert!(waiting.await.is_ok());
    assert_eq!(one.in_flight(), 0);
    let _first = admit(&fleet, &one, policy).unwrap();
    assert!(Ticket::queue(&fleet, &one, policy, queue, false).await.is_err(), "not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_keeps_what_is_known() {
    let (fleet, policy) = fleet();
    let one = member(&fleet, "a", "m");
    admit(&fleet, &one, policy).unwrap().failed(Fault::RateLimit, Some(Duration::from_secs(60)));
    let again = member(&fleet, "a", "m");
    drop(one);
    fleet.forget_unused(|_| false);
    assert!(admit(&fleet, &again, policy).is_err());
    drop(again);
    fleet.forget_unused(|_| true);
    assert!(admit(&fleet, &member(&fleet, "a", "m"), policy).is_err(), "one of a wildcard");
    fleet.forget_unused(|_| false);
    assert!(admit(&fleet, &member(&fleet, "a", "m"), policy).is_ok());
}
