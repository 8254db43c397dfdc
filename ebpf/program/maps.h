/* What the program and user space agree on. The other half is ebpf/common/src/lib.rs: same names, same bytes.
 *
 * Addresses are 16 bytes, IPv4 mapped into IPv6 (RFC 4291, section 2.5.5.2). Addresses, ports and labels stand in network
 * byte order; all other numbers in the machine's own. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* Links at once: every neighbor's, and as many again while each is replaced. */
#define LINKS_MAX 256
/* Sources without a link that are remembered: whoever was silent longest is forgotten. */
#define STRANGERS_MAX 16384
#define SHUT_OUT_MAX 1024
#define INTERFACES_MAX 64
/* Addresses of this host; datagrams for others are user space's. */
#define LOCAL_MAX 256

/* A neighbor as its datagrams name it. */
struct source_key {
    __u8 address[16];
    __u8 port[2];
    __u8 zero[2];
};

#define MAY_RELAY 1
/* More than one link has this source: which one a frame belongs to, user space finds out. */
#define SEVERAL 2

/* The link on which a source's frames come. */
struct source_value {
    __u8 key[16];
    /* Per space: numbers up to here may have been seen by user space. */
    __u64 seen_elsewhere[2];
    __u32 slot;
    __u8 label[2];
    __u8 flags;
    __u8 zero;
};

/* The link to which a label leads. */
struct link_value {
    __u8 key[16];
    __u8 address[16];
    __u8 port[2];
    __u8 is_v4;
    __u8 zero;
    __u32 slot;
};

/* One word more than the window needs would do (as in core/src/frame/replay.rs); a power of two saves a division. */
#define WINDOW_WORDS 256
#define REPLAY_WINDOW 8192

/* What the program itself keeps of a link. */
struct link_state {
    struct bpf_spin_lock lock;
    __u32 zero;
    /* Per space, under the lock. */
    __u64 newest[2];
    __u64 seen[2][WINDOW_WORDS];
    /* How many numbers of the kernel's space were given to frames that left on the link. Atomic. */
    __u64 sent;
    /* When the source's bucket is full again, in nanoseconds. */
    __u64 full_at;
};

/* What is counted per link and processor. */
struct link_counts {
    __u64 frames_received;
    __u64 bytes_received;
    __u64 forwarded;
    __u64 carried;
    __u64 frames_sent;
    __u64 bytes_sent;
    __u64 malformed;
    __u64 unsigned_;
    __u64 replayed;
    __u64 unauthorized;
    /* When the last authentic frame came, in nanoseconds of the monotonic clock. */
    __u64 heard_at;
};

/* What is counted per processor. */
struct port_counts {
    __u64 unknown_source;
    __u64 shut_out;
    __u64 over_rate;
    __u64 forwarded;
    __u64 malformed;
    __u64 unsigned_;
    __u64 replayed;
    __u64 unauthorized;
};

struct address_key {
    __u8 address[16];
};

/* A source without a link. */
struct stranger_value {
    __u64 full_at;
    __u64 passed;
    __u64 dropped;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LINKS_MAX);
    __type(key, struct source_key);
    __type(value, struct source_value);
} SOURCES SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LINKS_MAX);
    __type(key, __u16);
    __type(value, struct link_value);
} LINKS SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LINKS_MAX);
    __type(key, __u32);
    __type(value, struct link_state);
} STATES SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LINKS_MAX);
    __type(key, __u32);
    __type(value, struct link_counts);
} LINK_COUNTS SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct port_counts);
} PORT_COUNTS SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, STRANGERS_MAX);
    __type(key, struct address_key);
    __type(value, struct stranger_value);
} STRANGERS SEC(".maps");

/* Sources that are dealt with no more, and how many datagrams of each were dropped. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SHUT_OUT_MAX);
    __type(key, struct source_key);
    __type(value, __u64);
} SHUT_OUT SEC(".maps");

/* The addresses of this host to which the socket listens. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LOCAL_MAX);
    __type(key, struct address_key);
    __type(value, __u8);
} LOCAL SEC(".maps");

#define IS_GENERIC 1
/* Its driver takes frames that a program in another driver sends. */
#define TAKES_FRAMES 2

/* The interfaces to which the program is attached. It sends on no other. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, INTERFACES_MAX);
    __type(key, __u32);
    __type(value, __u32);
} INTERFACES SEC(".maps");
