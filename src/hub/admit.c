/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: what the server fills in before an object is stored: identity, times, generation, Service
 * addresses, pod ranges of nodes, first status. Decides nothing about who may write. Called through
 * cluster_admit().
 */
#include "hub/admit.h"

#include <errno.h>

#include "hub/balancer.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/deployment_status.h"
#include "hub/names.h"
#include "hub/podstatus.h"

static int carry_status(struct object *o, const struct object *old)
{
	const struct field_desc *f = field_find(o->desc->kind, "status");
	if (!f || f->shape != SHAPE_ONE)
		return 0;
	void **slot = field_at(o, f);
	void *from = old ? *(void **)field_at(old, f) : NULL;
	*slot = NULL;
	if (!from)
		return 0;
	*slot = arena_alloc(&o->arena, f->type->size);
	return *slot ? struct_copy(&o->arena, f->type, *slot, from) : -ENOMEM;
}

static int identity(struct cluster *c, struct object *o, const struct object *old)
{
	struct arena *a = &o->arena;
	struct metadata *m = &o->meta;
	char uid[37];
	if (old) {
		m->uid = arena_str(a, old->meta.uid);
		m->creation_timestamp = arena_str(a, old->meta.creation_timestamp);
		m->deletion_timestamp = text_keep(a, old->meta.deletion_timestamp);
		m->deletion_grace_period_seconds = old->meta.deletion_grace_period_seconds;
		int64_t g = old->meta.generation.v;
		m->generation = int_of(object_same_spec(o, old) ? g : g + 1);
		return m->uid.p ? 0 : -ENOMEM;
	}
	name_uid(uid, o->desc->name, object_key(o), cluster_life(c));
	m->uid = arena_str(a, str_of(uid));
	m->creation_timestamp = *c->now ? arena_str(a, str_of(c->now)) : (struct str){0};
	m->deletion_timestamp = (struct str){0};
	m->deletion_grace_period_seconds = (struct opt_int){0};
	m->generation = int_of(1);
	return m->uid.p ? 0 : -ENOMEM;
}

static bool range_used(const struct cluster *c, const char *text)
{
	struct object_refs nodes = {0};
	struct prefix p, q;
	bool used = false;
	if (prefix_parse(str_of(text), &p) || store_list(c->store, KIND_node, STR(""), &nodes))
		return true;
	VEC_EACH (&nodes.list, n) {
		const struct node_spec *spec = (*n)->node->spec;
		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			used |= !prefix_parse(spec->pod_cidrs.items[i], &q) && prefix_overlaps(&p, &q);
	}
	vec_free(&nodes.list);
	return used;
}

static int set_ranges(struct object *o, unsigned i)
{
	char text[PREFIX_TEXT];
	struct node_spec *spec = o->node->spec;
	snprintf(text, sizeof(text), "10.244.%u.0/24", i);
	int r = strlist_add(&o->arena, &spec->pod_cidrs, str_of(text));
	snprintf(text, sizeof(text), "fd57:e7f7:0:244:%x::/80", i);
	if (!r)
		r = strlist_add(&o->arena, &spec->pod_cidrs, str_of(text));
	return r;
}

static int fill_node(struct cluster *c, struct object *o, const struct object *old)
{
	struct arena *a = &o->arena;
	if (!o->node->spec)
		o->node->spec = arena_new(a, struct node_spec);
	struct node_spec *spec = o->node->spec;
	if (!spec)
		return -ENOMEM;
	int r = 0;
	if (!spec->pod_cidrs.len && spec->pod_cidr.n)
		r = strlist_add(a, &spec->pod_cidrs, spec->pod_cidr);
	if (!r && !spec->pod_cidrs.len && old && old->node->spec)
		r = strlist_copy(a, &spec->pod_cidrs, &old->node->spec->pod_cidrs);
	for (unsigned i = 0; !r && !spec->pod_cidrs.len && i < 256; i++) {
		char text[PREFIX_TEXT];
		snprintf(text, sizeof(text), "10.244.%u.0/24", i);
		if (!range_used(c, text))
			r = set_ranges(o, i);
	}
	if (!r && spec->pod_cidrs.len)
		spec->pod_cidr = spec->pod_cidrs.items[0];
	if (!r && !strmap_get(&o->meta.labels, STR("kubernetes.io/hostname")))
		r = strmap_set(a, &o->meta.labels, STR("kubernetes.io/hostname"), o->meta.name);
	if (!r && !strmap_get(&o->meta.labels, STR("kubernetes.io/os")))
		r = strmap_set(a, &o->meta.labels, STR("kubernetes.io/os"), STR("linux"));
	return r;
}

static int fill_namespace(struct object *o)
{
	if (!o->namespace->status)
		o->namespace->status = arena_new(&o->arena, struct namespace_status);
	if (!o->namespace->status)
		return -ENOMEM;
	o->namespace->status->phase =
	    arena_str(&o->arena, o->meta.deletion_timestamp.n ? STR("Terminating") : STR("Active"));
	return 0;
}

/* What of a stored policy is not as its author wrote it can be read in its status. */
static int fill_clusternetworkpolicy(struct cluster *c, struct object *o)
{
	struct arena *a = &o->arena;
	struct clusternetworkpolicy *p = o->clusternetworkpolicy;
	const void *closed = clusternetworkpolicy_closed(o);
	AUTO_BUF text = {0};
	if (!p->status)
		p->status = arena_new(a, struct clusternetworkpolicy_status);
	if (!p->status)
		return -ENOMEM;
	buf_addz(&text, closed ? "not known: " : "every rule is known");
	if (closed)
		object_path(&text, o, closed);
	if (text.failed)
		return -ENOMEM;
	int r = condition_set(a, &p->status->conditions, "Accepted", true, "Valid",
			      "It was accepted; the nodes are told.", c->now);
	if (!r)
		r = condition_set(a, &p->status->conditions, "FailsClosed", closed != NULL,
				  closed ? "NotKnown" : "Known", text.p, c->now);
	return r;
}

/* A Job without selector selects by its own uid, as the names of its pods do. */
static int fill_job(struct object *o)
{
	struct job_spec *spec = o->job->spec;
	struct arena *a = &o->arena;
	if (!spec || !spec->pod_template)
		return 0;
	if (!spec->pod_template->metadata)
		spec->pod_template->metadata = arena_new(a, struct metadata);
	if (!spec->selector)
		spec->selector = arena_new(a, struct label_selector);
	if (!spec->selector || !spec->pod_template->metadata)
		return -ENOMEM;
	struct str uid_label = STR("batch.kubernetes.io/controller-uid"),
		   name_label = STR("batch.kubernetes.io/job-name");
	struct strmap *labels = &spec->pod_template->metadata->labels;
	int r = strmap_set(a, labels, uid_label, o->meta.uid);
	if (!r)
		r = strmap_set(a, labels, name_label, o->meta.name);
	if (!r)
		r = strmap_set(a, labels, STR("job-name"), o->meta.name);
	if (!r && !spec->selector->match_labels.len && !spec->selector->match_expressions.len)
		r = strmap_set(a, &spec->selector->match_labels, uid_label, o->meta.uid);
	return r;
}

/* Clients take the service of a gRPC probe for always present. */
static void fill_probes(struct pod_spec *spec)
{
	for (int init = 0; spec && init < 2; init++) {
		struct container_list *l = init ? &spec->init_containers : &spec->containers;
		for (size_t i = 0; i < l->len; i++) {
			struct probe *probes[] = {l->items[i].liveness_probe, l->items[i].readiness_probe,
						  l->items[i].startup_probe};
			for (size_t j = 0; j < 3; j++)
				if (probes[j] && probes[j]->grpc && !probes[j]->grpc->service.p)
					probes[j]->grpc->service = STR("");
		}
	}
}

static void fill_template(struct object *o)
{
	struct pod_template *t = NULL;
	switch (o->desc->kind) {
	case KIND_pod:
		fill_probes(o->pod->spec);
		return;
	case KIND_deployment:
		t = o->deployment->spec ? o->deployment->spec->pod_template : NULL;
		break;
	case KIND_replicaset:
		t = o->replicaset->spec ? o->replicaset->spec->pod_template : NULL;
		break;
	case KIND_statefulset:
		t = o->statefulset->spec ? o->statefulset->spec->pod_template : NULL;
		break;
	case KIND_daemonset:
		t = o->daemonset->spec ? o->daemonset->spec->pod_template : NULL;
		break;
	case KIND_job:
		t = o->job->spec ? o->job->spec->pod_template : NULL;
		break;
	default:
		break;
	}
	if (t)
		fill_probes(t->spec);
}

/* The controller's word on the Deployment goes over, unless this one has its own. */
static int keep_revision(struct object *o, const struct object *old)
{
	const struct str *was = strmap_get(&old->meta.annotations, REVISION_ANNOTATION);
	if (!was || strmap_get(&o->meta.annotations, REVISION_ANNOTATION))
		return 0;
	return strmap_set(&o->arena, &o->meta.annotations, arena_str(&o->arena, REVISION_ANNOTATION),
			  arena_str(&o->arena, *was));
}

int cluster_admit(struct cluster *c, struct object *o, const struct object *old, bool keep_status,
		  struct remarks *rs)
{
	int r = 0;
	enum kind k = o->desc->kind;
	if (keep_status && (old || k != KIND_node))
		r = carry_status(o, old);
	fill_template(o);
	if (k == KIND_job && !r && old)
		o->meta.uid = arena_str(&o->arena, old->meta.uid);
	if (k == KIND_service && !r)
		r = ipam_service_fill(c->ipam, c->store, o, old, rs);
	if (k == KIND_addresspool && !r)
		r = pool_admit(c, o, rs);
	if (k == KIND_deployment && !r && old)
		r = keep_revision(o, old);
	if (k == KIND_node && !r)
		r = fill_node(c, o, old);
	/* A pod stays where it is. */
	if (k == KIND_pod && !r && old && o->pod->spec && old->pod->spec && !o->pod->spec->node_name.n)
		o->pod->spec->node_name = text_keep(&o->arena, old->pod->spec->node_name);
	if (!r)
		r = identity(c, o, old);
	if (k == KIND_namespace && !r)
		r = fill_namespace(o);
	if (k == KIND_clusternetworkpolicy && !r)
		r = fill_clusternetworkpolicy(c, o);
	if (k == KIND_job && !r)
		r = fill_job(o);
	if (k == KIND_pod && !r)
		r = podstatus_compose(c, o);
	return r;
}

int node_make(struct object **out, unsigned i)
{
	char text[256];
	struct object *o = NULL;
	snprintf(text, sizeof(text), "node-%u", i + 1);
	int r = object_new(&o, &kind_table[KIND_node], STR(""), str_of(text));
	if (r)
		return r;
	struct arena *a = &o->arena;
	struct node_address *at = arena_array(a, struct node_address, 3);
	o->node->spec = arena_new(a, struct node_spec);
	o->node->status = arena_new(a, struct node_status);
	if (!at || !o->node->spec || !o->node->status || set_ranges(o, i)) {
		object_unref(&o);
		return -ENOMEM;
	}
	at[0].type = at[1].type = arena_str(a, STR("InternalIP"));
	at[0].address = arena_printf(a, "172.31.0.%u", 10 + i);
	at[1].address = arena_printf(a, "fd57:e7f7:0:1::%x", 16 + i);
	at[2].type = arena_str(a, STR("Hostname"));
	at[2].address = arena_str(a, str_of(text));
	o->node->status->addresses = (struct node_address_list){.items = at, .len = 3, .set = true};
	*out = o;
	return 0;
}
