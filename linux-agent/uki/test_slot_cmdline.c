/* SPDX-License-Identifier: MIT */
/* How each slot gets its command line, and UKIs with which one of them would get none. */
#include "slot_cmdline.h"

#include "testdir.h"
#include "testuki.h"

/* Sections as name and text, up to a NULL. */
struct row {
	const char *what, *stub;
	const char *sections[14];
	enum slot_way way;
	const char *a, *b, *a_options, *b_options;
};

static const struct ukifile *const none[2];

static void uki_open(const char *stub, const char *const *sections, struct ukifile *ret_uki)
{
	static struct testuki made;
	struct err err;

	testuki_make(&made, stub);
	for (size_t i = 0; sections[i]; i += 2)
		(void)testuki_text(&made, sections[i], sections[i + 1]);
	assert_int_equal(ukifile_open_fd(testuki_memfd(&made), "uki.efi", ret_uki, &err), 0);
}

#define A_AND_B ".profile", "ID=slot-a", ".cmdline", "root=A \n", ".profile", "ID=slot-b", ".cmdline", "root=B"

static const struct row rows[] = {
	{ "no command line", "252", { NULL }, SLOT_WAY_SAME, "", "", "", "" },
	{ "one for both", "252", { ".cmdline", "roothash=00 " }, SLOT_WAY_SAME, "roothash=00", "roothash=00", "", "" },
	{ "filled in", "252", { ".cmdline", "root={slot} {SLOT}\n" }, SLOT_WAY_FILL, "root=a A", "root=b B",
	  "root=a A", "root=b B" },
	{ "profiles", "257", { A_AND_B }, SLOT_WAY_PROFILE, "root=A", "root=B", "@0", "@1" },
	{ "profiles go before {slot}", "257", { ".cmdline", "root={slot}", ".profile", "ID=x", A_AND_B },
	  SLOT_WAY_PROFILE, "root=A", "root=B", "@1", "@2" },
	{ "profiles and another's stub", NULL, { A_AND_B }, SLOT_WAY_PROFILE, "root=A", "root=B", "@0", "@1" },
	{ "a profile without .cmdline has the common one", "257",
	  { ".cmdline", "usrhash=1", ".profile", "ID=slot-b", ".profile", "ID=slot-a" }, SLOT_WAY_PROFILE, "usrhash=1",
	  "usrhash=1", "@1", "@0" },
	{ "profiles for no slot", "257", { ".cmdline", "x={slot}", ".profile", "ID=x", ".cmdline", "y={slot}" },
	  SLOT_WAY_FILL, "y=a", "y=b", "y=a", "y=b" },
};

static void a_slot_gets_its_command_line_in_one_of_three_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		struct slot_cmdline c[2];
		struct ukifile uki;
		struct err err;

		print_message("  %s\n", row->what);
		uki_open(row->stub, row->sections, &uki);
		if (slot_cmdline_check(&uki, none, false, c, &err) < 0)
			fail_msg("%s", err.text);
		for (unsigned slot = 0; slot < 2; slot++) {
			char *options = slot_cmdline_options(&c[slot]);

			assert_int_equal(c[slot].way, row->way);
			assert_string_equal(c[slot].text, slot ? row->b : row->a);
			assert_string_equal(options, slot ? row->b_options : row->a_options);
			free(options);
			slot_cmdline_clear(&c[slot]);
		}
		ukifile_close(&uki);
	}
}

static void what_leaves_a_slot_without_is_refused_with_the_ways(void **state)
{
	static const char ways[] = "a profile for each slot (ID=slot-a, ID=slot-b)";
	static const struct {
		const char *stub, *sections[14];
		bool plain, secure;	/* good without, good under Secure Boot */
		const char *why;
	} refusals[] = {
		{ "257", { ".cmdline", "root=/dev/{slot}" }, true, false, "leaves unfilled under Secure Boot" },
		{ "257", { ".cmdline", "root=/dev/{slot}" }, true, false, ways },
		{ "257", { ".cmdline", "root=PARTUUID=1" }, true, false, "the same root= for both slots" },
		{ "257", { ".cmdline", "root=/dev/sda2" }, true, false, ways },
		{ "257", { ".cmdline", "root=PARTLABEL=x quiet" }, true, false, ways },
		{ "257", { ".cmdline", "root=UUID=1" }, true, true, "" },
		{ "257", { ".cmdline", "quiet" }, true, true, "" },
		{ "257", { ".cmdline", "root=/dev/mapper/root roothash=00" }, true, true, "" },
		{ "257", { ".cmdline", "root=/dev/mapper/root usrhash=00" }, true, true, "" },
		{ "257", { A_AND_B }, true, true, "" },
		{ "257", { ".cmdline", "root=/dev/sda2", ".profile", "ID=slot-a", ".profile", "ID=slot-b" }, true, false,
		  "the same root= for both slots" },
		{ "252", { A_AND_B }, false, false, "of systemd 252, does not know" },
		{ "257", { ".profile", "ID=slot-a", ".cmdline", "x" }, false, false, "no profile for slot b" },
		{ "257", { A_AND_B, ".profile", "ID=slot-a" }, false, false, "no profile for slot a, or more than one" },
		{ "257", { ".profile", "ID=slot-a", ".cmdline", "x={SLOT}", ".profile", "ID=slot-b" }, false, false,
		  "profile for slot a has {slot}" },
		{ "257", { ".cmdline", "x={slot} \xff" }, false, false, "is not UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct ukifile uki;

		print_message("  %s\n", refusals[i].why);
		uki_open(refusals[i].stub, refusals[i].sections, &uki);
		for (int secure = 0; secure < 2; secure++) {
			bool good = secure ? refusals[i].secure : refusals[i].plain;
			struct slot_cmdline c[2];
			struct err err;
			int r = slot_cmdline_check(&uki, none, secure, c, &err);

			assert_int_equal(r, good ? 0 : -1);
			if (r == 0) {
				slot_cmdline_clear(&c[0]);
				slot_cmdline_clear(&c[1]);
			} else if (err.exit != EX_DATAERR || !strstr(err.text, refusals[i].why)) {
				fail_msg("%s", err.text);
			}
		}
		ukifile_close(&uki);
	}
}

static void addon_open(const char *name, const char *text, struct ukifile *ret_addon)
{
	static struct testuki made;
	struct err err;

	testuki_begin(&made, NATIVE_MACHINE);
	(void)testuki_text(&made, name, text);
	assert_int_equal(ukifile_open_fd(testuki_memfd(&made), "x.addon.efi", ret_addon, &err), 0);
}

static void a_slots_addon_comes_after_the_ukis_own_command_line(void **state)
{
	static const char *const sections[] = { ".cmdline", "quiet \n", NULL };
	struct ukifile uki, a, b;
	const struct ukifile *addons[2] = { &a, &b };
	struct slot_cmdline c[2];
	struct err err;

	(void)state;
	uki_open("254", sections, &uki);
	addon_open(".cmdline", "root=PARTUUID=1 \n", &a);
	addon_open(".cmdline", "root=PARTUUID=2", &b);
	if (slot_cmdline_check(&uki, addons, true, c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c[0].text, "quiet root=PARTUUID=1");
	assert_string_equal(c[1].text, "quiet root=PARTUUID=2");
	assert_string_equal(slot_cmdline_way(&c[0]), "by an addon of the slot");
	slot_cmdline_clear(&c[0]);
	slot_cmdline_clear(&c[1]);
	addons[1] = NULL;	/* not at hand */
	assert_int_equal(slot_cmdline_check(&uki, addons, true, c, &err), 0);
	slot_cmdline_clear(&c[0]);
	slot_cmdline_clear(&c[1]);
	ukifile_close(&uki);
	ukifile_close(&a);
	ukifile_close(&b);
}

static void an_addon_that_the_stub_would_not_use_is_refused(void **state)
{
	static const struct {
		const char *stub, *section, *text, *why;
	} refusals[] = {
		{ "252", ".cmdline", "x", "knows no addons" },
		{ "257", ".osrel", "x", "no .cmdline, .dtb, .initrd or .ucode in it" },
		{ "257", ".cmdline", "root={slot}", "has {slot} in its command line" },
	};
	static const char *const sections[] = { ".cmdline", "quiet", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct ukifile uki, addon;
		const struct ukifile *addons[2] = { NULL, &addon };
		struct slot_cmdline c[2];
		struct err err;

		print_message("  %s\n", refusals[i].why);
		uki_open(refusals[i].stub, sections, &uki);
		addon_open(refusals[i].section, refusals[i].text, &addon);
		assert_int_equal(slot_cmdline_check(&uki, addons, false, c, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		if (!strstr(err.text, refusals[i].why))
			fail_msg("%s", err.text);
		ukifile_close(&uki);
		ukifile_close(&addon);
	}
}

static void a_profile_text_or_command_line_that_is_too_large_is_refused(void **state)
{
	static char text[2049];
	const char *const sections[] = { ".profile", text, NULL };
	struct slot_cmdline c;
	struct ukifile uki;
	struct err err;

	(void)state;
	/* The helper has room for as much; the section's header says one byte more. */
	memset(text, '#', 2048);
	uki_open("257", sections, &uki);
	assert_int_equal(slot_cmdline_read(&uki, 0, &c, &err), 0);
	slot_cmdline_clear(&c);
	ukifile_close(&uki);

	static struct testuki made;
	unsigned i;

	testuki_make(&made, "257");
	i = testuki_text(&made, ".profile", text);
	le32_put(testuki_header(&made, i) + 8, 2049);
	le32_put(testuki_header(&made, i) + 16, 2560);
	(void)testuki_text(&made, ".cmdline", "x");
	assert_int_equal(ukifile_open_fd(testuki_memfd(&made), "uki.efi", &uki, &err), 0);
	assert_int_equal(slot_cmdline_read(&uki, 0, &c, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, ".profile of more than 2048 bytes"));
	ukifile_close(&uki);

	testuki_make(&made, "257");
	i = testuki_text(&made, ".cmdline", "x");
	le32_put(testuki_header(&made, i) + 8, 65537);
	le32_put(testuki_header(&made, i) + 16, 66048);
	assert_int_equal(ukifile_open_fd(testuki_memfd(&made), "uki.efi", &uki, &err), 0);
	assert_int_equal(slot_cmdline_read(&uki, 0, &c, &err), -1);
	assert_non_null(strstr(err.text, ".cmdline section is too large"));
	ukifile_close(&uki);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_gets_its_command_line_in_one_of_three_ways),
		cmocka_unit_test(what_leaves_a_slot_without_is_refused_with_the_ways),
		cmocka_unit_test(a_slots_addon_comes_after_the_ukis_own_command_line),
		cmocka_unit_test(an_addon_that_the_stub_would_not_use_is_refused),
		cmocka_unit_test(a_profile_text_or_command_line_that_is_too_large_is_refused),
	};

	return cmocka_run_group_tests_name("slot_cmdline", tests, NULL, NULL);
}
