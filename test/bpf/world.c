/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the programs and keeps the little cluster of world.h in their BPF maps. Needs root and a namespace of
 * its own. */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX 512 /* bytes of the largest key of a BPF map */

struct weft *world;
static struct ring_buffer *rings;
static struct event seen_event;
static int seen_events;

static int libbpf_says(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	return printf("# %s", line);
}

static int on_event(void *ctx, void *data, size_t len)
{
	(void)ctx;
	/* rings are read one after the other: the latest by its own clock counts */
	if (len == sizeof(seen_event) && ((const struct event *)data)->at >= seen_event.at)
		memcpy(&seen_event, data, len);
	seen_events++;
	return 0;
}

static int make_rings(void)
{
	int outer = bpf_map__fd(world->maps.events), cpus = libbpf_num_possible_cpus();

	for (uint32_t cpu = 0; cpu < (uint32_t)cpus; cpu++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 4096, NULL);

		if (fd < 0 || bpf_map_update_elem(outer, &cpu, &fd, BPF_ANY))
			return -errno;
		if (!rings)
			rings = ring_buffer__new(fd, on_event, NULL, NULL);
		else
			ring_buffer__add(rings, fd, on_event, NULL);
	}
	return rings ? 0 : -ENOMEM;
}

int world_load(void)
{
	struct bpf_map *map;
	int err;

	libbpf_set_print(libbpf_says);
	world = weft__open();
	if (!world)
		return -errno;
	bpf_object__for_each_map(map, world->obj)
	{
		if (bpf_map__max_entries(map) > 32768)
			bpf_map__set_max_entries(map, 32768);
	}
	bpf_map__set_max_entries(world->maps.events, (uint32_t)libbpf_num_possible_cpus());
	err = weft__load(world);
	return err ? err : make_rings();
}

struct addr16 addr(const char *text)
{
	struct addr16 a = {};

	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, a.b);
		return a;
	}
	a.w[2] = htonl(0xffff);
	inet_pton(AF_INET, text, a.b + 12);
	return a;
}

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY)) {
		printf("Bail out! cannot write to %s: %s\n", bpf_map__name(map), strerror(errno));
		exit(1);
	}
}

static void map_empty(const struct bpf_map *map)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	int fd = bpf_map__fd(map), more = !bpf_map_get_next_key(fd, NULL, next);

	while (more) {
		memcpy(key, next, sizeof(key));
		more = !bpf_map_get_next_key(fd, key, next);
		bpf_map_delete_elem(fd, key);
	}
}

size_t map_size(const struct bpf_map *map)
{
	uint8_t key[KEY_MAX];
	int fd = bpf_map__fd(map);
	size_t n = 0;

	for (int more = !bpf_map_get_next_key(fd, NULL, key); more;
	     more = !bpf_map_get_next_key(fd, key, key))
		n++;
	return n;
}

struct config_value *config_now(void)
{
	static struct config_value c;
	uint32_t zero = 0;

	bpf_map_lookup_elem(bpf_map__fd(world->maps.config), &zero, &c);
	return &c;
}

void config_put(const struct config_value *c)
{
	uint32_t zero = 0;

	put(world->maps.config, &zero, c);
}

void set_address(const char *text, uint32_t class, uint32_t node, uint32_t flags)
{
	struct addr16 key = addr(text);
	struct address_value value = {.class = class, .node = node, .flags = flags};

	put(world->maps.address, &key, &value);
}

static struct block_key block_key(const char *text, uint32_t len)
{
	struct block_key key = {.len = strchr(text, ':') ? len : len + 96, .addr = addr(text)};

	return key;
}

void set_range(const char *text, uint32_t len, uint32_t kind, uint32_t node)
{
	struct block_key key = block_key(text, len);
	struct range_value value = {.kind = kind, .node = node};

	put(world->maps.range, &key, &value);
}

static const struct {
	const char *name, *v4, *v6;
	uint32_t ifindex;
	uint8_t mac[6];
} pods[] = {
    {"a", "10.1.0.5", "fd00:1::5", IF_A, {2, 0, 0, 0, 0, 5}},
    {"b", "10.1.0.6", "fd00:1::6", IF_B, {2, 0, 0, 0, 0, 6}},
    {"r", "10.2.0.7", "fd00:2::7", IF_R, {2, 0, 0, 0, 0, 7}},
};

/* BPF map endpoint has changed: connections may not go by what they remember. */
static void wiring_changed(void)
{
	uint32_t zero = 0, number = 0;

	bpf_map_lookup_elem(bpf_map__fd(world->maps.wiring), &zero, &number);
	number++;
	put(world->maps.wiring, &zero, &number);
}

void set_pod(const char *name, uint32_t ingress_set, uint32_t egress_set)
{
	size_t i = name[0] == 'a' ? 0 : name[0] == 'b' ? 1 : 2;
	struct addr16 v4 = addr(pods[i].v4), v6 = addr(pods[i].v6);
	struct endpoint_value e = {
	    .ifindex = pods[i].ifindex, .ingress_set = ingress_set, .egress_set = egress_set};
	struct iface_value f = {.v4 = v4, .v6 = v6, .ingress_set = ingress_set, .egress_set = egress_set};

	memcpy(e.mac, pods[i].mac, 6);
	memcpy(f.mac, pods[i].mac, 6);
	put(world->maps.endpoint, &v4, &e);
	put(world->maps.endpoint, &v6, &e);
	put(world->maps.iface, &pods[i].ifindex, &f);
	wiring_changed();
}

static size_t pod_of(const char *name)
{
	return name[0] == 'a' ? 0 : name[0] == 'b' ? 1 : 2;
}

/* Both tables' elements of a pod, with what `change` does to them. */
static void pod_change(const char *name,
		       void (*change)(struct endpoint_value *, struct iface_value *, const uint32_t *),
		       const uint32_t *with)
{
	size_t i = pod_of(name);
	struct addr16 v4 = addr(pods[i].v4), v6 = addr(pods[i].v6);
	struct endpoint_value e;
	struct iface_value f;

	if (bpf_map_lookup_elem(bpf_map__fd(world->maps.endpoint), &v4, &e) ||
	    bpf_map_lookup_elem(bpf_map__fd(world->maps.iface), &pods[i].ifindex, &f))
		return;
	change(&e, &f, with);
	put(world->maps.endpoint, &v4, &e);
	put(world->maps.endpoint, &v6, &e);
	put(world->maps.iface, &pods[i].ifindex, &f);
	wiring_changed();
}

static void change_staged(struct endpoint_value *e, struct iface_value *f, const uint32_t *sets)
{
	e->staged_ingress = f->staged_ingress = sets[0];
	e->staged_egress = f->staged_egress = sets[1];
}

static void change_flags(struct endpoint_value *e, struct iface_value *f, const uint32_t *flags)
{
	e->flags = f->flags = *flags;
}

void set_staged(const char *name, uint32_t ingress_set, uint32_t egress_set)
{
	const uint32_t sets[] = {ingress_set, egress_set};

	pod_change(name, change_staged, sets);
}

void set_pod_flags(const char *name, uint32_t flags)
{
	pod_change(name, change_flags, &flags);
}

void remove_pod(const char *name)
{
	size_t i = pod_of(name);
	struct addr16 v4 = addr(pods[i].v4), v6 = addr(pods[i].v6);

	bpf_map_delete_elem(bpf_map__fd(world->maps.endpoint), &v4);
	bpf_map_delete_elem(bpf_map__fd(world->maps.endpoint), &v6);
	bpf_map_delete_elem(bpf_map__fd(world->maps.address), &v4);
	bpf_map_delete_elem(bpf_map__fd(world->maps.address), &v6);
	bpf_map_delete_elem(bpf_map__fd(world->maps.iface), &pods[i].ifindex);
	wiring_changed();
}

void world_reset(void)
{
	struct config_value c = {.node4 = addr("192.0.2.1"),
				 .node6 = addr("2001:db8::1"),
				 .uplink = IF_UPLINK,
				 .tunnel = IF_TUNNEL,
				 .mode = MODE_VXLAN,
				 .mtu = 1450,
				 .snat_low = 40000,
				 .snat_high = 49999,
				 .gateway_mac = {2, 0x57, 0x45, 0x46, 0x54, 1},
				 .vni = 7,
				 .pods6 = {htonl(0xfd000001), 0}};
	struct node_value n2 = {.v4 = addr("192.0.2.2"), .v6 = addr("2001:db8::2")};
	uint64_t zeros[512] = {0};
	struct bpf_map *map;
	uint32_t two = 2;

	bpf_object__for_each_map(map, world->obj)
	{
		enum bpf_map_type type = bpf_map__type(map);

		if (type != BPF_MAP_TYPE_ARRAY && type != BPF_MAP_TYPE_PERCPU_ARRAY &&
		    type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
			map_empty(map);
	}
	for (uint32_t i = 0; i < COUNTER_MAX; i++)
		put(world->maps.counter, &i, zeros);
	config_put(&c);
	put(world->maps.node, &two, &n2);
	set_pod("a", 0, 0);
	set_pod("b", 0, 0);
	set_address("10.1.0.5", CLASS_A, 0, ADDRESS_POD);
	set_address("fd00:1::5", CLASS_A, 0, ADDRESS_POD);
	set_address("10.1.0.6", CLASS_B, 0, ADDRESS_POD);
	set_address("fd00:1::6", CLASS_B, 0, ADDRESS_POD);
	set_address("10.2.0.7", CLASS_R, 2, ADDRESS_POD);
	set_address("fd00:2::7", CLASS_R, 2, ADDRESS_POD);
	set_address("192.0.2.1", CLASS_N1, 0, ADDRESS_NODE | ADDRESS_SELF);
	set_address("2001:db8::1", CLASS_N1, 0, ADDRESS_NODE | ADDRESS_SELF);
	set_address("192.0.2.2", CLASS_N2, 2, ADDRESS_NODE);
	set_address("2001:db8::2", CLASS_N2, 2, ADDRESS_NODE);
	set_range("10.1.0.0", 16, RANGE_POD, 0);
	set_range("fd00:1::", 32, RANGE_POD, 0);
	set_range("10.2.0.0", 16, RANGE_POD, 2);
	set_range("fd00:2::", 32, RANGE_POD, 2);
	set_range("10.96.0.0", 16, RANGE_SERVICE, 0);
	set_range("fd00:96::", 112, RANGE_SERVICE, 0);
	set_range("192.0.2.0", 24, RANGE_DIRECT, 0);
	set_range("2001:db8::", 64, RANGE_DIRECT, 0);
	ring_buffer__consume(rings);
	seen_events = 0;
}

void set_mode(uint32_t mode)
{
	struct config_value *c = config_now();

	c->mode = mode;
	c->tunnel = mode == MODE_VXLAN ? IF_TUNNEL : 0;
	config_put(c);
}

void set_snat(uint16_t low, uint16_t high)
{
	struct config_value *c = config_now();

	c->snat_low = low;
	c->snat_high = high;
	config_put(c);
}

void set_policy(uint32_t set, uint32_t class, uint32_t portset, uint32_t rule)
{
	struct policy_key key = {.set = set, .class = class};
	struct policy_value value = {.portset = portset, .rule = rule};

	if (portset > PORTSET_ONE)
		value.lens = 1u << PORT_LEN_MAX;
	put(world->maps.policy, &key, &value);
}

void set_policy_one(uint32_t set, uint32_t class, uint8_t proto, uint16_t port, uint32_t rule)
{
	struct policy_key key = {.set = set, .class = class};
	struct policy_value value = {
	    .portset = PORTSET_ONE, .rule = rule, .proto = proto, .port = htons(port)};

	put(world->maps.policy, &key, &value);
}

static void portset_has(uint32_t portset, uint32_t len)
{
	int fd = bpf_map__fd(world->maps.policy);
	struct policy_value value;
	struct policy_key key;

	for (int more = !bpf_map_get_next_key(fd, NULL, &key); more;
	     more = !bpf_map_get_next_key(fd, &key, &key)) {
		if (bpf_map_lookup_elem(fd, &key, &value) || value.portset != portset)
			continue;
		value.lens |= 1u << len;
		put(world->maps.policy, &key, &value);
	}
}

static void put_port(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port,
		     const struct port_value *value)
{
	struct port_key key = {.portset = portset, .proto = proto, .len = (uint8_t)len, .port = htons(port)};

	put(world->maps.port, &key, value);
}

void set_names(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t rule, uint32_t names)
{
	struct port_value value = {.verdict = VERDICT_DENY, .rule = rule, .names = names};

	put_port(portset, len, proto, port, &value);
	portset_has(portset, len);
}

void set_port_only(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t verdict,
		   uint32_t rule)
{
	struct port_value value = {.verdict = verdict, .rule = rule};

	put_port(portset, len, proto, port, &value);
}

void set_port(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t verdict, uint32_t rule)
{
	set_port_only(portset, len, proto, port, verdict, rule);
	portset_has(portset, len);
}

void set_block(const char *prefix, uint32_t len, uint32_t class)
{
	struct config_value *c = config_now();
	struct block_key key = block_key(prefix, len);
	struct block_value value = {.class = class};
	int v6 = strchr(prefix, ':') != NULL;
	uint8_t *lens = v6 ? c->block_lens6 : c->block_lens4, word = (uint8_t)(key.len ? key.len : 255);
	int at = 0;

	put(c->block_trie ? world->maps.block_trie : world->maps.block, &key, &value);
	/* longest first; 255 stands for the length 0 and is the last */
	while (at < BLOCK_LENS && lens[at] && lens[at] != 255 && (word == 255 || lens[at] > word))
		at++;
	if (lens[at] != word) {
		memmove(lens + at + 1, lens + at, (size_t)(BLOCK_LENS - 1 - at));
		lens[at] = word;
	}
	config_put(c);
}

void set_trie(void)
{
	struct config_value *c = config_now();
	struct block_key key = block_key("0.0.0.0", 0);
	struct block_value world_class = {.class = CLASS_WORLD};

	c->block_trie = 1;
	put(world->maps.block_trie, &key, &world_class);
	config_put(c);
}

/* Writes "addr port addr port …" as a list; how many there are. */
static uint32_t put_backends(uint32_t list, const char *backends)
{
	struct backend_key slot = {.list = list};
	unsigned int number;
	char text[64];
	int used;

	for (; sscanf(backends, "%63s %u%n", text, &number, &used) == 2; backends += used) {
		struct backend_value b = {.addr = addr(text), .port = htons((uint16_t)number)};

		put(world->maps.backend, &slot, &b);
		slot.slot++;
	}
	return slot.slot;
}

void set_service(const char *addr_text, uint16_t port, uint8_t proto, uint32_t flags, uint32_t list,
		 const char *backends)
{
	struct service_key key = {.addr = addr(addr_text), .port = htons(port), .proto = proto};
	struct service_value value = {.list = list, .flags = flags};

	value.count = put_backends(list, backends);
	if (flags & SERVICE_OUTSIDE_TOO) {
		value.out_list = value.list;
		value.out_count = value.count;
	}
	put(world->maps.service, &key, &value);
	key.port = 0;
	key.proto = 0;
	memset(&value, 0, sizeof(value)); /* the address is some Service's */
	value.flags = flags & SERVICE_OUTSIDE_TOO;
	put(world->maps.service, &key, &value);
}

void set_service_more(const char *addr_text, uint16_t port, uint8_t proto, const struct service_more *more)
{
	struct service_key key = {.addr = addr(addr_text), .port = htons(port), .proto = proto};
	int fd = bpf_map__fd(world->maps.service);
	struct service_value value;

	if (bpf_map_lookup_elem(fd, &key, &value))
		return;
	value.affinity = more->affinity;
	value.service = more->service;
	if (more->out) {
		value.out_list = more->out_list;
		value.out_count = put_backends(more->out_list, more->out);
	}
	put(world->maps.service, &key, &value);
}

void set_fault(uint32_t ifindex, uint32_t millionths)
{
	struct config_value *c = config_now();

	c->flags |= CONFIG_FAULTS;
	config_put(c);
	put(world->maps.fault, &ifindex, &millionths);
}

void set_source_range(uint32_t service, const char *prefix, uint32_t len)
{
	struct source_key key = {.service = service, .addr = addr(prefix)};
	struct source_value value = {.allow = 1};

	key.prefixlen = 32 + (strchr(prefix, ':') ? len : len + 96);
	put(world->maps.source_range, &key, &value);
}

int world_run(const struct bpf_program *prog, uint32_t ifindex, const uint8_t *frame, size_t len,
	      uint32_t gso_size, int repeat, struct run *r)
{
	struct __sk_buff ctx = {.ifindex = ifindex, .gso_size = gso_size};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)len, .data_out = r->out,
		    .data_size_out = sizeof(r->out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = repeat);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &o);

	if (err)
		return err;
	r->verdict = (int)o.retval;
	r->out_len = o.data_size_out;
	r->nanoseconds = o.duration;
	return 0;
}

int world_gc(uint32_t flags)
{
	struct gc_order order = {.flags = flags};
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = &order, .ctx_size_in = sizeof(order));

	if (bpf_prog_test_run_opts(bpf_program__fd(world->progs.weft_gc), &o))
		return -errno;
	return (int)order.removed;
}

int world_ask(struct ask *a)
{
	uint8_t frame[14 + sizeof(*a)] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .data_out = frame,
		    .data_size_out = sizeof(frame));

	memcpy(frame + 14, a, sizeof(*a));
	if (bpf_prog_test_run_opts(bpf_program__fd(world->progs.weft_ask), &o))
		return -errno;
	memcpy(a, frame + 14, sizeof(*a));
	return o.retval ? -EPROTO : 0;
}

uint64_t read_counter(uint32_t which)
{
	uint64_t values[512] = {0}, sum = 0;

	bpf_map_lookup_elem(bpf_map__fd(world->maps.counter), &which, values);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i];
	return sum;
}

static uint64_t read_packets(const struct bpf_map *map, const struct drop_key *key)
{
	struct drop_value values[512];
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(map), key, values))
		return 0;
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i].packets;
	return sum;
}

uint64_t read_drops(uint32_t ifindex, uint16_t reason, uint16_t direction, uint32_t cause)
{
	struct drop_key key = {.ifindex = ifindex, .reason = reason, .direction = direction, .cause = cause};

	return read_packets(world->maps.drop, &key);
}

uint64_t read_staged(uint32_t ifindex, uint16_t reason, uint16_t direction, uint32_t cause)
{
	struct drop_key key = {.ifindex = ifindex, .reason = reason, .direction = direction, .cause = cause};

	return read_packets(world->maps.staged, &key);
}

int last_event(struct event *e)
{
	ring_buffer__consume(rings);
	*e = seen_event;
	return seen_events > 0;
}

/* All keys of a map, of so many bytes each: an element that is written while one walks moves to the front of
 * its bucket, and the walk may never end. Returns how many. */
size_t map_keys(const struct bpf_map *map, void *keys, size_t key_len, size_t most)
{
	int fd = bpf_map__fd(map);
	uint8_t key[KEY_MAX];
	size_t n = 0;

	for (int more = !bpf_map_get_next_key(fd, NULL, key); more && n < most;
	     more = !bpf_map_get_next_key(fd, key, key))
		memcpy((uint8_t *)keys + n++ * key_len, key, key_len);
	return n;
}

static void age_map(const struct bpf_map *map, size_t seen_at, uint64_t ns)
{
	static uint8_t keys[4096 * 40], value[128];
	size_t len = bpf_map__key_size(map), n = map_keys(map, keys, len, sizeof(keys) / len);
	uint64_t seen;

	for (size_t i = 0; i < n; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(map), keys + i * len, value))
			continue;
		memcpy(&seen, value + seen_at, sizeof(seen));
		seen -= ns;
		memcpy(value + seen_at, &seen, sizeof(seen));
		bpf_map_update_elem(bpf_map__fd(map), keys + i * len, value, BPF_EXIST);
	}
}

void age_all(uint64_t seconds)
{
	uint64_t ns = seconds * 1000000000u;

	age_map(world->maps.conn4, offsetof(struct conn_value, seen), ns);
	age_map(world->maps.conn6, offsetof(struct conn_value, seen), ns);
	age_map(world->maps.half4, offsetof(struct conn_value, seen), ns);
	age_map(world->maps.half6, offsetof(struct conn_value, seen), ns);
	age_map(world->maps.nat, offsetof(struct nat_value, seen), ns);
	age_map(world->maps.affinity, offsetof(struct affinity_value, seen), ns);
}
