//! When something was published: RFC 822 with its successors, as RSS has it, and RFC 3339, as Atom has it.

/// Reads either form; seconds since 1970. What is left out (weekday, seconds, zone) is taken as usual.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    of_words(text).or_else(|| of_digits(text))
}

/// `Tue, 05 Mar 2024 12:30:00 +0100`.
fn of_words(text: &str) -> Option<i64> {
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?.get(..3)?.to_ascii_lowercase();
    let names = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let month = i64::try_from(names.iter().position(|it| *it == name)?).ok()?;
    let year: i64 = words.next()?.parse().ok()?;
    // As it was written before 2000.
    let year = match year {
        0..=69 => year.checked_add(2000)?,
        70..=99 => year.checked_add(1900)?,
        year => year,
    };
    let time = words.next().map_or(Some(0), of_time)?;
    let zone = words.next().map_or(Some(0), of_zone)?;
    at((year, month.checked_add(1)?, day), time, zone)
}

/// `2024-03-05T12:30:00.5+01:00`, or the day alone.
fn of_digits(text: &str) -> Option<i64> {
    let day = text.get(..10)?;
    let mut parts = day.split('-').map(|part| part.parse::<i64>().ok());
    let day = (parts.next()??, parts.next()??, parts.next()??);
    let rest = text.get(10..)?.trim_start_matches(['T', 't', ' ']);
    if rest.is_empty() {
        return at(day, 0, 0);
    }
    let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at_checked(end)?;
    at(day, of_time(time.trim())?, of_zone(zone)?)
}

/// Seconds of a day: `12:30` or `12:30:00.5`.
fn of_time(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hour = parts.next()?.parse::<i64>().ok()?;
    let minute = parts.next()?.parse::<i64>().ok()?;
    let second = match parts.next() {
        Some(part) => part.split('.').next()?.parse::<i64>().ok()?,
        None => 0,
    };
    // A minute may have a leap second.
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let seconds = hour
        .checked_mul(3600)?
        .checked_add(minute.checked_mul(60)?)?;
    seconds.checked_add(second).filter(|_| fits)
}

/// Seconds by which a zone is ahead: `+0100`, `+01:00`, `Z`, `GMT` or one of the old names.
fn of_zone(text: &str) -> Option<i64> {
    let hours = match text.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => 0_i64,
    };
    let sign = match text.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return hours.checked_mul(3600),
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours = digits.get(..2)?.parse::<i64>().ok()?;
    let minutes = digits.get(2..4).map_or(Some(0), |it| it.parse().ok())?;
    let seconds = hours
        .checked_mul(3600)?
        .checked_add(i64::checked_mul(minutes, 60)?)?;
    seconds.checked_mul(sign)
}

/// Days since 1970 of a day of the Gregorian calendar, and the seconds in it.
fn at((year, month, day): (i64, i64, i64), time: i64, zone: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that comes and goes is the last.
    let late = month <= 2;
    let year = year.checked_sub(i64::from(late))?;
    let month = if late {
        month.checked_add(9)?
    } else {
        month.checked_sub(3)?
    };
    let before = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let leap = year.checked_div(4)?.checked_sub(year.checked_div(100)?)?;
    let leap = leap.checked_add(year.checked_div(400)?)?;
    let days = year.checked_mul(365)?.checked_add(leap)?;
    let days = days.checked_add(before)?.checked_add(day)?;
    // Those before the first of January 1970.
    let days = days.checked_sub(719_469)?;
    let seconds = days.checked_mul(86_400)?.checked_add(time)?;
    seconds.checked_sub(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_feeds_are_read_in_all_their_forms() {
        for (text, due) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("1970-01-01", Some(0)),
            ("Tue, 05 Mar 2024 12:30:00 +0100", Some(1_709_638_200)),
            ("5 Mar 24 11:30 UT", Some(1_709_638_200)),
            ("Tue, 05 Mar 2024 06:30:00 EST", Some(1_709_638_200)),
            ("2024-03-05T12:30:00+01:00", Some(1_709_638_200)),
            ("2024-03-05t11:30:00.25Z", Some(1_709_638_200)),
            ("2024-03-05 11:30:00", Some(1_709_638_200)),
            ("Thu, 29 Feb 2024 23:59:60 GMT", Some(1_709_251_200)),
            ("2000-02-29T00:00:00Z", Some(951_782_400)),
            ("", None),
            ("yesterday", None),
            ("2024-13-05", None),
            ("Tue, 05 Mar 99999 12:30:00 GMT", None),
            ("Tue, 05 Mar 2024 25:30:00 GMT", None),
            ("2024-03-05T11:30:00é", None),
        ] {
            assert_eq!(seconds(text), due, "{text}");
        }
    }
}
