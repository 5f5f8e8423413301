//! Parts of a list, as two APIs ask for them: by the ids at its ends, or by a token.

use percent_encoding::percent_decode_str;
use waypost_dialect::error::{ApiError, ErrorKind};

/// Most rows of one page, in both APIs.
const MOST: usize = 1000;

/// Rows between two ids.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a, T> {
    pub(super) rows: &'a [T],
    /// There are more in the direction that was asked for.
    pub(super) has_more: bool,
}

/// Rows from a token on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a, T> {
    pub(super) rows: &'a [T],
    /// Asks for the next ones, if there are any.
    pub(super) next: Option<String>,
}

/// What `limit`, `after_id` and `before_id` ask for. Without a limit it is as much as a page may hold: most clients read
/// one page.
pub(super) fn by_id<'a, T>(
    query: &str,
    rows: &'a [T],
    id_of: impl Fn(&T) -> &str,
) -> Result<Part<'a, T>, ApiError> {
    let (mut limit, mut start, mut end, mut is_backward) = (MOST, 0, rows.len(), false);
    for (key, value) in pairs(query) {
        let place = |name: &str| {
            let found = rows.iter().position(|row| id_of(row) == value);
            found.ok_or_else(|| wrong(name, &format!("there is no model `{}` here", shown(&value))))
        };
        match key {
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                limit =
                    number.ok_or_else(|| wrong("limit", &format!("expected a number from 1 to {MOST}")))?;
            }
            "after_id" if !value.is_empty() => start = place("after_id")? + 1,
            "before_id" if !value.is_empty() => (end, is_backward) = (place("before_id")?, true),
            _ => {}
        }
    }
    let between = rows.get(start..end).unwrap_or_default();
    let has_more = between.len() > limit;
    let rows = match between.len().checked_sub(limit) {
        None => between,
        Some(too_many) if is_backward => between.get(too_many..).unwrap_or_default(),
        Some(_) => between.get(..limit).unwrap_or_default(),
    };
    Ok(Part { rows, has_more })
}

/// What `pageSize` and `pageToken` ask for; a larger page than there is becomes the largest, as the API has it.
pub(super) fn by_token<'a, T>(query: &str, rows: &'a [T]) -> Result<Chunk<'a, T>, ApiError> {
    let (mut size, mut start) = (MOST, 0);
    for (key, value) in pairs(query) {
        match key {
            "pageSize" | "page_size" => {
                let number: usize =
                    value.parse().map_err(|_no_number| wrong("page_size", "expected a number"))?;
                size = if number == 0 { MOST } else { number.min(MOST) };
            }
            "pageToken" | "page_token" if !value.is_empty() => {
                let place = value.parse().ok().filter(|place| *place <= rows.len());
                start =
                    place.ok_or_else(|| wrong("page_token", "it is none that a list of this server gave"))?;
            }
            _ => {}
        }
    }
    let rest = rows.get(start..).unwrap_or_default();
    let part = rest.get(..size).unwrap_or(rest);
    let next = (part.len() < rest.len()).then(|| (start + part.len()).to_string());
    Ok(Chunk { rows: part, next })
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| {
        (key, percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    })
}

fn wrong(name: &str, why: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidRequest, format!("{name}: {why}")).with_param(name)
}

/// Clients write what they like.
fn shown(id: &str) -> String {
    id.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [&str; 5] = ["a", "b/*", "c d", "e", "f"];

    #[test]
    fn parts_by_id() {
        for (query, rows, has_more) in [
            ("", &ROWS[..], false),
            ("limit=5", &ROWS[..], false),
            ("limit=2", &ROWS[..2], true),
            ("limit=2&after_id=b%2F%2A", &ROWS[2..4], true),
            ("after_id=c+d&limit=2", &ROWS[3..], false),
            ("after_id=f", &[], false),
            ("limit=2&before_id=e", &ROWS[1..3], true),
            ("limit=2&before_id=c%20d", &ROWS[..2], false),
            ("before_id=a", &[], false),
            ("after_id=a&before_id=e&limit=1", &ROWS[2..3], true),
            ("after_id=e&before_id=a", &[], false),
            ("beta=true&after_id=", &ROWS[..], false),
        ] {
            assert_eq!(by_id(query, &ROWS, |row| row).unwrap(), Part { rows, has_more }, "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "after_id=g", "before_id=A"] {
            let error = by_id(query, &ROWS, |row| row).unwrap_err();
            assert_eq!(error.param.as_deref(), query.split('=').next(), "{query}");
        }
    }

    #[test]
    fn parts_by_token() {
        let (mut all, mut query, mut pages) = (Vec::new(), "pageSize=2".to_owned(), 0);
        loop {
            let Chunk { rows, next } = by_token(&query, &ROWS).unwrap();
            all.extend(rows);
            pages += 1;
            match next {
                Some(token) => query = format!("pageSize=2&pageToken={token}"),
                None => break,
            }
        }
        assert_eq!((all.as_slice(), pages), (&ROWS[..], 3));
        assert_eq!(by_token("pageSize=9999&queryBase=true", &ROWS).unwrap().rows, ROWS);
        assert_eq!(by_token("pageSize=0&pageToken=", &ROWS).unwrap().next, None);
        for query in ["pageSize=x", "pageSize=-1", "pageToken=6", "pageToken=x"] {
            assert!(by_token(query, &ROWS).is_err(), "{query}");
        }
    }
}
