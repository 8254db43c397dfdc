/* What the observing programs and user space agree on. The other half is src/datapath/kernel/observer.rs.
 *
 * Addresses are 16 bytes, IPv4 mapped into IPv6; addresses and ports stand in network byte order, all other numbers in the
 * machine's own. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* Neighbors at once: as many as there may be links. */
#define NEIGHBORS_MAX 256
/* Probes under way; the oldest are forgotten. */
#define PROBES_MAX 4096
/* Nodes to which something was sent anew; those that it is longest ago of are forgotten. */
#define NODES_MAX 1024

/* One end of a datagram. */
struct end {
    __u8 address[16];
    __u8 port[2];
    __u8 zero[2];
};

/* What was seen of a neighbor's datagrams. */
struct observed {
    /* Probes of the link that came back. */
    __u64 echoes;
    /* How long they were away: a moving mean, and the least. */
    __u64 rtt_ns;
    __u64 rtt_least_ns;
    /* Datagrams that this host's kernel dropped: of the neighbor, and for it. */
    __u64 dropped_in;
    __u64 dropped_out;
};

/* A probe under way. */
struct probe {
    struct end to;
    __u8 nonce[8];
};

/* The overlay address of a node. */
struct node {
    __u8 address[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, NEIGHBORS_MAX);
    __type(key, struct end);
    __type(value, struct observed);
} NEIGHBORS SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, PROBES_MAX);
    __type(key, struct probe);
    __type(value, __u64);
} PROBES SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, NODES_MAX);
    __type(key, struct node);
    __type(value, __u64);
} SENT_ANEW SEC(".maps");
