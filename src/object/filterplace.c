/* SPDX-License-Identifier: Apache-2.0 */
/* The table of filterplace.h. Looks no name up. */
#include "object/filterplace.h"

#include <string.h>

#include "base/own.h"

/* A pod that nobody owns is a workload, too. */
static const enum kind workloads[] = {KIND_deployment, KIND_statefulset, KIND_daemonset,
				      KIND_job,	       KIND_replicaset,	 KIND_pod};
static const enum kind pods[] = {KIND_pod}, services[] = {KIND_service}, nodes[] = {KIND_node},
		       namespaces[] = {KIND_namespace};

const struct filter_place filter_places[FILTER_PLACES] = {
    {"pod", pods, ARRAY_LEN(pods)},
    {"workload", workloads, ARRAY_LEN(workloads)},
    {"service", services, ARRAY_LEN(services)},
    {"node", nodes, ARRAY_LEN(nodes)},
    {"ns", namespaces, ARRAY_LEN(namespaces)},
    {"seen.node", nodes, ARRAY_LEN(nodes)},
};

const struct filter_place *filter_place_of(const char *field)
{
	for (size_t i = 0; i < FILTER_PLACES; i++)
		if (!strcmp(field, filter_places[i].field))
			return &filter_places[i];
	return NULL;
}
