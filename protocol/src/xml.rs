//! What is read of XML: the elements, one after the other, with attributes, and the text of those that have no others inside. Within
//! bounds, and without what a document declares of entities.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The most elements inside each other: those of gateways are 10 deep, and those of feeds hardly deeper.
pub const DEEPEST: usize = 32;

/// The most attributes of an element that are looked at.
const MOST_ATTRIBUTES: usize = 32;

/// How a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The most elements.
    pub most_elements: usize,
    /// The most bytes of text that an element or attribute may have; one with more counts as if it had none.
    pub longest_text: usize,
    /// People write such documents, and others read them anyway: names are in letters of any case, the name of an end is not looked at, a
    /// document type is passed over, and the references of HTML to blanks are known.
    pub forgiving: bool,
}

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// It has a document type, which could define entities.
    #[error("the XML has a document type")]
    DocumentType,
    /// It ends before its first element does, or has none.
    #[error("the XML is cut short")]
    Truncated,
    /// It is no XML.
    #[error("it is no XML")]
    Malformed,
    /// It has too many elements, or more inside each other than [`DEEPEST`].
    #[error("the XML has too many elements")]
    TooMany,
}

/// A step through a document. Names are without prefix, and in small letters where that is forgiven.
#[derive(Debug)]
pub enum Step<'a> {
    /// An element begins.
    Begin(&'a str, Attributes<'a>),
    /// An element ends. Its text is what stood behind the last tag, without blanks around it.
    End(&'a str, &'a str),
}

/// The attributes of an element.
#[derive(Debug)]
pub struct Attributes<'a>(&'a BytesStart<'a>, Manner);

impl Attributes<'_> {
    /// The value of an attribute, by its name without prefix, in letters of any case.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut all = self.0.attributes();
        let attributes = all.with_checks(false).take(MOST_ATTRIBUTES).flatten();
        let mut named = attributes.filter(|it| {
            let local = it.key.local_name();
            local.as_ref().eq_ignore_ascii_case(name)
        });
        let found = named.next()?;
        let value = unescaped(found.value.as_ref(), self.1);
        (value.len() <= self.1.longest_text).then(|| value.trim().to_owned())
    }
}

/// Reads a document, as far as the end of its first element.
///
/// # Errors
/// [`XmlError`]; the steps until then were taken.
pub fn read(
    document: &str,
    manner: Manner,
    mut step: impl FnMut(Step<'_>),
) -> Result<(), XmlError> {
    let mut reader = Reader::from_str(document);
    // Names of devices and titles have such characters as they are.
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().check_end_names = !manner.forgiving;
    let mut counts = Counts::default();
    let mut text = Text::new(manner.longest_text);
    loop {
        let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
        match event {
            Event::Start(tag) => {
                counts.begin(manner)?;
                text.clear();
                let local = tag.local_name();
                let name = manner.name(local.as_ref());
                step(Step::Begin(&name, Attributes(&tag, manner)));
            }
            Event::Empty(tag) => {
                counts.begin(manner)?;
                counts.depth = counts.depth.saturating_sub(1);
                text.clear();
                let local = tag.local_name();
                let name = manner.name(local.as_ref());
                step(Step::Begin(&name, Attributes(&tag, manner)));
                step(Step::End(&name, ""));
            }
            Event::End(tag) => {
                // Reader, elements and text come apart only in what is no XML.
                counts.depth = counts.depth.checked_sub(1).ok_or(XmlError::Malformed)?;
                let local = tag.local_name();
                let name = manner.name(local.as_ref());
                step(Step::End(&name, text.get()));
                text.clear();
            }
            Event::Text(part) => text.push(&part),
            Event::CData(part) => text.push(&part),
            Event::GeneralRef(name) => text.push(&meaning(&name, manner)),
            Event::DocType(_) if !manner.forgiving => return Err(XmlError::DocumentType),
            Event::Eof => return Err(XmlError::Truncated),
            Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {}
        }
        if counts.depth == 0 && counts.elements > 0 {
            return Ok(());
        }
    }
}

impl Manner {
    fn name(self, name: &str) -> Cow<'_, str> {
        if self.forgiving {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        }
    }
}

/// Elements so far, and inside how many of them it is read.
#[derive(Default)]
struct Counts {
    depth: usize,
    elements: usize,
}

impl Counts {
    /// Counts an element that begins.
    fn begin(&mut self, manner: Manner) -> Result<(), XmlError> {
        self.depth = self.depth.saturating_add(1);
        self.elements = self.elements.saturating_add(1);
        if self.depth > DEEPEST || self.elements > manner.most_elements {
            return Err(XmlError::TooMany);
        }
        Ok(())
    }
}

/// What a reference stands for: a character by its number, or one of the five that XML itself knows.
fn meaning(name: &BytesRef<'_>, manner: Manner) -> String {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return character.into();
    }
    predefined(name.as_ref(), manner).to_owned()
}

fn predefined(name: &str, manner: Manner) -> &'static str {
    match name {
        "amp" => "&",
        "apos" => "'",
        "gt" => ">",
        "lt" => "<",
        "quot" => "\"",
        // Of HTML.
        "nbsp" if manner.forgiving => " ",
        _ => "",
    }
}

/// Text with its references replaced; an ampersand that begins none stays.
fn unescaped(text: &str, manner: Manner) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let reference = behind.split_once(';').filter(|(name, _)| name.len() <= 10);
        let known = reference.and_then(|(name, rest)| {
            let character = match name.strip_prefix('#') {
                Some(number) => char_of(number)?.to_string(),
                None => Some(predefined(name, manner))
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

/// Text as it comes together, within its bound.
struct Text {
    so_far: String,
    full: bool,
    longest: usize,
}

impl Text {
    const fn new(longest: usize) -> Self {
        Self {
            so_far: String::new(),
            full: false,
            longest,
        }
    }

    fn push(&mut self, part: &str) {
        if part.len() > self.longest.saturating_sub(self.so_far.len()) {
            self.full = true;
        }
        if !self.full {
            self.so_far.push_str(part);
        }
    }

    fn clear(&mut self) {
        self.so_far.clear();
        self.full = false;
    }

    fn get(&self) -> &str {
        if self.full { "" } else { self.so_far.trim() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGIVING: Manner = Manner {
        most_elements: 1000,
        longest_text: 2000,
        forgiving: true,
    };

    const STRICT: Manner = Manner {
        forgiving: false,
        ..FORGIVING
    };

    fn steps(document: &str) -> Result<Vec<String>, XmlError> {
        steps_in(document, FORGIVING)
    }

    fn steps_in(document: &str, manner: Manner) -> Result<Vec<String>, XmlError> {
        let mut all = Vec::new();
        read(document, manner, |step| {
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
        let many = format!("<a>{}</a>", "<b/>".repeat(FORGIVING.most_elements));
        assert_eq!(steps(&many), Err(XmlError::TooMany));
        let long = format!("<a a='{0}'>{0}</a>", "x".repeat(FORGIVING.longest_text + 1));
        assert_eq!(steps(&long).unwrap(), ["<a None", "a> "]);
    }

    #[test]
    fn what_people_write_is_forgiven_where_it_is_to_be() {
        for (document, strict, forgiven) in [
            ("<A/>", Ok(vec!["<A None", "A> "]), vec!["<a None", "a> "]),
            ("<a></b>", Err(XmlError::Malformed), vec!["<a None", "b> "]),
            (
                "<!DOCTYPE a><a/>",
                Err(XmlError::DocumentType),
                vec!["<a None", "a> "],
            ),
            (
                "<a>1&nbsp;2</a>",
                Ok(vec!["<a None", "a> 12"]),
                vec!["<a None", "a> 1 2"],
            ),
        ] {
            let strict = strict.map(|steps| steps.into_iter().map(str::to_owned).collect());
            assert_eq!(steps_in(document, STRICT), strict, "{document}");
            assert_eq!(steps(document).unwrap(), forgiven, "{document}");
        }
    }
}
