//! Takers with more than the usual share.

use futures_util::FutureExt;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn takers_share_by_their_weights_whatever_they_ask_for() {
    for rate in [100_000, 1_000_000, 20_000_000] {
        for wants in [[16 * 1024; 2], [256 * 1024; 2], [256 * 1024, 5_000]] {
            let limit = RateLimiter::new(Some(rate));
            let light = saturate(limit.throttle(), wants[0], Duration::from_secs(60));
            let heavy = limit.throttle().weighing(4);
            let heavy = saturate(heavy, wants[1], Duration::from_secs(60));
            let [light, heavy] = [tokio::spawn(light), tokio::spawn(heavy)];
            let [light, heavy] = [light.await.unwrap(), heavy.await.unwrap()];
            let what = format!("{rate} {wants:?}");
            assert_near(light + heavy, rate as f64 * 60.0, 0.02, &what);
            assert_near(heavy, light as f64 * 4.0, 0.1, &what);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_weighty_taker_has_in_store_goes_back_when_it_leaves() {
    let limit = RateLimiter::new(Some(1_000_000));
    let early = limit.throttle().take(1).now_or_never();
    assert_eq!(early, None, "it begins empty");
    sleep(Duration::from_secs(1)).await;
    let mut heavy = limit.throttle().weighing(6);
    assert_eq!(heavy.take(1000).now_or_never(), Some(1000));
    let room = || limit.throttle().take(1 << 20).now_or_never();
    assert_eq!(room(), Some(250_000 - 6 * STOCK), "it has more in store");
    drop(heavy);
    assert_eq!(room(), Some(6 * STOCK - 1000));
}
