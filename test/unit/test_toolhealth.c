/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes' weft-copiers say of their tool ports → condition Healthy of Tools. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "hub/toolhealth.h"

static struct toolhealth *h;

static int begin(void **state)
{
	(void)state;
	h = toolhealth_new();
	return !h;
}

static int end(void **state)
{
	(void)state;
	toolhealth_free(&h);
	return 0;
}

static void node(const char *name, const char *tools)
{
	AUTO_BUF text = {0};

	buf_printf(&text, "{\"tools\":[%s]}", tools);
	assert_int_equal(toolhealth_node(h, name, json_loadb(text.p, text.n, 0, NULL)), 0);
}

static void is(const char *tool, const char *status, const char *reason, const char *message)
{
	AUTO_BUF text = {0};
	struct toolhealth_word w = toolhealth_of(h, str_of(tool), &text);

	assert_string_equal(w.status, status);
	assert_string_equal(w.reason, reason);
	assert_string_equal(text.p, message);
}

#define TAKES(tool, port)                                                                                    \
	"{\"tool\":\"" tool "\",\"port\":\"" port "\",\"kind\":\"file\",\"taking\":true,\"due\":0}"
#define FAILS(tool, port)                                                                                    \
	"{\"tool\":\"" tool "\",\"port\":\"" port                                                            \
	"\",\"kind\":\"file\",\"taking\":false,\"due\":7,\"losses\":{\"disk\":3}}"
static const char good[] = "Every node that has copies for it gets rid of them",
		  unused[] = "No map that is in force on a node leads there";

static void all_take(void **state)
{
	(void)state;
	toolhealth_begin(h);
	node("node-1", TAKES("ids", "default") "," TAKES("ids-2", "default"));
	node("node-2", TAKES("a", "default") "," TAKES("ids", "default"));
	toolhealth_end(h);
	is("ids", "True", "TakesPackets", good);
	is("a", "True", "TakesPackets", good);
	is("id", "Unknown", "NotUsed", unused);
	is("z", "Unknown", "NotUsed", unused);
}

static void one_fails(void **state)
{
	(void)state;
	toolhealth_begin(h);
	node("node-1", TAKES("ids", "left") "," FAILS("ids", "right"));
	node("node-2", TAKES("ids", "left"));
	toolhealth_end(h);
	is("ids", "False", "TakesNothing", "node-1: port right takes nothing (file, lost as disk)");
	node("node-1", TAKES("ids", "left") "," TAKES("ids", "right"));
	is("ids", "True", "TakesPackets", good);
}

static void many_fail(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		node(names[i], FAILS("ids", "p"));
	is("ids", "False", "TakesNothing",
	   "a: port p takes nothing (file, lost as disk); b: port p takes nothing (file, lost as disk); "
	   "c: port p takes nothing (file, lost as disk); d: port p takes nothing (file, lost as disk); "
	   "and 2 more");
}

/* Whoever takes all and does not answer is another case than who takes nothing. */
static void does_not_answer(void **state)
{
	(void)state;
	node("node-1", "{\"tool\":\"ids\",\"port\":\"p\",\"kind\":\"interface\",\"taking\":false,"
		       "\"answers\":false,\"outlet\":1,\"due\":5,\"losses\":{}}");
	is("ids", "False", "DoesNotAnswer", "node-1: port p does not answer (interface)");
	node("node-2", FAILS("ids", "q"));
	is("ids", "False", "TakesNothing",
	   "node-1: port p does not answer (interface); node-2: port q takes nothing (file, lost as disk)");
	node("node-1", "{\"tool\":\"ids\",\"port\":\"p\",\"kind\":\"interface\",\"taking\":true,"
		       "\"answers\":true,\"outlet\":1,\"due\":5,\"losses\":{}}");
	node("node-2", TAKES("ids", "q"));
	is("ids", "True", "TakesPackets", good);
}

/* Ports that are not the node's business: of no map any more, of a Capture, to which nothing was ever due. */
static void not_in_force(void **state)
{
	(void)state;
	node("node-1",
	     "{\"tool\":\"old\",\"port\":\"default\",\"kind\":\"file\",\"taking\":false,\"gone\":true,"
	     "\"due\":9},"
	     "{\"tool\":\"capture\",\"port\":\"x\",\"kind\":\"stream\",\"taking\":true,\"due\":9,"
	     "\"readers\":[]},"
	     "{\"tool\":\"far\",\"port\":\"default\",\"kind\":\"interface\",\"taking\":false,\"due\":0},"
	     "{\"tool\":\"near\",\"port\":\"default\",\"kind\":\"interface\",\"taking\":false,\"due\":0,"
	     "\"outlet\":2}");
	is("old", "Unknown", "NotUsed", unused);
	is("capture", "Unknown", "NotUsed", unused);
	is("far", "Unknown", "NotUsed", unused);
	is("near", "False", "TakesNothing", "node-1: port default takes nothing (interface)");
}

static void silent_nodes(void **state)
{
	(void)state;
	node("node-1", TAKES("ids", "default"));
	node("node-2", TAKES("a", "default"));
	assert_int_equal(toolhealth_node(h, "node-1", NULL), 0);
	is("ids", "True", "TakesPackets", good); /* silent once: its last word */
	assert_int_equal(toolhealth_node(h, "node-1", NULL), 0);
	is("ids", "Unknown", "NoAnswer", "weft-copier does not answer on node-1");
	is("a", "True", "TakesPackets", good); /* node-1 had none of its ports */
	node("node-1", TAKES("ids", "default"));
	is("ids", "True", "TakesPackets", good);
	/* One that never spoke may have copies for any. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(toolhealth_node(h, "node-3", NULL), 0);
	is("ids", "Unknown", "NoAnswer", "weft-copier does not answer on node-3");
	/* A node that is away from a round has no weft-copier. */
	toolhealth_begin(h);
	node("node-1", TAKES("ids", "default"));
	toolhealth_end(h);
	is("ids", "True", "TakesPackets", good);
	is("a", "Unknown", "NotUsed", unused);
}

static void bad_words(void **state)
{
	(void)state;
	assert_int_equal(toolhealth_node(h, "node-1", json_array()), 0);
	assert_int_equal(toolhealth_node(h, "node-2", json_pack("{s:s}", "tools", "x")), 0);
	node("node-3", "1, {}, {\"tool\":3,\"port\":4}");
	is("ids", "Unknown", "NotUsed", unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_take, begin, end),
	    cmocka_unit_test_setup_teardown(one_fails, begin, end),
	    cmocka_unit_test_setup_teardown(many_fail, begin, end),
	    cmocka_unit_test_setup_teardown(does_not_answer, begin, end),
	    cmocka_unit_test_setup_teardown(not_in_force, begin, end),
	    cmocka_unit_test_setup_teardown(silent_nodes, begin, end),
	    cmocka_unit_test_setup_teardown(bad_words, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
