//! Reading of weight files: [safetensors](https://github.com/huggingface/safetensors), every kind and shape checked.

use safetensors::{Dtype, SafeTensors};

/// The tensors of one file.
pub(super) struct Weights<'a>(SafeTensors<'a>);

impl<'a> Weights<'a> {
    pub(super) fn new(file: &'a [u8]) -> Result<Self, String> {
        SafeTensors::deserialize(file).map(Self).map_err(|error| format!("the file is broken: {error}"))
    }

    /// A matrix of int8 with one scale a row: `NAME` and `NAME.scale`.
    pub(super) fn matrix(&self, name: &str) -> Result<Matrix<'a>, String> {
        let (shape, values) = self.tensor(name, Dtype::I8)?;
        let &[rows, columns] = shape.as_slice() else {
            return Err(format!("`{name}` has to have two dimensions"));
        };
        let scales = self.floats(&format!("{name}.scale"), &[rows])?;
        Ok(Matrix { rows, columns, values, scales })
    }

    /// Numbers of a given shape.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let (found, bytes) = self.tensor(name, Dtype::F32)?;
        if found != shape {
            return Err(format!("`{name}` has the shape {found:?}, not {shape:?}"));
        }
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    fn tensor(&self, name: &str, kind: Dtype) -> Result<(Vec<usize>, &'a [u8]), String> {
        let tensor = self.0.tensor(name).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        if tensor.dtype() != kind {
            return Err(format!("`{name}` holds {:?}, not {kind:?}", tensor.dtype()));
        }
        Ok((tensor.shape().to_vec(), tensor.data()))
    }
}

/// Rows of int8 that share a scale each, as they stand in the file.
#[derive(Debug)]
pub(super) struct Matrix<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    values: &'a [u8],
    /// One for each row.
    pub(super) scales: Vec<f32>,
}

impl<'a> Matrix<'a> {
    /// The values of a row, to be multiplied by its scale.
    pub(super) fn row(&self, row: usize) -> Option<&'a [u8]> {
        self.values.get(row * self.columns..(row + 1) * self.columns)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of the given header and data.
    pub(in super::super) fn file(header: &str, data: &[u8]) -> &'static [u8] {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        file.leak()
    }

    #[test]
    fn broken_files_are_refused() {
        let table = r#""table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]}"#;
        for (header, data, expected) in [
            ("[]".to_owned(), 0, "the file is broken"),
            ("{}".into(), 0, "`table` cannot be read"),
            (r#"{"table":{"dtype":"I8"}}"#.into(), 0, "the file is broken"),
            (r#"{"table":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.into(), 4, "holds F32"),
            (r#"{"table":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}}"#.into(), 4, "two dimensions"),
            (
                r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[0,99]}}"#.into(),
                4,
                "the file is broken",
            ),
            (
                r#"{"table":{"dtype":"I8","shape":[2,2],"data_offsets":[4,0]}}"#.into(),
                4,
                "the file is broken",
            ),
            (
                r#"{"table":{"dtype":"I8","shape":[4611686018427387904,8],"data_offsets":[0,4]}}"#.into(),
                4,
                "the file is broken",
            ),
            (format!("{{{table}}}"), 4, "`table.scale` cannot be read"),
            (
                format!(r#"{{{table},"table.scale":{{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}}}"#),
                8,
                "the shape [1], not [2]",
            ),
        ] {
            let file = file(&header, &vec![0; data]);
            let error = Weights::new(file).and_then(|weights| weights.matrix("table")).unwrap_err();
            assert!(error.contains(expected), "{header}: {error}");
        }
        assert!(Weights::new(&[1, 2]).is_err());
        assert!(Weights::new(&[255; 16]).is_err());
    }
}
