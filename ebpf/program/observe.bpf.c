/* What the kernel sees of each link, and user space cannot: how long a probe of the link was away, without the time that
 * its answer waits for this process (TC); what this host's own kernel drops of the link, each way; and how often it sends
 * anew what local programs send to nodes over TCP (tracepoints).
 *
 * It changes no packet and decides nothing. It does not check MACs either: what it counts is told to people. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "observed.h"

/* Go on with whatever else is attached there (TCX). */
#define NEXT -1
#define FAMILY_V6 10

/* Set by user space before the program is loaded. */
/* The node's UDP port, in network byte order. */
const volatile __u16 PORT = 0;
/* The network namespace of its socket: tracepoints see the whole host. */
const volatile __u32 NAMESPACE = 0;
/* What addresses of nodes begin with. */
const volatile __u8 PREFIX[8] = {};

/* core/src/frame/mod.rs: where things stand in a frame, and what a probe of a link is: it has no labels and no path. */
#define HEADER_BYTES 48
#define AT_CURSOR 1
#define AT_PATH 28
#define PROBE 2
#define ECHO 3

/* As the kernel's own headers have them, as far as they are read; where each field is, the loader asks the kernel. */
#define KERNELS __attribute__((preserve_access_index))
struct ns_common {
    unsigned int inum;
} KERNELS;
struct net {
    struct ns_common ns;
} KERNELS;
typedef struct {
    struct net *net;
} KERNELS possible_net_t;
struct net_device {
    possible_net_t nd_net;
} KERNELS;
struct sk_buff {
    struct net_device *dev;
    unsigned char *head;
    __u16 network_header;
    unsigned int end;
} KERNELS;
struct skb_shared_info {
    unsigned short gso_segs;
} KERNELS;
struct sock_common {
    unsigned short skc_family;
    possible_net_t skc_net;
    struct {
        __u8 bytes[16];
    } skc_v6_daddr;
} KERNELS;
struct sock {
    struct sock_common __sk_common;
} KERNELS;

/* Both ends of a datagram. */
struct ends {
    struct end from;
    struct end to;
};

static __always_inline void map_into_v6(__u8 to[16], __u32 v4)
{
    __builtin_memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    __builtin_memcpy(to + 12, &v4, 4);
}

static __always_inline void take_v4(struct ends *ends, const struct iphdr *ip)
{
    map_into_v6(ends->from.address, ip->saddr);
    map_into_v6(ends->to.address, ip->daddr);
}

static __always_inline void take_v6(struct ends *ends, const struct ipv6hdr *ip)
{
    __builtin_memcpy(ends->from.address, &ip->saddr, 16);
    __builtin_memcpy(ends->to.address, &ip->daddr, 16);
}

static __always_inline void take_ports(struct ends *ends, const struct udphdr *udp)
{
    __builtin_memcpy(ends->from.port, &udp->source, 2);
    __builtin_memcpy(ends->to.port, &udp->dest, 2);
}

/* Finds a probe of a link, or its echo; 0 if the packet is neither. Of several frames in one buffer only the first is
 * looked at: probes are sent alone. */
static __always_inline int find_probe(struct __sk_buff *skb, __u8 kind, struct ends *ends, __u8 nonce[8])
{
    struct udphdr udp;
    __u8 head[HEADER_BYTES];
    __u32 at = ETH_HLEN;

    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || *(__u8 *)&ip != 0x45 || ip.protocol != IPPROTO_UDP)
            return 0;
        take_v4(ends, &ip);
        at += sizeof(ip);
    } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr ip;
        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_UDP)
            return 0;
        take_v6(ends, &ip);
        at += sizeof(ip);
    } else {
        return 0;
    }
    if (bpf_skb_load_bytes(skb, at, &udp, sizeof(udp)) || (kind == PROBE ? udp.source : udp.dest) != PORT)
        return 0;
    take_ports(ends, &udp);
    at += sizeof(udp);
    if (bpf_skb_load_bytes(skb, at, head, sizeof(head)) || head[0] != kind || head[AT_CURSOR])
        return 0;
    if (head[AT_PATH] | head[AT_PATH + 1] | head[AT_PATH + 2] | head[AT_PATH + 3])
        return 0;
    return bpf_skb_load_bytes(skb, at + HEADER_BYTES, nonce, 8) == 0;
}

SEC("classifier")
int probe_leaves(struct __sk_buff *skb)
{
    struct ends ends = {};
    struct probe probe = {};
    __u64 now = bpf_ktime_get_ns();

    if (find_probe(skb, PROBE, &ends, probe.nonce) && bpf_map_lookup_elem(&NEIGHBORS, &ends.to)) {
        probe.to = ends.to;
        bpf_map_update_elem(&PROBES, &probe, &now, BPF_ANY);
    }
    return NEXT;
}

SEC("classifier")
int echo_comes(struct __sk_buff *skb)
{
    struct ends ends = {};
    struct probe probe = {};

    if (!find_probe(skb, ECHO, &ends, probe.nonce))
        return NEXT;
    probe.to = ends.from;
    struct observed *observed = bpf_map_lookup_elem(&NEIGHBORS, &probe.to);
    __u64 *sent = bpf_map_lookup_elem(&PROBES, &probe);
    if (!observed || !sent)
        return NEXT;
    __u64 rtt = bpf_ktime_get_ns() - *sent;
    bpf_map_delete_elem(&PROBES, &probe);
    /* Each is one word, and a lost update costs one of many samples. The mean moves by an eighth (RFC 6298). */
    observed->rtt_ns = observed->echoes ? observed->rtt_ns - observed->rtt_ns / 8 + rtt / 8 : rtt;
    if (!observed->echoes || rtt < observed->rtt_least_ns)
        observed->rtt_least_ns = rtt;
    observed->echoes++;
    return NEXT;
}

static __always_inline int is_elsewhere(const possible_net_t *place)
{
    return BPF_CORE_READ(place, net, ns.inum) != NAMESPACE;
}

/* What is in a buffer that the kernel throws away. */
SEC("raw_tp")
int packet_dropped(struct bpf_raw_tracepoint_args *ctx)
{
    struct sk_buff *skb = (void *)ctx->args[0];
    struct net_device *dev = BPF_CORE_READ(skb, dev);
    struct ends ends = {};
    struct udphdr udp;
    __u8 version;

    if (!dev || is_elsewhere(&dev->nd_net))
        return 0;
    unsigned char *head = BPF_CORE_READ(skb, head);
    unsigned char *at = head + BPF_CORE_READ(skb, network_header);
    if (bpf_probe_read_kernel(&version, 1, at))
        return 0;
    if (version == 0x45) {
        struct iphdr ip;
        if (bpf_probe_read_kernel(&ip, sizeof(ip), at) || ip.protocol != IPPROTO_UDP)
            return 0;
        take_v4(&ends, &ip);
        at += sizeof(ip);
    } else if (version >> 4 == 6) {
        struct ipv6hdr ip;
        if (bpf_probe_read_kernel(&ip, sizeof(ip), at) || ip.nexthdr != IPPROTO_UDP)
            return 0;
        take_v6(&ends, &ip);
        at += sizeof(ip);
    } else {
        return 0;
    }
    if (bpf_probe_read_kernel(&udp, sizeof(udp), at))
        return 0;
    take_ports(&ends, &udp);
    /* One buffer may be many datagrams (UDP_SEGMENT, GRO). */
    struct skb_shared_info *shared = (void *)(head + BPF_CORE_READ(skb, end));
    __u64 datagrams = BPF_CORE_READ(shared, gso_segs);
    if (!datagrams)
        datagrams = 1;
    if (udp.dest == PORT) {
        struct observed *from = bpf_map_lookup_elem(&NEIGHBORS, &ends.from);
        if (from) {
            __sync_fetch_and_add(&from->dropped_in, datagrams);
            return 0;
        }
    }
    if (udp.source == PORT) {
        struct observed *to = bpf_map_lookup_elem(&NEIGHBORS, &ends.to);
        if (to)
            __sync_fetch_and_add(&to->dropped_out, datagrams);
    }
    return 0;
}

/* What a local program sends to a node over TCP is sent anew. */
SEC("raw_tp")
int segment_sent_anew(struct bpf_raw_tracepoint_args *ctx)
{
    struct sock *socket = (void *)ctx->args[0];
    struct node node;

    if (BPF_CORE_READ(socket, __sk_common.skc_family) != FAMILY_V6 || is_elsewhere(&socket->__sk_common.skc_net))
        return 0;
    if (bpf_core_read(&node, sizeof(node), &socket->__sk_common.skc_v6_daddr))
        return 0;
    for (unsigned i = 0; i < sizeof(PREFIX); i++)
        if (node.address[i] != PREFIX[i])
            return 0;
    __u64 *known = bpf_map_lookup_elem(&SENT_ANEW, &node), one = 1;
    if (known)
        __sync_fetch_and_add(known, 1);
    else
        bpf_map_update_elem(&SENT_ANEW, &node, &one, BPF_NOEXIST);
    return 0;
}

/* The kernel lends some helpers only to programs under its own license. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
