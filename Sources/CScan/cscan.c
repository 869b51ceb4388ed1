#define _GNU_SOURCE
#include "cscan.h"

#if defined(__GLIBC__)
#include <malloc.h>
// Setting the threshold keeps glibc from raising it by itself. An arena per thread would grow by a page at a time, and keep to itself
// what the next thread needs.
void tune_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 19);
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 24);
}
#else
void tune_memory(void) {}
#endif

// Marks of 64 bytes: quotes and backslashes, opening and closing brackets. `{` and `[`, `}` and `]` differ in one bit only.
typedef struct {
    uint64_t quotes, backslashes, opens, closes;
} marks_t;

/// Finds the end with the marks that MARKS(p) gives of each 64 bytes.
#define CONTAINER_END(MARKS)                                                                                     \
    long depth = 1;                                                                                              \
    uint64_t in_string = 0, escaped = 0; /* carried: all ones inside a string; bit 0 = next byte is escaped */   \
    while (p < end) {                                                                                            \
        marks_t m = MARKS(p);                                                                                    \
        uint64_t escapes = 0;                                                                                    \
        if (m.backslashes | escaped) {                                                                           \
            /* Bytes behind an odd run of backslashes (as simdjson finds them). */                               \
            uint64_t starts = m.backslashes & ~escaped, follows = starts << 1 | escaped;                         \
            uint64_t odd = starts & ~0x5555555555555555ULL & ~follows;                                           \
            unsigned long long sequences;                                                                        \
            escaped = (uint64_t)__builtin_uaddll_overflow(odd, starts, &sequences);                              \
            escapes = (0x5555555555555555ULL ^ ((uint64_t)sequences << 1)) & follows;                            \
        }                                                                                                        \
        uint64_t inside = m.quotes & ~escapes; /* prefix xor: ones from each opening quote to its end */         \
        inside ^= inside << 1;                                                                                   \
        inside ^= inside << 2;                                                                                   \
        inside ^= inside << 4;                                                                                   \
        inside ^= inside << 8;                                                                                   \
        inside ^= inside << 16;                                                                                  \
        inside ^= inside << 32;                                                                                  \
        inside ^= in_string;                                                                                     \
        in_string = (uint64_t)((int64_t)inside >> 63);                                                           \
        uint64_t opens = m.opens & ~inside, closes = m.closes & ~inside;                                         \
        long count = __builtin_popcountll(closes);                                                               \
        if (count >= depth) {                                                                                    \
            long seen = 0;                                                                                       \
            for (uint64_t rest = closes; rest; rest &= rest - 1) {                                               \
                uint64_t bit = rest & -rest;                                                                     \
                seen++;                                                                                          \
                if (depth + __builtin_popcountll(opens & (bit - 1)) == seen) {                                   \
                    const uint8_t *found = p + __builtin_ctzll(bit) + 1;                                         \
                    return found <= end ? found : NULL;                                                          \
                }                                                                                                \
            }                                                                                                    \
        }                                                                                                        \
        depth += __builtin_popcountll(opens) - count;                                                            \
        p += 64;                                                                                                 \
    }                                                                                                            \
    return NULL;

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,popcnt,bmi"))) static inline marks_t marks_avx2(const uint8_t *p) {
    __m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)(p + 32));
    const __m256i fold = _mm256_set1_epi8(0x20);
    __m256i c = _mm256_or_si256(a, fold), d = _mm256_or_si256(b, fold);
#define BOTH(x, y, byte)                                                                      \
    ((uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(byte))) | \
     (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(y, _mm256_set1_epi8(byte))) << 32)
    marks_t m = {BOTH(a, b, '"'), BOTH(a, b, '\\'), BOTH(c, d, '{'), BOTH(c, d, '}')};
    return m;
}

__attribute__((target("avx2,popcnt,bmi"))) static const uint8_t *end_avx2(const uint8_t *p, const uint8_t *end) {
    CONTAINER_END(marks_avx2)
}

static inline marks_t marks_sse2(const uint8_t *p) {
    marks_t m = {0, 0, 0, 0};
    for (int part = 0; part < 4; part++) {
        __m128i a = _mm_loadu_si128((const __m128i *)(p + 16 * part)), c = _mm_or_si128(a, _mm_set1_epi8(0x20));
#define PART(x, byte) ((uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(byte))) << 16 * part)
        m.quotes |= PART(a, '"');
        m.backslashes |= PART(a, '\\');
        m.opens |= PART(c, '{');
        m.closes |= PART(c, '}');
    }
    return m;
}

static const uint8_t *end_sse2(const uint8_t *p, const uint8_t *end) { CONTAINER_END(marks_sse2) }

const uint8_t *scan_container_end(const uint8_t *p, const uint8_t *end) {
    return __builtin_cpu_supports("avx2") ? end_avx2(p, end) : end_sse2(p, end);
}
#else
static inline marks_t marks_any(const uint8_t *p) {
    marks_t m = {0, 0, 0, 0};
    for (int place = 0; place < 64; place++) {
        uint64_t bit = 1ULL << place;
        if (p[place] == '"') m.quotes |= bit;
        if (p[place] == '\\') m.backslashes |= bit;
        if ((p[place] | 0x20) == '{') m.opens |= bit;
        if ((p[place] | 0x20) == '}') m.closes |= bit;
    }
    return m;
}

const uint8_t *scan_container_end(const uint8_t *p, const uint8_t *end) { CONTAINER_END(marks_any) }
#endif
