//! What was trained: the vocabulary, the static tables and the encoder, shared by all sets of routes.

use std::sync::{Arc, LazyLock};

#[cfg(feature = "encoder")]
use quick_cache::sync::Cache;

#[cfg(feature = "encoder")]
use super::encoder::Encoder;
use super::table::Table;
use super::wordpiece::WordPiece;

pub(super) const VOCABULARY: &str = include_str!("../../../model/vocab.txt");
const DISTILLED: &[u8] = include_bytes!("../../../model/distilled.safetensors");
const TRAINED: &[u8] = include_bytes!("../../../model/trained.safetensors");
#[cfg(feature = "encoder")]
const ENCODER: &[u8] = include_bytes!("../../../model/encoder.safetensors");

/// Vectors that the encoder keeps, about 2 KB each: the earlier turns of a conversation come again with every new one.
#[cfg(feature = "encoder")]
const KEPT: usize = 1024;

/// The bytes of everything that was trained.
pub(super) fn files() -> impl Iterator<Item = &'static [u8]> {
    let tables = [VOCABULARY.as_bytes(), DISTILLED, TRAINED].into_iter();
    #[cfg(feature = "encoder")]
    let tables = tables.chain([ENCODER]);
    tables
}

/// Vocabulary and tables.
#[derive(Debug)]
pub(super) struct Model {
    pieces: WordPiece,
    tables: [Table; 2],
}

#[expect(clippy::expect_used, reason = "the weights are part of the binary, and a test reads them")]
pub(super) static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::new(VOCABULARY, [DISTILLED, TRAINED]).expect("the embedded weights are whole"));

impl Model {
    fn new(vocabulary: &'static str, files: [&'static [u8]; 2]) -> Result<Self, String> {
        let pieces = WordPiece::new(vocabulary)?;
        let [distilled, trained] = files;
        let tables = [Table::new(distilled)?, Table::new(trained)?];
        match tables.iter().find(|table| table.tokens() != pieces.len()) {
            Some(table) => {
                Err(format!("a table has {} rows, the vocabulary {} pieces", table.tokens(), pieces.len()))
            }
            None => Ok(Self { pieces, tables }),
        }
    }

    pub(super) fn tokenize(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
        self.pieces.tokenize(text, |token| tokens.push(token));
        tokens
    }

    /// The tokens' vectors in both tables, one behind the other, each at length 1/√2: a dot product of two is the mean
    /// cosine.
    pub(super) fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let mut vector = vec![0.0; self.tables.iter().map(Table::dimensions).sum()];
        let mut rest = vector.as_mut_slice();
        for table in &self.tables {
            let (part, more) = rest.split_at_mut(table.dimensions());
            table.embed(tokens, part);
            part.iter_mut().for_each(|value| *value *= std::f32::consts::FRAC_1_SQRT_2);
            rest = more;
        }
        vector
    }
}

/// The encoder and the vectors that it made lately.
#[cfg(feature = "encoder")]
#[derive(Debug)]
struct Remembering {
    encoder: Encoder,
    /// By tokens, not by a hash of them: two texts never share a vector by chance.
    vectors: Cache<Box<[u32]>, Arc<[f32]>>,
}

#[cfg(feature = "encoder")]
#[expect(clippy::expect_used, reason = "the weights are part of the binary, and a test reads them")]
static REMEMBERING: LazyLock<Remembering> = LazyLock::new(|| {
    let encoder = Encoder::new(ENCODER).expect("the embedded weights are whole");
    Remembering { encoder, vectors: Cache::new(KEPT) }
});

/// The encoder's vector of a text, at length one; from memory if the text was there before.
#[cfg(feature = "encoder")]
pub(super) fn encode(tokens: &[u32]) -> Arc<[f32]> {
    let Remembering { encoder, vectors } = &*REMEMBERING;
    let tokens = super::encoder::framed(tokens);
    if let Some(vector) = vectors.get(tokens.as_slice()) {
        return vector;
    }
    let vector: Arc<[f32]> = encoder.encode(&tokens).into();
    vectors.insert(tokens.into(), Arc::clone(&vector));
    vector
}

/// Without the feature there is no encoder; nothing asks for it then.
#[cfg(not(feature = "encoder"))]
pub(super) fn encode(_: &[u32]) -> Arc<[f32]> {
    Arc::new([])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_whole() {
        assert_eq!(Model::new("a\nb", [DISTILLED, TRAINED]).unwrap_err(), "the vocabulary has no [UNK]");
        let vector = MODEL.embed(&MODEL.tokenize("hello"));
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
