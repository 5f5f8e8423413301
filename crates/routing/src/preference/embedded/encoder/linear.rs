//! Products with int8 weights, on integers: the one place where nearly all of the encoder's time goes.
//!
//! Inputs are rounded to 14 bits a row, weights are widened from 8 to 16 bits as they are read, so that one instruction
//! (`vpmaddwd`) multiplies sixteen pairs and adds them two by two without overflow; and the rounding of inputs is far
//! finer than int8's. Widening at load would save an instruction and double what has to come from memory: measured, that
//! is slower. All products of four layers at 64 tokens take 6.4 ms so on one AVX2 core, 7.2 ms with wide weights.

use pulp::i8x16;

use super::super::weights::{Matrix, Weights};
use super::math::highest;

/// Columns of a panel: two vectors of eight sums.
const PANEL: usize = 16;
/// Rows that go through a panel at a time: their sums fill the registers.
const ROWS: usize = 5;
/// The largest magnitude of an input: 1536 products by 127 still fit an i32.
const INPUT: f32 = 8191.0;
/// 1.5 · 2²³: added to a number below 2²², it leaves that number, rounded, in the low bits.
const ROUND: f32 = 12_582_912.0;
/// The longest row for which that holds.
const MAX_WIDTH: usize = 1536;

/// Inputs of one product, rounded: for each block of [`ROWS`] rows, for each pair of neighbouring numbers, one i32 a row.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pairs: Vec<[i32; ROWS]>,
    scales: Vec<f32>,
}

impl Inputs {
    /// Rounds rows of `width` numbers; a last block that is not full has rows of zeros.
    #[inline(always)]
    fn read(&mut self, rows: &[f32], width: usize) {
        let count = rows.len() / width;
        let pairs = width / 2;
        self.pairs.clear();
        self.pairs.resize(count.div_ceil(ROWS) * pairs, [0; ROWS]);
        self.scales.clear();
        for (block, rows) in self.pairs.chunks_exact_mut(pairs).zip(rows.chunks(width * ROWS)) {
            for (lane, row) in rows.chunks_exact(width).enumerate() {
                let largest = highest(row, f32::abs);
                let scale = if largest > 0.0 { INPUT / largest } else { 0.0 };
                for (into, [a, b]) in block.iter_mut().zip(row.as_chunks::<2>().0) {
                    // The low bits of the sum are the rounded number: all of them at once, where a cast to an integer
                    // has to look at each.
                    let [a, b] = [a.mul_add(scale, ROUND), b.mul_add(scale, ROUND)];
                    let [a, b] = [a.to_bits().cast_signed(), b.to_bits().cast_signed()];
                    if let Some(into) = into.get_mut(lane) {
                        *into = (a & 0xffff) | (b << 16);
                    }
                }
                self.scales.push(largest / INPUT);
            }
        }
    }
}

/// One pair of rows of a panel's weights.
type Weights8 = [i8x16; 2];

/// Sums of products for one panel.
pub(super) trait Kernel: Copy {
    /// For each row of a block, the sums over the panel's columns.
    fn tile(self, block: &[[i32; ROWS]], panel: &[Weights8]) -> [[i32; PANEL]; ROWS];
}

/// For any processor; what the compiler makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn tile(self, block: &[[i32; ROWS]], panel: &[Weights8]) -> [[i32; PANEL]; ROWS] {
        let mut sums = [[0_i32; PANEL]; ROWS];
        for (pairs, weights) in block.iter().zip(panel) {
            let weights: &[[i8; 2]; PANEL] = bytemuck::cast_ref(weights);
            for (sums, pair) in sums.iter_mut().zip(pairs) {
                let [a, b]: [i16; 2] = bytemuck::cast(*pair);
                for (sum, [x, y]) in sums.iter_mut().zip(weights) {
                    *sum += i32::from(a) * i32::from(*x) + i32::from(b) * i32::from(*y);
                }
            }
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernel for pulp::x86::V3 {
    #[inline(always)]
    fn tile(self, block: &[[i32; ROWS]], panel: &[Weights8]) -> [[i32; PANEL]; ROWS] {
        let zero = self.avx._mm256_setzero_si256();
        let mut sums = [[zero; 2]; ROWS];
        for (pairs, weights) in block.iter().zip(panel) {
            let [left, right] = *weights;
            let left = self.avx2._mm256_cvtepi8_epi16(pulp::cast(left));
            let right = self.avx2._mm256_cvtepi8_epi16(pulp::cast(right));
            for (sums, pair) in sums.iter_mut().zip(pairs) {
                let pair = self.avx._mm256_set1_epi32(*pair);
                let [first, second] = sums;
                *first = self.avx2._mm256_add_epi32(*first, self.avx2._mm256_madd_epi16(pair, left));
                *second = self.avx2._mm256_add_epi32(*second, self.avx2._mm256_madd_epi16(pair, right));
            }
        }
        pulp::cast(sums)
    }
}

/// The same, sixteen columns in one register where the processor has AVX-512.
#[cfg(target_arch = "x86_64")]
impl Kernel for pulp::x86::V4 {
    #[inline(always)]
    fn tile(self, block: &[[i32; ROWS]], panel: &[Weights8]) -> [[i32; PANEL]; ROWS] {
        let mut sums = [self.avx512f._mm512_setzero_si512(); ROWS];
        for (pairs, weights) in block.iter().zip(panel) {
            let weights = self.avx512bw._mm512_cvtepi8_epi16(pulp::cast(*weights));
            for (sum, pair) in sums.iter_mut().zip(pairs) {
                let pair = self.avx512f._mm512_set1_epi32(*pair);
                *sum = self.avx512f._mm512_add_epi32(*sum, self.avx512bw._mm512_madd_epi16(pair, weights));
            }
        }
        pulp::cast(sums)
    }
}

/// `y = x · weights + bias`.
#[derive(Debug)]
pub(super) struct Linear {
    width: usize,
    /// Panel by panel, pair of rows by pair of rows, column by column.
    panels: Vec<Weights8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// Reads `NAME.weight` [outputs, inputs] and `NAME.bias`.
    pub(super) fn new(
        weights: &Weights<'_>,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, String> {
        let matrix = weights.matrix(&format!("{name}.weight"))?;
        if (matrix.rows, matrix.columns) != (outputs, inputs) {
            let found = (matrix.rows, matrix.columns);
            return Err(format!("`{name}` has the shape {found:?}, not {:?}", (outputs, inputs)));
        }
        let bias = weights.floats(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { width: inputs, panels: pack(&matrix)?, scales: matrix.scales, bias })
    }

    /// Multiplies rows of inputs; `into` takes the rows of outputs.
    #[inline(always)]
    pub(super) fn apply<K: Kernel>(&self, kernel: K, rows: &[f32], inputs: &mut Inputs, into: &mut Vec<f32>) {
        inputs.read(rows, self.width);
        let outputs = self.bias.len();
        into.clear();
        into.resize(inputs.scales.len() * outputs, 0.0);
        let pairs = self.width / 2;
        let columns = self.scales.as_chunks::<PANEL>().0.iter().zip(self.bias.as_chunks::<PANEL>().0);
        for (panel, (weights, (scales, bias))) in self.panels.chunks_exact(pairs).zip(columns).enumerate() {
            let blocks = inputs.pairs.chunks_exact(pairs).zip(inputs.scales.chunks(ROWS));
            for ((block, inputs), into) in blocks.zip(into.chunks_mut(ROWS * outputs)) {
                let sums = kernel.tile(block, weights);
                for ((sums, input), into) in sums.iter().zip(inputs).zip(into.chunks_exact_mut(outputs)) {
                    let into = into.get_mut(panel * PANEL..(panel + 1) * PANEL).unwrap_or_default();
                    for (((into, sum), scale), bias) in into.iter_mut().zip(sums).zip(scales).zip(bias) {
                        #[expect(clippy::cast_precision_loss, reason = "far finer than the weights are")]
                        let sum = *sum as f32;
                        *into = (sum * input).mul_add(*scale, *bias);
                    }
                }
            }
        }
    }
}

/// Weights in the order in which the kernel reads them.
fn pack(matrix: &Matrix<'_>) -> Result<Vec<Weights8>, String> {
    if !matrix.rows.is_multiple_of(PANEL) || !matrix.columns.is_multiple_of(2) || matrix.columns > MAX_WIDTH {
        return Err(format!("{} × {} does not fit the kernel", matrix.rows, matrix.columns));
    }
    let rows: Vec<&[u8]> = (0..matrix.rows).filter_map(|row| matrix.row(row)).collect();
    let mut packed = Vec::with_capacity(matrix.rows * matrix.columns);
    for panel in rows.chunks_exact(PANEL) {
        for pair in 0..matrix.columns / 2 {
            for row in panel {
                let both = row.get(pair * 2..pair * 2 + 2).unwrap_or_default();
                packed.extend(both.iter().map(|value| value.cast_signed()));
            }
        }
    }
    Ok(packed
        .chunks_exact(2 * PANEL)
        .map(|chunk| bytemuck::pod_read_unaligned(bytemuck::cast_slice(chunk)))
        .collect())
}
