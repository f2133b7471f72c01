//! Lanes in a register of x86-64.

use safe_arch::{
    add_i16_m128i, add_i32_m128i, add_saturating_i16_m128i, bitand_m128i, bitandnot_m128i, bitor_m128i, bitxor_m128i,
    byte_shl_imm_u128_m128i, byte_shr_imm_u128_m128i, cmp_eq_mask_i16_m128i, get_i32_from_m128i_s, m128i,
    max_i16_m128i, min_i16_m128i, mul_i16_horizontal_add_m128i, mul_i16_keep_high_m128i, mul_i16_keep_low_m128i,
    pack_i32_to_i16_m128i, set_i32_m128i_s, set_splat_i16_m128i, shr_imm_i16_m128i, shr_imm_u16_m128i,
    shuffle_ai_f32_all_m128i, shuffle_ai_i16_l64all_m128i, sub_i16_m128i, sub_saturating_i16_m128i,
    unpack_high_i32_m128i, unpack_low_i16_m128i, unpack_low_i32_m128i, unpack_low_i64_m128i, zeroed_m128i,
};

/// Eight numbers.
#[derive(Debug, Clone, Copy)]
pub(in crate::g722) struct Lanes(m128i);

/// Four sums of products.
#[derive(Debug, Clone, Copy)]
pub(in crate::g722) struct Sums(m128i);

impl Lanes {
    #[inline(always)]
    pub fn of(numbers: [i16; 8]) -> Self {
        Self(m128i::from(numbers))
    }

    #[cfg(test)]
    pub fn numbers(self) -> [i16; 8] {
        self.0.into()
    }

    #[inline(always)]
    pub fn all(number: i16) -> Self {
        Self(set_splat_i16_m128i(number))
    }

    /// Two numbers, and zeros.
    #[inline(always)]
    pub fn pair([first, second]: [i16; 2]) -> Self {
        Self(set_i32_m128i_s(i32::from(first.cast_unsigned()) | i32::from(second) << 16))
    }

    #[inline(always)]
    pub fn first_two(self) -> [i16; 2] {
        let both = get_i32_from_m128i_s(self.0);
        [both as i16, (both >> 16) as i16]
    }

    /// The first number in all lanes.
    #[inline(always)]
    pub fn first(self) -> Self {
        let four = shuffle_ai_i16_l64all_m128i::<0b00_00_00_00>(self.0);
        Self(unpack_low_i64_m128i(four, four))
    }

    /// The second number in all lanes.
    #[inline(always)]
    pub fn second(self) -> Self {
        let four = shuffle_ai_i16_l64all_m128i::<0b01_01_01_01>(self.0);
        Self(unpack_low_i64_m128i(four, four))
    }

    /// Kept within sixteen bits.
    #[inline(always)]
    pub fn add_within(self, other: Self) -> Self {
        Self(add_saturating_i16_m128i(self.0, other.0))
    }

    /// Kept within sixteen bits.
    #[inline(always)]
    pub fn sub_within(self, other: Self) -> Self {
        Self(sub_saturating_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        Self(add_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn sub(self, other: Self) -> Self {
        Self(sub_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn xor(self, other: Self) -> Self {
        Self(bitxor_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Self(bitand_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Self(max_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn min(self, other: Self) -> Self {
        Self(min_i16_m128i(self.0, other.0))
    }

    /// Halved so often, rounded down.
    #[inline(always)]
    pub fn shift_right<const BITS: i32>(self) -> Self {
        Self(shr_imm_i16_m128i::<BITS>(self.0))
    }

    /// The other number where this one is not zero, and zero where it is.
    #[inline(always)]
    pub fn where_not_zero(self, other: Self) -> Self {
        Self(bitandnot_m128i(cmp_eq_mask_i16_m128i(self.0, zeroed_m128i()), other.0))
    }

    /// Four of each in turns.
    #[inline(always)]
    pub fn alternating(self, other: Self) -> Self {
        Self(unpack_low_i16_m128i(self.0, other.0))
    }

    /// Everything a lane on, the last number lost, and the other's last one in front.
    #[inline(always)]
    pub fn push(self, newest: Self) -> Self {
        Self(bitor_m128i(byte_shl_imm_u128_m128i::<2>(self.0), byte_shr_imm_u128_m128i::<14>(newest.0)))
    }

    /// The products over 2^15, each rounded down, of two lanes each added.
    #[inline(always)]
    pub fn products(self, other: Self) -> Sums {
        let high = mul_i16_keep_high_m128i(self.0, other.0);
        let low = shr_imm_u16_m128i::<15>(mul_i16_keep_low_m128i(self.0, other.0));
        let high = mul_i16_horizontal_add_m128i(high, set_splat_i16_m128i(2));
        Sums(add_i32_m128i(high, mul_i16_horizontal_add_m128i(low, set_splat_i16_m128i(1))))
    }
}

impl Sums {
    /// Each kept within sixteen bits; twice.
    #[inline(always)]
    pub fn narrow(self) -> Lanes {
        Lanes(pack_i32_to_i16_m128i(self.0, self.0))
    }

    /// The four of each added, and kept within sixteen bits: ours, the other's, and so on.
    #[inline(always)]
    pub fn totals(self, other: Self) -> Lanes {
        let two = add_i32_m128i(unpack_low_i32_m128i(self.0, other.0), unpack_high_i32_m128i(self.0, other.0));
        // Both halves become the same, so that all lanes do.
        let all = add_i32_m128i(two, shuffle_ai_f32_all_m128i::<0b01_00_11_10>(two));
        Sums(all).narrow()
    }
}
