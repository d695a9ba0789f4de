//! Subscriptions in tokio: as futures and as streams, without a thread.

mod common;

use common::{Domain, Pose, pose};
use futures_util::StreamExt;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_awaited_in_place_and_as_a_stream() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut first = b.subscribe(["robot.*"]).unwrap().into_async().unwrap();
    let second = b.subscribe(["robot.*"]).unwrap().into_async().unwrap();
    let sender = tokio::spawn(async move {
        for i in 0..2000 {
            poses.send(&pose(i)).unwrap();
            if i % 100 == 0 {
                // Sleep: so that the readers fall asleep too; nothing is asserted of the time.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        a
    });
    let streamed = tokio::spawn(second.take(2000).collect::<Vec<_>>());
    for i in 0..2000 {
        let event = tokio::time::timeout(LONG, first.recv()).await.unwrap().unwrap().unwrap();
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
    }
    let messages = tokio::time::timeout(LONG, streamed).await.unwrap().unwrap();
    for (i, message) in messages.into_iter().enumerate() {
        let message = message.unwrap();
        let event = message.envelope();
        assert_eq!((event.subject(), event.sequence()), ("robot.pose", i as u64 + 1));
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i as u64);
    }
    drop(sender.await.unwrap());
    drop(b);
    assert!(tokio::time::timeout(LONG, first.recv()).await.unwrap().unwrap().is_none());
    assert!(tokio::time::timeout(LONG, first.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_wait_that_is_cancelled_loses_nothing() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut seen = b.subscribe(["robot.*"]).unwrap().into_async().unwrap();
    for i in 0..200 {
        assert!(tokio::time::timeout(Duration::ZERO, seen.recv()).await.is_err());
        poses.send(&pose(i)).unwrap();
        let event = tokio::time::timeout(LONG, seen.recv()).await.unwrap().unwrap().unwrap();
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
    }
}
