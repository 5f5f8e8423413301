//! The arithmetic between the products: written so that the compiler turns it into vector instructions, without
//! libm's calls and without reductions that it must not reorder.

/// Lanes of a sum: enough independent partial sums to fill a vector register.
const LANES: usize = 8;

/// e^x, to about two units in the last place over the range that softmax and GELU need.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    // The remainder, with ln 2 in two parts so that the product loses nothing.
    let r = (-n).mul_add(-2.121_944_4e-4, (-n).mul_add(0.693_359_4, x));
    let mut p = 1.987_569_2e-4_f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, c);
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -126 and 127 by the clamp")]
    let exponent = n as i32;
    p * f32::from_bits(((exponent + 127) << 23).cast_unsigned())
}

/// x · Φ(x), with the error function by Abramowitz and Stegun 7.1.26 (absolute error below 1.5e-7).
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4_f32;
    for c in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = p.mul_add(t, c);
    }
    let erf = (p * t).mul_add(-exp(-z * z), 1.0);
    0.5 * x * (1.0 + erf.copysign(x))
}

/// GELU of each.
#[inline(always)]
pub(super) fn gelu(values: &mut [f32]) {
    for value in values {
        *value = gelu_of(*value);
    }
}

/// The sum, in lanes.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += of(value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&value| of(value)).sum::<f32>()
}

/// The product of two vectors, in lanes; their lengths are a multiple of eight.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    lanes.iter().sum()
}

/// The highest, in lanes; no number is lower than all.
#[inline(always)]
pub(super) fn highest(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let higher = |a: f32, b: f32| if a > b { a } else { b };
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = higher(of(value), *lane);
        }
    }
    rest.iter().map(|&value| of(value)).chain(lanes).fold(f32::NEG_INFINITY, higher)
}

/// Mean zero and variance one, then weight and bias.
#[inline(always)]
pub(super) fn layer_norm(row: &mut [f32], weight: &[f32], bias: &[f32]) {
    #[expect(clippy::cast_precision_loss, reason = "the width of a row")]
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    let scale = 1.0 / (variance + 1e-12).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *value = ((*value - mean) * scale).mul_add(*weight, *bias);
    }
}

/// Positive and summing to one.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let highest = highest(row, |value| value);
    for value in row.iter_mut() {
        *value = exp(*value - highest);
    }
    let scale = 1.0 / sum(row, |value| value);
    for value in row {
        *value *= scale;
    }
}

/// At length one.
pub(super) fn unit(row: &mut [f32]) {
    let length = sum(row, |value| value * value).sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_gelu_are_close() {
        for step in -2000..2000_i16 {
            let x = f32::from(step) / 100.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-6, "exp {x}: {}", exp(x));
        }
        // Values of x·Φ(x) from tables of the normal distribution.
        for (x, expected) in [(0.0, 0.0), (1.0, 0.841_345), (-1.0, -0.158_655), (2.5, 2.484_475), (-6.0, 0.0)]
        {
            assert!((gelu_of(x) - expected).abs() < 2e-6, "gelu {x}: {}", gelu_of(x));
        }
        assert_eq!(exp(-1000.0).to_bits(), exp(-87.0).to_bits());
    }

    #[test]
    fn rows_are_normalised() {
        let mut row: Vec<f32> = (0..19_u8).map(f32::from).collect();
        layer_norm(&mut row, &[1.0; 19], &[0.0; 19]);
        assert!(sum(&row, |value| value).abs() < 1e-4);
        softmax(&mut row);
        assert!((sum(&row, |value| value) - 1.0).abs() < 1e-6);
        assert_eq!(highest(&[1.0, -3.0, 2.0], f32::abs), 3.0);
        assert_eq!(highest(&[], |value| value), f32::NEG_INFINITY);
        unit(&mut row);
        assert!((sum(&row, |value| value * value) - 1.0).abs() < 1e-6);
    }
}
