//! Lanes in an array.

use core::array::from_fn;

/// Eight numbers.
#[derive(Debug, Clone, Copy)]
pub(in crate::g722) struct Lanes([i16; 8]);

/// Four sums of products.
#[derive(Debug, Clone, Copy)]
pub(in crate::g722) struct Sums([i32; 4]);

impl Lanes {
    #[inline(always)]
    pub fn of(numbers: [i16; 8]) -> Self {
        Self(numbers)
    }

    #[cfg(test)]
    pub fn numbers(self) -> [i16; 8] {
        self.0
    }

    #[inline(always)]
    pub fn all(number: i16) -> Self {
        Self([number; 8])
    }

    /// Two numbers, and zeros.
    #[inline(always)]
    pub fn pair([first, second]: [i16; 2]) -> Self {
        Self([first, second, 0, 0, 0, 0, 0, 0])
    }

    #[inline(always)]
    pub fn first_two(self) -> [i16; 2] {
        [self.0[0], self.0[1]]
    }

    /// The first number in all lanes.
    #[inline(always)]
    pub fn first(self) -> Self {
        Self::all(self.0[0])
    }

    /// The second number in all lanes.
    #[inline(always)]
    pub fn second(self) -> Self {
        Self::all(self.0[1])
    }

    /// Kept within sixteen bits.
    #[inline(always)]
    pub fn add_within(self, other: Self) -> Self {
        self.with(other, i16::saturating_add)
    }

    /// Kept within sixteen bits.
    #[inline(always)]
    pub fn sub_within(self, other: Self) -> Self {
        self.with(other, i16::saturating_sub)
    }

    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        self.with(other, i16::wrapping_add)
    }

    #[inline(always)]
    pub fn sub(self, other: Self) -> Self {
        self.with(other, i16::wrapping_sub)
    }

    #[inline(always)]
    pub fn xor(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }

    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        self.with(other, Ord::max)
    }

    #[inline(always)]
    pub fn min(self, other: Self) -> Self {
        self.with(other, Ord::min)
    }

    /// Halved so often, rounded down.
    #[inline(always)]
    pub fn shift_right<const BITS: i32>(self) -> Self {
        Self(self.0.map(|number| number >> BITS))
    }

    /// The other number where this one is not zero, and zero where it is.
    #[inline(always)]
    pub fn where_not_zero(self, other: Self) -> Self {
        self.with(other, |a, b| if a == 0 { 0 } else { b })
    }

    /// Four of each in turns.
    #[inline(always)]
    pub fn alternating(self, other: Self) -> Self {
        Self(from_fn(|lane| if lane % 2 == 0 { self.0[lane / 2] } else { other.0[lane / 2] }))
    }

    /// Everything a lane on, the last number lost, and the other's last one in front.
    #[inline(always)]
    pub fn push(self, newest: Self) -> Self {
        let [a, b, c, d, e, f, g, _] = self.0;
        Self([newest.0[7], a, b, c, d, e, f, g])
    }

    /// The products over 2^15, each rounded down, of two lanes each added.
    #[inline(always)]
    pub fn products(self, other: Self) -> Sums {
        let product = |lane: usize| (i32::from(self.0[lane]) * i32::from(other.0[lane])) >> 15;
        Sums(from_fn(|sum| product(2 * sum) + product(2 * sum + 1)))
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(i16, i16) -> i16) -> Self {
        Self(from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Sums {
    /// Each kept within sixteen bits; twice.
    #[inline(always)]
    pub fn narrow(self) -> Lanes {
        Lanes(from_fn(|lane| within(self.0[lane % 4])))
    }

    /// The four of each added, and kept within sixteen bits: ours, the other's, and so on.
    #[inline(always)]
    pub fn totals(self, other: Self) -> Lanes {
        let totals = [self, other].map(|sums| within(sums.0.iter().sum()));
        Lanes(from_fn(|lane| totals[lane % 2]))
    }
}

#[inline(always)]
fn within(sum: i32) -> i16 {
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
