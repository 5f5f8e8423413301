//! A static embedding table: one vector a token, the text's vector is their mean.
//!
//! The file is [safetensors](https://github.com/huggingface/safetensors): `table` [tokens, dimensions] int8 and
//! `scale` [tokens] f32; token weights are already in the rows.

use serde::Deserialize;
use std::collections::HashMap;

/// A table over borrowed rows.
#[derive(Debug)]
pub(super) struct Table {
    rows: &'static [u8],
    scales: Vec<f32>,
    dimensions: usize,
}

/// Where one tensor stands in the file.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Table {
    /// Reads a safetensors file. Nothing in it is believed: kinds, shapes and offsets are checked against its length.
    pub(super) fn new(file: &'static [u8]) -> Result<Self, String> {
        let (length, rest) = file.split_first_chunk::<8>().ok_or("the file is shorter than its header")?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|error| error.to_string())?;
        let (header, data) = rest.split_at_checked(length).ok_or("the header is longer than the file")?;
        let header: HashMap<String, serde_json::Value> =
            serde_json::from_slice(header).map_err(|error| format!("the header is not JSON: {error}"))?;
        let (shape, rows) = tensor(&header, data, "table", "I8", 1)?;
        let (scale_shape, scales) = tensor(&header, data, "scale", "F32", 4)?;
        let [tokens, dimensions] = shape.as_slice() else {
            return Err("`table` has to have two dimensions".into());
        };
        if scale_shape != [*tokens] {
            return Err("`scale` has to have one number for each row of `table`".into());
        }
        let (scales, _) = scales.as_chunks::<4>();
        let scales = scales.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok(Self { rows, scales, dimensions: *dimensions })
    }

    /// How many tokens it has vectors for.
    pub(super) fn tokens(&self) -> usize {
        self.scales.len()
    }

    /// How long a vector is.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Writes the mean of the tokens' vectors, at length one, into `into`; zeros where there are no tokens.
    pub(super) fn embed(&self, tokens: &[u32], into: &mut [f32]) {
        into.fill(0.0);
        for &token in tokens {
            let token = token as usize;
            let start = token * self.dimensions;
            let Some(row) = self.rows.get(start..start + self.dimensions) else { continue };
            let scale = self.scales.get(token).copied().unwrap_or(0.0);
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

/// The shape and bytes of a tensor of the given kind.
fn tensor<'a>(
    header: &HashMap<String, serde_json::Value>,
    data: &'a [u8],
    name: &str,
    kind: &str,
    width: usize,
) -> Result<(Vec<usize>, &'a [u8]), String> {
    let entry = header.get(name).ok_or_else(|| format!("the file has no tensor `{name}`"))?;
    let tensor =
        Tensor::deserialize(entry).map_err(|error| format!("the header of `{name}` is broken: {error}"))?;
    if tensor.dtype != kind {
        return Err(format!("`{name}` holds {}, not {kind}", tensor.dtype));
    }
    let [start, end] = tensor.data_offsets;
    let bytes = data.get(start..end).ok_or_else(|| format!("`{name}` stands outside the file"))?;
    let count = tensor.shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
    if count != Some(bytes.len()) {
        return Err(format!("`{name}` has {} bytes, its shape says {count:?}", bytes.len()));
    }
    Ok((tensor.shape, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> &'static [u8] {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        file.leak()
    }

    #[test]
    fn a_text_is_the_mean_of_its_tokens() {
        let header = r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},"scale":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
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

    #[test]
    fn broken_files_are_refused() {
        let table = r#""table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]}"#;
        for (header, expected) in [
            ("[]".to_owned(), "the header is not JSON"),
            ("{}".into(), "no tensor `table`"),
            (r#"{"table":{"dtype":"I8"}}"#.into(), "broken"),
            (r#"{"table":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.into(), "holds F32"),
            (r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,99]}}"#.into(), "outside"),
            (r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[4,0]}}"#.into(), "outside"),
            (
                r#"{"table":{"dtype":"I8","shape":[4611686018427387904,8],"data_offsets":[0,4]}}"#.into(),
                "its shape",
            ),
            (format!("{{{table}}}"), "no tensor `scale`"),
            (
                format!(r#"{{{table},"scale":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#),
                "one number for each row",
            ),
        ] {
            let error = Table::new(file(&header, &[0; 12])).unwrap_err();
            assert!(error.contains(expected), "{header}: {error}");
        }
        assert!(Table::new(&[1, 2]).is_err());
        assert!(Table::new(&[255; 16]).is_err());
    }
}
