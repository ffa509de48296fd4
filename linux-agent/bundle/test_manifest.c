/* SPDX-License-Identifier: MIT */
#include "manifest.h"

#include "unittest.h"
#include "io.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PINNED(key, file, size)                                                          \
	"\"" key "\":{\"file\":\"" file "\",\"size\":" size ",\"sha256\":\"" HASH "\"}"
#define UKI_WITH(more)                                                                   \
	"{\"type\":\"uki\",\"file\":\"uki.efi\",\"size\":7,\"sha256\":\"" HASH "\"" more "}"
#define UKI UKI_WITH("," PINNED("index", "uki.index", "60"))
#define UKI_AND(more) UKI_WITH("," PINNED("index", "uki.index", "60") "," more)
#define BLOCKS(what) "\"blocks\":{" what "}"
#define BASE(file, more)                                                                 \
	"{\"file\":\"" file "\",\"size\":5,\"sha256\":\"" HASH "\"" more "}"
#define TEN_BASES(k)                                                                     \
	BASE("f" k "0", "," PINNED("index", "g" k "0", "1")) ","                         \
	BASE("f" k "1", "," PINNED("index", "g" k "1", "1")) ","                         \
	BASE("f" k "2", "," PINNED("index", "g" k "2", "1")) ","                         \
	BASE("f" k "3", "," PINNED("index", "g" k "3", "1")) ","                         \
	BASE("f" k "4", "," PINNED("index", "g" k "4", "1")) ","                         \
	BASE("f" k "5", "," PINNED("index", "g" k "5", "1"))
#define IMAGE(name, file, size, sha256, more)                                            \
	"{\"type\":\"image\",\"name\":" name ",\"file\":" file ",\"size\":" size         \
	",\"sha256\":" sha256 "," PINNED("index", "image.index", "60") more "}"
#define ROOTFS IMAGE("\"rootfs\"", "\"rootfs.img\"", "9", "\"" HASH "\"", "")
#define REFERENCE(more)                                                                  \
	"{\"type\":\"image\",\"name\":\"rootfs\",\"size\":9,\"sha256\":\"" HASH "\","          \
	PINNED("index", "image.index", "60") more "}"
#define WITH(payloads)                                                                   \
	"{\"format\":2,\"compatible\":\"acme gw\",\"version\":\"1.4.2~rc1\","            \
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

static void an_image_without_a_file_is_one_by_reference(void **state)
{
	struct manifest *m;
	struct err err;
	char *json;

	(void)state;
	assert_int_equal(parse(WITH(UKI "," REFERENCE("")), &m, &err), 0);
	assert_null(m->payloads[1].file);
	assert_string_equal(m->payloads[1].index.file, "image.index");
	assert_int_equal(manifest_format(m, &json, &err), 0);
	manifest_free(m);
	assert_int_equal(parse(json, &m, &err), 0);
	assert_null(m->payloads[1].file);
	assert_true(m->payloads[1].size == 9 && m->payloads[1].sha256[31] == 0xef);
	manifest_free(m);
	free(json);
}

#define ADDON(slot, file, size)                                                          \
	"{\"type\":\"addon\",\"slot\":" slot ",\"file\":\"" file "\",\"size\":" size               \
	",\"sha256\":\"" HASH "\"," PINNED("index", file ".index", "60") "}"

static void addons_are_one_for_each_slot(void **state)
{
	struct manifest *m;
	struct err err;
	char *json;

	(void)state;
	assert_int_equal(parse(WITH(ADDON("\"b\"", "b", "9") "," UKI "," ADDON("\"a\"", "a", "16777216")),
			       &m, &err), 0);
	assert_ptr_equal(manifest_addon(m, 0), &m->payloads[2]);
	assert_ptr_equal(manifest_addon(m, 1), &m->payloads[0]);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	manifest_free(m);
	assert_int_equal(parse(json, &m, &err), 0);
	assert_string_equal(manifest_addon(m, 0)->name, "slot-a.addon");
	assert_string_equal(manifest_addon(m, 0)->file, "a");
	assert_string_equal(manifest_addon(m, 1)->name, "slot-b.addon");
	assert_int_equal(manifest_addon(m, 1)->size, 9);
	manifest_free(m);
	free(json);
	assert_int_equal(parse(WITH(UKI), &m, &err), 0);
	assert_null(manifest_addon(m, 0));
	assert_null(manifest_addon(m, 1));
	manifest_free(m);
}

#define BESIDE(type, name, file, size)                                                   \
	"{\"type\":\"" type "\",\"name\":\"" name "\",\"file\":\"" file "\",\"size\":" size    \
	",\"sha256\":\"" HASH "\"," PINNED("index", file ".index", "60") "}"
#define THIRTY_TWO "0123456789abcdefghijklmnopqrstuv"
#define LONGEST THIRTY_TWO THIRTY_TWO THIRTY_TWO

static void what_lies_beside_the_uki_has_its_files_name(void **state)
{
	static const struct {
		const char *asked, *found;	/* for slot a */
	} rows[] = {
		{ "wifi@2.cred", "wifi@2.cred" }, { "WIFI@2.CRED", "wifi@2.cred" },
		{ "app_1.0.raw", "app_1.0.raw" }, { "site.confext.raw", "site.confext.raw" },
		{ BESIDE_ADDON, "slot-a.addon" }, { LONGEST ".cred", LONGEST ".cred" },
		{ "dbx-12.auth", "dbx-12.auth" },
		{ "model.bin", NULL }, { "wifi@2", NULL }, { "slot-a.addon", NULL }, { "uki", NULL }, { "rootfs", NULL },
	};
	struct manifest *m;
	struct err err;
	char *json;

	(void)state;
	assert_int_equal(parse(WITH(UKI "," ROOTFS "," BESIDE("credential", "wifi@2", "c", "1048576") ","
				    BESIDE("sysext", "app_1.0", "s", "268435456") ","
				    BESIDE("credential", LONGEST, "l", "1") ","
				    BESIDE("confext", "site", "x", "1") ","
				    BESIDE("efi-auth", "dbx-12", "d", "262144") ","
				    BESIDE("file", "model.bin", "f", "268435456") ","
				    ADDON("\"a\"", "a", "9") "," ADDON("\"b\"", "b", "9")), &m, &err), 0);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	manifest_free(m);
	assert_int_equal(parse(json, &m, &err), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct payload *p = manifest_beside_find(m, 0, rows[i].asked);

		assert_true(!p == !rows[i].found);
		if (p)
			assert_string_equal(p->name, rows[i].found);
	}
	assert_string_equal(manifest_beside_find(m, 1, BESIDE_ADDON)->name, "slot-b.addon");
	assert_null(manifest_beside(manifest_addon(m, 1), 0));
	manifest_free(m);
	free(json);
}

static void raising_the_floor_is_read_and_written_back(void **state)
{
	struct manifest *m;
	struct err err;
	char *json;

	(void)state;
	assert_int_equal(parse(WITH(UKI), &m, &err), 0);
	assert_false(m->raises_floor);
	m->raises_floor = true;
	assert_int_equal(manifest_format(m, &json, &err), 0);
	manifest_free(m);
	assert_non_null(strstr(json, "\"raises-floor\": true"));
	assert_int_equal(parse(json, &m, &err), 0);
	assert_true(m->raises_floor);
	m->raises_floor = false;
	free(json);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	assert_null(strstr(json, "floor"));
	free(json);
	manifest_free(m);
	assert_int_equal(parse("{\"format\":2,\"compatible\":\"a\",\"version\":\"1\","
			       "\"raises-floor\":1,\"payloads\":[" UKI "]}", &m, &err), -1);
	assert_non_null(strstr(err.text, "raises-floor must be true or false"));
}

static int parse_architecture(const char *value, struct manifest **ret_m, struct err *err)
{
	char json[1024];

	(void)snprintf(json, sizeof json, "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\",%s\"payloads\":["
		       UKI "]}", value);
	return parse(json, ret_m, err);
}

static void the_architecture_is_read_and_written_back(void **state)
{
	static const char *const bad[] = { "\"\"", "\"X64\"", "\"x86 64\"", "1", "null",
					   "\"123456789012345678901234567890123\"" };
	struct manifest *m;
	struct err err;
	char *json, text[80];

	(void)state;
	assert_int_equal(parse_architecture("", &m, &err), 0);
	assert_null(m->architecture);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	assert_null(strstr(json, "architecture"));
	free(json);
	manifest_free(m);
	assert_int_equal(parse_architecture("\"architecture\":\"x86-64\",", &m, &err), 0);
	assert_string_equal(m->architecture, "x86-64");
	assert_int_equal(manifest_format(m, &json, &err), 0);
	assert_non_null(strstr(json, "\"architecture\": \"x86-64\""));
	free(json);
	manifest_free(m);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(text, sizeof text, "\"architecture\":%s,", bad[i]);
		assert_int_equal(parse_architecture(text, &m, &err), -1);
		assert_non_null(strstr(err.text, "architecture must be"));
	}
}

static void a_loader_is_read_and_written_back(void **state)
{
	static const char with[] = "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\","
				   PINNED("loader", "loader.efi", "9") ",\"payloads\":[" UKI "]}";
	static const struct {
		const char *json, *words;
	} bad[] = {
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\",\"loader\":1,\"payloads\":[" UKI "]}",
		  "loader is not an object" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\","
		  PINNED("loader", "loader.efi", "4194305") ",\"payloads\":[" UKI "]}",
		  "loader.size is larger" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\","
		  PINNED("loader", "uki.efi", "9") ",\"payloads\":[" UKI "]}", "the same file, uki.efi" },
	};
	struct manifest *m = NULL;
	char *text = NULL;
	struct err err;

	(void)state;
	assert_int_equal(parse(with, &m, &err), 0);
	for (int round = 0; round < 2; round++) {
		assert_string_equal(m->loader.file, "loader.efi");
		assert_int_equal(m->loader.size, 9);
		assert_int_equal(manifest_format(m, &text, &err), 0);
		manifest_free(m);
		assert_int_equal(parse(text, &m, &err), 0);
		free(text);
	}
	manifest_free(m);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i].json, &m, &err), -1);
		assert_non_null(strstr(err.text, bad[i].words));
	}
}

static void the_entries_of_every_layout_are_read_and_written_back(void **state)
{
	static const char json[] = WITH(UKI_AND(
		BLOCKS(PINNED("index", "uki.4k.index", "3") ","
		       PINNED("dictionary", "uki.dict", "4")) ","
		"\"bases\":[" BASE("b1", "," PINNED("index", "i1", "6")) ","
		BASE("b2", "," PINNED("index", "i2", "7")) "]"));
	struct manifest *m = NULL;
	char *text = NULL;
	struct err err;

	(void)state;
	assert_int_equal(parse(json, &m, &err), 0);
	for (int round = 0; round < 2; round++) {
		const struct payload *p = &m->payloads[0];

		assert_string_equal(p->index.file, "uki.index");
		assert_int_equal(p->index.size, 60);
		assert_int_equal(p->index.sha256[1], 0x23);
		assert_string_equal(p->blocks.index.file, "uki.4k.index");
		assert_string_equal(p->blocks.dictionary.file, "uki.dict");
		assert_int_equal(p->blocks.dictionary.size, 4);
		assert_int_equal(p->base_count, 2);
		assert_string_equal(p->bases[1].file, "b2");
		assert_int_equal(p->bases[1].size, 5);
		assert_int_equal(p->bases[1].sha256[2], 0x45);
		assert_string_equal(p->bases[1].index.file, "i2");
		assert_int_equal(p->bases[1].index.size, 7);
		if (round == 1)
			break;
		assert_int_equal(manifest_format(m, &text, &err), 0);
		manifest_free(m);
		assert_int_equal(parse(text, &m, &err), 0);
	}
	manifest_free(m);
	free(text);
}

static void layouts_and_dictionary_may_be_absent(void **state)
{
	struct manifest *m = NULL;
	struct err err;

	(void)state;
	assert_int_equal(parse(WITH(UKI "," IMAGE("\"x\"", "\"x.zst\"", "1", "\"" HASH "\"", ","
		BLOCKS(PINNED("index", "x.4k.index", "3")) ",\"bases\":[]")), &m,
		&err), 0);
	assert_null(m->payloads[0].blocks.index.file);
	assert_int_equal(m->payloads[0].base_count, 0);
	assert_non_null(m->payloads[1].blocks.index.file);
	assert_null(m->payloads[1].blocks.dictionary.file);
	manifest_free(m);
}

static void unknown_keys_of_a_newer_writer_are_ignored(void **state)
{
	struct manifest *m;
	struct err err;

	(void)state;
	assert_int_equal(parse("{\"format\":2,\"compatible\":\"a\",\"version\":\"1\",\"new\":[{}],"
			       "\"payloads\":[" ROOTFS ",{\"chunks\":null,\"type\":\"uki\","
			       "\"file\":\"u\",\"size\":1,\"sha256\":\"" HASH "\","
			       PINNED("index", "i", "1") "}]}", &m, &err), 0);
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
		{ "{\"format\":1}", "format is not 2" },
		{ "{\"format\":2.0}", "format is not 2" },
		{ "{\"format\":\"2\"}", "format is not 2" },
		{ "{\"format\":2}", "compatible is missing" },
		{ "{\"format\":2,\"compatible\":\"\"}", "compatible must be" },
		{ "{\"format\":2,\"compatible\":7}", "compatible must be" },
		{ "{\"format\":2,\"compatible\":\"a\\nb\"}", "compatible must be" },
		{ "{\"format\":2,\"compatible\":\"a\\u0000b\"}", "not valid JSON" },
		{ "{\"format\":2,\"compatible\":\"caf\u00e9\"}", "compatible must be" },
		{ "{\"format\":2,\"compatible\":\"a\"}", "version is missing" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1/2\"}", "version must be" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"" HASH "0\"}", "version must" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\"}", "payloads must be" },
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
		{ WITH("{\"type\":\"uki\"}"), "payloads[0].file is missing" },
		{ WITH(UKI "," ADDON("\"a\"", "a", "9")), "an addon for one slot alone" },
		{ WITH(UKI "," ADDON("\"a\"", "a", "9") "," ADDON("\"a\"", "b", "9")), "have the same name, slot-a.addon" },
		{ WITH(UKI "," ADDON("\"c\"", "a", "9")), "payloads[1].slot must be \"a\" or \"b\"" },
		{ WITH(UKI "," ADDON("1", "a", "9")), "payloads[1].slot must be" },
		{ WITH(UKI "," ADDON("\"a\"", "a", "16777217")), "payloads[1].size is larger" },
		{ WITH(UKI "," BESIDE("credential", "../x", "c", "1")), "payloads[1].name must be 1 to 96" },
		{ WITH(UKI "," BESIDE("credential", "a/b", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "a\\\\b", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "a:b", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "a b", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("sysext", "longna~1", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "\u00e4", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "a\\u0000", "c", "1")), "not valid JSON" },
		{ WITH(UKI "," BESIDE("credential", LONGEST "x", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", "", "c", "1")), "payloads[1].name must be" },
		{ WITH(UKI "," BESIDE("credential", ".", "c", "1")), "must begin with a letter or a digit" },
		{ WITH(UKI "," BESIDE("credential", ".hidden", "c", "1")), "must begin with a letter" },
		{ WITH(UKI "," BESIDE("credential", "-x", "c", "1")), "must begin with a letter" },
		{ WITH(UKI "," BESIDE("sysext", "x.Confext", "c", "1")), "would make the sysext a confext" },
		{ WITH(UKI "," BESIDE("sysext", "x", "c", "1") "," BESIDE("sysext", "x", "d", "1")),
		  "have the same name, x.raw" },
		{ WITH(UKI "," BESIDE("credential", "Wifi", "c", "1") "," BESIDE("credential", "wifi", "d", "1")),
		  "have the same name, wifi.cred" },
		{ WITH(UKI "," BESIDE("credential", "x", "c", "1048577")), "payloads[1].size is larger" },
		{ WITH(UKI "," BESIDE("confext", "x", "c", "268435457")), "payloads[1].size is larger" },
		{ WITH(UKI "," BESIDE("file", "x", "c", "268435457")), "payloads[1].size is larger" },
		{ WITH(UKI "," BESIDE("efi-auth", "PK-1", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "db", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "db-", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "db-0", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "dbx-100", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "dbx-1x", "c", "1")), "must be KEK-N, db-N or dbx-N" },
		{ WITH(UKI "," BESIDE("efi-auth", "KEK-1", "c", "262145")), "payloads[1].size is larger" },
		{ WITH(UKI "," BESIDE("file", "../x", "c", "1")), "payloads[1].name must be 1 to 96" },
		{ WITH(UKI "," BESIDE("file", "..", "c", "1")), "must begin with a letter or a digit" },
		{ WITH(UKI ",{\"type\":\"sysext\",\"name\":\"x\"}"), "payloads[1].file is missing" },
		{ WITH(UKI ",{\"type\":\"image\"}"), "payloads[1].size is missing" },
		{ WITH(UKI "," REFERENCE(",\"blocks\":{}")),
		  "payloads[1].file is missing, beside blocks or bases" },
		{ WITH(UKI "," REFERENCE(",\"bases\":[]")),
		  "payloads[1].file is missing, beside blocks or bases" },
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
		{ WITH(UKI_WITH("")), "payloads[0].index is missing" },
		{ WITH(UKI_WITH(",\"index\":\"x\"")), "payloads[0].index is not an object" },
		{ WITH(UKI_WITH(",\"index\":{}")), "payloads[0].index.file is missing" },
		{ WITH(UKI_WITH("," PINNED("index", "../x", "1"))), "index.file must be" },
		{ WITH(UKI_WITH("," PINNED("index", "manifest.p7s", "1"))), "index.file names no" },
		{ WITH(UKI_WITH("," PINNED("index", "x", "0"))), "index.size must be" },
		{ WITH(UKI_WITH("," PINNED("index", "x", "67108865"))), "index.size is larger" },
		{ WITH(UKI_WITH("," PINNED("index", "uki.efi", "1"))), "same file, uki.efi" },
		{ WITH(UKI_AND("\"blocks\":[]")), "payloads[0].blocks is not an object" },
		{ WITH(UKI_AND(BLOCKS(""))), "payloads[0].blocks.index is missing" },
		{ WITH(UKI_AND(BLOCKS(PINNED("index", "y", "1") ",\"dictionary\":7"))),
		  "payloads[0].blocks.dictionary is not an object" },
		{ WITH(UKI_AND(BLOCKS(PINNED("index", "y", "1") ","
				      PINNED("dictionary", "z", "1048577")))),
		  "payloads[0].blocks.dictionary.size is larger" },
		{ WITH(UKI_AND(BLOCKS(PINNED("index", "x", "1") "," PINNED("dictionary", "x", "1")))), "same file, x" },
		{ WITH(UKI_AND("\"bases\":{}")), "payloads[0].bases must be a list" },
		{ WITH(UKI_AND("\"bases\":[7]")), "payloads[0].bases[0] is not an object" },
		{ WITH(UKI_AND("\"bases\":[" BASE("x", "") "]")), "bases[0].index is missing" },
		{ WITH(UKI_AND("\"bases\":[" BASE("x", "," PINNED("index", "y", "1")) ","
			       BASE("z", "," PINNED("index", "uki.index", "1")) "]")),
		  "same file, uki.index" },
		{ WITH(UKI_AND("\"bases\":[" TEN_BASES("1") "," TEN_BASES("2") ","
			       TEN_BASES("3") "]")), "at most 16 bases" },
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

/* As deep as the size allows: neither the stack nor the patience of a parser is tried. */
static void deep_nesting_is_refused(void **state)
{
	static const char *const parts[] = { "[", "{\"a\":" };
	size_t len = MANIFEST_MAX_BYTES;
	char *json = malloc(len);

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
		struct manifest *m = NULL;
		struct err err = { 0 };

		for (size_t i = 0; i < len; i++)
			json[i] = parts[k][i % strlen(parts[k])];
		assert_int_equal(manifest_parse((const uint8_t *)json, len, &m, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_non_null(strstr(err.text, "maximum parsing depth"));
	}
	free(json);
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
		"  \"format\": 2,\n"
		"  \"payloads\": [\n"
		"    {\n"
		"      \"file\": \"uki.efi\",\n"
		"      \"index\": {\n"
		"        \"file\": \"uki.index\",\n"
		"        \"sha256\": \"" HASH "\",\n"
		"        \"size\": 60\n"
		"      },\n"
		"      \"sha256\": \"" HASH "\",\n"
		"      \"size\": 7,\n"
		"      \"type\": \"uki\"\n"
		"    },\n"
		"    {\n"
		"      \"file\": \"rootfs.img\",\n"
		"      \"index\": {\n"
		"        \"file\": \"image.index\",\n"
		"        \"sha256\": \"" HASH "\",\n"
		"        \"size\": 60\n"
		"      },\n"
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
		cmocka_unit_test(an_image_without_a_file_is_one_by_reference),
		cmocka_unit_test(addons_are_one_for_each_slot),
		cmocka_unit_test(what_lies_beside_the_uki_has_its_files_name),
		cmocka_unit_test(raising_the_floor_is_read_and_written_back),
		cmocka_unit_test(the_architecture_is_read_and_written_back),
		cmocka_unit_test(a_loader_is_read_and_written_back),
		cmocka_unit_test(the_entries_of_every_layout_are_read_and_written_back),
		cmocka_unit_test(layouts_and_dictionary_may_be_absent),
		cmocka_unit_test(unknown_keys_of_a_newer_writer_are_ignored),
		cmocka_unit_test(each_broken_manifest_is_refused_by_the_key_at_fault),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(a_manifest_beyond_the_size_cap_is_refused),
		cmocka_unit_test(formatting_gives_sorted_text_that_parses_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
