//! What is read of XML: the elements, one after the other, with attributes, and the text of those that have no others inside.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The most elements of a document: two thousand items of fifty.
pub(crate) const MOST_ELEMENTS: usize = 100_000;

/// The most elements inside each other.
const DEEPEST: usize = 32;

/// The most bytes of text that an element or attribute may have; one with more counts as if it had none.
const LONGEST_TEXT: usize = 16 << 10;

/// The most attributes of an element that are looked at.
const MOST_ATTRIBUTES: usize = 32;

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum XmlError {
    /// It ends before its first element does, or has none.
    #[error("the XML is cut short")]
    Truncated,
    /// It is no XML.
    #[error("it is no XML")]
    Malformed,
    /// It has too many elements, or too many inside each other.
    #[error("the XML has too many elements")]
    TooMany,
}

/// A step through a document. Names are without prefix and in small letters.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An element begins.
    Begin(&'a str, Attributes<'a>),
    /// An element ends. Its text is what stood behind the last tag, without blanks around it.
    End(&'a str, &'a str),
}

/// The attributes of an element.
#[derive(Debug)]
pub(crate) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of an attribute, by its name without prefix.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut all = self.0.attributes();
        let attributes = all.with_checks(false).take(MOST_ATTRIBUTES).flatten();
        let mut named = attributes.filter(|it| {
            let local = it.key.local_name();
            local.as_ref().eq_ignore_ascii_case(name)
        });
        let found = named.next()?;
        let value = unescaped(found.value.as_ref());
        (value.len() <= LONGEST_TEXT).then(|| value.trim().to_owned())
    }
}

/// Reads a document, as far as the end of its first element. What it declares of entities is not looked at.
pub(crate) fn read(document: &str, mut step: impl FnMut(Step<'_>)) -> Result<(), XmlError> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().check_end_names = false;
    let (mut depth, mut elements) = (0_usize, 0_usize);
    let mut text = Text::default();
    loop {
        let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
        match event {
            Event::Start(tag) => {
                begin(&mut depth, &mut elements)?;
                text.clear();
                let name = name_of(tag.local_name().as_ref());
                step(Step::Begin(&name, Attributes(&tag)));
            }
            Event::Empty(tag) => {
                begin(&mut depth, &mut elements)?;
                depth = depth.saturating_sub(1);
                text.clear();
                let name = name_of(tag.local_name().as_ref());
                step(Step::Begin(&name, Attributes(&tag)));
                step(Step::End(&name, ""));
            }
            Event::End(tag) => {
                // Reader, elements and text come apart only in what is no XML.
                depth = depth.checked_sub(1).ok_or(XmlError::Malformed)?;
                step(Step::End(&name_of(tag.local_name().as_ref()), text.get()));
                text.clear();
            }
            Event::Text(part) => text.push(&part),
            Event::CData(part) => text.push(&part),
            Event::GeneralRef(name) => text.push(&meaning(&name)),
            Event::Eof => return Err(XmlError::Truncated),
            Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {}
        }
        if depth == 0 && elements > 0 {
            return Ok(());
        }
    }
}

fn name_of(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Counts an element that begins.
fn begin(depth: &mut usize, elements: &mut usize) -> Result<(), XmlError> {
    *depth = depth.saturating_add(1);
    *elements = elements.saturating_add(1);
    if *depth > DEEPEST || *elements > MOST_ELEMENTS {
        return Err(XmlError::TooMany);
    }
    Ok(())
}

/// What a reference stands for: a character by its number, or one of the five that XML itself knows.
fn meaning(name: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return character.into();
    }
    predefined(name.as_ref()).to_owned()
}

fn predefined(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "apos" => "'",
        "gt" => ">",
        "lt" => "<",
        "quot" => "\"",
        // Of HTML, which feeds are full of.
        "nbsp" => " ",
        _ => "",
    }
}

/// Text with its references replaced; an ampersand that begins none stays.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let reference = behind.split_once(';').filter(|(name, _)| name.len() <= 10);
        let known = reference.and_then(|(name, rest)| {
            let character = match name.strip_prefix('#') {
                Some(number) => char_of(number)?.to_string(),
                None => Some(predefined(name))
                    .filter(|it| !it.is_empty())?
                    .to_owned(),
            };
            Some((character, rest))
        });
        if let Some((character, behind)) = known {
            plain.push_str(&character);
            rest = behind;
        } else {
            plain.push('&');
            rest = behind;
        }
    }
    plain.push_str(rest);
    plain
}

fn char_of(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code).filter(|it| *it != '\0')
}

/// Text as it comes together, within [`LONGEST_TEXT`].
#[derive(Default)]
struct Text {
    text: String,
    full: bool,
}

impl Text {
    fn push(&mut self, part: &str) {
        if part.len() > LONGEST_TEXT.saturating_sub(self.text.len()) {
            self.full = true;
        }
        if !self.full {
            self.text.push_str(part);
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.full = false;
    }

    fn get(&self) -> &str {
        if self.full { "" } else { self.text.trim() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(document: &str) -> Result<Vec<String>, XmlError> {
        let mut all = Vec::new();
        read(document, |step| {
            all.push(match step {
                Step::Begin(name, attributes) => {
                    format!("<{name} {:?}", attributes.get("a"))
                }
                Step::End(name, text) => format!("{name}> {text}"),
            });
        })?;
        Ok(all)
    }

    #[test]
    fn elements_attributes_and_text_are_read_with_their_references() {
        let document = "<?xml version='1.0'?><!DOCTYPE x><X p:a='1 &amp; &#50; &y= & '><e/>\
                        <t>a &lt;b&gt; <![CDATA[&amp;]]>&#x41;</t></X>";
        let due = [
            "<x Some(\"1 & 2 &y= &\")",
            "<e None",
            "e> ",
            "<t None",
            "t> a <b> &amp;A",
            "x> ",
        ];
        assert_eq!(steps(document).unwrap(), due);
    }

    #[test]
    fn documents_have_bounds() {
        assert_eq!(steps("<a>"), Err(XmlError::Truncated));
        assert_eq!(steps(""), Err(XmlError::Truncated));
        assert_eq!(steps(&"<a>".repeat(33)), Err(XmlError::TooMany));
        let many = format!("<a>{}</a>", "<b/>".repeat(MOST_ELEMENTS));
        assert_eq!(steps(&many), Err(XmlError::TooMany));
        let long = format!("<a a='{0}'>{0}</a>", "x".repeat(LONGEST_TEXT + 1));
        assert_eq!(steps(&long).unwrap(), ["<a None", "a> "]);
    }
}
