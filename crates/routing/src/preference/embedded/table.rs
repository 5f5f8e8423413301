//! A static embedding table: one vector a token, the text's vector is their mean. Token weights are already in the
//! rows.

use super::weights::{Matrix, Weights};

/// A table over borrowed rows.
#[derive(Debug)]
pub(super) struct Table(Matrix<'static>);

impl Table {
    /// Reads `table` [tokens, dimensions] of a weight file.
    pub(super) fn new(file: &'static [u8]) -> Result<Self, String> {
        Weights::new(file)?.matrix("table").map(Self)
    }

    /// How many tokens it has vectors for.
    pub(super) fn tokens(&self) -> usize {
        self.0.rows
    }

    /// How long a vector is.
    pub(super) fn dimensions(&self) -> usize {
        self.0.columns
    }

    /// Writes the mean of the tokens' vectors, at length one, into `into`; zeros where there are no tokens.
    pub(super) fn embed(&self, tokens: &[u32], into: &mut [f32]) {
        into.fill(0.0);
        for &token in tokens {
            let token = token as usize;
            let Some((row, scale)) = self.0.row(token).zip(self.0.scales.get(token)) else { continue };
            for (sum, &value) in into.iter_mut().zip(row) {
                *sum += scale * f32::from(value.cast_signed());
            }
        }
        let length = into.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            into.iter_mut().for_each(|value| *value /= length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::weights::tests::file;
    use super::*;

    #[test]
    fn a_text_is_the_mean_of_its_tokens() {
        let header = r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},"table.scale":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
        let mut data = vec![3, 0, 0, 0xfc];
        data.extend_from_slice(&1f32.to_le_bytes());
        data.extend_from_slice(&1f32.to_le_bytes());
        let table = Table::new(file(header, &data)).unwrap();
        assert_eq!((table.tokens(), table.dimensions()), (2, 2));
        let mut vector = [9.0; 2];
        table.embed(&[0, 1, 77], &mut vector);
        assert_eq!(vector, [0.6, -0.8]);
        table.embed(&[], &mut vector);
        assert_eq!(vector, [0.0, 0.0]);
    }
}
