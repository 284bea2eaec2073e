# SPDX-License-Identifier: Apache-2.0
"""The list of rows: name, time limit, what each promises (so that one that fails still stands in the table), and who
measures it. The budgets are those of the design."""
from collections import namedtuple

from . import (
    rows_agent,
    rows_alerts,
    rows_broker,
    rows_ceiling,
    rows_chain,
    rows_cluster,
    rows_copies,
    rows_feed,
    rows_flows,
    rows_history,
    rows_hub,
    rows_kernel,
    rows_page,
    rows_page_hour,
    rows_pods,
    rows_probes,
    rows_scale,
    rows_services,
    rows_translated,
)

Row = namedtuple("Row", "name seconds sentence promises measure")


class Effort:
    """How much to measure. quick is for seeing that everything works, not for figures."""

    def __init__(self, quick=False, minutes=60):
        self.quick = quick
        self.minutes = minutes
        self.rounds = 3 if quick else 11
        self.tcp_rounds = 2 if quick else 9
        self.flood_ms = 60 if quick else 250
        self.tcp_seconds = 1
        self.connect_ms = 60 if quick else 250
        self.changes = 20 if quick else 1000
        self.times = 2 if quick else 9

    def services(self):
        return (1, 100) if self.quick else (1, 100, 10000)

    @property
    def many(self):
        return 500 if self.quick else 10000


ROWS = [
    Row("pods-same", 120, "pod to pod on one node", rows_pods.SAME, rows_pods.same_node),
    Row("pods-across", 180, "pod to pod across nodes", rows_pods.ACROSS, rows_pods.across_nodes),
    Row("clusterip", 300, "connect, request, answer, close through a ClusterIP and a NodePort", rows_services.CLUSTERIP,
        rows_services.clusterip),
    Row("translated", 60, "what translating each packet costs", rows_translated.TRANSLATED, rows_translated.translated),
    Row("change", 240, "one change among 10,000", rows_services.CHANGE, rows_services.change),
    Row("cold", 240, "cold start with 10,000 Services of 10 endpoints", rows_services.COLD, rows_services.cold),
    Row("verdict", 120, "the cost of a verdict", rows_kernel.VERDICT, rows_kernel.verdict),
    Row("probes", 120, "10,000 probes on a node", rows_probes.PROBES, rows_probes.probes),
    Row("hub", 120, "the hub: lists of 10,000 pods, memory", rows_hub.HUB, rows_hub.hub),
    Row("watches", 120, "the hub: 1,000 watches", rows_hub.WATCHES, rows_hub.watches),
    Row("apply", 60, "the hub: apply of 1,000 objects", rows_hub.APPLY, rows_hub.apply),
    Row("start", 60, "agent start to enforcing", rows_agent.START, rows_agent.start),
    Row("memory", 180, "memory of the agent's processes", rows_agent.MEMORY, rows_agent.memory),
    Row("scale", 420, "1 to 10,000 policies, 10,000 pods, 100 nodes", rows_scale.SCALE, rows_scale.scale),
    Row("sandbox", 120, "the sandbox up and down", rows_cluster.SANDBOX, rows_cluster.sandbox),
    Row("compile", 60, "compiling alone, without a kernel", rows_cluster.COMPILE, rows_cluster.compiling),
    Row("flows", 180, "flow records for everything: what they cost, what is lost", rows_flows.FLOWS, rows_flows.flows),
    Row("history", 120, "a million flow records asked with filters", rows_history.HISTORY, rows_history.history),
    Row("alerts", 60, "what a record costs with many alerts", rows_alerts.ALERTS, rows_alerts.alerts),
    Row("broker", 180, "the packet broker over capture files", rows_broker.BROKER, rows_broker.broker),
    Row("judge", 60, "judging a packet by 1 to 1,000 maps", rows_broker.JUDGE, rows_broker.judge),
    Row("ceiling", 120, "an observer at its CPU ceiling", rows_ceiling.CEILING, rows_ceiling.ceiling),
    Row("copies", 180, "copies of packets to tools, live", rows_copies.COPIES, rows_copies.copies),
    Row("feed", 120, "feeds by XDP", rows_feed.FEED, rows_feed.feed),
    Row("chain", 180, "what a tool port does to its copies, on one core", rows_chain.CHAIN, rows_chain.chain),
    Row("page", 420, "the page with 500 workloads and 2,000 edges", rows_page.PAGE, rows_page.page),
    Row("questions", 120, "a million reachability questions", rows_cluster.QUESTIONS, rows_cluster.questions),
]


# Only when they are named, with no bound but --minutes.
LONG = [Row("page-hour", None, "memory of the page and of its hub over an hour", rows_page_hour.HOUR, rows_page_hour.hour)]


def find(name):
    for row in ROWS + LONG:
        if row.name == name:
            return row
    raise KeyError(name)
