/* SPDX-License-Identifier: MIT */
#include "loadoption.h"

#include "bytes.h"
#include "espinfo.h"
#include "io.h"

#include <efivar/efivar.h>
#include <efivar/efiboot.h>
#include <string.h>
#include <strings.h>

#define HEADER_SIZE 6
#define NODE_HEADER_SIZE 4
/* Longer paths cannot be one of our files. */
#define PATH_MAX_CHARS 128

/* UEFI 2.10 section 10.3: type, subtype */
#define NODE_HD 0x0401
#define NODE_FILE 0x0404
#define NODE_END 0x7fff		/* of the whole path; 0x7f01 only ends an instance */
#define NODE_TYPE_END 0x7f
#define NODE_TYPE_MESSAGING 3	/* 1 is hardware, 2 ACPI; 4 names media, 5 what a BIOS boots */

/* section 10.3.5.1, table 10.49 */
#define HD_SIZE 42
#define HD_SIGNATURE_AT 24
#define HD_FORMAT_AT 40
#define HD_SIGNATURE_TYPE_AT 41
#define HD_FORMAT_GPT 2
#define HD_SIGNATURE_GUID 2

bool loadoption_parse(const uint8_t *data, size_t len, struct load_option *ret_option)
{
	size_t path_len, pos = HEADER_SIZE;

	if (len < HEADER_SIZE)
		return false;
	path_len = le16_get(data + 4);
	while (len - pos >= 2 && le16_get(data + pos) != 0)
		pos += 2;
	if (len - pos < 2 || len - pos - 2 < path_len)
		return false;
	*ret_option = (struct load_option){
		.attributes = le32_get(data),
		.description = data + HEADER_SIZE,
		.description_len = pos - HEADER_SIZE,
		.path = data + pos + 2,
		.path_len = path_len,
		.options = data + pos + 2 + path_len,
		.options_len = len - pos - 2 - path_len,
	};
	return true;
}

bool loadoption_description_is(const struct load_option *option, const char *text)
{
	size_t chars = strlen(text);

	if (option->description_len != 2 * chars)
		return false;
	for (size_t i = 0; i < chars; i++)
		if (le16_get(option->description + 2 * i) != (unsigned char)text[i])
			return false;
	return true;
}

struct node {
	unsigned kind;		/* type << 8 | subtype */
	const uint8_t *data;	/* the whole node */
	size_t len;		/* its length, at least NODE_HEADER_SIZE */
};

/* Remove the first node from the path; false: the path is cut short, or a length is
 * wrong. */
static bool next_node(const uint8_t **path, size_t *left, struct node *ret_node)
{
	size_t len;

	if (*left < NODE_HEADER_SIZE)
		return false;
	len = le16_get(*path + 2);
	if (len < NODE_HEADER_SIZE || len > *left)
		return false;
	*ret_node = (struct node){
		.kind = (unsigned)(*path)[0] << 8 | (*path)[1], .data = *path, .len = len,
	};
	*path += len;
	*left -= len;
	return true;
}

static bool hd_is(const struct node *node, const uint8_t guid[16])
{
	return node->len == HD_SIZE && node->data[HD_FORMAT_AT] == HD_FORMAT_GPT &&
	       node->data[HD_SIGNATURE_TYPE_AT] == HD_SIGNATURE_GUID &&
	       memcmp(node->data + HD_SIGNATURE_AT, guid, 16) == 0;
}

struct file_path {
	char text[PATH_MAX_CHARS + 1];
	size_t len;
};

/* Appends one character; any run of backslashes counts as one. */
static bool file_path_put(struct file_path *file, uint16_t c)
{
	if (c == '\\' && file->len > 0 && file->text[file->len - 1] == '\\')
		return true;
	if (c > 0x7e || file->len == PATH_MAX_CHARS)
		return false;
	file->text[file->len++] = (char)c;
	return true;
}

/* Nodes are joined with a backslash, whether they bring their own or not, as the
 * firmware does when it opens the file. */
static bool file_path_add(struct file_path *file, const struct node *node)
{
	if (node->len % 2 != 0 || !file_path_put(file, '\\'))
		return false;
	for (size_t pos = NODE_HEADER_SIZE; pos < node->len; pos += 2) {
		uint16_t c = le16_get(node->data + pos);

		if (c == 0)
			break;
		if (!file_path_put(file, c))
			return false;
	}
	return true;
}

static bool path_is(const uint8_t *path, size_t left, const uint8_t guid[16],
		    const char *wanted)
{
	struct file_path file = { .len = 0 };
	struct node node;

	/* The short form leaves out the nodes that lead to the partition. */
	do {
		if (!next_node(&path, &left, &node) || node.kind >> 8 == NODE_TYPE_END)
			return false;
	} while (node.kind != NODE_HD);
	if (!hd_is(&node, guid) || !next_node(&path, &left, &node))
		return false;
	while (node.kind == NODE_FILE)
		if (!file_path_add(&file, &node) || !next_node(&path, &left, &node))
			return false;
	file.text[file.len] = 0;
	return node.kind == NODE_END && strcasecmp(file.text, wanted) == 0;
}

bool loadoption_is_ours(const uint8_t *data, size_t len, const uint8_t guid[16],
			const char *path)
{
	struct load_option option;

	return loadoption_parse(data, len, &option) &&
	       path_is(option.path, option.path_len, guid, path);
}

/* Section 10.3.4: MAC address, IPv4, IPv6, URI, Wi-Fi */
static bool node_is_network(const struct node *node)
{
	switch (node->kind) {
	case 0x030b: case 0x030c: case 0x030d: case 0x0318: case 0x031c:
		return true;
	default:
		return false;
	}
}

bool loadoption_leads_nowhere(const uint8_t *data, size_t len)
{
	struct load_option option;
	struct node node;

	if (!loadoption_parse(data, len, &option))
		return false;
	do {
		if (!next_node(&option.path, &option.path_len, &node))
			return false;
		if (node.kind == NODE_END)
			return true;
	} while (node.kind >> 8 <= NODE_TYPE_MESSAGING && !node_is_network(&node));
	return false;
}

bool loadoption_is_elsewhere(const uint8_t *data, size_t len, const uint8_t guid[16])
{
	struct load_option option;
	struct node node;

	if (!loadoption_parse(data, len, &option))
		return false;
	while (next_node(&option.path, &option.path_len, &node) && node.kind != NODE_END)
		if (node.kind == NODE_HD && !hd_is(&node, guid))
			return true;
	return false;
}

/* HD(...)/File(...)/End into buf, or with size 0 only the length; -1. */
static ssize_t make_path(uint8_t *buf, ssize_t size, const struct esp_info *esp,
			 const char *path)
{
	uint8_t guid[16];
	char file[PATH_MAX_CHARS + 1];
	ssize_t hd, name, end;

	if (strlen(path) > PATH_MAX_CHARS)
		return -1;
	memcpy(guid, esp->guid, sizeof guid);	/* libefivar's prototypes are not const */
	strcpy(file, path);
	hd = efidp_make_hd(buf, size, esp->part, esp->start, esp->size, guid,
			   EFIDP_HD_FORMAT_GPT, EFIDP_HD_SIGNATURE_GUID);
	if (hd < 0)
		return -1;
	name = efidp_make_file(size ? buf + hd : NULL, size ? size - hd : 0, file);
	if (name < 0)
		return -1;
	end = efidp_make_end_entire(size ? buf + hd + name : NULL,
				    size ? size - hd - name : 0);
	return end < 0 ? -1 : hd + name + end;
}

/* -1, or the length of the whole option; with size 0 only that. */
static ssize_t make_option(uint8_t *buf, ssize_t size, uint32_t attributes,
			   const char *description, const uint8_t *path, ssize_t path_len,
			   const uint8_t *options, size_t options_len)
{
	return efi_loadopt_create(buf, size, attributes, (efidp)(uintptr_t)path, path_len,
				  (unsigned char *)(uintptr_t)description,
				  (uint8_t *)(uintptr_t)options, options_len);
}

int loadoption_build(const struct esp_info *esp, uint32_t attributes,
		     const char *description, const char *path, const uint8_t *options,
		     size_t options_len, uint8_t **ret_data, size_t *ret_len,
		     struct err *err)
{
	_cleanup_free_ uint8_t *path_data = NULL, *data = NULL;
	ssize_t path_len = make_path(NULL, 0, esp, path);
	ssize_t len = -1;

	if (path_len > 0 && path_len <= UINT16_MAX)
		path_data = calloc(1, (size_t)path_len);
	if (path_data && make_path(path_data, path_len, esp, path) == path_len)
		len = make_option(NULL, 0, attributes, description, path_data, path_len,
				  options, options_len);
	if (len > 0)
		data = calloc(1, (size_t)len);
	if (!data || make_option(data, len, attributes, description, path_data, path_len,
				 options, options_len) != len)
		return err_set(err, EX_SOFTWARE, "failed to make the boot entry \"%s\" for %s",
			       description, path);
	*ret_data = data;
	*ret_len = (size_t)len;
	data = NULL;
	return 0;
}
