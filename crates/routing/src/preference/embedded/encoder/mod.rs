//! A small transformer: a text's vector where words alone do not tell.
//!
//! BERT as in MiniLM (Devlin et al. 2018, arXiv 1810.04805; Wang et al. 2020, arXiv 2002.10957) with fewer layers, a
//! weighted mean over the tokens, and length one. Weights are int8; `linear.rs` has the products, `math.rs` the rest.

mod linear;
mod math;

use linear::{Inputs, Kernel, Linear, Portable};

use super::weights::{Matrix, Weights};

/// Length of a vector.
pub(super) const WIDTH: usize = 384;
/// Width of a layer's inner step.
const INNER: usize = 1536;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
/// Longest text in tokens, the two special ones included; of longer ones, head and tail are read.
pub(super) const MAX_TOKENS: usize = 64;
/// More layers than this are no small transformer.
const MAX_LAYERS: usize = 12;
/// The special tokens at the beginning and the end.
const CLS: u32 = 101;
const SEP: u32 = 102;

/// The weights, ready to multiply.
#[derive(Debug)]
pub(super) struct Encoder {
    words: Matrix<'static>,
    /// [MAX_TOKENS, WIDTH]
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    /// How much a token counts in the mean: a softmax over its vectors' products with this one.
    pool: Vec<f32>,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// Queries, keys and values side by side.
    heads: Linear,
    output: Linear,
    norm1: Norm,
    up: Linear,
    down: Linear,
    norm2: Norm,
}

impl Norm {
    fn new(weights: &Weights<'_>, name: &str) -> Result<Self, String> {
        Ok(Self {
            weight: weights.floats(&format!("{name}.weight"), &[WIDTH])?,
            bias: weights.floats(&format!("{name}.bias"), &[WIDTH])?,
        })
    }

    #[inline(always)]
    fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(WIDTH) {
            math::layer_norm(row, &self.weight, &self.bias);
        }
    }
}

impl Encoder {
    /// Reads a weight file.
    pub(super) fn new(file: &'static [u8]) -> Result<Self, String> {
        let weights = Weights::new(file)?;
        let words = weights.matrix("words")?;
        if words.columns != WIDTH {
            return Err(format!("`words` is {} wide, not {WIDTH}", words.columns));
        }
        let [layers] = weights.floats("layers", &[1])?[..] else {
            return Err("`layers` is no number".into());
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let layers = if (1.0..=MAX_LAYERS as f32).contains(&layers) { layers as usize } else { 0 };
        if layers == 0 {
            return Err(format!("`layers` has to be between 1 and {MAX_LAYERS}"));
        }
        Ok(Self {
            words,
            positions: weights.floats("positions", &[MAX_TOKENS, WIDTH])?,
            norm: Norm::new(&weights, "norm")?,
            layers: (0..layers).map(|layer| Layer::new(&weights, layer)).collect::<Result<_, _>>()?,
            pool: weights.floats("pool", &[WIDTH])?,
        })
    }

    /// The vector of a text's [`framed`] tokens, at length one.
    pub(super) fn encode(&self, tokens: &[u32]) -> Vec<f32> {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V4::try_new() {
                return simd.vectorize(Pass { encoder: self, tokens, kernel: simd });
            }
            if let Some(simd) = pulp::x86::V3::try_new() {
                return simd.vectorize(Pass { encoder: self, tokens, kernel: simd });
            }
        }
        pulp::Arch::new().dispatch(Pass { encoder: self, tokens, kernel: Portable })
    }
}

/// Head and tail of a long text, between the special tokens.
pub(super) fn framed(tokens: &[u32]) -> Vec<u32> {
    const ROOM: usize = MAX_TOKENS - 2;
    let (head, tail) = if tokens.len() > ROOM {
        let (head, _) = tokens.split_at(ROOM / 2);
        let (_, tail) = tokens.split_at(tokens.len() - (ROOM - ROOM / 2));
        (head, tail)
    } else {
        (tokens, [].as_slice())
    };
    [&[CLS], head, tail, &[SEP]].concat()
}

/// One text through all layers. A type of its own, because only so is the whole pass compiled for the processor's
/// vector instructions: and of what it calls only what is inlined for certain. A closure handed to an iterator's
/// `for_each` or an array's `map` may be compiled by itself, for any processor, where `mul_add` is a call of libm.
struct Pass<'e, K> {
    encoder: &'e Encoder,
    tokens: &'e [u32],
    kernel: K,
}

impl<K: Kernel> pulp::NullaryFnOnce for Pass<'_, K> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn call(self) -> Vec<f32> {
        let Self { encoder, tokens, kernel } = self;
        let mut rows = Vec::with_capacity(tokens.len() * WIDTH);
        for (&token, position) in tokens.iter().zip(encoder.positions.chunks_exact(WIDTH)) {
            let token = token as usize;
            let word = encoder.words.row(token).unwrap_or_default();
            let scale = encoder.words.scales.get(token).copied().unwrap_or_default();
            rows.extend(
                word.iter()
                    .zip(position)
                    .map(|(word, position)| f32::from(word.cast_signed()).mul_add(scale, *position)),
            );
        }
        encoder.norm.apply(&mut rows);
        let mut space = Space::default();
        for layer in &encoder.layers {
            layer.apply(kernel, &mut rows, &mut space);
        }
        let mut shares: Vec<f32> =
            rows.chunks_exact(WIDTH).map(|row| math::dot(row, &encoder.pool)).collect();
        math::softmax(&mut shares);
        let mut mean = vec![0.0; WIDTH];
        for (row, share) in rows.chunks_exact(WIDTH).zip(shares) {
            for (mean, value) in mean.iter_mut().zip(row) {
                *mean = share.mul_add(*value, *mean);
            }
        }
        math::unit(&mut mean);
        mean
    }
}

/// Intermediate results, kept from layer to layer.
#[derive(Default)]
struct Space {
    inputs: Inputs,
    heads: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
    outer: Vec<f32>,
}

impl Layer {
    fn new(weights: &Weights<'_>, layer: usize) -> Result<Self, String> {
        let linear = |name: &str, outputs, inputs| {
            Linear::new(weights, &format!("layers.{layer}.{name}"), outputs, inputs)
        };
        let norm = |name: &str| Norm::new(weights, &format!("layers.{layer}.{name}"));
        Ok(Self {
            heads: linear("heads", 3 * WIDTH, WIDTH)?,
            output: linear("output", WIDTH, WIDTH)?,
            norm1: norm("norm1")?,
            up: linear("up", INNER, WIDTH)?,
            down: linear("down", WIDTH, INNER)?,
            norm2: norm("norm2")?,
        })
    }

    #[inline(always)]
    fn apply<K: Kernel>(&self, kernel: K, rows: &mut [f32], space: &mut Space) {
        let Space { inputs, heads, mixed, inner, outer } = space;
        self.heads.apply(kernel, rows, inputs, heads);
        attend(heads, mixed);
        self.output.apply(kernel, mixed, inputs, outer);
        add(rows, outer);
        self.norm1.apply(rows);
        self.up.apply(kernel, rows, inputs, inner);
        math::gelu(inner);
        self.down.apply(kernel, inner, inputs, outer);
        add(rows, outer);
        self.norm2.apply(rows);
    }
}

#[inline(always)]
fn add(into: &mut [f32], values: &[f32]) {
    for (into, value) in into.iter_mut().zip(values) {
        *into += value;
    }
}

/// Attention of every token to every token. `heads` holds a row of queries, keys and values a token.
#[inline(always)]
fn attend(heads: &[f32], mixed: &mut Vec<f32>) {
    let count = heads.len() / (3 * WIDTH);
    mixed.clear();
    mixed.resize(count * WIDTH, 0.0);
    let scale = 1.0 / (HEAD as f32).sqrt();
    let mut keys = vec![0.0; HEAD * count];
    let mut scores = vec![0.0; count];
    for head in 0..HEADS {
        // Keys by dimension, so that one query's scores are sums of whole vectors.
        for (token, row) in heads.chunks_exact(3 * WIDTH).enumerate() {
            let key = row.get(WIDTH + head * HEAD..WIDTH + (head + 1) * HEAD).unwrap_or_default();
            for (key, into) in key.iter().zip(keys.chunks_exact_mut(count)) {
                if let Some(into) = into.get_mut(token) {
                    *into = *key * scale;
                }
            }
        }
        for (row, mixed) in heads.chunks_exact(3 * WIDTH).zip(mixed.chunks_exact_mut(WIDTH)) {
            scores.fill(0.0);
            let query = row.get(head * HEAD..(head + 1) * HEAD).unwrap_or_default();
            for (query, keys) in query.iter().zip(keys.chunks_exact(count)) {
                for (score, key) in scores.iter_mut().zip(keys) {
                    *score = query.mul_add(*key, *score);
                }
            }
            math::softmax(&mut scores);
            // In registers until it is whole: through memory the compiler takes one number at a time.
            let mut sums = [0.0_f32; HEAD];
            for (score, row) in scores.iter().zip(heads.chunks_exact(3 * WIDTH)) {
                let value = row.get(2 * WIDTH + head * HEAD..).and_then(|row| row.first_chunk::<HEAD>());
                for (sum, value) in sums.iter_mut().zip(value.unwrap_or(&[0.0; HEAD])) {
                    *sum = score.mul_add(*value, *sum);
                }
            }
            if let Some(mixed) = mixed.get_mut(head * HEAD..(head + 1) * HEAD) {
                mixed.copy_from_slice(&sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::model::MODEL;
    use super::*;

    const FILE: &[u8] = include_bytes!("../../../../model/encoder.safetensors");

    #[derive(Deserialize)]
    struct Case {
        text: String,
        vector: Vec<f32>,
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The vectors of the unquantised model, by another implementation (`training/export.py`).
    #[test]
    fn vectors_are_those_of_the_trained_model() {
        let encoder = Encoder::new(FILE).unwrap();
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../../../tests/fixtures/encoder.json")).unwrap();
        assert!(cases.len() >= 4);
        for Case { text, vector } in cases {
            let tokens = framed(&MODEL.tokenize(&text));
            assert!(tokens.len() <= MAX_TOKENS);
            let found = encoder.encode(&tokens);
            assert!(cosine(&found, &vector) > 0.998, "{text}: {}", cosine(&found, &vector));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                let narrow = simd.vectorize(Pass { encoder: &encoder, tokens: &tokens, kernel: simd });
                assert!(cosine(&found, &narrow) > 0.9999, "{text}");
            }
            let portable = Pass { encoder: &encoder, tokens: &tokens, kernel: Portable };
            let portable = pulp::NullaryFnOnce::call(portable);
            assert!(cosine(&found, &portable) > 0.9999, "{text}");
        }
    }
}
