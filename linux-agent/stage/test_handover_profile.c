/* SPDX-License-Identifier: MIT */
/* Which profile of a UKI is handed over. */
#include "testhandover.h"

/* Common, then profile 0 and profile 1. */
static void put_profiles(struct fixture *f, const char *cmdline)
{
	(void)testuki_text(&f->uki, ".cmdline", cmdline);
	(void)testuki_text(&f->uki, ".initrd", "initrd-");
	(void)testuki_text(&f->uki, ".profile", "ID=main");
	(void)testuki_text(&f->uki, ".profile", "ID=reset");
	(void)testuki_text(&f->uki, ".cmdline", "reset");
	(void)testuki_text(&f->uki, ".initrd", "other--");
}

static void a_profile_is_chosen_by_the_command_line_that_is_handed_over(void **state)
{
#define PROFILE(name) EXTRA "100444 .extra/profile=ID=" name "\n" TRAILER
	static const struct {
		const char *in, *cmdline, *initrd;
	} rows[] = {
		{ "quiet", "quiet", "initrd-\n" PROFILE("main") },
		{ "@0 root={slot}", "root=b", "initrd-\n" PROFILE("main") },
		{ "@1 root={slot}", "root=b", "other--\n" PROFILE("reset") },
		{ "@1root={slot}", "@1root=b", "initrd-\n" PROFILE("main") },
		{ "@1 quiet", "@1 quiet", "initrd-\n" PROFILE("main") },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&f, "257");
		put_profiles(&f, rows[i].in);
		print_message("  %s\n", rows[i].in);
		gives(&f, rows[i].cmdline, rows[i].initrd);
		end(&f);
	}
	begin(&f, "257");
	put_profiles(&f, "@2 root={slot}");
	refused(&f, EX_DATAERR, "has no profile @2");
	begin(&f, "257");
	put_profiles(&f, "@99999999999999999999 root={slot}");
	refused(&f, EX_DATAERR, "has no profile @96");
	/* Profiles are nothing to it: two of each. */
	begin(&f, "252");
	put_profiles(&f, "quiet");
	refused(&f, EX_DATAERR, "two .cmdline sections");
}

/* Slot b, of which the fixture asks. */
static void the_profile_of_the_slot_goes_before_the_common_sections(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "257");
	put_profiles(&f, "root={slot}");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	(void)testuki_text(&f.uki, ".cmdline", "root=A");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	(void)testuki_text(&f.uki, ".cmdline", "root=B");
	gives(&f, "root=B", "initrd-\n" PROFILE("slot-b"));
	end(&f);
	begin(&f, "257");
	put_profiles(&f, "root={slot}");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	(void)testuki_text(&f.uki, ".initrd", "special");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	/* Nobody fills the common one in: the loader passes "@2". */
	gives(&f, "root={slot}", "special\n" PROFILE("slot-b"));
	end(&f);
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	refused(&f, EX_DATAERR, "no profile for slot b");
	begin(&f, "256");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	refused(&f, EX_DATAERR, "of systemd 256, does not know");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_is_chosen_by_the_command_line_that_is_handed_over),
		cmocka_unit_test(the_profile_of_the_slot_goes_before_the_common_sections),
	};

	return cmocka_run_group_tests_name("handover profile", tests, NULL, NULL);
}
