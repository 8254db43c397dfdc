/* The datapath in the kernel: what user space does with a datagram for the node's port, before the kernel's own network
 * stack has made anything of it (XDP).
 *
 * The guard drops what nobody here wants to hear of; the relay passes frames on that are for somebody else. Whatever either
 * is not sure of goes up the ordinary way, where src/datapath/reader.rs checks it again and decides. docs/protocol.md says
 * what a relay has to check; tests/kernel holds this program and the reader against each other. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "siphash.h"

/* Kernels from 6.7 on tell the source address that a route prefers. */
#ifndef BPF_FIB_LOOKUP_SRC
#define BPF_FIB_LOOKUP_SRC (1U << 4)
#endif

#define FAMILY_V4 2
#define FAMILY_V6 10

/* Set by user space before the program is loaded. */
/* The node's UDP port, in network byte order. */
const volatile __u16 PORT = 0;
/* Whether the socket is bound to one address: frames leave from it then, and otherwise from the one that the route wants. */
const volatile __u8 IS_BOUND = 0;
const volatile __u8 BOUND[16] = {};
/* The least time between two datagrams of one source on average, in nanoseconds, and how far ahead a burst may be. */
const volatile __u64 STRANGER_INTERVAL_NS = 0;
const volatile __u64 STRANGER_BURST_NS = 0;
const volatile __u64 NEIGHBOR_INTERVAL_NS = 0;
const volatile __u64 NEIGHBOR_BURST_NS = 0;

/* core/src/frame/mod.rs and header.rs. */
#define HEADER_BYTES 48
#define PROBE_BYTES 16
#define PATH_ERROR_BYTES 3
#define TRACE_BYTES 27
#define PATH_LABELS_MAX 8
#define LANES_MAX 8
#define KERNEL_SEQUENCES (1ULL << 63)
/* Longer datagrams are none that a node sends. */
#define DATAGRAM_BYTES_MAX 1500

/* Where the UDP header stands in a packet that `find` has found. */
#define UDP_IN_V4 (sizeof(struct ethhdr) + sizeof(struct iphdr))
#define UDP_IN_V6 (sizeof(struct ethhdr) + sizeof(struct ipv6hdr))

enum kind { DATA = 1, PROBE = 2, ECHO = 3, PATH_ERROR = 4, COPY = 5, TRACE = 6, PACKET = 7, PACKET_COPY = 8 };

struct frame {
    __u8 kind;
    __u8 cursor;
    __u8 lane;
    __u8 reserved;
    __u8 labels[PATH_LABELS_MAX][2];
    __u8 source[8];
    __u8 path[4];
    __u64 sequence;
    __u64 mac;
};
_Static_assert(sizeof(struct frame) == HEADER_BYTES, "the header has no padding");

/* All bytes that a relay changes and a UDP checksum covers, in any order: sums do not depend on it. */
struct covered {
    __u8 source[16];
    __u8 destination[16];
    __u8 source_port[2];
    __u8 destination_port[2];
    __u8 zero[4];
    union {
        struct frame frame;
        __u64 words[HEADER_BYTES / 8];
    };
};
_Static_assert(sizeof(struct covered) == 88, "whole words, as bpf_csum_diff takes them");

/* A datagram for the node's port. */
struct datagram {
    struct source_key from;
    struct address_key to;
    __u8 is_v4;
    /* How long its payload is. */
    __u32 length;
    struct port_counts *counts;
};

static __always_inline int is_payload(__u8 kind)
{
    return kind == DATA || kind == COPY || kind == PACKET || kind == PACKET_COPY;
}

static __always_inline void map_into_v6(__u8 to[16], const void *v4)
{
    __builtin_memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    __builtin_memcpy(to + 12, v4, 4);
}

/* Finds the datagram in the packet; 0 if it is not for the node's port, or is anything out of the ordinary: with options or
 * extension headers, a fragment, too long. */
static __always_inline int find(struct xdp_md *ctx, struct datagram *found)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *ethernet = data;
    struct udphdr *udp;
    __u32 inside, begin;

    if ((void *)(ethernet + 1) > end)
        return 0;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = (void *)(ethernet + 1);
        udp = (void *)(ip + 1);
        if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP || udp->dest != PORT)
            return 0;
        if (*(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff))
            return 0;
        inside = bpf_ntohs(ip->tot_len) - sizeof(*ip);
        map_into_v6(found->from.address, &ip->saddr);
        map_into_v6(found->to.address, &ip->daddr);
        found->is_v4 = 1;
        begin = UDP_IN_V4;
    } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = (void *)(ethernet + 1);
        udp = (void *)(ip + 1);
        if ((void *)(udp + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP || udp->dest != PORT)
            return 0;
        inside = bpf_ntohs(ip->payload_len);
        __builtin_memcpy(found->from.address, &ip->saddr, 16);
        __builtin_memcpy(found->to.address, &ip->daddr, 16);
        found->is_v4 = 0;
        begin = UDP_IN_V6;
    } else {
        return 0;
    }
    __builtin_memcpy(found->from.port, &udp->source, 2);
    found->from.zero[0] = found->from.zero[1] = 0;
    found->length = inside - sizeof(*udp);
    if (inside != bpf_ntohs(udp->len) || inside <= sizeof(*udp) || inside > DATAGRAM_BYTES_MAX)
        return 0;
    return begin + inside <= ctx->data_end - ctx->data;
}

/* The generic cell rate algorithm, as in src/datapath/limiter.rs. Two processors that ask at once may both be allowed. */
static __always_inline int allows(__u64 *full_at, __u64 now, __u64 interval, __u64 burst)
{
    __u64 at = *full_at > now ? *full_at : now;

    if (at + interval > now + burst)
        return 0;
    *full_at = at + interval;
    return 1;
}

/* Whether a frame has the look of a probe of a link, or its echo: a neighbor that has moved is known by them, to user space. */
static __always_inline int is_link_probe(struct xdp_md *ctx, const struct datagram *datagram)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct frame *frame = data + (datagram->is_v4 ? UDP_IN_V4 : UDP_IN_V6) + sizeof(struct udphdr);

    if ((void *)(frame + 1) > end || datagram->length != HEADER_BYTES + PROBE_BYTES)
        return 0;
    return (frame->kind == PROBE || frame->kind == ECHO) && frame->cursor == 0 && *(__u32 *)frame->path == 0;
}

/* A source without a link: only QUIC may come from it, and probes, and only so much. */
static __always_inline int guard_stranger(struct datagram *datagram, int may_pass)
{
    struct address_key key;
    __builtin_memcpy(key.address, datagram->from.address, 16);
    struct stranger_value *known = bpf_map_lookup_elem(&STRANGERS, &key);
    __u64 now = bpf_ktime_get_ns();

    if (!known) {
        struct stranger_value fresh = { .full_at = now };
        bpf_map_update_elem(&STRANGERS, &key, &fresh, BPF_NOEXIST);
        known = bpf_map_lookup_elem(&STRANGERS, &key);
        if (!known)
            return XDP_PASS;
    }
    if (!may_pass) {
        datagram->counts->unknown_source++;
        __sync_fetch_and_add(&known->dropped, 1);
        return XDP_DROP;
    }
    if (!allows(&known->full_at, now, STRANGER_INTERVAL_NS, STRANGER_BURST_NS)) {
        datagram->counts->over_rate++;
        __sync_fetch_and_add(&known->dropped, 1);
        return XDP_DROP;
    }
    __sync_fetch_and_add(&known->passed, 1);
    return XDP_PASS;
}

/* As core's `Frame::parse`; the length of the header has been checked. */
static __always_inline int is_well_formed(const struct frame *frame, __u32 length)
{
    __u32 payload = length - HEADER_BYTES;
    __u8 cursor = frame->cursor >> 4, count = frame->cursor & 0x0f;

    switch (frame->kind) {
    case DATA:
    case COPY:
        if (payload == 0 || frame->lane >= LANES_MAX)
            return 0;
        break;
    case PACKET:
    case PACKET_COPY:
        if (payload == 0 || frame->lane != 0)
            return 0;
        break;
    case PROBE:
    case ECHO:
        if (payload != PROBE_BYTES || frame->lane != 0)
            return 0;
        break;
    case PATH_ERROR:
        if (payload != PATH_ERROR_BYTES || frame->lane != 0)
            return 0;
        break;
    case TRACE:
        if (payload != TRACE_BYTES || frame->lane != 0)
            return 0;
        break;
    default:
        return 0;
    }
    return frame->reserved == 0 && cursor <= count && count <= PATH_LABELS_MAX;
}

/* The MAC of a frame that the program may pass on: over the header and the payload's length, or all of a probe. */
static __always_inline __u64 mac_of(const struct covered *covered, const __u64 probe[2], __u32 length, const __u8 key[16])
{
    __u64 words[5];
    __u16 payload = bpf_htons(length - HEADER_BYTES);

    __builtin_memcpy(words, covered->words, sizeof(words));
    if (is_payload(covered->frame.kind))
        return bpf_cpu_to_be64(siphash(key, words, 0, 0, (42ULL << 56) | payload));
    return bpf_cpu_to_be64(siphash(key, words, probe, 2, 56ULL << 56));
}

/* As core's `ReplayWindow::accept`, for several processors. */
static __always_inline int accept(struct link_state *state, __u64 sequence)
{
    __u32 space = sequence >> 63;
    __u64 number = sequence & ~KERNEL_SEQUENCES, word = number / 64, bit = 1ULL << (number % 64), newest, fresh;
    int is_new = 0;

    if (number == 0)
        return 0;
    bpf_spin_lock(&state->lock);
    newest = state->newest[space & 1];
    if (number + REPLAY_WINDOW > newest) {
        if (number > newest) {
            fresh = word - newest / 64;
            if (fresh > WINDOW_WORDS)
                fresh = WINDOW_WORDS;
            for (__u64 step = 1; step <= WINDOW_WORDS; step++) {
                if (step > fresh)
                    break;
                state->seen[space & 1][(newest / 64 + step) & (WINDOW_WORDS - 1)] = 0;
            }
            state->newest[space & 1] = number;
        }
        if (!(state->seen[space & 1][word & (WINDOW_WORDS - 1)] & bit)) {
            state->seen[space & 1][word & (WINDOW_WORDS - 1)] |= bit;
            is_new = 1;
        }
    }
    bpf_spin_unlock(&state->lock);
    return is_new;
}

static __always_inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* What the pseudo header adds to a UDP checksum: a virtual interface whose other end leaves checksums to hardware that is
 * not there hands over packets with just this. */
static __always_inline __u64 pseudo_sum(const struct covered *covered, int is_v4, __u32 length)
{
    __u64 sum = bpf_htons(IPPROTO_UDP) + bpf_htons(length + sizeof(struct udphdr));
    const __u32 *words = (const __u32 *)covered;

    /* Of a mapped address only the last word travels. */
    if (is_v4)
        return sum + words[3] + words[7];
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum += words[i];
    return sum;
}

/* The sum over the payload behind a header, in the packet. */
static __always_inline __u64 payload_sum(void *payload, void *end, __u32 length)
{
    __u64 sum = 0;
    __u16 last = 0;

    for (int i = 0; i < DATAGRAM_BYTES_MAX / 2; i++) {
        if (length < 2 || payload + 2 > end)
            break;
        sum += *(__u16 *)payload;
        payload += 2;
        length -= 2;
    }
    if (length == 1 && payload + 1 <= end) {
        *(__u8 *)&last = *(__u8 *)payload;
        sum += last;
    }
    return sum;
}

/* The UDP checksum of the rewritten datagram. Bytes that did not change stay covered as they were, so damage that happened
 * before is still noticed behind. */
static __always_inline __u16 checksum(__u16 before, const struct covered *old, const struct covered *new, int is_v4,
                                      int is_generic, void *payload, void *end, __u32 length)
{
    __u16 sum;

    if (before == fold(pseudo_sum(old, is_v4, length))) {
        /* Generic XDP keeps the kernel's buffer, and with it the note that the rest is still to be added. */
        if (is_generic)
            return fold(pseudo_sum(new, is_v4, length));
        if (is_v4)
            return 0;
        __u64 whole = pseudo_sum(new, is_v4, length) + payload_sum(payload, end, length - HEADER_BYTES);
        const __u16 *halves = (const __u16 *)new->source_port;
#pragma unroll
        for (int i = 0; i < (8 + HEADER_BYTES) / 2; i++)
            whole += halves[i];
        whole += bpf_htons(length + sizeof(struct udphdr));
        sum = ~fold(whole);
    } else {
        if (is_v4 && before == 0)
            return 0;
        sum = ~fold((__u32)bpf_csum_diff((__be32 *)old, sizeof(*old), (__be32 *)new, sizeof(*new), (__u16)~before));
    }
    return sum ? sum : 0xffff;
}

/* Asks the kernel's routes for the way to the link's neighbor; 0 if there is one that the program can take. */
static __always_inline int find_way(struct xdp_md *ctx, const struct link_value *link, __u32 length, int is_generic,
                                    struct bpf_fib_lookup *way)
{
    __u32 *interface, flags = IS_BOUND ? 0 : BPF_FIB_LOOKUP_SRC;

    way->l4_protocol = IPPROTO_UDP;
    __builtin_memcpy(&way->dport, link->port, 2);
    way->sport = PORT;
    way->ifindex = ctx->ingress_ifindex;
    if (link->is_v4) {
        way->family = FAMILY_V4;
        way->tot_len = sizeof(struct iphdr) + sizeof(struct udphdr) + length;
        __builtin_memcpy(&way->ipv4_dst, link->address + 12, 4);
        if (IS_BOUND)
            for (int i = 0; i < 4; i++)
                ((__u8 *)&way->ipv4_src)[i] = BOUND[12 + i];
    } else {
        way->family = FAMILY_V6;
        way->tot_len = sizeof(struct ipv6hdr) + sizeof(struct udphdr) + length;
        __builtin_memcpy(way->ipv6_dst, link->address, 16);
        if (IS_BOUND)
            for (int i = 0; i < 16; i++)
                ((__u8 *)way->ipv6_src)[i] = BOUND[i];
    }
    if (bpf_fib_lookup(ctx, way, sizeof(*way), flags) != BPF_FIB_LKUP_RET_SUCCESS)
        return -1;
    interface = bpf_map_lookup_elem(&INTERFACES, &way->ifindex);
    return interface && (is_generic || *interface & TAKES_FRAMES) ? 0 : -1;
}

static __always_inline __u16 ip_checksum(const struct iphdr *ip)
{
    __u64 sum = 0;
    const __u16 *halves = (const __u16 *)ip;
#pragma unroll
    for (int i = 0; i < (int)sizeof(*ip) / 2; i++)
        sum += halves[i];
    return ~fold(sum);
}

/* Writes the datagram anew over the old one; 0 if it is as it was when it was found. */
static __always_inline int rewrite(struct xdp_md *ctx, const struct datagram *datagram, const struct covered *old,
                                   struct covered *new, const struct bpf_fib_lookup *way, int is_generic)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *ethernet = data;
    struct udphdr *udp;
    struct frame *frame;

    if (datagram->is_v4) {
        struct iphdr *ip = (void *)(ethernet + 1);
        udp = (void *)(ip + 1);
        frame = (void *)(udp + 1);
        if ((void *)(frame + 1) > end)
            return -1;
        __builtin_memcpy(&ip->saddr, new->source + 12, 4);
        __builtin_memcpy(&ip->daddr, new->destination + 12, 4);
        /* The next hop is a new journey, as it is for a frame that user space sends. */
        ip->ttl = IPDEFTTL;
        ip->check = 0;
        ip->check = ip_checksum(ip);
    } else {
        struct ipv6hdr *ip = (void *)(ethernet + 1);
        udp = (void *)(ip + 1);
        frame = (void *)(udp + 1);
        if ((void *)(frame + 1) > end)
            return -1;
        __builtin_memcpy(&ip->saddr, new->source, 16);
        __builtin_memcpy(&ip->daddr, new->destination, 16);
        ip->hop_limit = IPDEFTTL;
    }
    udp->check = checksum(udp->check, old, new, datagram->is_v4, is_generic, frame + 1, end,
                          datagram->length);
    __builtin_memcpy(&udp->source, new->source_port, 2);
    __builtin_memcpy(&udp->dest, new->destination_port, 2);
    __builtin_memcpy(frame, &new->frame, HEADER_BYTES);
    __builtin_memcpy(ethernet->h_source, way->smac, ETH_ALEN);
    __builtin_memcpy(ethernet->h_dest, way->dmac, ETH_ALEN);
    return 0;
}

static __always_inline void count_received(struct link_counts *counts, __u32 length, __u64 now)
{
    counts->frames_received++;
    counts->bytes_received += length;
    counts->carried++;
    counts->heard_at = now;
}

/* Reads the outer addresses and the frame's header. */
static __always_inline int read(struct xdp_md *ctx, const struct datagram *datagram, struct covered *covered, __u64 probe[2])
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct udphdr *udp = data + (datagram->is_v4 ? UDP_IN_V4 : UDP_IN_V6);

    if ((void *)(udp + 1) + HEADER_BYTES > end)
        return -1;
    __builtin_memcpy(covered->source, datagram->from.address, 16);
    __builtin_memcpy(covered->destination, datagram->to.address, 16);
    __builtin_memcpy(covered->source_port, &udp->source, 2);
    __builtin_memcpy(covered->destination_port, &udp->dest, 2);
    __builtin_memset(covered->zero, 0, sizeof(covered->zero));
    __builtin_memcpy(&covered->frame, udp + 1, HEADER_BYTES);
    if ((void *)(udp + 1) + HEADER_BYTES + PROBE_BYTES <= end)
        __builtin_memcpy(probe, (void *)(udp + 1) + HEADER_BYTES, PROBE_BYTES);
    return 0;
}

/* A frame of a neighbor. */
static __always_inline int relay(struct xdp_md *ctx, struct datagram *datagram, struct source_value *source,
                                 struct link_state *state, struct link_counts *counts, __u64 now)
{
    __u32 ingress = ctx->ingress_ifindex;
    __u32 *attached = bpf_map_lookup_elem(&INTERFACES, &ingress);
    /* Generic XDP may see several datagrams of one sender as one, which user space takes apart. */
    int is_generic = !attached || *attached & IS_GENERIC, is_sure = !is_generic;
    struct covered old, new;
    __u64 probe[2] = {}, sequence;

    if (datagram->length < HEADER_BYTES || read(ctx, datagram, &old, probe)
        || !is_well_formed(&old.frame, datagram->length)) {
        if (!is_sure)
            return XDP_PASS;
        datagram->counts->malformed++;
        counts->malformed++;
        return XDP_DROP;
    }
    __u8 kind = old.frame.kind, cursor = old.frame.cursor >> 4;
    if (cursor == (old.frame.cursor & 0x0f) || !(is_payload(kind) || kind == PROBE || kind == ECHO))
        return XDP_PASS;
    if (mac_of(&old, probe, datagram->length, source->key) != old.frame.mac) {
        if (!is_sure || source->flags & SEVERAL)
            return XDP_PASS;
        datagram->counts->unsigned_++;
        counts->unsigned_++;
        return XDP_DROP;
    }
    sequence = bpf_be64_to_cpu(old.frame.sequence);
    if ((sequence & ~KERNEL_SEQUENCES) <= source->seen_elsewhere[sequence >> 63])
        return XDP_PASS;
    if (!accept(state, sequence)) {
        datagram->counts->replayed++;
        counts->replayed++;
        return XDP_DROP;
    }
    if (!(source->flags & MAY_RELAY)) {
        count_received(counts, datagram->length, now);
        datagram->counts->unauthorized++;
        counts->unauthorized++;
        return XDP_DROP;
    }

    new = old;
    __u16 label;
    cursor &= PATH_LABELS_MAX - 1;
    __builtin_memcpy(&label, old.frame.labels[cursor], 2);
    struct link_value *link = bpf_map_lookup_elem(&LINKS, &label);
    /* A path error is user space's to send; so is what changes from one address family to the other. */
    if (!link || link->is_v4 != datagram->is_v4)
        return XDP_PASS;
    struct link_state *out = bpf_map_lookup_elem(&STATES, &link->slot);
    struct link_counts *out_counts = bpf_map_lookup_elem(&LINK_COUNTS, &link->slot);
    struct bpf_fib_lookup way = {};
    if (!out || !out_counts || find_way(ctx, link, datagram->length, is_generic, &way))
        return XDP_PASS;

    __builtin_memcpy(new.frame.labels[cursor], source->label, 2);
    new.frame.cursor += 0x10;
    new.frame.sequence = bpf_cpu_to_be64(KERNEL_SEQUENCES | (__sync_fetch_and_add(&out->sent, 1) + 1));
    new.frame.mac = mac_of(&new, probe, datagram->length, link->key);
    if (link->is_v4)
        map_into_v6(new.source, &way.ipv4_src);
    else
        __builtin_memcpy(new.source, way.ipv6_src, 16);
    __builtin_memcpy(new.destination, link->address, 16);
    __u16 port = PORT;
    __builtin_memcpy(new.source_port, &port, 2);
    __builtin_memcpy(new.destination_port, link->port, 2);
    if (rewrite(ctx, datagram, &old, &new, &way, is_generic))
        return XDP_PASS;

    count_received(counts, datagram->length, now);
    counts->forwarded++;
    out_counts->carried++;
    out_counts->frames_sent++;
    out_counts->bytes_sent += datagram->length;
    datagram->counts->forwarded++;
    return way.ifindex == ingress ? XDP_TX : bpf_redirect(way.ifindex, 0);
}

SEC("xdp")
int datapath(struct xdp_md *ctx)
{
    struct datagram datagram;
    __u32 zero = 0;

    /* A host that forwards for others sees their datagrams as well. */
    if (!find(ctx, &datagram) || !bpf_map_lookup_elem(&LOCAL, &datagram.to))
        return XDP_PASS;
    datagram.counts = bpf_map_lookup_elem(&PORT_COUNTS, &zero);
    if (!datagram.counts)
        return XDP_PASS;
    __u64 *shut_out = bpf_map_lookup_elem(&SHUT_OUT, &datagram.from);
    if (shut_out) {
        __sync_fetch_and_add(shut_out, 1);
        datagram.counts->shut_out++;
        return XDP_DROP;
    }

    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    __u8 *first = data + (datagram.is_v4 ? UDP_IN_V4 : UDP_IN_V6) + sizeof(struct udphdr);
    if ((void *)(first + 1) > end)
        return XDP_PASS;
    int is_quic = *first & 0x40;
    struct source_value *source = bpf_map_lookup_elem(&SOURCES, &datagram.from);
    if (!source)
        return guard_stranger(&datagram, is_quic || is_link_probe(ctx, &datagram));
    struct link_state *state = bpf_map_lookup_elem(&STATES, &source->slot);
    struct link_counts *counts = bpf_map_lookup_elem(&LINK_COUNTS, &source->slot);
    if (!state || !counts)
        return XDP_PASS;
    __u64 now = bpf_ktime_get_ns();
    if (!allows(&state->full_at, now, NEIGHBOR_INTERVAL_NS, NEIGHBOR_BURST_NS)) {
        datagram.counts->over_rate++;
        return XDP_DROP;
    }
    return is_quic ? XDP_PASS : relay(ctx, &datagram, source, state, counts, now);
}

/* The kernel lends some helpers only to programs under its own license. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
