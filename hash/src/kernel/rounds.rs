//! The rounds of SHA-1 and SHA-256 (FIPS 180-4, section 6), written once for every vector type.
//!
//! A module that uses these macros has in scope, for its vector type: `add(a, b)`, `sub(a, b)`, `rotate!(a, LEFT)`,
//! `shift!(a, RIGHT)`, `xor(a, b)`, `xor3(a, b, c)`, `choose(x, y, z)` (y where x has a one, else z),
//! `majority(a, b, c)`, `splat(word)`, and `pin(a)`, which returns `a` and may keep the compiler from reordering the sum
//! that made it. Each round is spelled out, so that every index is a constant and state and schedule can live in
//! registers. The working variables keep their places while their roles go round: in round `t` the variable `a` is at
//! `(ROUNDS - t) % WORDS`, and the others follow it.
//!
//! Lanes are bound by the latency of each round's longest chain, so sums are taken in the order in which their terms
//! become known: what comes out of the previous round is added last.

/// Runs the 80 rounds of SHA-1 over `$w`, the 16 words of a block, and returns the new state.
macro_rules! sha1_rounds {
    ($state:expr, $w:expr) => {{
        let (mut w, mut s) = ($w, $state);
        sha1_rounds!(@rounds w s choose 0: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        sha1_rounds!(@rounds w s xor3 1: 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        sha1_rounds!(@rounds w s majority 2: 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
        sha1_rounds!(@rounds w s xor3 3: 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        std::array::from_fn(|word| add($state[word], s[word]))
    }};
    (@rounds $w:ident $s:ident $f:ident $k:literal: $($t:literal)*) => {
        let k = splat($crate::algorithm::SHA1_K[$k]);
        $(sha1_rounds!(@round $w $s $f k $t);)*
    };
    (@round $w:ident $s:ident $f:ident $k:ident $t:literal) => {
        if $t >= 16 {
            let x = xor3($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
            $w[$t % 16] = rotate!(xor(x, $w[$t % 16]), 1);
        }
        let (a, b, c) = ($s[(80 - $t) % 5], $s[(81 - $t) % 5], $s[(82 - $t) % 5]);
        let (d, e) = ($s[(83 - $t) % 5], $s[(84 - $t) % 5]);
        let sum = pin(add(pin(add(e, add($w[$t % 16], $k))), $f(b, c, d)));
        $s[(81 - $t) % 5] = rotate!(b, 30);
        $s[(84 - $t) % 5] = add(sum, rotate!(a, 5));
    };
}

/// Runs the 64 rounds of SHA-256 over `$w`, the 16 words of a block, and returns the new state.
macro_rules! sha256_rounds {
    ($state:expr, $w:expr) => {{
        let (mut w, mut s) = ($w, $state);
        sha256_rounds!(@rounds w s: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        sha256_rounds!(@rounds w s: 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        sha256_rounds!(@rounds w s: 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        sha256_rounds!(@rounds w s: 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
        std::array::from_fn(|word| add($state[word], s[word]))
    }};
    (@rounds $w:ident $s:ident: $($t:literal)*) => {
        $(sha256_rounds!(@round $w $s $t);)*
    };
    (@round $w:ident $s:ident $t:literal) => {
        if $t >= 16 {
            let (x, y) = ($w[($t + 1) % 16], $w[($t + 14) % 16]);
            let s0 = xor3(rotate!(x, 25), rotate!(x, 14), shift!(x, 3));
            let s1 = xor3(rotate!(y, 15), rotate!(y, 13), shift!(y, 10));
            $w[$t % 16] = add(add($w[$t % 16], s0), add($w[($t + 9) % 16], s1));
        }
        let (a, b, c) = ($s[(64 - $t) % 8], $s[(65 - $t) % 8], $s[(66 - $t) % 8]);
        let (d, e, f) = ($s[(67 - $t) % 8], $s[(68 - $t) % 8], $s[(69 - $t) % 8]);
        let (g, h) = ($s[(70 - $t) % 8], $s[(71 - $t) % 8]);
        let k = splat($crate::algorithm::SHA256_K[$t]);
        let s1 = xor3(rotate!(e, 26), rotate!(e, 21), rotate!(e, 7));
        let s0 = xor3(rotate!(a, 30), rotate!(a, 19), rotate!(a, 10));
        // With t1 = h + w + k + choose + s1: the new e is d + t1, and the new a is t1 + s0 + majority, which is the new
        // e - d + s0 + majority. So neither waits for t1 by itself. The new e is never late, because its d is an a of
        // four rounds ago; what comes of the last a is added last.
        let known = pin(add(add(h, d), pin(add($w[$t % 16], k))));
        let next = add(pin(add(known, choose(e, f, g))), s1);
        $s[(67 - $t) % 8] = next;
        $s[(71 - $t) % 8] = add(pin(add(majority(a, b, c), pin(sub(next, d)))), s0);
    };
}
