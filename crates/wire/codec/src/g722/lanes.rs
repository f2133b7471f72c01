//! Eight numbers of sixteen bits that are worked on at once.
//!
//! On x86-64 they are a register, by the instructions that every such processor has; elsewhere an array. What the
//! compiler makes of arrays differs from one place to the next, and two lanes of eight it takes apart again. Tests
//! compare both.

#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod register;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use plain::{Lanes, Sums};
#[cfg(target_arch = "x86_64")]
pub(super) use register::{Lanes, Sums};

impl Lanes {
    /// All lanes that negative numbers are in become ones, the others zero.
    #[inline(always)]
    pub fn signs(self) -> Self {
        self.shift_right::<15>()
    }

    /// Turned round where the other has all ones, as it is where that has zero.
    #[inline(always)]
    pub fn turned(self, turn: Self) -> Self {
        self.xor(turn).sub(turn)
    }

    /// Times `1 - 2^-BITS`, rounded down.
    #[inline(always)]
    pub fn leak<const BITS: i32>(self) -> Self {
        self.add(Self::all(0).sub(self).shift_right::<BITS>())
    }

    #[inline(always)]
    pub fn within(self, least: Self, most: Self) -> Self {
        self.max(least).min(most)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::{plain, register};

    /// Numbers at the limits, and between them.
    fn numbers() -> Vec<[i16; 8]> {
        let mut row = 1u32;
        let mut next = || {
            row = row.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (row >> 16) as u16 as i16
        };
        let mut all = vec![[0; 8], [-1; 8], [i16::MAX; 8], [i16::MIN; 8], [1, -1, 0, i16::MIN, i16::MAX, 128, -128, 2]];
        all.extend((0..200).map(|_| std::array::from_fn(|_| next())));
        all
    }

    /// Everything that can be made of two.
    macro_rules! everything {
        ($lanes:ident, $a:expr, $b:expr) => {{
            use $lanes::Lanes;
            let (a, b) = (Lanes::of($a), Lanes::of($b));
            let made = [
                a.add_within(b),
                a.sub_within(b),
                a.add(b),
                a.sub(b),
                a.xor(b),
                a.and(b),
                a.max(b),
                a.min(b),
                a.shift_right::<15>(),
                a.shift_right::<7>(),
                a.where_not_zero(b),
                a.alternating(b),
                a.first(),
                a.second(),
                a.push(b),
                Lanes::all($a[3]),
                Lanes::pair([$a[0], $b[1]]),
                a.products(b).narrow(),
                a.products(b).totals(b.products(b)),
            ];
            (made.map(Lanes::numbers), a.first_two())
        }};
    }

    #[test]
    fn a_register_does_what_an_array_does() {
        let numbers = numbers();
        for (a, b) in numbers.iter().zip(numbers.iter().skip(1).chain(&numbers[..1])) {
            // The product of the least number with itself, which no filter makes, is beyond sixteen bits.
            let b = b.map(|number| number.max(-i16::MAX));
            assert_eq!(everything!(plain, *a, b), everything!(register, *a, b), "{a:?} {b:?}");
        }
    }
}
