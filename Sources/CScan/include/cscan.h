// Byte scanning at the speed of memory: where strings and containers of JSON end.
//
// `scan_quote_or_backslash` and `scan_container_end` may read up to 64 bytes past `end`: the caller's buffer must go on for that. The
// others read what they are given.
#ifndef CSCAN_H
#define CSCAN_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/// The first quote or backslash at or after `p`; a place at or after `end` when there is none before it.
static inline const uint8_t *_Nonnull scan_quote_or_backslash(const uint8_t *_Nonnull p, const uint8_t *_Nonnull end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    while (p < end) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
#elif defined(__ARM_NEON)
    const uint8x16_t quote = vdupq_n_u8('"'), backslash = vdupq_n_u8('\\');
    while (p < end) {
        uint8x16_t bytes = vld1q_u8(p);
        uint8x16_t found = vorrq_u8(vceqq_u8(bytes, quote), vceqq_u8(bytes, backslash));
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(found), 4)), 0);
        if (mask) return p + (__builtin_ctzll(mask) >> 2);
        p += 16;
    }
#else
    while (p < end && *p != '"' && *p != '\\') p++;
#endif
    return p;
}

/// The place behind the bracket that closes the container whose opening bracket is just before `p`; NULL when it is not
/// closed before `end`. What stands between is only looked at for strings and brackets.
const uint8_t *_Nullable scan_container_end(const uint8_t *_Nonnull p, const uint8_t *_Nonnull end);

/// Whether a word of at least one byte stands anywhere in `count` bytes. For short texts, where `memmem` takes longer to set out
/// than to search.
static inline int scan_contains(const uint8_t *_Nonnull p, size_t count, const uint8_t *_Nonnull word, size_t word_count) {
    if (count < word_count) return 0;
    const uint8_t *end = p + count - word_count + 1;
#if defined(__SSE2__)
    const __m128i first = _mm_set1_epi8((char)word[0]), last = _mm_set1_epi8((char)word[word_count - 1]);
    for (; p < end; p += 16) {
        // The page behind that of the last byte may not be there.
        if (end - p < 16 && ((uintptr_t)(p + word_count - 1) & 4095) > 4096 - 16) break;
        // Places where both the first and the last byte of the word are right.
        __m128i starts = _mm_loadu_si128((const __m128i *)p), ends = _mm_loadu_si128((const __m128i *)(p + word_count - 1));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(starts, first), _mm_cmpeq_epi8(ends, last)));
        for (; mask; mask &= mask - 1) {
            const uint8_t *found = p + __builtin_ctz(mask);
            if (found < end && memcmp(found, word, word_count) == 0) return 1;
        }
    }
#endif
    for (; p < end; p++) {
        if (*p == word[0] && memcmp(p, word, word_count) == 0) return 1;
    }
    return 0;
}

/// Keeps large blocks apart, so that their memory goes back to the system as soon as they are freed, and the rest for the next who asks.
/// To be called before there is a second thread: the arena of one that was there stays in use.
void tune_memory(void);

/// Mixes eight bytes into a hash.
static inline uint64_t scan_mix(uint64_t hash, uint64_t word) {
    unsigned __int128 product = (unsigned __int128)(hash ^ word) * 0x9E3779B97F4A7C15ULL;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/// A hash of `count` bytes that starts from `seed`. Databases keep such hashes: it must stay as it is.
static inline uint64_t scan_hash(uint64_t seed, const uint8_t *_Nonnull p, size_t count) {
    uint64_t hash = seed ^ count, word;
    while (count >= 8) {
        memcpy(&word, p, 8);
        hash = scan_mix(hash, word);
        p += 8;
        count -= 8;
    }
    word = 0;
    memcpy(&word, p, count);
    return scan_mix(scan_mix(hash, word), 0xD6E8FEB86659FD93ULL);
}

/// Mixes 16 bytes into a hash; nobody who does not know the seed can make a factor 0.
static inline uint64_t scan_mix_pair(uint64_t hash, uint64_t seed, const uint8_t *_Nonnull p) {
    uint64_t words[2];
    memcpy(words, p, 16);
    unsigned __int128 product = (unsigned __int128)(hash ^ words[0]) * (seed ^ words[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/// A hash of `count` bytes for a table in memory: two chains side by side, several times as fast as `scan_hash` for long keys.
static inline uint64_t scan_key_hash(uint64_t seed, const uint8_t *_Nonnull p, size_t count) {
    uint64_t left = seed, right = ~seed, second = seed * 0x9E3779B97F4A7C15ULL + count;
    while (count >= 32) {
        left = scan_mix_pair(left, second, p);
        right = scan_mix_pair(right, second, p + 16);
        p += 32;
        count -= 32;
    }
    return scan_hash(left ^ (right << 32 | right >> 32), p, count);
}
#endif
