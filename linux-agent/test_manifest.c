/* SPDX-License-Identifier: MIT */
#include "manifest.h"

#include "unittest.h"
#include "util.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UKI "{\"type\":\"uki\",\"file\":\"uki.efi\",\"size\":7,\"sha256\":\"" HASH "\"}"
#define IMAGE(name, file, size, sha256, more)                                            \
	"{\"type\":\"image\",\"name\":" name ",\"file\":" file ",\"size\":" size         \
	",\"sha256\":" sha256 more "}"
#define ROOTFS IMAGE("\"rootfs\"", "\"rootfs.img\"", "9", "\"" HASH "\"", "")
#define WITH(payloads)                                                                   \
	"{\"format\":1,\"compatible\":\"acme gw\",\"version\":\"1.4.2~rc1\","            \
	"\"payloads\":[" payloads "]}"
#define ELEVEN_NUMBERS "1,1,1,1,1,1,1,1,1,1,1"

static int parse(const char *json, struct manifest **m, struct err *err)
{
	*err = (struct err){ 0 };
	return manifest_parse((const uint8_t *)json, strlen(json), m, err);
}

static void every_key_is_read(void **state)
{
	struct manifest *m;
	struct err err;
	static const uint8_t first[4] = { 0x01, 0x23, 0x45, 0x67 };

	(void)state;
	assert_int_equal(parse(WITH(UKI "," IMAGE("\"usr-2\"", "\"usr.img\"",
						  "9223372036854775807", "\"" HASH "\"",
						  ",\"roothash\":\"" HASH "\"")), &m, &err), 0);
	assert_string_equal(m->compatible, "acme gw");
	assert_string_equal(m->version, "1.4.2~rc1");
	assert_int_equal(m->payload_count, 2);
	assert_ptr_equal(manifest_uki(m), &m->payloads[0]);
	assert_string_equal(m->payloads[0].name, "uki");
	assert_int_equal(m->payloads[0].size, 7);
	assert_null(m->payloads[0].root_hash);
	assert_int_equal(m->payloads[1].type, PAYLOAD_IMAGE);
	assert_string_equal(m->payloads[1].name, "usr-2");
	assert_string_equal(m->payloads[1].file, "usr.img");
	assert_true(m->payloads[1].size == INT64_MAX);
	assert_memory_equal(m->payloads[1].sha256, first, sizeof first);
	assert_string_equal(m->payloads[1].root_hash, HASH);
	manifest_free(m);
}

static void unknown_keys_of_a_newer_writer_are_ignored(void **state)
{
	struct manifest *m;
	struct err err;

	(void)state;
	assert_int_equal(parse("{\"format\":1,\"compatible\":\"a\",\"version\":\"1\",\"new\":[{}],"
			       "\"payloads\":[" ROOTFS ",{\"chunks\":null,\"type\":\"uki\","
			       "\"file\":\"u\",\"size\":1,\"sha256\":\"" HASH "\"}]}", &m, &err), 0);
	manifest_free(m);
}

/* Each row breaks one thing; the message must name it. */
static void each_broken_manifest_is_refused_by_the_key_at_fault(void **state)
{
	static const struct {
		const char *json, *named;
	} rows[] = {
		{ "", "not valid JSON" },
		{ "{", "line 1" },
		{ "[]", "not a JSON object" },
		{ "{\"a\":\n\"\n\"}", "line 2" },
		{ "{\"compatible\":\"\xff\"}", "not valid JSON" },
		{ WITH(UKI) "x", "not valid JSON" },
		{ "{\"format\":1,\"format\":1}", "duplicate" },
		{ WITH("{\"type\":\"uki\",\"type\":\"uki\"}"), "duplicate" },
		{ "{}", "format is missing" },
		{ "{\"format\":2}", "format is not 1" },
		{ "{\"format\":1.0}", "format is not 1" },
		{ "{\"format\":\"1\"}", "format is not 1" },
		{ "{\"format\":1}", "compatible is missing" },
		{ "{\"format\":1,\"compatible\":\"\"}", "compatible must be" },
		{ "{\"format\":1,\"compatible\":7}", "compatible must be" },
		{ "{\"format\":1,\"compatible\":\"a\\nb\"}", "compatible must be" },
		{ "{\"format\":1,\"compatible\":\"a\\u0000b\"}", "not valid JSON" },
		{ "{\"format\":1,\"compatible\":\"caf\u00e9\"}", "compatible must be" },
		{ "{\"format\":1,\"compatible\":\"a\"}", "version is missing" },
		{ "{\"format\":1,\"compatible\":\"a\",\"version\":\"1/2\"}", "version must be" },
		{ "{\"format\":1,\"compatible\":\"a\",\"version\":\"" HASH "0\"}", "version must" },
		{ "{\"format\":1,\"compatible\":\"a\",\"version\":\"1\"}", "payloads must be" },
		{ WITH(""), "payloads must be" },
		{ WITH(ELEVEN_NUMBERS "," ELEVEN_NUMBERS "," ELEVEN_NUMBERS), "payloads must be" },
		{ WITH("7"), "payloads[0] is not an object" },
		{ WITH(ROOTFS), "no payload of type \"uki\"" },
		{ WITH(UKI "," UKI), "same name, uki" },
		{ WITH(ROOTFS "," ROOTFS "," UKI), "same name, rootfs" },
		{ WITH(UKI "," IMAGE("\"uki\"", "\"x\"", "1", "\"" HASH "\"", "")), "same name" },
		{ WITH(UKI "," IMAGE("\"x\"", "\"uki.efi\"", "1", "\"" HASH "\"", "")), "same file" },
		{ WITH("{\"type\":\"sparse\"}"), "payloads[0].type must be" },
		{ WITH("{}"), "payloads[0].type is missing" },
		{ WITH(UKI ",{\"type\":\"image\"}"), "payloads[1].file is missing" },
		{ WITH(UKI "," IMAGE("\"R\"", "\"x\"", "1", "\"" HASH "\"", "")), "[1].name must be" },
		{ WITH(UKI "," IMAGE("\"a/b\"", "\"x\"", "1", "\"" HASH "\"", "")), "[1].name must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"../x\"", "1", "\"" HASH "\"", "")), "[1].file must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"/etc/x\"", "1", "\"" HASH "\"", "")), "[1].file" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"..\"", "1", "\"" HASH "\"", "")), "[1].file names" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"manifest.json\"", "1", "\"" HASH "\"", "")),
		  "[1].file names no payload" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "0", "\"" HASH "\"", "")), "[1].size must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "-1", "\"" HASH "\"", "")), "[1].size must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1.5", "\"" HASH "\"", "")), "[1].size must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "9223372036854775808", "\"" HASH "\"", "")),
		  "not valid JSON" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1", "\"" HASH "0\"", "")), "[1].sha256 must" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1", "\"zz\"", "")), "[1].sha256 must be" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1", "\"" HASH "\"", ",\"roothash\":\"ab\"")),
		  "[1].roothash must be" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1", "\"" HASH "\"",
				     ",\"roothash\":\"" HASH "a\"")), "[1].roothash must be" },
		{ WITH(UKI "," IMAGE("\"a\"", "\"x\"", "1", "\"" HASH "\"", ",\"roothash\":null")),
		  "[1].roothash must be" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct manifest *m = NULL;
		struct err err;

		if (parse(rows[i].json, &m, &err) != -1 || !strstr(err.text, rows[i].named))
			fail_msg("row %zu (%s): got: %s", i, rows[i].named, err.text);
		assert_null(m);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_null(strchr(err.text, '\n'));
	}
}

static void a_manifest_beyond_the_size_cap_is_refused(void **state)
{
	static const char tail[] = WITH(UKI);
	struct manifest *m = NULL;
	struct err err = { 0 };
	size_t len = MANIFEST_MAX_BYTES + 1;
	uint8_t *json = malloc(len);

	(void)state;
	assert_non_null(json);
	memset(json, ' ', len);
	memcpy(json + len - strlen(tail), tail, strlen(tail));
	assert_int_equal(manifest_parse(json, len, &m, &err), -1);
	assert_non_null(strstr(err.text, "larger than"));
	assert_int_equal(manifest_parse(json + 1, len - 1, &m, &err), 0);
	manifest_free(m);
	free(json);
}

static void formatting_gives_sorted_text_that_parses_to_the_same(void **state)
{
	static const char expected[] =
		"{\n"
		"  \"compatible\": \"acme gw\",\n"
		"  \"format\": 1,\n"
		"  \"payloads\": [\n"
		"    {\n"
		"      \"file\": \"uki.efi\",\n"
		"      \"sha256\": \"" HASH "\",\n"
		"      \"size\": 7,\n"
		"      \"type\": \"uki\"\n"
		"    },\n"
		"    {\n"
		"      \"file\": \"rootfs.img\",\n"
		"      \"name\": \"rootfs\",\n"
		"      \"roothash\": \"" HASH "\",\n"
		"      \"sha256\": \"" HASH "\",\n"
		"      \"size\": 9,\n"
		"      \"type\": \"image\"\n"
		"    }\n"
		"  ],\n"
		"  \"version\": \"1.4.2~rc1\"\n"
		"}\n";
	struct manifest *m, *again;
	struct err err;
	char *text;

	(void)state;
	assert_int_equal(parse(WITH(UKI "," IMAGE("\"rootfs\"", "\"rootfs.img\"", "9",
						  "\"" HASH "\"", ",\"roothash\":\"" HASH "\"")),
			       &m, &err), 0);
	assert_int_equal(manifest_format(m, &text, &err), 0);
	assert_string_equal(text, expected);
	assert_int_equal(parse(text, &again, &err), 0);
	free(text);
	manifest_free(m);
	manifest_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(unknown_keys_of_a_newer_writer_are_ignored),
		cmocka_unit_test(each_broken_manifest_is_refused_by_the_key_at_fault),
		cmocka_unit_test(a_manifest_beyond_the_size_cap_is_refused),
		cmocka_unit_test(formatting_gives_sorted_text_that_parses_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
