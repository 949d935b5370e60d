//! Users and passwords in URLs, and who gets them.

use super::*;

#[tokio::test]
async fn the_user_and_password_of_the_url_are_sent_and_stay_on_the_server() {
    let other = Server::start(&real(), vec![Reply::ok("x")]).await;
    let to = format!("HTTP/1.1 302 X\r\nLocation: {}\r\n\r\n", other.url("/"));
    let same = "HTTP/1.1 302 X\r\nLocation: /same\r\n\r\n";
    let server = Server::start(&real(), vec![Reply::text(same), Reply::text(&to)]).await;
    let url = server.url("/").replace("http://", "http://me:pass%3aword@");
    get(&url).await.unwrap();
    for heard in [server.heard(0), server.heard(1)] {
        assert!(
            heard.to_lowercase().contains("authorization: basic"),
            "{heard}"
        );
        assert!(heard.contains("bWU6cGFzczp3b3Jk"), "{heard}");
    }
    assert!(!other.heard(0).to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_password_that_strangers_name_does_not_reach_this_machine() {
    let policies = [
        (Guard::TRACKER, false),
        (Guard::WEB_SEED, false),
        (Guard::USER, true),
    ];
    for (policy, sent) in policies {
        let server = Server::start(&real(), vec![Reply::ok("x")]).await;
        let url = server.url("/announce").replace("http://", "http://a:b@");
        let mut request = request(&url);
        request.policy = Arc::new(policy);
        let response = client().get(&request).await.unwrap();
        assert_eq!(response.status, 200);
        let heard = server.heard(0).to_lowercase();
        assert_eq!(heard.contains("authorization"), sent, "{heard}");
    }
}
