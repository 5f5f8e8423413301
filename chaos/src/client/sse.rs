//! Server-sent events (WHATWG HTML, section 9.2.6), without leniency.

/// Takes bytes, gives events.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    is_open: bool,
}

/// An event's name, empty if it has none, and its data.
pub(super) type Event = (String, String);

impl Events {
    /// The events that are whole with these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, String> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8(line).map_err(|_not_utf8| "a line that is no text".to_owned())?;
            events.extend(self.line(line.strip_suffix('\r').unwrap_or(&line))?);
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Result<Option<Event>, String> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let is_open = std::mem::take(&mut self.is_open);
            return match self.data.take() {
                Some(data) => Ok(Some((name, data))),
                None if is_open => Err(format!("the event `{name}` has no data")),
                None => Ok(None),
            };
        }
        if line.starts_with(':') {
            return Ok(None);
        }
        let (field, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is no field"))?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        self.is_open = true;
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => data.extend(["\n", value]),
            },
            _ => return Err(format!("`{field}` is no field that is due here")),
        }
        Ok(None)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// It has ended within an event.
    pub(super) fn finish(&self) -> Result<(), String> {
        if self.line.is_empty() && !self.is_open {
            Ok(())
        } else {
            Err("the stream ends within an event".to_owned())
        }
    }
}
