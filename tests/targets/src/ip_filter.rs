//! Lists of addresses: a list that is read blocks the ends of its ranges, and means the same with its lines turned round.

use protocol::ip_filter::IpFilter;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(filter) = IpFilter::parse(data) else {
        return;
    };
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    assert!(filter.len() <= lines.len());
    // The mark of UTF-8 is taken at the beginning of any line.
    let turned: Vec<&[u8]> = lines.iter().rev().copied().collect();
    let again = IpFilter::parse(&turned.join(&b'\n')).expect("the same lines");
    assert_eq!(again, filter);
    for line in lines {
        let alone = IpFilter::parse(line).expect("one of the lines");
        let text = String::from_utf8_lossy(line);
        for part in text.split(['-', '/', ',', ' ']) {
            if let Ok(ip) = part.trim().parse() {
                assert!(!alone.blocks(ip) || filter.blocks(ip));
            }
        }
    }
}
