/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler keeps between runs, and the calls between the files of this room. All of it is derived
 * from the objects and can be thrown away and made again; only the rows in force (rows.h) cannot. Private to
 * compile/.
 *
 * Words: a `home` is a namespace as selectors see it. `kin` are pods that no selector and no named port can
 * tell apart (same namespace, labels and named ports). An `atom` is what a rule can ask of an address: a
 * selector with its namespace, an ipBlock, a named port's number. A class is a set of atoms that hold. An
 * atom is live while a policy in force on this node asks for it.
 */
#ifndef WEFT_COMPILE_STATE_H
#define WEFT_COMPILE_STATE_H

#include "base/own.h"
#include "compile/compile.h"
#include "compile/id.h"
#include "compile/index.h"
#include "compile/names.h"
#include "compile/rows.h"
#include "seam/policy.h"

enum { DIR_INGRESS, DIR_EGRESS, DIRS };
enum { IN_FORCE, STAGED, STAGES }; /* what is enforced; what would be, staged policies included */
enum tier { TIER_ADMIN, TIER_NETWORK, TIER_BASELINE };
enum action { ACTION_ACCEPT, ACTION_DENY, ACTION_PASS };

struct pclass;
struct pset;
struct kin;
struct policy_dir;

struct atom {
	enum { ATOM_PODS, ATOM_BLOCK, ATOM_NODES, ATOM_NAMED } kind;
	uint64_t h;
	char *text;    /* canonical, also the words for it */
	unsigned refs; /* holders of the pointer */
	bool live, touched, idle;
	uint32_t flipped;					 /* run in which live changed last */
	VEC(struct policy_rule *) users;			 /* rules in force that ask for it */
	const struct object *o;					 /* keeps the selectors below */
	struct str ns;						 /* of pods; empty: by ns_selector */
	const struct label_selector *ns_selector, *pod_selector; /* NULL pod_selector: all */
	struct entry asks;					 /* ATOM_PODS, while live */
	const struct label_selector *nodes;			 /* ATOM_NODES */
	struct prefix cidr;
	VEC(struct prefix) except;
	uint8_t proto; /* ATOM_NAMED */
	struct str name;
	uint16_t number;
	VEC(struct kin *) kins; /* that match, while live */
	VEC(struct pclass *) classes;
	VEC(struct pset *) sets;
};

struct atoms { /* a sorted set */
	VEC(struct atom *) list;
};

struct pclass {
	uint32_t id;
	unsigned refs; /* addresses and blocks */
	unsigned seen; /* stamp of the last walk */
	bool fresh;    /* made in this run: its policy rows are to be written */
	bool dying;
	struct atoms atoms;
	struct str key;
};

struct rule { /* the identity of a rule, alike in all versions of its policy */
	uint32_t id;
	unsigned refs;
	struct src src; /* .text is "NetworkPolicy shop/web" */
	const void *member;
	char *text; /* "shop/web/ingress/0" */
};

struct rule_port {
	uint8_t proto;
	uint16_t low, high; /* 0 to 65535: all */
	struct str name;    /* of a named port; else empty */
};

struct domain { /* a pattern of names: "example.org" or "*.example.org", in lower case */
	char *text;
	uint32_t id;
	unsigned refs; /* holders of the pointer */
	bool live, idle;
	uint32_t flipped;		       /* run in which live changed last */
	VEC(const struct policy_rule *) rules; /* in force that ask for it */
};

struct policy_rule {
	struct rule *rule;
	enum action action;
	bool any_peer, any_port;
	VEC(struct atom *) peers;
	VEC(struct domain *) domains; /* peers by name */
	VEC(struct rule_port) ports;
};

struct policy_dir { /* what a policy says of one direction; immutable, shared by sets */
	unsigned refs;
	int dir;
	enum tier tier;
	int priority; /* within the tier; of NetworkPolicies all 0 */
	uint64_t h;
	bool named; /* uses named ports */
	const struct object *o;
	char *name; /* "shop/web", "cluster:deny-all" */
	VEC(struct policy_rule) rules;
};

struct nameset { /* which rules accept which names, the first that fits counts */
	uint32_t id;
	unsigned refs, users; /* holders; port sets whose rows are shown */
	bool dying, idle;
	struct owner owner;
	struct str key;
	VEC(struct name_claim {
		struct rule *rule;
		struct domain *domain;
	})
	list;
	struct nameset *both[2]; /* or: what both accept, by the rule of the second */
};

/* What holds for some ports of a protocol. */
struct piece {
	uint8_t proto; /* TCP, UDP, SCTP; 0: protocols without ports */
	bool allow;
	uint16_t low, high;
	struct rule *rule;     /* NULL: the default */
	struct nameset *names; /* where it denies: accepted all the same under these names; or NULL */
};
/* A verdict for everything: sorted by (proto, low), without a gap, neighbours differ. */
struct ports {
	VEC(struct piece) list;
};

struct pset {
	uint32_t id;
	int dir;
	unsigned refs; /* local pods, twice where they are also its staged set */
	unsigned seen; /* stamp of the last walk */
	bool open;     /* no part isolates: what nothing decides is allowed */
	bool fresh;    /* its rows are to be written (again) */
	uint32_t born; /* run */
	bool any_peer;
	bool dying;
	struct owner owner;
	struct str key;
	VEC(struct policy_dir *) parts; /* in the order in which they judge */
	VEC(struct rule_port)
	named; /* ingress: what names mean on the pods that have the set; high 0: nothing */
	struct ports
	    self[2]; /* under cluster policies: a pod that reaches itself through a Service, by family */
};

struct portset {
	uint32_t id;
	unsigned refs;	/* policy rows */
	uint32_t shown; /* run in which its rows were last put */
	uint32_t lens;	/* as in policy_value */
	bool open, dying;
	struct owner owner;
	struct str key;
	struct ports ports;
};

struct block {
	struct prefix p;
	struct atoms atoms;
	struct pclass *class;
	const struct src *src;
	const void *member;
};
struct blocks {
	VEC(struct block) list; /* sorted by length, longest first, then address */
};

struct known_addr { /* an address of a pod or node */
	struct addr a;
	struct cpod *pod; /* or */
	struct cnode *node;
	struct pclass *class;
	bool dirty, listed;
};

struct home {
	struct str name;
	const struct object *o; /* Namespace, NULL while it is unknown */
	struct strmap labels;	/* borrowed from o, or own_label */
	struct strpair own_label;
	VEC(struct kin *) kins;
	VEC(struct cpod *) locals; /* wired pods of this node */
};

struct kin {
	struct home *home;
	struct str key;
	struct entry *labels; /* one for each */
	VEC(struct cpod *) pods;
	VEC(struct rule_port)
	ports;		    /* declared names, in order of declaration; names borrowed from pods[0] */
	struct atoms atoms; /* live selector atoms that match */
};

struct cpod {
	const struct object *o;
	struct src src;
	struct cnode *node;	      /* NULL: not bound */
	struct owner addresses, link; /* rows of BPF map address; rows of a wired pod */
	struct home *home;
	struct kin *kin; /* NULL while it has no address that counts */
	struct known_addr addr[2];
	bool wired, local; /* local: of this node, wired, with an address */
	bool dirty, gone;
	bool dns; /* serves the cluster's DNS */
	uint32_t ifindex, owner;
	struct hostports *hostports; /* NULL: none in force */
	VEC(struct cpolicy *) policies;
	struct pset *set[STAGES][DIRS]; /* staged: only where a staged policy judges that direction */
	bool self;			/* cluster policies judge it: its sets know CLASS_SELF */
};

struct cnode {
	const struct object *o; /* NULL: only named by pods */
	struct src src;
	struct owner owner, addresses;
	bool self;
	bool excluded, answers; /* announces no addresses of Services; may do so now: ready, not excluded */
	uint32_t number;
	struct str name;
	struct addr v4, v6; /* on the underlay */
	VEC(struct prefix) ranges;
	VEC(struct known_addr *) addrs;
};

struct cpolicy { /* NetworkPolicy or ClusterNetworkPolicy */
	const struct object *o;
	struct src src;
	struct home *home;			  /* NULL: of the cluster */
	const struct label_selector *selector;	  /* NULL: no pod, or for a cluster policy all */
	const struct label_selector *ns_selector; /* of a cluster policy, NULL: all */
	bool selects;				  /* any pod at all */
	struct entry asks;			  /* while it selects */
	bool staged, strict;
	struct policy_dir *dir[DIRS];
	unsigned selected; /* local pods */
	bool in_force, touched;
};

struct cservice; /* service.h */
struct hostports;

struct address_span {
	struct addr first, last;
};

struct told {			/* an object as last told */
	const struct object *o; /* NULL: gone */
	bool dirty;
	enum kind kind;
	struct str key; /* lives in the object, or in its predecessor that is retired */
};

struct compiler {
	struct compile_config cfg;
	char *node_name;
	struct hash told[KIND_COUNT]; /* "ns/name" → struct told */
	VEC(struct told *) dirty_told;
	struct hash wired; /* uid → any */
	bool wire_all;
	struct rows rows;
	bool whole;  /* make everything again at the next run */
	bool failed; /* out of memory in this run */
	uint32_t run;
	struct plan_names names;
	struct retired { /* what rows given out may still point to */
		VEC(const struct object *) objects;
		VEC(void *) mem;
	} retired, retired_before; /* since the last run; of the run before */

	/* derived */
	struct src settings_src;
	struct owner settings, block_owner;
	struct hash homes, kins, pods, pods_by_uid, nodes, policies, cluster_policies, services, slices;
	struct hash atoms, classes, sets, portsets, rules, lists, domains, namesets;
	struct ids class_ids, set_ids, portset_ids, rule_ids, list_ids, node_ids, domain_ids, nameset_ids,
	    service_ids;
	struct rule self_rule; /* RULE_SELF */
	struct {
		VEC(struct past_cause) list;
		size_t next; /* that makes room */
	} past;		     /* cause.c: what numbers stood for that are no longer in force; bounded */
	struct cnode *self;
	struct pclass *world;
	struct index asking_policies, asking_atoms; /* policies that select, live ATOM_PODS; by namespace */
	struct index kin_labels;
	VEC(struct atom *) live_atoms[3];	      /* ATOM_BLOCK, ATOM_NODES */
	VEC(struct atom *) touched_atoms, idle_atoms; /* use changed; perhaps nobody's */
	VEC(struct cpolicy *) touched_policies;
	VEC(struct policy_rule *) demands;   /* egress rules in force that use names */
	VEC(struct rule_port) changed_names; /* of demands that came or went */
	VEC(struct domain *) flipped_domains, idle_domains;
	VEC(struct nameset *) idle_namesets, dying_namesets; /* shown by nobody, held by nobody: perhaps */
	struct owner name_owner;
	size_t names_live;
	bool blocks_changed, settings_changed, nodeports_changed;
	bool answers_changed, zone_changed, pools_changed; /* what Services look at besides themselves */
	struct str zone;				   /* of this node; empty: unknown */
	VEC(struct address_span) pools;			   /* addresses that are ours to announce */
	uint32_t open_turned;				   /* run in which an open set came or went last */
	unsigned stamp;					   /* of walks over classes and sets */
	struct fold *fold;				   /* fold.c: kept between cells */
	VEC(struct cpod *) dirty_pods;			   /* sets or link */
	VEC(struct known_addr *) dirty_addrs;
	VEC(struct known_addr *) addrs; /* sorted by address when addrs_sorted */
	bool addrs_sorted;
	unsigned addrs_added;					 /* one by one since the last sort */
	VEC(struct cservice *) dirty_services, checked_services; /* the latter with a healthCheckNodePort */
	VEC(struct pclass *) fresh_classes, dying_classes;
	VEC(struct pset *) fresh_sets, dying_sets, any_sets;
	VEC(struct portset *) dying_portsets;
	struct blocks blocks, blocks_was; /* the latter of before the run, where blocks_rebuilt is it */
	uint32_t blocks_rebuilt;
	struct remarks *remarks; /* of this run */
};

#define PUSH(c, v, ...)                                                                                      \
	do {                                                                                                 \
		if (vec_push((v), __VA_ARGS__))                                                              \
			(c)->failed = true;                                                                  \
	} while (0)

/* Removes the first item equal to x, order not kept. */
#define CUT(v, x)                                                                                            \
	do {                                                                                                 \
		for (size_t cut_i_ = 0; cut_i_ < (v)->len; cut_i_++) {                                       \
			if ((v)->items[cut_i_] == (x)) {                                                     \
				(v)->items[cut_i_] = (v)->items[--(v)->len];                                 \
				break;                                                                       \
			}                                                                                    \
		}                                                                                            \
	} while (0)

/* What was built in b; that it may be cut short is noted. */
static inline struct str built(struct compiler *c, const struct buf *b)
{
	c->failed |= b->failed;
	return buf_str(b);
}

/* compile.c: memory that must live until the next run */
void retire(struct compiler *c, void *mem);
char *src_text(struct compiler *c, const struct object *o);
struct str key_copy(struct compiler *c, struct str s); /* malloc'd */
static inline void put_map(struct compiler *c, struct owner *ow, enum plan_map table, const void *key,
			   const void *value, const struct src *src, const void *member)
{
	row_put(&c->rows, ow, ROW_MAP, (uint16_t)table, key, value, src, member);
}

/* Counts as a holder; NULL passes. */
static inline struct rule *rule_ref(struct rule *r)
{
	if (r)
		r->refs++;
	return r;
}

/* home.c */
struct home *home_get(struct compiler *c, struct str ns);
void home_tell(struct compiler *c, struct str name, const struct object *o);
void homes_fini(struct compiler *c);

/* pod.c */
void pod_tell(struct compiler *c, struct str key, const struct object *o);
void pod_wire(struct compiler *c, struct cpod *p);
void pod_dirty(struct compiler *c, struct cpod *p); /* its sets or its link are to be made again */
void pods_links(struct compiler *c);
uint32_t owner_number(struct str name); /* address_value.owner: of a pod's uid, a node's name; never 0 */
void pods_fini(struct compiler *c);
struct cpod *pod_by_uid(const struct compiler *c, struct str uid);
void pod_link_row(const struct compiler *c, const struct cpod *p, struct link_key *key,
		  struct link_value *value);

/* kin.c */
void kin_join(struct compiler *c, struct cpod *p);
void kin_leave(struct compiler *c, struct cpod *p);
/* Calls fn for each kin of the home that s (NULL: all) selects, until it says true, which is then the answer.
 */
typedef bool kin_fn(struct kin *k, void *ctx);
bool kins_selected(const struct compiler *c, const struct home *h, const struct label_selector *s, kin_fn *fn,
		   void *ctx);
void kin_match(struct compiler *c, struct kin *k); /* all live atoms, after its home's labels changed */
void kin_addrs_dirty(struct compiler *c, const struct kin *k);
void kins_fini(struct compiler *c);
uint16_t kin_port(const struct kin *k, uint8_t proto, struct str name); /* 0: none */

/* address.c */
void addr_add_known(struct compiler *c, struct known_addr *a);
void addr_remove_known(struct compiler *c, struct known_addr *a);
void addr_dirty(struct compiler *c, struct known_addr *a);
void addrs_in_dirty(struct compiler *c, const struct prefix *p);
uint32_t pod_node_number(const struct compiler *c, const struct cpod *p); /* 0: this node */
void addrs_classify(struct compiler *c);

/* node.c */
struct cnode *node_get(struct compiler *c, struct str name);
bool node_is_wide6(const struct cnode *n);
void node_tell(struct compiler *c, struct str key, const struct object *o);
void settings_rows(struct compiler *c);
void nodes_fini(struct compiler *c);
uint32_t pod_mtu(const struct compiler *c);

/* atom.c */
struct atom *atom_of_peer(struct compiler *c, const struct object *policy, const struct policy_peer *peer);
struct atom *atom_of_pods(struct compiler *c, const struct object *policy, const struct label_selector *ns,
			  const struct label_selector *pods); /* of all namespaces that ns selects */
struct atom *atom_of_nodes(struct compiler *c, const struct object *policy, const struct label_selector *s);
struct atom *atom_of_network(struct compiler *c, const struct object *policy, struct str cidr);
struct atom *atom_of_named(struct compiler *c, uint8_t proto, struct str name, uint16_t number);
void atom_ref(struct atom *a);
void atom_unref(struct compiler *c, struct atom *a);
void atom_use(struct compiler *c, struct atom *a, struct policy_rule *r, bool use);
bool atom_matches(const struct atom *a, const struct home *home, const struct strmap *labels);
void atoms_bury(struct compiler *c);
void atoms_fini(struct compiler *c);
void atoms_settle(struct compiler *c); /* makes live what is active, and matches pods */
bool atoms_add(struct compiler *c, struct atoms *s, struct atom *a); /* false: was there */
void atoms_remove(struct atoms *s, const struct atom *a);
bool atoms_have(const struct atoms *s, const struct atom *a);
void label_selector_text(struct buf *b, const struct label_selector *s);

/* class.c */
struct pclass *class_get(struct compiler *c, const struct atoms *atoms); /* with a reference */
void class_unref(struct compiler *c, struct pclass *k);
void class_world(struct compiler *c); /* makes the class of addresses that nothing matches */
void classes_bury(struct compiler *c);
void classes_fini(struct compiler *c);

/* block.c */
void blocks_build(struct compiler *c);
const struct block *block_of(const struct blocks *b, const struct addr *a, unsigned shorter_than);
void blocks_rows(struct compiler *c);
int block_order(const struct block *a, const struct block *b); /* of blocks.list */
bool blocks_shield(const struct blocks *b, struct prefix *out);
uint32_t blocks_lens(const struct blocks *b, uint8_t lens4[8],
		     uint8_t lens6[8]); /* 1: too many, use the trie */
void blocks_fini(struct blocks *b);

/* policy.c */
void policy_tell(struct compiler *c, enum kind kind, struct str key, const struct object *o);
void policy_check_pod(struct compiler *c, struct cpod *p); /* which policies select it */
void policy_check_home(struct compiler *c,
		       const struct home *h); /* cluster policies, after its labels changed */
struct rule *rule_get(struct compiler *c, const struct cpolicy *p, int dir, size_t index, const void *member);
bool policy_takes_pod(const struct cpolicy *p, const struct cpod *pod);
void policy_select(struct compiler *c, struct cpolicy *p, int by);
void policies_settle(struct compiler *c);
void policies_fini(struct compiler *c);

/* cause.c: what a number stands for, before it goes. */
void past_set(struct compiler *c, const struct pset *s);
void past_rule(struct compiler *c, const struct rule *r);
void past_fini(struct compiler *c);
void policy_dir_unref(struct compiler *c, struct policy_dir *d);
void rule_unref(struct compiler *c, struct rule *r);
uint8_t proto_number(struct str name); /* empty: TCP; 0: none */
const char *proto_name(uint8_t proto);

/* clusternetworkpolicy.c */
void cluster_policy_read(struct cpolicy *p); /* its subject */
/* What the policy says of one direction, into a part that has its name; false where it says nothing. */
bool cluster_policy_rules(struct compiler *c, const struct cpolicy *p, int dir, struct policy_dir *d);

/* domain.c */
struct domain *domain_get(struct compiler *c, struct str pattern); /* with a reference */
void domain_unref(struct compiler *c, struct domain *d);
void domain_use(struct compiler *c, struct domain *d, const struct policy_rule *r, bool use);
bool domain_covers(const struct domain *d, const struct domain *name);
void domains_settle(struct compiler *c);
struct nameset *nameset_of(struct compiler *c, const struct policy_rule *const *rules, size_t n);
struct nameset *nameset_both(struct compiler *c, struct nameset *a, struct nameset *b);
void nameset_ref(struct nameset *n);
void nameset_unref(struct compiler *c, struct nameset *n);
void nameset_use(struct compiler *c, struct nameset *n, bool use);	    /* by rows that are shown */
struct rule *nameset_rule(const struct nameset *n, const struct domain *d); /* NULL: does not accept it */
void namesets_settle(struct compiler *c);
void domains_bury(struct compiler *c);
void namesets_fini(struct compiler *c);
void domains_fini(struct compiler *c);

/* set.c */
typedef void cell_fn(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx);
/* The classes that a set, the sets that a class can have rows for; some more than once. */
void each_class(struct compiler *c, struct pset *s, cell_fn *fn, void *ctx);
void each_set(struct compiler *c, const struct pclass *k, cell_fn *fn, void *ctx);
void sets_settle(struct compiler *c); /* of dirty pods; fresh sets × classes, sets × fresh classes */
void sets_bury(struct compiler *c);
void sets_fini(struct compiler *c);

/* fold.c */
void ports_eval(struct compiler *c, const struct pset *s, const struct pclass *k, struct ports *out);
/* Of a pod whose own class is k, when it reaches itself through a Service. */
void ports_eval_self(struct compiler *c, const struct pset *s, const struct pclass *k, struct ports *out);
void ports_all(struct compiler *c, struct ports *out); /* everything is allowed */
void ports_and(struct compiler *c, const struct ports *a, const struct ports *b, struct ports *out);
void ports_copy(struct compiler *c, const struct ports *p, struct ports *out);
void ports_key(struct buf *key, const struct ports *p);	       /* appends what tells it from others */
bool piece_like(const struct piece *a, const struct piece *b); /* the same verdict by the same rule */
void ports_fini(struct ports *p);
void fold_fini(struct compiler *c);

/* portset.c */
/* The row that says p in a set whose default is to allow (open) or to deny. */
struct cell {
	struct policy_value v;
	struct portset *portset; /* with a reference, or NULL */
	const struct rule *by;	 /* the first that it speaks of, or NULL */
};
bool cell_of(struct compiler *c, const struct ports *p, bool open, struct cell *out); /* false: no row */
/* The rows of a port set, each once; rule may be NULL. */
typedef void portset_fn(void *ctx, const struct port_key *k, const struct port_value *v,
			const struct rule *rule);
void portset_rows(const struct portset *s, portset_fn *fn, void *ctx);
void portset_show(struct compiler *c, struct portset *s); /* puts its rows */
void portset_unref(struct compiler *c, struct portset *s);
void portsets_settle(struct compiler *c); /* drops the rows of those that nobody uses */
void portsets_bury(struct compiler *c);
void portsets_fini(struct compiler *c);

/* service_host.c: rows for the hostPorts of a pod, between owner_begin() and owner_end() of its link */
struct hostports *host_ports_begin(struct cpod *p); /* what it held, to be released when its rows are made */
void host_ports_rows(struct compiler *c, struct cpod *p);
void host_ports_release(struct compiler *c, struct hostports *h); /* NULL passes */

/* service.c */
void service_tell(struct compiler *c, struct str key, const struct object *o);
void slice_tell(struct compiler *c, struct str key, const struct object *now);
void services_settle(struct compiler *c);
void services_fini(struct compiler *c);

/* advice.c */
void advise(struct compiler *c);

/* transition.c: dirty rows → steps */
int transition(struct compiler *c, struct plan_delta *out);

/* rowview.c: rows as others see them */
struct row row_of(const struct prow *r, const struct rowval *v);
void plan_sort(struct plan *p);

#endif
