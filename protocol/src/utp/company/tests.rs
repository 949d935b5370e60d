use super::*;

const RTT: Duration = Duration::from_millis(100);
const PACKET: f64 = 1452.0;
const WINDOW: f64 = 600_000.0;

/// A flow's samples, and what they lead to.
struct Flow {
    now: Instant,
    company: Company,
    window: f64,
}

impl Flow {
    fn new() -> Self {
        let mut flow = Self {
            now: Instant::now(),
            company: Company::new(),
            window: WINDOW,
        };
        flow.round(0.0);
        flow
    }

    fn sample(&self, queue_ms: f64) -> Sample {
        let queueing = Duration::from_secs_f64(queue_ms / 1000.0);
        Sample {
            queueing,
            rtt: RTT + queueing,
            window: self.window,
            packet: PACKET,
        }
    }

    /// A round trip in which packets wait so long; what was advised beside going on.
    fn round(&mut self, queue_ms: f64) -> Vec<Advice> {
        let mut all = Vec::new();
        for _ in 0..20 {
            let sample = self.sample(queue_ms);
            let advice = self.company.heard(self.now, &sample);
            if let Advice::Cut(left) = advice {
                self.window *= left;
            }
            if !matches!(advice, Advice::Go | Advice::Stay) {
                all.push(advice);
            }
            self.now += sample.rtt / 20;
        }
        all
    }

    fn rounds(&mut self, queues_ms: &[f64]) -> Vec<Advice> {
        queues_ms
            .iter()
            .flat_map(|queue| self.round(*queue))
            .collect()
    }

    fn is_resting(&mut self) -> bool {
        let sample = self.sample(0.0);
        self.company.heard(self.now, &sample) == Advice::Stay
    }
}

/// A queue that grows as that of a flow in slow start, and does not shrink when the window is cut.
const NEWCOMER: [f64; 5] = [0.0, 4.0, 12.0, 20.0, 30.0];

#[test]
fn a_queue_of_ones_own_is_cut_whenever_it_has_grown_to_the_level() {
    let mut flow = Flow::new();
    for _ in 0..5 {
        flow.window = WINDOW;
        let advice = flow.rounds(&[2.0, 4.0, 6.0, 8.0, 9.0, 9.0]);
        let [Advice::Cut(left)] = advice[..] else {
            panic!("{advice:?}");
        };
        assert!((0.9..0.94).contains(&left), "{left}");
        assert_eq!(flow.rounds(&[1.0, 1.0, 1.0]), []);
    }
}

#[test]
fn a_queue_that_others_keep_is_borne_more_and_more_until_it_is_shared() {
    let mut flow = Flow::new();
    let mut advice = Vec::new();
    let mut queue = 0.0;
    for _ in 0..150 {
        queue += 0.7;
        advice.extend(flow.round(queue));
    }
    assert_eq!(advice.last(), Some(&Advice::Share), "{advice:?}");
    let cuts = advice
        .iter()
        .filter(|advice| matches!(advice, Advice::Cut(_)));
    assert!((3..=6).contains(&cuts.count()), "{advice:?}");
    assert!(!advice.contains(&Advice::Yield), "{advice:?}");
    assert!(flow.company.may_be_others());
    // The next look for them finds nobody.
    let before = flow.sample(100.0);
    assert!(flow.company.looked(&before, Duration::from_millis(1)));
    assert!(!flow.company.may_be_others());
}

#[test]
fn who_comes_with_a_fast_growing_queue_is_made_room_for() {
    let mut flow = Flow::new();
    let advice = flow.rounds(&NEWCOMER);
    assert!(
        matches!(advice[..], [Advice::Cut(_), Advice::Yield]),
        "{advice:?}"
    );
    // With the newcomer's queue before its eyes it stays away for three seconds, and believes in another at once.
    let until = flow.now + Duration::from_millis(2800);
    flow.window = WINDOW;
    while flow.now < until {
        flow.round(40.0);
        assert!(flow.is_resting());
    }
    assert_eq!(flow.rounds(&[0.0; 6]), []);
    assert!(!flow.is_resting());
    let advice = flow.rounds(&NEWCOMER);
    assert!(advice.contains(&Advice::Yield), "{advice:?}");
}

#[test]
fn after_a_false_alarm_it_takes_longer_until_the_next() {
    let mut flow = Flow::new();
    let begin = flow.now;
    let mut yields = Vec::new();
    while flow.now < begin + Duration::from_mins(10) {
        flow.window = WINDOW;
        let advice = flow.rounds(&NEWCOMER);
        if advice.contains(&Advice::Yield) {
            yields.push((flow.now - begin).as_secs());
            let returns = usize::from(yields.len() > 1);
            assert_eq!(flow.rounds(&[0.0; 40]), [Advice::Return].repeat(returns));
        }
        let quiet = flow.now + ROOM_FOR;
        while flow.now < quiet {
            flow.round(0.0);
        }
        // Its own queue, until it bears little again.
        for _ in 0..4 {
            flow.rounds(&[40.0, 40.0, 0.0, 0.0, 0.0]);
        }
    }
    assert!((4..=7).contains(&yields.len()), "{yields:?}");
    let gaps: Vec<u64> = yields.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.is_sorted() && gaps[0] >= 20, "{yields:?}");
}

#[test]
fn on_a_short_path_and_before_the_first_look_at_a_long_queue_nothing_is_concluded() {
    let mut flow = Flow::new();
    for queue in NEWCOMER {
        for _ in 0..20 {
            let queueing = Duration::from_secs_f64(queue / 1000.0);
            let rtt = queueing + LEAST_RTT / 2;
            let sample = Sample {
                queueing,
                rtt,
                ..flow.sample(0.0)
            };
            assert_eq!(flow.company.heard(flow.now, &sample), Advice::Go);
            flow.now += rtt / 20;
        }
    }
    let mut flow = Flow {
        company: Company::new(),
        ..flow
    };
    assert_eq!(flow.rounds(&[60.0, 70.0, 80.0]), []);
    assert!(flow.company.may_be_others());
}

#[test]
fn on_a_slow_path_some_packets_may_wait_that_are_the_flows_own() {
    let mut flow = Flow::new();
    // 10 Mbit/s: a packet takes 1.2 ms.
    flow.window = 125_000.0;
    assert_eq!(flow.rounds(&[2.0, 4.0, 6.0, 8.0, 9.0, 9.0]), []);
    let advice = flow.rounds(&[11.0, 13.0]);
    assert!(matches!(advice[..], [Advice::Cut(_)]), "{advice:?}");
}
