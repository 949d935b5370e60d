use std::future::pending;
use std::net::Ipv4Addr;

use net::Pool;
use tokio::sync::oneshot;

use super::*;

fn ip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

/// A connection that says nothing; the receiver hears of its end.
fn enter(crowd: &Arc<Crowd>, from: IpAddr) -> Option<(u64, oneshot::Receiver<()>)> {
    let guest = Crowd::enter(crowd, from)?;
    let number = guest.number();
    let (open, ended) = oneshot::channel();
    let greeting = async move {
        let _held = (guest, open);
        pending::<()>().await;
    };
    crowd.stay(number, Pool::current().spawn(greeting));
    Some((number, ended))
}

#[tokio::test]
async fn who_has_waited_longest_makes_room() {
    let crowd = Arc::<Crowd>::default();
    let mut guests: Vec<_> = (0..GREETING as u32)
        .map(|number| enter(&crowd, ip(number)).unwrap())
        .collect();
    tokio::task::yield_now().await;
    for round in 0..3_u32 {
        enter(&crowd, ip(10_000 + round)).unwrap();
        let (_, ended) = guests.remove(0);
        assert!(ended.await.is_err(), "its greeting has ended");
        assert_eq!(crowd.0.lock().by_number.len(), GREETING);
        assert_eq!(crowd.0.lock().by_ip.len(), GREETING);
    }
    for (_, ended) in &mut guests {
        assert!(
            ended
                .try_recv()
                .is_err_and(|e| e == oneshot::error::TryRecvError::Empty)
        );
    }
}

#[tokio::test]
async fn one_address_takes_its_share_and_no_more() {
    let crowd = Arc::<Crowd>::default();
    let held: Vec<_> = (0..GREETING_PER_IP)
        .map(|_| enter(&crowd, ip(1)).unwrap())
        .collect();
    assert!(enter(&crowd, ip(1)).is_none());
    assert!(enter(&crowd, ip(2)).is_some());
    assert_eq!(held.len(), GREETING_PER_IP);
}

#[tokio::test]
async fn who_leaves_gives_the_place_back_and_goes_on() {
    let crowd = Arc::<Crowd>::default();
    let guest = Crowd::enter(&crowd, ip(1)).unwrap();
    let number = guest.number();
    let (done, heard) = oneshot::channel();
    let greeting = async move {
        drop(guest);
        tokio::task::yield_now().await;
        done.send(7).unwrap();
    };
    crowd.stay(number, Pool::current().spawn(greeting));
    assert_eq!(heard.await, Ok(7));
    let guests = crowd.0.lock();
    assert!(guests.by_number.is_empty() && guests.by_ip.is_empty());
}
