/* SipHash-2-4 (Aumasson and Bernstein, 2012) over whole words, as core/src/frame/key.rs makes the MAC of a frame. */
#pragma once

#include <linux/types.h>

#define ROTATE(x, by) (((x) << (by)) | ((x) >> (64 - (by))))

#define SIPROUND(v0, v1, v2, v3)                                                                                        \
    do {                                                                                                                \
        v0 += v1; v1 = ROTATE(v1, 13); v1 ^= v0; v0 = ROTATE(v0, 32);                                                   \
        v2 += v3; v3 = ROTATE(v3, 16); v3 ^= v2;                                                                        \
        v0 += v3; v3 = ROTATE(v3, 21); v3 ^= v0;                                                                        \
        v2 += v1; v1 = ROTATE(v1, 17); v1 ^= v2; v2 = ROTATE(v2, 32);                                                   \
    } while (0)

#define ABSORB(word)                                                                                                    \
    do {                                                                                                                \
        v3 ^= (word);                                                                                                   \
        SIPROUND(v0, v1, v2, v3);                                                                                       \
        SIPROUND(v0, v1, v2, v3);                                                                                       \
        v0 ^= (word);                                                                                                   \
    } while (0)

/* The MAC over the five words of a header, then over `more` words, then over the last word: its length in the top byte and
 * what is left of the input. */
static __always_inline __u64 siphash(const __u8 key[16], const __u64 header[5], const __u64 *more, int words, __u64 last)
{
    __u64 k0, k1;
    __builtin_memcpy(&k0, key, 8);
    __builtin_memcpy(&k1, key + 8, 8);
    __u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
    __u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
#pragma unroll
    for (int i = 0; i < 5; i++)
        ABSORB(header[i]);
    if (words) {
        ABSORB(more[0]);
        ABSORB(more[1]);
    }
    ABSORB(last);
    v2 ^= 0xff;
    SIPROUND(v0, v1, v2, v3);
    SIPROUND(v0, v1, v2, v3);
    SIPROUND(v0, v1, v2, v3);
    SIPROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}
