//! The part of rand 0.4's interface that programs written for it use, two-argument `gen_range` included.
//!
//! Numbers come from xoshiro256++, seeded from the operating system through the standard library's hash keys.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A value that can be made of random bits.
pub trait Rand: Sized {
    fn rand<R: Rng>(rng: &mut R) -> Self;
}

/// A source of random numbers.
pub trait Rng {
    fn next_u32(&mut self) -> u32;

    fn next_u64(&mut self) -> u64 {
        (u64::from(self.next_u32()) << 32) | u64::from(self.next_u32())
    }

    fn next_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for byte in dest {
            *byte = self.next_u32() as u8;
        }
    }

    fn gen<T: Rand>(&mut self) -> T
    where
        Self: Sized,
    {
        T::rand(self)
    }

    fn gen_iter<T: Rand>(&mut self) -> Generator<'_, T, Self>
    where
        Self: Sized,
    {
        Generator { rng: self, marker: std::marker::PhantomData }
    }

    /// A number of `low..high`.
    fn gen_range<T: distributions::range::SampleRange>(&mut self, low: T, high: T) -> T
    where
        Self: Sized,
    {
        assert!(low < high, "Rng.gen_range called with low >= high");
        T::sample(low, high, self)
    }

    fn gen_weighted_bool(&mut self, n: u32) -> bool
    where
        Self: Sized,
    {
        n <= 1 || self.gen_range(0, n) == 0
    }

    fn gen_ascii_chars(&mut self) -> AsciiGenerator<'_, Self>
    where
        Self: Sized,
    {
        AsciiGenerator { rng: self }
    }

    fn choose<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T>
    where
        Self: Sized,
    {
        if values.is_empty() {
            None
        } else {
            let index = self.gen_range(0, values.len());
            Some(&values[index])
        }
    }

    fn choose_mut<'a, T>(&mut self, values: &'a mut [T]) -> Option<&'a mut T>
    where
        Self: Sized,
    {
        if values.is_empty() {
            None
        } else {
            let index = self.gen_range(0, values.len());
            Some(&mut values[index])
        }
    }

    fn shuffle<T>(&mut self, values: &mut [T])
    where
        Self: Sized,
    {
        for i in (1..values.len()).rev() {
            let j = self.gen_range(0, i + 1);
            values.swap(i, j);
        }
    }
}

impl<R: Rng + ?Sized> Rng for &mut R {
    fn next_u32(&mut self) -> u32 {
        (**self).next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }
}

/// An endless iterator of random values.
pub struct Generator<'a, T, R: Rng> {
    rng: &'a mut R,
    marker: std::marker::PhantomData<T>,
}

impl<T: Rand, R: Rng> Iterator for Generator<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        Some(self.rng.gen())
    }
}

/// An endless iterator of letters and digits.
pub struct AsciiGenerator<'a, R: Rng> {
    rng: &'a mut R,
}

impl<R: Rng> Iterator for AsciiGenerator<'_, R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        self.rng.choose(LETTERS).map(|&letter| letter as char)
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Rand for $kind {
            fn rand<R: Rng>(rng: &mut R) -> Self {
                ((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())) as $kind
            }
        }

        impl distributions::range::SampleRange for $kind {
            fn sample<R: Rng>(low: Self, high: Self, rng: &mut R) -> Self {
                let width = (high as i128).wrapping_sub(low as i128) as u128;
                let bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
                (low as i128).wrapping_add((bits % width) as i128) as $kind
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

macro_rules! floats {
    ($($kind:ty, $next:ident);*) => {$(
        impl Rand for $kind {
            fn rand<R: Rng>(rng: &mut R) -> Self {
                rng.$next()
            }
        }

        impl distributions::range::SampleRange for $kind {
            fn sample<R: Rng>(low: Self, high: Self, rng: &mut R) -> Self {
                low + (high - low) * rng.$next()
            }
        }
    )*};
}
floats!(f32, next_f32; f64, next_f64);

impl Rand for bool {
    fn rand<R: Rng>(rng: &mut R) -> Self {
        rng.next_u32() & 1 == 1
    }
}

impl Rand for char {
    fn rand<R: Rng>(rng: &mut R) -> Self {
        loop {
            if let Some(letter) = char::from_u32(rng.next_u32() & 0x1f_ffff) {
                return letter;
            }
        }
    }
}

macro_rules! tuples {
    ($(($($name:ident),+))*) => {$(
        impl<$($name: Rand),+> Rand for ($($name,)+) {
            fn rand<RNG: Rng>(rng: &mut RNG) -> Self {
                ($($name::rand(rng),)+)
            }
        }
    )*};
}
tuples!((A)(A, B)(A, B, C)(A, B, C, D));

/// A generator that can be made from a seed.
pub trait SeedableRng<Seed>: Rng {
    fn reseed(&mut self, seed: Seed);
    fn from_seed(seed: Seed) -> Self;
}

/// The standard generator.
#[derive(Clone, Debug)]
pub struct StdRng {
    state: [u64; 4],
}

impl StdRng {
    /// A generator with a seed from the operating system.
    pub fn new() -> std::io::Result<StdRng> {
        Ok(StdRng::mixed(RandomState::new().build_hasher().finish()))
    }

    fn mixed(mut seed: u64) -> StdRng {
        let mut next = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        StdRng { state: [next(), next(), next(), next()] }
    }
}

impl Rng for StdRng {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }
}

impl<'a> SeedableRng<&'a [usize]> for StdRng {
    fn reseed(&mut self, seed: &'a [usize]) {
        *self = StdRng::from_seed(seed);
    }

    fn from_seed(seed: &'a [usize]) -> StdRng {
        StdRng::mixed(seed.iter().fold(0, |sum: u64, &part| sum.rotate_left(7) ^ part as u64))
    }
}

pub use StdRng as XorShiftRng;

thread_local!(static THREAD: RefCell<StdRng> = RefCell::new(StdRng::new().expect("it has a seed")));

/// This thread's generator.
#[derive(Clone, Debug)]
pub struct ThreadRng(());

impl Rng for ThreadRng {
    fn next_u32(&mut self) -> u32 {
        THREAD.with(|rng| rng.borrow_mut().next_u32())
    }

    fn next_u64(&mut self) -> u64 {
        THREAD.with(|rng| rng.borrow_mut().next_u64())
    }
}

/// This thread's generator.
pub fn thread_rng() -> ThreadRng {
    ThreadRng(())
}

/// A random value.
pub fn random<T: Rand>() -> T {
    thread_rng().gen()
}

/// A random choice of `amount` of the values.
pub fn sample<T, I: IntoIterator<Item = T>, R: Rng>(rng: &mut R, values: I, amount: usize) -> Vec<T> {
    seq::sample_iter(rng, values, amount).unwrap_or_else(|few| few)
}

pub mod seq {
    use super::Rng;

    /// A random choice of `amount` of the values, or all of them where there are fewer.
    pub fn sample_iter<T, I: IntoIterator<Item = T>, R: Rng>(
        rng: &mut R,
        values: I,
        amount: usize,
    ) -> Result<Vec<T>, Vec<T>> {
        let mut values = values.into_iter();
        let mut chosen: Vec<T> = values.by_ref().take(amount).collect();
        if chosen.len() < amount {
            return Err(chosen);
        }
        for (i, value) in values.enumerate() {
            let k = rng.gen_range(0, i + 1 + amount);
            if k < amount {
                chosen[k] = value;
            }
        }
        Ok(chosen)
    }
}

pub mod distributions {
    use super::Rng;

    /// Makes values of a kind.
    pub trait Sample<T> {
        fn sample<R: Rng>(&mut self, rng: &mut R) -> T;
    }

    /// Makes values of a kind without changing itself.
    pub trait IndependentSample<T>: Sample<T> {
        fn ind_sample<R: Rng>(&self, rng: &mut R) -> T;
    }

    pub use range::Range;

    pub mod range {
        use super::super::Rng;

        /// A number that can be drawn from a range.
        pub trait SampleRange: PartialOrd + Copy {
            fn sample<R: Rng>(low: Self, high: Self, rng: &mut R) -> Self;
        }

        /// Numbers of `low..high`.
        #[derive(Clone, Copy, Debug)]
        pub struct Range<T> {
            low: T,
            high: T,
        }

        impl<T: SampleRange> Range<T> {
            pub fn new(low: T, high: T) -> Range<T> {
                assert!(low < high, "Range::new called with low >= high");
                Range { low, high }
            }
        }

        impl<T: SampleRange> super::Sample<T> for Range<T> {
            fn sample<R: Rng>(&mut self, rng: &mut R) -> T {
                T::sample(self.low, self.high, rng)
            }
        }

        impl<T: SampleRange> super::IndependentSample<T> for Range<T> {
            fn ind_sample<R: Rng>(&self, rng: &mut R) -> T {
                T::sample(self.low, self.high, rng)
            }
        }
    }
}
