//! Asking others for info-hashes.

use protocol::krpc::Sample;

use super::*;
use crate::request::Sampling;

/// Begins to sample and says what the one node is asked.
fn asked(bench: &mut Bench, at: Option<SocketAddr>) -> Vec<u8> {
    let target = NodeId([5; 20]);
    let request = Request::Sample(Sampling { target, at });
    bench.node.start(bench.now, request);
    let mut sent = bench.sent();
    assert_eq!(sent.len(), 1);
    sent.remove(0).bytes
}

fn is_sampling(asked: &[u8]) -> bool {
    let message = Message::decode(asked).unwrap();
    let Body::Query(query) = message.body else {
        return false;
    };
    matches!(query.method, Method::SampleInfohashes { .. })
}

fn samples(asked: &[u8], interval: u32) -> Vec<u8> {
    let message = Message::decode(asked).unwrap();
    let sample = Sample {
        interval,
        total: 1,
        hashes: &HASH.0,
    };
    let response = Response {
        sample: Some(sample),
        ..Response::new(NodeId([7; 20]))
    };
    let answer = Message {
        body: Body::Response(response),
        ..message
    };
    answer.to_bytes()
}

#[test]
fn a_node_is_asked_for_info_hashes_once_in_its_interval() {
    let mut bench = Bench::new(NodeConfig::default());
    let node = stranger(1);
    let (now, took) = (bench.now, Duration::from_millis(9));
    let side = bench.node.side_mut(Family::V4).unwrap();
    side.table.heard(now, NodeId([7; 20]), node, took);

    let first = asked(&mut bench, None);
    assert!(is_sampling(&first));
    bench.say(node, &samples(&first, 300));
    let second = asked(&mut bench, None);
    assert!(!is_sampling(&second), "asked again at once");
    bench.say(node, &pong(&second));
    bench.now += Duration::from_secs(300);
    let third = asked(&mut bench, None);
    assert!(is_sampling(&third), "not asked again after the interval");
    // No answer either.
    let fourth = asked(&mut bench, None);
    assert!(!is_sampling(&fourth), "asked again before it has answered");
}

#[test]
fn a_node_asked_alone_is_counted_and_its_refusal_told() {
    let mut bench = Bench::new(NodeConfig::default());
    let node = stranger(1);
    let mut end = |answer: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let asked = asked(&mut bench, Some(node));
        if let Some(answer) = answer(&asked) {
            bench.say(node, &answer);
        } else {
            bench.pass(Duration::from_secs(60));
        }
        let events = std::iter::from_fn(|| bench.node.poll_event());
        let ends = events.filter_map(|event| {
            let Event::Done {
                outcome, progress, ..
            } = event
            else {
                return None;
            };
            Some((outcome, progress.asked, progress.answered, progress.failed))
        });
        ends.last().expect("an end")
    };
    assert_eq!(
        end(&|asked| Some(samples(asked, 0))),
        (Outcome::Sampled, 1, 1, 0)
    );
    let refusal = |asked: &[u8]| {
        let message = Message::decode(asked).unwrap();
        let failure = Failure::new(ErrorCode::Method, "unknown method");
        let answer = Message {
            body: Body::Error(failure),
            ..message
        };
        Some(answer.to_bytes())
    };
    let code = Failure::new(ErrorCode::Method, "").code;
    assert_eq!(end(&refusal), (Outcome::Refused(code), 1, 1, 0));
    assert_eq!(end(&|_| None), (Outcome::Silence, 1, 0, 1));
}
