//! Base64 (RFC 4648): some APIs carry bytes where ours is text, such as a signature or a document. SDKs decode and
//! encode them anew, some of them in the other alphabet.

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);

pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Reads either alphabet, with or without padding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    ENGINE.decode(text).ok()
}

/// The same bytes as other APIs read them: in the standard alphabet, with padding.
pub(super) fn in_standard(text: String) -> String {
    let is_other = memchr::memchr2(b'-', b'_', text.as_bytes()).is_some();
    if !is_other && text.len().is_multiple_of(4) {
        return text;
    }
    let mut text = text.replace('-', "+").replace('_', "/");
    while matches!(text.len() % 4, 2 | 3) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, in_standard};

    #[test]
    fn both_alphabets_and_any_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode("-_8"), decode("+/8="));
        assert_eq!(decode("a:b"), None);
        for (text, same) in [("-_8", "+/8="), ("Zg", "Zg=="), ("Zm9v", "Zm9v"), ("", ""), ("A", "A")] {
            assert_eq!(in_standard(text.into()), same);
        }
    }
}
