//! What is read of XML: the elements, one after the other, and the text of those that have no others inside.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// The most elements of a document. Descriptions of gateways have some hundred.
pub const MOST_ELEMENTS: usize = 4096;

/// The most elements inside each other. Those of gateways are 10 deep.
pub const DEEPEST: usize = 32;

/// The most bytes of text that an element may have; one with more counts as if it had none.
pub const LONGEST_TEXT: usize = 1024;

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
    #[error("no valid XML")]
    Malformed,
    /// It has more elements than [`MOST_ELEMENTS`], or more inside each other than [`DEEPEST`].
    #[error("the XML has too many elements")]
    TooMany,
}

/// A step through a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// An element begins. Its name is without prefix.
    Begin(&'a str),
    /// An element ends. Its text is what stood behind the last tag, without blanks around it.
    End(&'a str, &'a str),
}

/// Reads a document, as far as the end of its first element. Attributes are not looked at, and so prefixes mean nothing.
pub(super) fn read(document: &[u8], mut step: impl FnMut(Step<'_>)) -> Result<(), XmlError> {
    // Whoever does not write UTF-8 does so in the names of devices, which are not looked at.
    let document = String::from_utf8_lossy(document);
    let mut reader = Reader::from_str(&document);
    // Names of devices have such characters as they are.
    reader.config_mut().allow_dangling_amp = true;
    let (mut depth, mut elements) = (0_usize, 0_usize);
    let mut text = Text::default();
    loop {
        let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
        match event {
            Event::Start(tag) => {
                begin(&mut depth, &mut elements)?;
                text.clear();
                step(Step::Begin(tag.local_name().as_ref()));
            }
            Event::Empty(tag) => {
                begin(&mut depth, &mut elements)?;
                depth = depth.saturating_sub(1);
                text.clear();
                let name = tag.local_name();
                step(Step::Begin(name.as_ref()));
                step(Step::End(name.as_ref(), ""));
            }
            Event::End(tag) => {
                step(Step::End(tag.local_name().as_ref(), text.get()));
                text.clear();
                depth = depth.saturating_sub(1);
            }
            Event::Text(part) => text.push(&part),
            Event::CData(part) => text.push(&part),
            Event::GeneralRef(name) => text.push(&meaning(&name)),
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => return Err(XmlError::Truncated),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        if depth == 0 && elements > 0 {
            return Ok(());
        }
    }
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
    let known = match name.as_ref() {
        "amp" => "&",
        "apos" => "'",
        "gt" => ">",
        "lt" => "<",
        "quot" => "\"",
        _ => "",
    };
    known.to_owned()
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
