/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of weft-hub and what they share. Private to the program. */
#ifndef WEFT_HUB_HUB_H
#define WEFT_HUB_HUB_H

#include <uv.h>

#include "hub/alert.h"
#include "hub/capture.h"
#include "hub/cluster.h"
#include "hub/exporters.h"
#include "hub/flows.h"
#include "hub/mapstatus.h"
#include "hub/metrics.h"
#include "hub/persist.h"
#include "hub/rollup.h"
#include "hub/toolstatus.h"
#include "serve/api.h"
#include "source/dir.h"

struct page;
struct host;
struct page_live;
struct page_asks;
struct pen;
struct recorder;
struct step_plan;
struct steplog;

/* How many ended connections and drops memory can be asked to keep. */
enum { FLOW_RECORDS = 1 << 18, FLOW_RECORDS_LEAST = 1024, FLOW_RECORDS_MOST = 1 << 24 };

struct hub_options {
	const char *name, *dir, *mode;
	const char *runtime; /* socket of who runs the containers, or NULL */
	bool sandbox, tls;
	unsigned port;	/* 0: the one of the last run, else any */
	unsigned nodes; /* that will join; 0: not known */
	const char *const *paths;
	size_t paths_len;
	unsigned faster;		/* see cluster_config */
	unsigned node_lost, node_evict; /* seconds; 0: see cluster_config */
	unsigned max_file;		/* of a manifest, in MiB; 0: 64 */
	unsigned flow_records;		/* ended connections and drops that memory keeps */
	unsigned history;		/* MiB that roll-ups may take on disk; 0: none are kept */
	bool writable;			/* changes of files' objects go into the files */
	const char *host;		/* name of the broker host whose page this is: no cluster; or NULL */
	const char *page;		/* ADDRESS:PORT, "off", or NULL: loopback, the port of the last run */
};

struct hub {
	struct hub_options opt;
	uv_loop_t loop;
	struct store *store;
	struct cluster *cluster;
	struct persist *persist;
	struct source_dir *source;
	struct pen *pen; /* NULL: files are not written */
	const struct object *const
	    *asked; /* borrowed: what a client wrote that comes back from its file now */
	size_t asked_len;
	struct steplog *steplog;
	struct recorder *recorder;
	const struct step_plan *step; /* borrowed: it is being checked or made now */
	bool stepping;		      /* it is being made: all of it goes to disk at its end */
	bool journal;		      /* hub.db has one, which the next commit takes out */
	struct api *api;
	struct http_server *http;
	struct page *page; /* NULL: there is none */
	struct page_live *live;
	struct host *host; /* NULL: this is a cluster's hub */
	struct page_asks *asks;
	int program; /* weft, which answers questions; -1: it is not there */
	struct flows *flows;
	struct exporters *exporters;
	struct metrics *metrics;
	struct alerts *alerts;
	struct rollups *rollups;
	struct audit *audit;
	struct captures *captures;
	struct mapstatus *mapstatus;
	struct toolstatus *toolstatus;
	struct remarks remarks;		 /* of the last look at the files */
	struct remarks running;		 /* of the controllers, and of refused files since */
	struct object_refs waiting_pods; /* of files, references: what they replace has not ended yet */
	struct keyset unsaved;		 /* "KIND/ns/name" written since the last commit */
	struct subscription *sub;
	bool loaded, ending_namespaces, save_failed, stopping;
	int tls_fd, tls_dir_fd, kubeconfig_fd;
	unsigned tls_port;
	uv_prepare_t prepare;
	uv_poll_t files;
	uv_timer_t files_timer, nodes_timer, tick, tls_timer, flush_timer;
	uv_signal_t sigterm, sigint;
};

/* Came from a file itself (what is derived from such an object did not). */
bool object_from_file(const struct object *o);

/* files.c: applies what changed in the files. first: objects of files that are gone are deleted. */
int files_load(struct hub *h, bool first);
/* Pods of files come back whose former life is over. */
void files_settle(struct hub *h);
bool namespace_has_objects(const struct hub *h, struct str ns);
/* change.c: writes of the API. */
extern const struct api_ops hub_api_ops;
/* Defaults, checks and admission of an unpublished object. 0, or -EINVAL with e. */
int change_prepare(struct hub *h, struct object *o, const struct object *old, struct api_error *e);
void change_keep_position(struct object *o, const struct object *old);
/* 409: it belongs to a file. */
int change_foreign(const struct hub *h, const struct object *o, const char *what, struct api_error *e);
/* Whether it cannot be deleted, and e why. */
int change_namespace_stays(struct hub *h, const struct object *ns, struct api_error *e);
/* rewrite.c: into the file of `old` goes what tells `asked` from it; NULL: it goes. `wanted`: what the API
 * would then show. dry: only whether that is possible. 0; else e says why, and nothing was changed. */
int rewrite_object(struct hub *h, const struct object *old, const struct object *asked,
		   const struct object *wanted, bool dry, struct api_error *e);
/* The same, in a text: what it becomes. */
int rewrite_text(struct hub *h, const struct object *old, const struct object *asked,
		 const struct object *wanted, struct str text, struct buf *out, struct api_error *e);
/* Equal in all that a file says: spec, labels, annotations but those of clients for themselves. */
bool object_same_file_part(const struct object *a, const struct object *b);
/* What no file says goes over to the object that a file gave. */
int object_keep_hub_part(struct hub *h, struct object *o, const struct object *old);
/* internal.c */
bool internal_answer(struct hub *h, const struct http_request *rq, const char *user, const char *rest,
		     struct http_reply *rp, struct api_error *e);
int internal_request(struct hub *h, const char *user, const char *method, const char *name, struct str body,
		     struct buf *answer, struct api_error *e);
/* save.c: what was written since the last call goes into the database. */
int save_all(struct hub *h);
int save_start(struct hub *h);
/* Reads what an earlier run kept into the store. */
int save_load(struct hub *h);
/* Ends Namespaces whose objects are gone. */
void namespaces_settle(struct hub *h);

#endif
