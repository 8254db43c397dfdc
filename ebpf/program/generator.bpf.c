/* What the benchmark sends: frames as a network card hands them over, none of which a socket has made. The kernel runs this
 * program once for each of them (BPF_F_TEST_XDP_LIVE_FRAMES, Documentation/bpf/bpf_prog_run.rst). */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "siphash.h"

/* core/src/frame/header.rs. */
#define HEADER_BYTES 48
/* More looks at the clock than any wait takes. */
#define ROUNDS_MAX (1 << 22)
#define FRAME_AT (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))

/* A packet up to its payload. The one that there is has been changed by whom it passed. */
struct head {
    __u8 outer[FRAME_AT];
    __u8 frame[HEADER_BYTES];
};

/* Set by user space before the program is loaded. */
const volatile struct head HEAD = {};
/* The key of the link; with none of it the payload is no frame. */
const volatile __u8 KEY[16] = {};
const volatile __u8 IS_FRAME = 0;
/* The length of what stands behind the head. */
const volatile __u16 PAYLOAD = 0;
/* The sum of all that the UDP checksum covers but for the sequence number and the MAC. */
const volatile __u32 SUM = 0;
/* The number of the first frame. */
const volatile __u64 FIRST = 0;
/* The interface by which it leaves. */
const volatile __u32 INTERFACE = 0;

/* How many leave at once, and how long after the last that is, in nanoseconds. */
const volatile __u32 BURST = 1;
const volatile __u64 EVERY_NS = 0;

/* How long the program has waited for its time, in nanoseconds: the sender's own doing, and no cost of sending. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} WAITED SEC(".maps");

/* One processor runs this, one frame after the other. */
static __u64 sent, due;

static long is_due(__u64 round, void *unused)
{
    return bpf_ktime_get_ns() >= due;
}

static __always_inline void await_turn(void)
{
    __u32 zero = 0;
    __u64 *waited = bpf_map_lookup_elem(&WAITED, &zero), now = bpf_ktime_get_ns();

    due = due ? due + EVERY_NS : now;
    if (now >= due)
        return;
    bpf_loop(ROUNDS_MAX, is_due, 0, 0);
    if (waited)
        *waited += bpf_ktime_get_ns() - now;
}

static __always_inline void stamp(struct head *head)
{
    struct udphdr *udp = (void *)(head->outer + sizeof(struct ethhdr) + sizeof(struct iphdr));
    const void *key = (const void *)KEY;
    __u64 words[6];
    __u32 sum = SUM;

    barrier_var(key);
    __builtin_memcpy(words, head->frame, 32);
    words[4] = bpf_cpu_to_be64(FIRST + sent);
    words[5] = bpf_cpu_to_be64(siphash(key, words, 0, 0, (42ULL << 56) | bpf_htons(PAYLOAD)));
    __builtin_memcpy(head->frame + 32, words + 4, 16);
    const __u16 *halves = (const __u16 *)(words + 4);
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum += halves[i];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    __u16 check = ~sum;
    udp->check = check ? check : 0xffff;
}

SEC("xdp")
int generator(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct head head;

    if (data + sizeof(head) > end)
        return XDP_DROP;
    const void *set = (const void *)&HEAD;
    /* Or the compiler would take the zeros that stand here for what user space sets. */
    barrier_var(set);
    __builtin_memcpy(&head, set, sizeof(head));
    if (sent % BURST == 0)
        await_turn();
    if (IS_FRAME)
        stamp(&head);
    sent++;
    __builtin_memcpy(data, &head, sizeof(head));
    return bpf_redirect(INTERFACE, 0);
}

/* At the other end of a wire: what it costs that something arrives there, and no more. */
SEC("xdp")
int nothing(struct xdp_md *ctx)
{
    return XDP_DROP;
}

/* The kernel lends some helpers only to programs under its own license. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
