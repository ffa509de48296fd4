/* SPDX-License-Identifier: MIT */
#include "slot_cmdline.h"

#include "addon_fit.h"
#include "cmdline.h"
#include "io.h"
#include "profile.h"
#include "record.h"
#include "stub.h"
#include "utf.h"

#include <errno.h>
#include <string.h>

#define WAYS "give it a profile for each slot (ID=slot-a, ID=slot-b), the bundle a signed addon for each " \
	     "slot (--addon), or the UKI a root that is found by roothash= or usrhash="

const char *slot_cmdline_way(const struct slot_cmdline *cmdline)
{
	static const char *const texts[][2] = {
		[SLOT_WAY_SAME] = { "the same for both slots", "by an addon of the slot" },
		[SLOT_WAY_FILL] = { "{slot} filled in by the loader",
				    "{slot} filled in by the loader, and an addon of the slot" },
		[SLOT_WAY_PROFILE] = { "by a profile of the UKI",
				       "by a profile of the UKI, and an addon of the slot" },
	};

	return texts[cmdline->way][cmdline->has_addon];
}

void slot_cmdline_clear(struct slot_cmdline *cmdline)
{
	free(cmdline->text);
	*cmdline = (struct slot_cmdline){ 0 };
}

static int profile_error(const struct ukifile *uki, unsigned slot, enum sb_error error,
			 struct err *err)
{
	char own = slot_letter(slot);

	if (error == SB_LONG)
		return err_set(err, EX_DATAERR, "%s has a .profile of more than %d bytes", uki->name,
			       PROFILE_TEXT_MAX);
	if (error == SB_RANGE)
		return err_set(err, EX_DATAERR, "%s has no profile for slot %c, or more than one: it "
			       "must have one with ID=slot-a and one with ID=slot-b", uki->name, own);
	return err_set(err, EX_IOERR, "failed to read %s", uki->name);
}

static int stub_check(const struct ukifile *uki, struct err *err)
{
	unsigned version;

	if (stub_version(uki, &version, err) < 0)
		return -1;
	if (stub_does(version, STUB_PROFILES))
		return 0;
	return err_set(err, EX_DATAERR, "%s has profiles for the slots, which its stub, of systemd "
		       "%u, does not know: build it with that of systemd 257 or later", uki->name,
		       version);
}

int slot_cmdline_read(const struct ukifile *uki, unsigned slot, struct slot_cmdline *ret_cmdline,
		      struct err *err)
{
	struct slot_cmdline c = { .way = SLOT_WAY_PROFILE };
	enum sb_error error = profile_find(&uki->image, slot, &c.profile);
	_cleanup_free_ uint8_t *raw = NULL;
	size_t raw_len, len;

	if (error != SB_OK && error != SB_NOT_FOUND)
		return profile_error(uki, slot, error, err);
	if (error == SB_OK && stub_check(uki, err) < 0)
		return -1;
	if (ukifile_section_in(uki, c.profile, ".cmdline", CMDLINE_MAX, &raw, &raw_len, err) < 0)
		return -1;
	c.text = malloc(raw_len + 1);
	if (!c.text)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", uki->name);
	if (error == SB_NOT_FOUND) {
		c.way = cmdline_has_slot(raw, raw_len) ? SLOT_WAY_FILL : SLOT_WAY_SAME;
		(void)cmdline_fill(raw, raw_len, slot, c.text, raw_len + 1, &len);	/* never grows */
	} else {
		len = cmdline_length(raw, raw_len);
		memcpy(c.text, raw, len);
		c.text[len] = 0;
	}
	*ret_cmdline = c;
	return 0;
}

char *slot_cmdline_options(const struct slot_cmdline *cmdline)
{
	char number[PROFILE_OPTIONS_MAX];

	if (cmdline->way == SLOT_WAY_FILL)
		return strdup(cmdline->text);
	if (cmdline->way == SLOT_WAY_SAME)
		return strdup("");
	(void)profile_options(cmdline->profile, number);
	return strdup(number);
}

static bool has_word(const char *text, const char *key)
{
	size_t len;

	return cmdline_get(text, key, &len) != NULL;
}

/* A root that is one partition, whichever slot is started: by its place on the disk, its
 * GUID or its label. A UUID= is the image's own, and may differ from release to release. */
static bool names_partition(const char *text)
{
	static const char *const begins[] = { "/dev/", "PARTUUID=", "PARTLABEL=" };
	size_t len;
	const char *root = cmdline_get(text, "root", &len);

	if (!root || has_word(text, "roothash") || has_word(text, "usrhash"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strncmp(root, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static int fill_check(const struct slot_cmdline *c, bool secure_boot, struct err *err)
{
	if (!utf8_is(c->text))
		return err_set(err, EX_DATAERR,
			       "the UKI's command line has {slot} and is not UTF-8: the loader "
			       "would leave it unfilled");
	if (secure_boot)
		return err_set(err, EX_DATAERR,
			       "the UKI's command line has {slot}, which systemd-stub leaves "
			       "unfilled under Secure Boot: " WAYS ", and no {slot}");
	return 0;
}

static int one_check(const struct slot_cmdline *c, unsigned slot, bool secure_boot, struct err *err)
{
	if (c->way == SLOT_WAY_FILL)
		return fill_check(c, secure_boot, err);
	if (c->way == SLOT_WAY_PROFILE &&
	    cmdline_has_slot((const uint8_t *)c->text, strlen(c->text)))
		return err_set(err, EX_DATAERR, "the command line of the UKI's profile for slot %c has "
			       "{slot}, which nobody fills in there: write %c", slot_letter(slot),
			       slot_letter(slot));
	return 0;
}

static int pair_check(const struct slot_cmdline c[2], bool secure_boot, struct err *err)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (one_check(&c[slot], slot, secure_boot, err) < 0)
			return -1;
	if (!secure_boot || strcmp(c[0].text, c[1].text) != 0 || !names_partition(c[0].text))
		return 0;
	return err_set(err, EX_DATAERR, "the UKI's command line has the same root= for both slots, "
		       "and under Secure Boot nobody can change it: " WAYS);
}

static int addon_check(const struct ukifile *uki, unsigned profile, const struct ukifile *addon,
		       struct err *err)
{
	_cleanup_free_ uint8_t *uname = NULL;
	unsigned version;
	const char *why;
	size_t len;

	if (ukifile_section_in(uki, profile, ".uname", ADDON_UNAME_MAX, &uname, &len, err) < 0 ||
	    stub_version(uki, &version, err) < 0)
		return -1;
	if (!stub_does(version, STUB_ADDONS))
		return err_set(err, EX_DATAERR, "%s has a stub of systemd %u, which knows no addons: "
			       "build it with that of systemd 254 or later", uki->name, version);
	why = addon_unfit(addon, (char *)uname);
	return why ? err_set(err, EX_DATAERR, "%s would not be used by the stub: %s", addon->name,
			     why)
		   : 0;
}

static int addon_append(const struct ukifile *uki, const struct ukifile *addon,
			struct slot_cmdline *c, struct err *err)
{
	_cleanup_free_ uint8_t *raw = NULL;
	size_t raw_len;
	char *joined;

	if (addon_check(uki, c->profile, addon, err) < 0 ||
	    ukifile_section(addon, ".cmdline", CMDLINE_MAX, &raw, &raw_len, err) < 0)
		return -1;
	raw_len = cmdline_length(raw, raw_len);
	if (cmdline_has_slot(raw, raw_len))
		return err_set(err, EX_DATAERR, "%s has {slot} in its command line, which nobody fills "
			       "in there", addon->name);
	if (asprintf(&joined, "%s%s%.*s", c->text, *c->text && raw_len ? " " : "", (int)raw_len,
		     (char *)raw) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", addon->name);
	free(c->text);
	c->text = joined;
	c->has_addon = true;
	return 0;
}

int slot_cmdline_check(const struct ukifile *uki, const struct ukifile *const addons[2],
		       bool secure_boot, struct slot_cmdline ret_cmdlines[2], struct err *err)
{
	struct slot_cmdline c[SLOT_COUNT] = { 0 };
	int r = 0;

	for (unsigned slot = 0; slot < SLOT_COUNT && r == 0; slot++) {
		r = slot_cmdline_read(uki, slot, &c[slot], err);
		if (r == 0 && addons[slot])
			r = addon_append(uki, addons[slot], &c[slot], err);
	}
	if (r == 0 && pair_check(c, secure_boot, err) == 0) {
		memcpy(ret_cmdlines, c, sizeof c);
		return 0;
	}
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		slot_cmdline_clear(&c[slot]);
	return -1;
}
