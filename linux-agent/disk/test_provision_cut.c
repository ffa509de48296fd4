/* SPDX-License-Identifier: MIT */
/* The power is cut at every write of a first installation: nothing half-made boots, and the next run
 * makes the same disk as one that was never cut. */
#include "bytes.h"
#include "found.h"
#include "gpt.h"
#include "layout.h"
#include "provision.h"
#include "testbundle.h"
#include "testuki.h"

#include <fcntl.h>

#define MIB (1u << 20)
#define DISK_MAX (22u * MIB)
#define ROOTFS_BYTES (200u * 1024)
#define APP_BYTES (70u * 1024)
#define UNDO_MAX 64

/* What of the writes since the last flush a cut leaves on the disk. */
enum loss { LOSE_NOTHING, LOSE_ALL, LOSE_ALL_BUT_LAST, TEAR_LAST, LOSS_COUNT };

/* A disk in a file whose power goes at a write. */
struct cutdisk {
	int writes_left;	/* -1: it stays on */
	enum loss loss;
	bool cut;
	int writes;		/* so far */
	struct undo {
		int file;
		uint64_t offset;
		size_t len;
		uint8_t *before, *after;
		size_t room;	/* of each; kept for the next runs */
	} undo[UNDO_MAX];
	size_t pending;
};

static struct cutdisk power;
static size_t disk_bytes;
static char disk_path[160], two_path[160], loader_path[160], seed_text[32];
static const char *bundle_path;

static void undo_reserve(struct undo *u, size_t len)
{
	if (u->room >= len)
		return;
	u->room = len;
	u->before = realloc(u->before, len);
	u->after = realloc(u->after, len);
	assert_true(u->before && u->after);
}

static void undo_free(void)
{
	for (size_t i = 0; i < UNDO_MAX; i++) {
		free(power.undo[i].before);
		free(power.undo[i].after);
	}
}

static void power_goes(void)
{
	size_t last = power.pending - 1;

	for (size_t i = power.pending; power.loss != LOSE_NOTHING && i-- > 0;) {
		const struct undo *u = &power.undo[i];

		assert_int_equal(pwrite_full(u->file, u->before, u->len, (off_t)u->offset), 0);
	}
	if (power.loss == LOSE_ALL_BUT_LAST || power.loss == TEAR_LAST)
		assert_int_equal(pwrite_full(power.undo[last].file, power.undo[last].after,
					     power.loss == TEAR_LAST ? power.undo[last].len / 2 : power.undo[last].len,
					     (off_t)power.undo[last].offset), 0);
	power.cut = true;
}

static int cut_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	struct undo *u = &power.undo[power.pending];

	if (power.cut) {
		errno = EIO;
		return -1;
	}
	assert_true(power.pending < UNDO_MAX);
	undo_reserve(u, len);
	u->file = file;
	u->offset = offset;
	u->len = len;
	assert_int_equal(pread_full(file, u->before, len, (off_t)offset), 0);
	memcpy(u->after, buf, len);
	power.pending++;
	power.writes++;
	assert_int_equal(disk_posix.write(ctx, file, buf, len, offset), 0);
	if (power.writes_left > 0 && --power.writes_left == 0)
		power_goes();
	return 0;
}

static int cut_flush(void *ctx, int file)
{
	(void)ctx, (void)file;
	if (power.cut) {
		errno = EIO;
		return -1;
	}
	power.pending = 0;
	return 0;
}

/* Not past the page cache: a write of half a block is read as it is. */
static int cut_open(void *ctx, const char *path, enum disk_open how)
{
	if (how == DISK_WRITE || how == DISK_READ)
		return open(path, O_RDWR | O_CLOEXEC);
	return disk_posix.open(ctx, path, how);
}

/* --- runs --- */

static int run(int writes, enum loss loss, unsigned sector, const char *wipe, struct err *err)
{
	struct config *config;
	struct report report = { 0 };
	struct provision_result result;
	struct disk io = disk_posix;
	struct provision_options o = {
		.disk = disk_path, .bundle = bundle_path, .loader = loader_path, .sector_bytes = sector,
		.esp_bytes = sector == 512 ? 3 * MIB : 17 * MIB, .seed = seed_text, .wipe = wipe, .io = &io, .report = &report,
	};
	int r;

	io.open = cut_open;
	io.write = cut_write;
	io.flush = cut_flush;
	power.writes_left = writes;
	power.loss = loss;
	power.cut = false;
	power.writes = 0;
	*err = (struct err){ 0 };
	assert_int_equal(config_load(NULL, &config, err), 0);
	free(config->keyring);
	config->keyring = strdup(keyring);
	config->sandbox = SANDBOX_NO;
	o.config = config;
	if (wipe)
		o.esp_bytes = 0;
	r = provision_run(&o, &result, err);
	config_free(config);
	power.pending = 0;
	return r;
}

static void disk_read(uint8_t *data)
{
	int fd = open(disk_path, O_RDONLY);

	assert_int_equal(pread_full(fd, data, disk_bytes, 0), 0);
	close(fd);
}

static uint8_t *disk_take(void)
{
	uint8_t *data = malloc(disk_bytes);

	disk_read(data);
	return data;
}

/* What is on the disk now, until the next call. */
static const uint8_t *disk_now(void)
{
	static uint8_t now[DISK_MAX];

	disk_read(now);
	return now;
}

static void disk_put(const uint8_t *data)
{
	int fd = open(disk_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)disk_bytes), 0);
	if (data)
		assert_int_equal(pwrite_full(fd, data, disk_bytes, 0), 0);
	close(fd);
}

/* As a firmware looks: a protective MBR, a whole table, either one, and a FAT in the ESP. */
static bool boots(void)
{
	struct found found;
	uint8_t sector[512];
	const struct layout_part *esp;
	int fd;

	assert_int_equal(found_look(disk_path, 0, disk_bytes, LAYOUT_X64, &found, NULL), 0);
	esp = layout_find(&found.layout, LAYOUT_ESP);
	if (!esp)
		return false;
	fd = open(disk_path, O_RDONLY);
	assert_int_equal(pread_full(fd, sector, sizeof sector, (off_t)esp->start), 0);
	close(fd);
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

/* edge: at both ends, what is not looked at. */
static void expect_equal(const uint8_t *whole, size_t edge, const char *what, int at, enum loss loss)
{
	const uint8_t *now = disk_now();
	size_t i = edge;

	if (memcmp(now + edge, whole + edge, disk_bytes - 2 * edge) == 0)
		i = disk_bytes;
	while (i < disk_bytes && now[i] == whole[i])
		i++;
	if (i < disk_bytes)
		fail_msg("%s, cut at write %d, loss %d: byte %zu differs", what, at, (int)loss, i);
}

static bool equals(const uint8_t *whole)
{
	return memcmp(disk_now(), whole, disk_bytes) == 0;
}

static bool is_begun(void)
{
	struct found found;

	assert_int_equal(found_look(disk_path, 0, disk_bytes, LAYOUT_X64, &found, NULL), 0);
	return found.cut_off;
}

/* One cut, and what is on the disk then. The run after it for one loss of each cut: what it goes by is
 * the mark alone, which is looked for each time. */
static void cut_once(const uint8_t *before, const uint8_t *whole, const char *what, int at, enum loss loss,
		     unsigned sector, const char *wipe)
{
	struct err err;

	disk_put(before);
	assert_int_equal(run(at, loss, sector, wipe, &err), -1);
	if (boots() && !(before && equals(before))) {
		expect_equal(whole, MIB, what, at, loss);
		return;
	}
	if (!is_begun() && !(before ? equals(before) : at == 1))
		fail_msg("%s, cut at write %d, loss %d: there is no mark", what, at, (int)loss);
	if ((int)loss != at % LOSS_COUNT)
		return;
	if (run(-1, LOSE_NOTHING, sector, wipe, &err) < 0)
		fail_msg("%s, cut at write %d, loss %d: the next run: %s", what, at, (int)loss, err.text);
	expect_equal(whole, 0, what, at, loss);
}

static void cut_everywhere(const uint8_t *before, const char *what, unsigned sector, const char *wipe)
{
	bool plain = sector == 512 && bundle_path == zip_path;
	struct err err;
	uint8_t *whole;
	int writes;

	disk_bytes = sector != 512 ? DISK_MAX : plain ? 8 * MIB : 9 * MIB;
	disk_put(before);
	if (run(-1, LOSE_NOTHING, sector, wipe, &err) < 0)
		fail_msg("%s: %s", what, err.text);
	writes = power.writes;
	print_message("%s: %d writes\n", what, writes);
	assert_true(writes > 5);
	assert_true(boots());
	whole = disk_take();
	/* With larger sectors or more images the order is the same, and everything takes longer. */
	for (int at = 1; at <= writes; at++)
		for (enum loss loss = 0; loss < LOSS_COUNT; loss++)
			if (plain || (int)loss == at % LOSS_COUNT)
				cut_once(before, whole, what, at, loss, sector, wipe);
	free(whole);
}

static void an_empty_disk_is_made_again_after_a_cut(void **state)
{
	(void)state;
	strcpy(seed_text, "one");
	cut_everywhere(NULL, "empty", 512, NULL);
}

static void so_is_one_with_larger_sectors(void **state)
{
	(void)state;
	strcpy(seed_text, "one");
	cut_everywhere(NULL, "empty, 4096", 4096, NULL);
}

/* Made, and made again with its partitions kept: of two images one may be there and the other not. */
static void so_is_one_with_two_images_in_a_slot(void **state)
{
	uint8_t *before;

	(void)state;
	strcpy(seed_text, "one");
	bundle_path = two_path;
	cut_everywhere(NULL, "two images", 512, NULL);
	before = disk_take();
	strcpy(seed_text, "two");
	cut_everywhere(before, "two images, adopted", 512, disk_path);
	bundle_path = zip_path;
	free(before);
}

static void a_disk_whose_partitions_are_kept_is_written_again_after_a_cut(void **state)
{
	uint8_t *before;
	struct err err;

	(void)state;
	strcpy(seed_text, "one");
	disk_bytes = 8 * MIB;
	disk_put(NULL);
	assert_int_equal(run(-1, LOSE_NOTHING, 512, NULL, &err), 0);
	before = disk_take();
	strcpy(seed_text, "two");
	cut_everywhere(before, "adopted", 512, disk_path);
	free(before);
}

/* --- setup --- */

static void uki_make(struct testuki *uki)
{
	testuki_make(uki, NULL);
	le32_put(testuki_header(uki, 0) + 12, 0x10000);
	le32_put(uki->bytes + TESTUKI_PE_AT + 24 + 32, 4096);
	le32_put(uki->bytes + TESTUKI_PE_AT + 24 + 56, 0x20000);
	le32_put(uki->bytes + TESTUKI_PE_AT + 24 + 60, 4096);
}

static int make_parts(void **state)
{
	static struct testuki uki;

	if (setup(state) < 0 || each_setup(state) < 0)
		return -1;
	uki_make(&uki);
	testdir_put(&dir, "loader.efi", uki.bytes, sizeof uki.bytes);
	snprintf(loader_path, sizeof loader_path, "%s/loader.efi", dir.path);
	snprintf(two_path, sizeof two_path, "%s/two.zip", dir.path);
	snprintf(disk_path, sizeof disk_path, "%s/disk.img", dir.path);
	testbundle_free(&good);
	testbundle_make(&good, &dir, ROOTFS_BYTES);
	free(good.uki);
	good.uki = malloc(sizeof uki.bytes);
	memcpy(good.uki, uki.bytes, sizeof uki.bytes);
	good.uki_len = sizeof uki.bytes;
	testbundle_manifest(&good, &dir, 0);
	testbundle_zip(&good, zip_path);
	bundle_path = zip_path;
	good.app_len = APP_BYTES;
	good.app = malloc(APP_BYTES);
	memset(good.app, 'p', APP_BYTES);
	testbundle_manifest(&good, &dir, 0);
	testbundle_zip(&good, two_path);
	return 0;
}

static int remove_parts(void **state)
{
	undo_free();
	(void)each_teardown(state);
	return teardown(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_disk_is_made_again_after_a_cut),
		cmocka_unit_test(so_is_one_with_larger_sectors),
		cmocka_unit_test(so_is_one_with_two_images_in_a_slot),
		cmocka_unit_test(a_disk_whose_partitions_are_kept_is_written_again_after_a_cut),
	};

	return cmocka_run_group_tests(tests, make_parts, remove_parts);
}
