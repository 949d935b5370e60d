//! `docs/json.md` beside the code that it describes: tests of each command that writes JSON hold the two together.

/// What is written under a name: an event, or an object; and its fields.
pub(crate) type Written = (String, Vec<String>);

/// Compares the rows of a section of the page with the variants of an enum in a source file; returns those.
///
/// # Panics
/// Where an event has no row, a row does not name a field, or there are more rows than events.
pub(crate) fn agrees(section: &str, source: &str, item: &str) -> Vec<Written> {
    let rows = rows(section);
    let events = variants(source, item);
    for (event, fields) in &events {
        let start = format!("| `{event}` |");
        let row = rows.iter().find(|row| row.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row for {event}"));
        for field in fields {
            assert!(row.contains(&format!("`{field}`")), "{event}: {field}");
        }
    }
    assert_eq!(rows.len(), events.len(), "{rows:#?}");
    events
}

/// Compares the rows of a section with the fields of structs in a source file: a field of the struct that is in `place` of
/// the whole is called so in its row, the place in front.
///
/// # Panics
/// Where a field has no row, or there are more rows than fields.
pub(crate) fn names_fields(section: &str, source: &str, places: &[(&str, &str)]) {
    let rows = rows(section);
    let mut all = 0;
    for (item, place) in places {
        for field in fields(source, item) {
            let start = format!("| `{place}{field}` |");
            assert!(
                rows.iter().any(|row| row.starts_with(&start)),
                "no row {start}"
            );
            all += 1;
        }
    }
    assert_eq!(rows.len(), all, "{rows:#?}");
}

/// The rows of a section of the page.
///
/// # Panics
/// Where there is no such section.
pub(crate) fn rows(section: &str) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let heading = format!("## {section}");
    let mut lines = page.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "there is no section {section}");
    let own = lines.take_while(|line| !line.starts_with("## "));
    let rows = own.filter(|line| line.starts_with("| `"));
    rows.map(str::to_owned).collect()
}

/// The lines of code of an item, up to its closing brace.
fn code<'a>(source: &'a str, item: &str) -> impl Iterator<Item = &'a str> {
    let begin = source
        .find(&format!("{item}<"))
        .or_else(|| source.find(&format!("{item} {{")));
    let own = source.get(begin.unwrap()..).unwrap();
    let own = own.get(..own.find("\n}\n").unwrap()).unwrap();
    own.lines().skip(1).filter(|line| {
        let line = line.trim_start();
        !line.starts_with('/') && !line.starts_with('#')
    })
}

/// The fields of a struct that are for others.
fn fields(source: &str, item: &str) -> Vec<String> {
    let names = code(source, item).filter_map(|line| {
        let line = line.trim_start();
        let field = line.strip_prefix("pub(crate) ");
        let field = field.or_else(|| line.strip_prefix("pub "))?;
        Some(field.split_once(':')?.0.to_owned())
    });
    names.collect()
}

/// The variants of an enum and their fields, as events have them.
fn variants(source: &str, item: &str) -> Vec<Written> {
    let mut events: Vec<Written> = Vec::new();
    for line in code(source, item) {
        let mut rest = line;
        if let Some(name) = line
            .strip_prefix("    ")
            .filter(|line| line.starts_with(char::is_uppercase))
        {
            let end = name.find(|c: char| !c.is_alphanumeric()).unwrap();
            let mut snake = String::new();
            for (at, letter) in name.chars().take(end).enumerate() {
                if at > 0 && letter.is_uppercase() {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            events.push((snake, Vec::new()));
            rest = name.get(end..).unwrap();
        }
        let fields = rest.split(", ").filter_map(|part| part.split_once(": "));
        let fields = fields.map(|(name, _)| name.trim_start_matches([' ', '{']).to_owned());
        events.last_mut().unwrap().1.extend(fields);
    }
    events
}
