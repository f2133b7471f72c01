//! Documents of event packages: just enough XML to write them, in which nothing that somebody else wrote can end an
//! element or an attribute.

/// A document that is being written, one element after the other.
pub(crate) struct Xml {
    out: String,
    open: Vec<&'static str>,
    /// The innermost start tag has no `>` yet.
    unfinished: bool,
}

impl Xml {
    pub fn new() -> Self {
        Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n".into(), open: Vec::new(), unfinished: false }
    }

    /// Starts an element.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.finish_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name);
        self.unfinished = true;
        self
    }

    /// Gives the element that was started last, and has no content yet, an attribute.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        debug_assert!(self.unfinished, "attributes come before content");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.escaped(value);
        self.out.push('"');
        self
    }

    /// Adds text to the innermost element.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.finish_tag();
        self.escaped(text);
        self
    }

    /// Ends the innermost element.
    pub fn close(&mut self) -> &mut Self {
        let Some(name) = self.open.pop() else { return self };
        if std::mem::take(&mut self.unfinished) {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        self
    }

    /// An element with nothing but text.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.open(name).text(text).close()
    }

    /// The whole document; what is open is closed.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out.push_str("\r\n");
        self.out
    }

    fn finish_tag(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            self.out.push('>');
        }
    }

    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                // What XML 1.0 cannot hold, not even escaped, and what an attribute would change.
                letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => self.out.push(' '),
                letter => self.out.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let mut xml = Xml::new();
        xml.open("a").attribute("b", "\"/><evil x='&").leaf("c", "</c>\r\n\0\u{ffff}ü").open("d").close();
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <a b=\"&quot;/&gt;&lt;evil x='&amp;\"><c>&lt;/c&gt;    ü</c><d/></a>\r\n";
        assert_eq!(xml.finish(), expected);
    }
}
